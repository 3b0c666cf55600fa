"""One image: decoding with limits, preprocessing, augmentation. No Keras."""
