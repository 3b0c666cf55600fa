"""Many requests to a server, whose memory and open files must not grow.

    python benchmarks/serving_soak.py MODEL PHOTOS   # about eight minutes

A small network is enough: what could leak is around it.
"""

import argparse
import asyncio
from collections import Counter
from pathlib import Path

from duel import HERE, photos_in, write_result
from serving import CLIENTS, Server, in_turn

PARTS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photos", type=Path)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "serving_soak.json")
    given = parser.parse_args()
    photos, server = [path.read_bytes() for path in photos_in(given.photos)], Server(given.model)
    asyncio.run(in_turn(server.port, photos, CLIENTS, requests=1_000))
    resources, statuses, rates = [server.status()], Counter(), []
    for _ in range(PARTS):
        answers, rate = asyncio.run(in_turn(server.port, photos, CLIENTS, requests=given.requests // PARTS))
        statuses.update(status for status, _ in answers)
        rates.append(rate)
        resources.append(server.status())
    result = {
        "engine": server.engine,
        "statuses": statuses,
        "requests_per_second": [min(rates), max(rates)],
        "memory_mb": [memory for memory, _ in resources],
        "descriptors": [files for _, files in resources],
        "exit_status": server.end(),
    }
    write_result(given.out, result)


if __name__ == "__main__":
    main()
