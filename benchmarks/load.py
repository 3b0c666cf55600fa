"""Time and peak memory needed to load the weights of a large network: python benchmarks/load.py FILE.

FILE has the weights of ResNeXt-101 64x4d from timm or torchvision (`resnext101_64x4d.tv_in1k`, or any weights of that
shape). KERAS_BACKEND selects the backend. Memory is counted from its level after a small network has been built.
"""

import sys
import threading
import time
from pathlib import Path

import keras

import resnext


def resident() -> int:
    """Return the resident memory of the process in bytes, as Linux reports it."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmRSS:")[1].split()[0])


def main():
    path = Path(sys.argv[1])
    resnext.ResNeXt("resnext14_2x4d")  # initialises everything that is created once
    before, seen, done = resident(), [0], threading.Event()

    def watch():
        while not done.wait(0.005):
            seen.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    network = resnext.ResNeXt("resnext101_64x4d", weights=path)
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    times = (max(seen) - before) / path.stat().st_size
    print(f"{keras.backend.backend()} {network.name}: {seconds:.2f} s, {times:.2f} times the file's size")


if __name__ == "__main__":
    main()
