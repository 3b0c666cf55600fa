"""Steps of ResNeXt-50 on a GPU in bfloat16: JAX and PyTorch backends against timm or torchvision, and the kernels.

    python benchmarks/gpu.py                # batch 128, about ten minutes; --batches 128 256 for both

The environment needs resnext, jax and torch for the GPU and, if available, timm. PyTorch's own network is timm's or, if
timm is missing, torchvision's: channels last, under autocast, eager and compiled.
"""

import argparse
import importlib.util
import itertools
import os
import sys
from pathlib import Path

from duel import HERE, run

BACKENDS = ("torch", "jax")


def duels(batches):
    """Yield what to compare, the most wanted first: whoever has little time stops it, and has the results so far."""
    peer = next((name for name in ("timm", "torchvision") if importlib.util.find_spec(name)), None)
    for compiled, mode, batch, backend in itertools.product((False, True), ("train", "infer"), batches, BACKENDS):
        way = {"mode": mode, "dtype": "bfloat16", "batch": batch, "steps": 10}
        if peer:
            yield {"system": "resnext", "backend": backend, **way}, {"system": peer, "compile": compiled, **way}
    for batch, backend in itertools.product(batches, BACKENDS):
        ours = {
            "system": "resnext",
            "backend": backend,
            "mode": "train",
            "dtype": "bfloat16",
            "batch": batch,
            "steps": 10,
        }
        yield ours, {**ours, "variant": "resnet50"}  # ResNet-50


def print_kernels(batch: int) -> None:
    """Print the kernels in which a step on the PyTorch backend spends most of its time."""
    os.environ["KERAS_BACKEND"] = "torch"
    from contender import DEFAULTS, keras_step
    from torch.profiler import ProfilerActivity, profile

    task = {**DEFAULTS, "system": "resnext", "backend": "torch", "mode": "train", "dtype": "bfloat16", "batch": batch}
    _, step = keras_step(task)
    for _ in range(3):
        step()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        step()
    print(profiler.key_averages().table(sort_by="self_cuda_time_total", row_limit=20))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=(128,))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "gpu.json")
    given = parser.parse_args()
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # two contenders share the memory
    run(list(duels(given.batches)), given.rounds, sys.executable, given.out)
    print_kernels(given.batches[0])


if __name__ == "__main__":
    main()
