"""Weights in from files and out again: other libraries' names, published weights, the hub; files are not trusted."""
