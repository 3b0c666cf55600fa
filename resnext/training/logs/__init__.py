"""Logs of a training for other programs: JSON lines, TensorBoard, Weights & Biases, MLflow, Trackio."""
