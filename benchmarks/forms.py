"""The cost of a training step by form, for cardinality 4 and 32: `python benchmarks/forms.py --backend jax`.

Forms a, b and sliced are timed in turns with form c of the same network; the ratio is their images per second divided
by those of form c. Each backend has a file of its own in `results`.
"""

import argparse
from pathlib import Path

from duel import HERE, run

NETWORKS = ("resnext14_4x32d", "resnext14_32x4d")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="tensorflow")
    parser.add_argument("--variants", nargs="+", default=NETWORKS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="by default results/forms_BACKEND.json")
    given = parser.parse_args()
    base = {
        "system": "resnext",
        "backend": given.backend,
        "mode": "train",
        "dtype": "float32",
        "batch": 16,
        "size": 128,
    }
    duels = [
        ({**base, "variant": variant, "form": form}, {**base, "variant": variant})
        for variant in given.variants
        for form in ("a", "b", "sliced")
    ]
    run(duels, given.rounds, None, given.out or HERE / "results" / f"forms_{given.backend}.json")


if __name__ == "__main__":
    main()
