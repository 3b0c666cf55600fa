"""What a network is (no Keras): names, blocks' facts, exact counts, published errors."""
