"""Find wrong labels and near-duplicates in a folder of class folders.

    pip install 'resnext[cpu]' cleanlab
    python examples/clean_labels.py DATA --out found --folds 5

Every image gets its probabilities from a network that has not seen it: the data is divided into folds, and one network
is trained for each. cleanlab (https://github.com/cleanlab/cleanlab, Northcutt et al. 2021) finds the labels that these
probabilities speak against. Near-duplicates are images whose features in the first network point the same way. Run it
again to go on where it was stopped. What it makes first is OUT/folds, as `resnext train DATA --folds 5 --out OUT/folds`
does.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from resnext import Run, cross_validate, predict

CHUNK = 1_000  # images whose similarities to all others are computed at once


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of class folders")
    parser.add_argument("--out", type=Path, required=True, help="folder for the runs and the tables")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--similarity", type=float, default=0.995, help="cosine from which two images are duplicates")
    given = parser.parse_args()
    found = cross_validate(given.data, out=given.out / "folds", folds=given.folds)
    if found.runs[0].config.several:
        raise SystemExit(
            f"{given.data} has several labels for an image, and wrong ones are found among single labels only"
        )
    labels = write_label_errors(found.predictions, found.runs[0].config.classes, given.out / "label-errors.csv")
    pairs = write_near_duplicates(given.data, found.runs[0], given.similarity, given.out / "near-duplicates.csv")
    print(f"{labels} labels to look at, {pairs} pairs of near-duplicates: {given.out}")


def write_label_errors(predictions: Path, classes: tuple[str, ...], out: Path) -> int:
    """Write the images whose label is probably wrong, the least likely label first; return their number."""
    from cleanlab.filter import find_label_issues

    with predictions.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        images = list(csv.DictReader(file))
    given = np.array([[float(image[f"probability of {name}"]) for name in classes] for image in images])
    labels = np.array([classes.index(image["class"]) for image in images])
    found = find_label_issues(labels, given, return_indices_ranked_by="self_confidence")
    rows = [(images[i]["image"], classes[labels[i]], given[i, labels[i]], classes[given[i].argmax()]) for i in found]
    write(out, ("image", "label", "probability of the label", "suggested"), rows)
    return len(rows)


def write_near_duplicates(data: Path, run: Run, similarity: float, out: Path) -> int:
    """Write pairs of images with nearly the same features, the most similar first; return their number."""
    found = [each for each in predict(run.folder, data, embeddings=True) if not each.error]
    features = np.stack([each.embedding for each in found])
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    rows = []
    for first in range(0, len(found), CHUNK):
        cosines = features[first : first + CHUNK] @ features.T
        for i, j in zip(*np.nonzero(cosines >= similarity), strict=True):
            if first + i < j:
                rows.append((found[first + i].image, found[j].image, float(cosines[i, j])))
    write(out, ("image", "other", "similarity"), sorted(rows, key=lambda row: -row[2]))
    return len(rows)


def write(path: Path, head: tuple[str, ...], rows: list[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)


if __name__ == "__main__":
    main()
