"""Many images: folders, archives, label files, splits, batches, checks. No Keras."""
