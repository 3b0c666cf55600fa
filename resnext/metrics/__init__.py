"""The quality of predictions: accuracy, calibration, intervals, two models side by side (NumPy only)."""
