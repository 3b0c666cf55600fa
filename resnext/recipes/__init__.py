"""Training recipes, one published recipe per file; independent of Keras."""
