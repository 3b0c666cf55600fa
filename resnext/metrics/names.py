"""The names of the metrics, in words."""

NAMES = {
    "top1": "top-1",
    "top5": "top-5",
    "map": "mAP",
    "micro_f1": "micro F1",
    "exact_match": "all labels right",
    "macro_f1": "macro F1",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
    "ece": "calibration error",
    "auc": "AUC",
}
