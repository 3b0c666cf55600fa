"""Training and inference steps of ResNeXt-50 and its peers, each timed in turns with its baseline.

    python benchmarks/step.py --peers PEERS/bin/python

PEERS is an environment with those of torch==2.14.1 torchvision==0.29.1 timm onnx onnxscript onnxruntime openvino that
are available; without --peers, the only peer is Keras. The environment of this script needs resnext and its backends.
"""

import argparse
import itertools
from pathlib import Path

from duel import HERE, run

BACKENDS = ("tensorflow", "torch", "jax")


def duels(backends, batch):
    for backend, mode, dtype in itertools.product(backends, ("train", "infer"), ("float32", "bfloat16")):
        way = {"mode": mode, "dtype": dtype, "batch": batch}
        yield {"system": "resnext", "backend": backend, **way}, {"system": "torchvision", **way}
    for backend in backends:  # half precision against single, on the same backend
        for mode in ("train", "infer"):
            way = {"system": "resnext", "backend": backend, "mode": mode, "batch": batch}
            yield {**way, "dtype": "bfloat16"}, {**way, "dtype": "float32"}
    train = {"mode": "train", "dtype": "float32", "batch": batch}
    infer = {**train, "mode": "infer"}
    for way in (train, infer):
        yield {"system": "torchvision", "compile": True, **way}, {"system": "torchvision", **way}
        yield {"system": "timm", **way}, {"system": "torchvision", **way}
    for system, dtype in (("onnxruntime", "float32"), ("openvino", "float32"), ("openvino", "bfloat16")):
        yield {"system": system, **infer, "dtype": dtype}, {"system": "torchvision", **infer, "dtype": dtype}
    for backend in backends:
        ours = {"system": "resnext", "backend": backend, **train}
        few = {} if backend == "torch" else {"batch": 2}  # a step of Keras's own takes minutes on XLA
        yield {**ours, "rounds": 3}, {"system": "keras", "backend": backend, **train, **few}
        yield ours, {**ours, "variant": "resnet50"}  # ResNet-50
        yield {**ours, "remat": True}, ours
    apps = {"system": "keras.applications.ResNet50", "backend": "tensorflow", **train}
    yield {"system": "resnext", "backend": "tensorflow", **train}, apps


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", help="Python of the environment with the peers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--only", default="", help="run only duels whose task contains this text")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "step.json")
    given = parser.parse_args()
    chosen = [pair for pair in duels(given.backends, given.batch) if given.only in str(pair)]
    run(chosen, given.rounds, given.peers, given.out)


if __name__ == "__main__":
    main()
