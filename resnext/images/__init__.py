"""One image: decoding within limits, preprocessing, augmentation (no Keras)."""
