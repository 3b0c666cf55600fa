"""A server under load: its throughput beside `predict`'s, its answers at half load and at four times its capacity.

    python benchmarks/serving.py MODEL PHOTOS   # about five minutes

PHOTOS is a folder of image files. Server and clients share the machine, and both turns of a comparison its load.
"""

import argparse
import asyncio
import itertools
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from importlib.metadata import version
from pathlib import Path

from duel import HERE, photos_in, spread, write_result

CLIENTS = 16
ROUNDS = 5
PATH = "/v1/classify"


class Server:
    """`resnext serve` in a process of its own."""

    def __init__(self, model):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "resnext", "serve", model, "--port", "0"], stdout=subprocess.PIPE, text=True
        )
        lines = []
        for line in self.process.stdout:
            lines.append(line.strip())
            if found := re.search(r"http://[\d.]+:(\d+)", line):
                self.port, self.engine = int(found[1]), lines[0].rpartition(" ")[2]
                return
        raise RuntimeError("the server did not start")

    def status(self):
        """Return resident memory in MB, and the number of open files."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        files = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000, files

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


async def ask(port, body):
    """Send a photo; return the status of the answer, and seconds."""
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = await reader.read()
    writer.close()
    return int(answer[9:12]), time.perf_counter() - started


async def in_turn(port, photos, clients, seconds=None, requests=None):
    """Ask with some clients, each after its answer; return the statuses and seconds, and images/s."""
    answers, bodies, started = [], itertools.cycle(photos), time.perf_counter()

    async def client():
        while (requests is None or len(answers) < requests) and (
            seconds is None or time.perf_counter() - started < seconds
        ):
            answers.append(await ask(port, next(bodies)))

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers, len(answers) / (time.perf_counter() - started)


async def at_rate(port, photos, rate, seconds, is_random=True):
    """Ask at random or at even moments, whatever the answers; return the statuses and seconds."""
    bodies, draws, tasks = itertools.cycle(photos), random.Random(0), []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        tasks.append(asyncio.create_task(ask(port, next(bodies))))
        await asyncio.sleep(draws.expovariate(rate) if is_random else 1 / rate)
    return await asyncio.gather(*tasks)


def predict_rate(model, photos, engine, images):
    """Return the images/s that `predict` prints."""
    inputs = list(itertools.islice(itertools.cycle(photos), images))
    listed = "\n".join(map(str, inputs)).encode()
    ran = subprocess.run(
        [sys.executable, "-m", "resnext", "predict", model, "-", "--top", "1", "--engine", engine],
        input=listed, capture_output=True, check=True,
    )  # fmt: skip
    return float(re.search(rb"([\d.,]+) images/s", ran.stderr)[1].replace(b",", b""))


def percentile(answers, share):
    seconds = sorted(seconds for status, seconds in answers if status == 200)
    return 1000 * seconds[min(len(seconds) - 1, int(share * len(seconds)))]


def summary(answers):
    return {"median": percentile(answers, 0.5), "p99": percentile(answers, 0.99), "n": len(answers)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "serving.json")
    given = parser.parse_args()
    paths = photos_in(given.photos)
    photos = [path.read_bytes() for path in paths]
    server = Server(given.model)
    run = lambda *arguments, **named: asyncio.run(in_turn(server.port, photos, *arguments, **named))  # noqa: E731
    run(CLIENTS, seconds=3)
    ratios, rates, predicted = [], [], []
    for _ in range(ROUNDS):
        _, rate = run(CLIENTS, seconds=given.seconds)
        predicted.append(predict_rate(given.model, paths, server.engine, max(64, int(rate * given.seconds))))
        rates.append(rate)
        ratios.append(rate / predicted[-1])
    alone, _ = run(1, seconds=given.seconds)
    capacity = statistics.median(rates)
    evenly = asyncio.run(at_rate(server.port, photos, capacity / 2, 3 * given.seconds, is_random=False))
    half = asyncio.run(at_rate(server.port, photos, capacity / 2, 6 * given.seconds))
    before = server.status()
    started = time.perf_counter()
    flood = asyncio.run(at_rate(server.port, photos, 4 * capacity, 60))
    after, recovered = server.status(), asyncio.run(ask(server.port, photos[0]))
    result = {
        "versions": {name: version(name) for name in ("resnext", "starlette", "uvicorn")},
        "engine": server.engine,
        "images_per_second": spread(rates),
        "predict_images_per_second": spread(predicted),
        "ratio": spread(ratios),
        "alone_ms": summary(alone),
        "half_load_evenly_ms": summary(evenly),
        "half_load_ms": summary(half),
        "overload": {
            "requests": len(flood),
            "seconds": time.perf_counter() - started,
            "statuses": Counter(status for status, _ in flood),
            "p99_ms": percentile(flood, 0.99),
            "memory_mb": [before[0], after[0]],
            "recovered": recovered,
        },
        "exit_status": server.end(),
    }
    write_result(given.out, result)


if __name__ == "__main__":
    main()
