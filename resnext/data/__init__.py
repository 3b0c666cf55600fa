"""Many images: folders, archives, label files, splits, batches, checks (no Keras)."""
