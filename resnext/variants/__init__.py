"""What a network is (no Keras): Table 1 of the paper in `variant.py` and `layer_table.py`, names, counts, errors."""
