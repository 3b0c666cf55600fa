"""The definition of a network (no Keras): names, facts about blocks, exact counts, published errors."""
