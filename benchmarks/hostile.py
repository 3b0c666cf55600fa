"""A client's latency, alone and among hostile clients, in turns: `python benchmarks/hostile.py MODEL PHOTO`.

Server and all clients share the machine, and hostile ones take processor time of their own.
"""

import argparse
import asyncio
import statistics
import time
import zlib
from collections import Counter
from pathlib import Path

from duel import HERE, spread, write_result
from serving import Server, ask, percentile

ROUNDS = 5
SECONDS = 8.0  # of each turn
HEAD = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
LATER = 0.5  # seconds from an answer to the next request of a hostile client


def bomb():
    """Return a PNG of 900 million pixels, all of one colour."""
    side, parts = 30_000, []
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side)) for _ in range(side)) + packer.flush()
    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    for kind, content in ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")):
        parts.append(len(content).to_bytes(4, "big") + kind + content)
        parts.append(zlib.crc32(kind + content).to_bytes(4, "big"))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def with_length(body, *lines):
    return HEAD + b"".join(lines) + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def kinds(model):
    """Return the hostile clients: how many at once, what they send, and in which pieces, one each 0.1 s."""
    chunks = b"".join(b"100000\r\n" + bytes(2**20) + b"\r\n" for _ in range(17)) + b"0\r\n\r\n"
    nested = with_length(b"[" * (4 * 2**20))
    return {
        "idle": (1_000, b"", 1),
        "slow head": (200, HEAD + b"X: " + b"x" * 10_000, 1),
        "slow body": (100, HEAD + b"Content-Length: 10000\r\n\r\n" + bytes(10_000), 100),
        "oversize": (2, HEAD + f"Content-Length: {2**30}\r\n\r\n".encode() + bytes(2**16), None),
        "chunked": (1, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks, None),
        "gzip": (4, with_length(bytes(10_000), b"Content-Encoding: gzip\r\n"), None),
        "bomb": (4, with_length(bomb()), None),
        "JSON": (1, nested.replace(b"/v1/classify", f"/v2/models/{model}/infer".encode()), None),
        "half-closed": (4, HEAD + b"Content-Length: 1000\r\n\r\n" + bytes(10), "end"),
    }


async def attack(port, content, pieces, statuses):
    """Send the same again and again until cancelled; count the statuses of the answers, "none" where there is none."""
    while True:
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            answer = asyncio.ensure_future(reader.read())
            if isinstance(pieces, int):
                for place in range(0, len(content), pieces):
                    if answer.done():
                        break
                    writer.write(content[place : place + pieces])
                    await asyncio.sleep(0.1)
            else:
                writer.write(content)
                if pieces == "end":
                    writer.write_eof()
            head = (await answer)[9:12]
            statuses[head.decode() or "none"] += 1
        except ConnectionError:
            statuses["reset"] += 1
        finally:
            if writer is not None:
                writer.close()
        await asyncio.sleep(LATER)


async def turn(port, photo, hostile):
    """Ask one after the other for some seconds; return the answers, and the statuses of hostile clients by kind."""
    counted = {kind: Counter() for kind in hostile}
    tasks = [
        asyncio.create_task(attack(port, content, pieces, counted[kind]))
        for kind, (clients, content, pieces) in hostile.items()
        for _ in range(clients)
    ]
    await asyncio.sleep(2.0 if tasks else 0.0)  # until they are connected
    answers, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        answers.append(await ask(port, photo))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return answers, counted


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "hostile.json")
    given = parser.parse_args()
    photo, server = given.photo.read_bytes(), Server(given.model)
    everyone = kinds(Path(given.model).stem)
    asyncio.run(turn(server.port, photo, {}))
    ratios, tails, statuses, before = [], [], {}, server.status()
    for _ in range(ROUNDS):
        alone, _ = asyncio.run(turn(server.port, photo, {}))
        among, counted = asyncio.run(turn(server.port, photo, everyone))
        assert {status for status, _ in alone + among} == {200}
        ratios.append(percentile(among, 0.5) / percentile(alone, 0.5))
        tails.append(percentile(among, 0.99) / percentile(alone, 0.99))
        for kind, counts in counted.items():
            statuses.setdefault(kind, Counter()).update(counts)
    each = {}
    for kind in everyone:
        alone, _ = asyncio.run(turn(server.port, photo, {}))
        among, _ = asyncio.run(turn(server.port, photo, {kind: everyone[kind]}))
        each[kind] = percentile(among, 0.5) / percentile(alone, 0.5)
    time.sleep(12.0)  # until the last slow ones have been sent away
    after = server.status()
    result = {
        "engine": server.engine,
        "clients": {kind: clients for kind, (clients, _, _) in everyone.items()},
        "median_ratio": spread(ratios),
        "p99_ratio": spread(tails),
        "alone_ms": statistics.median(1000 * seconds for _, seconds in alone),
        "median_ratio_of_each_kind": each,
        "statuses": statuses,
        "memory_mb": [before[0], after[0]],
        "descriptors": [before[1], after[1]],
        "exit_status": server.end(),
    }
    write_result(given.out, result)


if __name__ == "__main__":
    main()
