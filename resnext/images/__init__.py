"""Single images: decoding within limits, preprocessing and augmentation; independent of Keras."""
