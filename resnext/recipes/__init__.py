"""How a network is trained (no Keras): one published recipe to a file."""
