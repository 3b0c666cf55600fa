"""A trained network in other programs' formats: one file for each, compared in its own runtime."""
