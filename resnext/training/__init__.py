"""Training, which writes a run: train and resume, the session and its checkpoints, optimizers, averaged weights."""
