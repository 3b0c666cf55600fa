"""What the largest requests cost others: `python benchmarks/costly_requests.py MODEL PHOTO`, about ten minutes.

For each field that a stranger may fill, the largest content is sent once, and then by sixteen clients at once.
Meanwhile two others send a photo, and ask whether the server is alive, each 50 ms after its answer. The cost is the
longest that they wait.
"""

import argparse
import asyncio
import io
import json
import struct
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from duel import HERE, write_result
from PIL import Image
from serving import Server, ask

BODY, JSON = 16 * 2**20, 4 * 2**20
SIDE = 8_000  # 64 million pixels
CLIENTS = 16
PAUSE = 0.05
LONGEST = 60.0  # seconds in which every request must have ended
HEAD = "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def scans(count, side):
    """Return a progressive JPEG whose last scan is repeated."""
    content = saved(Image.new("RGB", (side, side), (200, 40, 40)), "JPEG", progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * (count - content.count(b"\xff\xda")) + content[-2:]


def many_chunks():
    chunk = struct.pack(">I", 0) + b"abCd" + struct.pack(">I", zlib.crc32(b"abCd"))
    small = saved(Image.new("RGB", (8, 8)), "PNG")
    return small[:33] + chunk * ((BODY - len(small)) // len(chunk)) + small[33:]


def many_segments():
    small = saved(Image.new("RGB", (8, 8)), "JPEG")
    return small[:2] + b"\xff\xe1\x00\x02" * ((BODY - len(small)) // 4) + small[2:]


def many_tags():
    entry = struct.pack("<HHII", 65_000, 4, 1, 0)
    return b"II*\x00\x08\x00\x00\x00" + struct.pack("<H", 65_535) + entry * 65_535 + struct.pack("<I", 8)


def run_lengths():
    """Return a BMP in run-length encoding, one pixel for each run."""
    side = 2_800
    rows = (b"\x01\x07" * side + b"\x00\x00") * side + b"\x00\x01"
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 0)
    offset = 14 + len(header) + 1024
    return b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + bytes(1024) + rows


def below(limit, side, flat):
    """Return images just below a limit, each in another format."""
    flat = flat.resize((side, side))
    high, dark = Image.new("L", (1, side * side // 2)), Image.fromarray(np.full((side, side), 300, np.uint16))
    formats = {
        "WebP": saved(flat, "WEBP", lossless=True, quality=0, method=0),
        "PNG": saved(flat, "PNG"),
        "TIFF of 16 bits": saved(dark, "TIFF", compression="tiff_adobe_deflate"),
        "TIFF, 1 pixel wide": saved(high, "TIFF", compression="tiff_adobe_deflate"),
        "progressive JPEG": saved(flat.convert("RGB"), "JPEG", progressive=True),
    }
    return {f"{name}, below the limit: {limit}": content for name, content in formats.items()}


def noise(length):
    side = 3_900
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    content = saved(Image.fromarray(pixels), "JPEG", quality=90)
    assert len(content) < length
    return content


def infer(model, head, values=b""):
    length = {"Inference-Header-Content-Length": len(head)} if values else {}
    return f"/v2/models/{model}/infer", length, head + values


def tensor(**fields):
    return json.dumps({"inputs": [{"name": "images", "datatype": "BYTES", "shape": [1], "data": ["AAAA"], **fields}]})


def one_tensor(field, value):
    """Return a request with one field as JSON text."""
    return tensor(**{field: "@"}).replace('"@"', value).encode()


def requests(model):
    """Yield a name and a path, headers and a body, each as large as it may be."""
    flat, classify = Image.new("RGBA", (SIDE, SIDE), (200, 40, 40, 100)), "/v1/classify"
    images = {
        "PNG, 64 million pixels, transparent": saved(flat, "PNG"),
        "PNG, 64 million pixels of 16 bits": saved(Image.fromarray(np.full((SIDE, SIDE), 300, np.uint16)), "PNG"),
        "WebP, 64 million pixels": saved(flat, "WEBP", lossless=True, quality=0, method=0),
        "AVIF, 64 million pixels": saved(flat.convert("RGB"), "AVIF", speed=10),
        "GIF, 64 million pixels": saved(flat.convert("RGB"), "GIF"),
        "TIFF, 64 million pixels": saved(flat, "TIFF", compression="tiff_lzw"),
        "JPEG, 256 million pixels": saved(Image.new("RGB", (16_000, 16_000)), "JPEG", progressive=True),
        "JPEG, 64 million pixels, 26 scans": scans(26, SIDE),
        "JPEG, 1 million pixels, 656 scans": scans(656, 1_000),
        "JPEG, 16 million pixels of noise": noise(BODY),
        **below("costly", 1_410, flat),
        **below("12 million", 3_460, flat),
        **below("32 million", 5_650, flat),
        "PPM as text, 16 MiB": b"P3\n1670 1670\n255\n" + b"0 " * (1670 * 1670 * 3),
        "BMP, run lengths of 1": run_lengths(),
        "PNG of 1.4 million parts": many_chunks(),
        "JPEG of 4 million parts": many_segments(),
        "TIFF of 65,535 tags": many_tags(),
        "16 MiB that are no image": bytes(BODY),
    }
    for name, content in images.items():
        yield name, (classify, {}, content)
    yield "body in chunks of 1 byte, 4 MiB", (classify, {"Transfer-Encoding": "chunked"}, b"1\r\nx\r\n" * (4 * 2**20))
    yield "query of 60 kB", (f"{classify}?top={'9' * 60_000}", {}, b"x")
    yield "headers of 60 kB", (classify, {f"X-{i}": "x" * 30 for i in range(1_500)}, b"x")
    digits = b"9" * 4000
    documents = {
        "JSON of nested lists": b"[" * JSON,
        "JSON of nested objects": b'{"a":' * (JSON // 5),
        "JSON of 330,000 names": ("{" + ",".join(f'"{i}":0' for i in range(330_000)) + "}").encode(),
        "JSON of small objects": b'{"inputs":[' + b"{}," * ((JSON - 20) // 3) + b"{}]}",
        "JSON of long numbers": b'{"inputs":[' + (digits + b",") * (JSON // 4001 - 1) + b"1]}",
        "shape of 1,000 long numbers": one_tensor("shape", f"[1,{','.join(['9' * 4000] * 1000)}]"),
        "shape of 2 million numbers": one_tensor("shape", f"[{'1,' * 2_000_000}1]"),
        "data of 2 million numbers": one_tensor("data", f"[{'1,' * 2_000_000}1]").replace(b"BYTES", b"UINT8"),
        "data of 1 million lists": one_tensor("data", f"[{'[],' * 1_000_000}[]]").replace(b"BYTES", b"UINT8"),
        "datatype of 4 MiB": one_tensor("datatype", f'"{"x" * (JSON - 200)}"'),
        "id of 4 MiB": one_tensor("id", "1")[:-1] + b', "id": "' + b"\\u00e9" * ((JSON - 300) // 6) + b'"}',
        "one file in base64, 4 MiB": one_tensor("data", f'["{"A" * (JSON - 200)}"]'),
    }
    for name, document in documents.items():
        yield name, infer(model, document)
    zeros = bytes(BODY - 200)
    head = tensor(shape=[32], parameters={"binary_data_size": len(zeros)}, data=[]).replace(', "data": []', "")
    yield "binary of 4 million empty files", infer(model, head.encode(), zeros)
    for name in ("PNG, 64 million pixels, transparent", "JPEG, 64 million pixels, 26 scans"):
        content = images[name]
        packed = (struct.pack("<I", len(content)) + content) * 32
        head = tensor(shape=[32], parameters={"binary_data_size": len(packed)}).replace(', "data": ["AAAA"]', "")
        yield f"32 times {name}", infer(model, head.encode(), packed)


async def send(port, path, headers, body, rest=False):
    """Send a request; return the status of the answer, or why there is none, and seconds."""
    started, writer = time.perf_counter(), None
    lines = headers if "Transfer-Encoding" in headers else {**headers, "Content-Length": len(body)}
    head = HEAD.format(path=path) + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(LONGEST):
            answer = asyncio.ensure_future(reader.read())
            writer.write(head.encode() + body[: len(body) - rest])
            status = (await answer)[9:12].decode() or "none"
    except ConnectionError:
        status = "reset"
    except TimeoutError:
        status = "60 s"
    finally:
        if writer is not None:
            writer.close()
    return status, time.perf_counter() - started


async def is_alive(port):
    started = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    await reader.read()
    writer.close()
    return time.perf_counter() - started


async def others(port, photo, ended):
    """Send a photo, and ask for health, again and again; return the longest waits and the statuses."""
    photos, alive, statuses = [0.0], [0.0], Counter()

    async def send_photos():
        while not ended.is_set():
            status, seconds = await ask(port, photo)
            statuses[status] += 1
            photos.append(seconds)
            await asyncio.sleep(PAUSE)

    async def ask_for_health():
        while not ended.is_set():
            alive.append(await is_alive(port))
            await asyncio.sleep(PAUSE)

    await asyncio.gather(send_photos(), ask_for_health())
    return {"photo_seconds": max(photos), "alive_seconds": max(alive), "photo_statuses": statuses}


async def measure(port, photo, clients, request, rest=False):
    """Return what some clients with the same request get, and what it costs others."""
    ended = asyncio.Event()
    meanwhile = asyncio.create_task(others(port, photo, ended))
    await asyncio.sleep(0.3)
    answers = await asyncio.gather(*(send(port, *request, rest) for _ in range(clients)))
    await asyncio.sleep(0.3)
    ended.set()
    statuses = Counter(status for status, _ in answers)
    return {"statuses": statuses, "seconds": max(seconds for _, seconds in answers), **await meanwhile}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("photo", type=Path)
    parser.add_argument("--only", default="", help="part of the names of requests")
    parser.add_argument("--out", type=Path, default=HERE / "results" / "costly_requests.json")
    given = parser.parse_args()
    photo, server, rows = given.photo.read_bytes(), Server(given.model), {}
    every = [*requests(Path(given.model).stem)]
    every.append(("16 MiB without the last byte", ("/v1/classify", {}, bytes(BODY))))
    for name, request in every:
        if given.only not in name:
            continue
        rest = "without the last" in name
        rows[name] = {"bytes": len(request[2])} | {
            key: asyncio.run(measure(server.port, photo, clients, request, rest))
            for key, clients in (("once", 1), ("sixteen", CLIENTS))
        }
        for key in ("once", "sixteen"):
            row = rows[name][key]
            waits = [f"{row[kind]:.2f}" for kind in ("seconds", "photo_seconds", "alive_seconds")]
            print(name, key, *waits, dict(row["statuses"]), dict(row["photo_statuses"]), flush=True)
    result = {"engine": server.engine, "clients": CLIENTS, "requests": rows, "memory_mb": server.status()[0]}
    write_result(given.out, result | {"exit_status": server.end()})


if __name__ == "__main__":
    main()
