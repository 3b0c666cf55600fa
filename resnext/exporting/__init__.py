"""Export of trained networks to other programs' formats: one file for each, verified in its own runtime."""
