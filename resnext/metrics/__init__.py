"""What predictions are worth: accuracy, calibration, intervals, and two models side by side. NumPy only."""
