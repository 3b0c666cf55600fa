"""A run folder: configuration, history, comparison, report."""
