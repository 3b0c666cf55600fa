"""A trained network in other programs' formats: one file for each, opened again in its own runtime."""
