"""What a network is: names, blocks, exact counts and published errors (Tables 1 to 7 of the paper). No Keras."""
