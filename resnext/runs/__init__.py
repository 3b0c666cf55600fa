"""A run folder, and everything that reads one: evaluate, predict, compare, report."""
