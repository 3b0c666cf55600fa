"""What predictions are worth: accuracy, calibration, intervals, two models side by side (NumPy only)."""
