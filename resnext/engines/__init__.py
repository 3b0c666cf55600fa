"""A trained network that computes: uint8 images in, named outputs out; one runtime to a file, Keras among them."""
