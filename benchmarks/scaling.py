"""The cost of a training step by cardinality (at equal complexity), depth, batch and image size.

    python benchmarks/scaling.py --backend tensorflow

Each point is timed in turns with resnext50_32x4d at batch 8 and 128 pixels, in form c; the ratio is its images per
second divided by those of that network.
"""

import argparse
from pathlib import Path

from duel import HERE, run

POINTS = {
    "cardinality": [{"variant": f"resnext50_{c}x{d}d"} for c, d in ((1, 64), (2, 40), (4, 24), (8, 14), (32, 4))],
    "depth": [{"variant": f"resnext{depth}_32x4d"} for depth in (14, 26, 50, 101)],
    "batch": [{"batch": batch} for batch in (1, 2, 4, 8, 16, 32)],
    "size": [{"size": size} for size in (64, 96, 128, 224)],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "scaling.json")
    given = parser.parse_args()
    base = {"system": "resnext", "backend": given.backend, "mode": "train", "dtype": "float32", "batch": 8, "size": 128}
    duels = [({**base, **point, "axis": axis}, base) for axis, points in POINTS.items() for point in points]
    run(duels, given.rounds, None, given.out)


if __name__ == "__main__":
    main()
