"""Engines that run a trained network: uint8 images in, named outputs out; one file per runtime, Keras among them."""
