"""What writes a run: train and resume, the session, its recorder and checkpoints, optimizers."""
