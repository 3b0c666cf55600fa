"""Training recipes (no Keras): one published recipe per file."""
