"""Data sets: folders, archives, label files, splits, batches and checks; independent of Keras."""
