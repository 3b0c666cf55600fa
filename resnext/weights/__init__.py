"""Weights loaded from and saved to files: other libraries' names, published weights, the hub; files are not trusted."""
