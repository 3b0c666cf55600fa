"""Labels in files: tables of training images, and label files of parts without class folders."""
