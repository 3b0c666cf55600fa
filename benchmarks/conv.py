"""Times of one grouped 3x3 and one 1x1 convolution of each stage, by every route on every backend.

    python benchmarks/conv.py

The environment needs resnext and its backends.
"""

import argparse
import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

from duel import HERE, command, machine


def measure(backend: str, dtype: str, batch: int) -> list[dict]:
    arguments = ["bench", "conv", "--batch-size", str(batch), "--dtype", dtype, "--format", "json"]
    environment = {**os.environ, "KERAS_BACKEND": backend}
    ran = subprocess.run(
        [sys.executable, "-m", "resnext", *arguments], env=environment, check=True, stdout=subprocess.PIPE
    )
    return json.loads(ran.stdout)["results"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--backends", nargs="+", default=("tensorflow", "torch", "jax"))
    parser.add_argument("--out", type=Path, default=HERE / "results" / "conv.json")
    given = parser.parse_args()
    given.out.parent.mkdir(exist_ok=True)
    layers = [
        {"backend": backend, "dtype": dtype, **row}
        for backend in given.backends
        for dtype in ("float32", "mixed_bfloat16")
        for row in measure(backend, dtype, given.batch)
    ]
    facts = {"machine": machine(), "date": str(date.today()), "command": command(), "batch": given.batch}
    given.out.write_text(json.dumps({**facts, "layers": layers}, indent=1) + "\n")


if __name__ == "__main__":
    main()
