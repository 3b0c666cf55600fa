"""How a network is trained: one published recipe to a file. No Keras."""
