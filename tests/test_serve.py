"""The server: the answers of `predict` over HTTP, and clients that want too much, or something else."""

import base64
import concurrent.futures
import contextlib
import http.client
import json
import signal
import socket
import struct
import threading
import time
from types import SimpleNamespace
from urllib.parse import quote

import keras
import numpy as np
import pytest
from browser import driven, needs_browser
from commands import Command
from conftest import refusal, resnext
from test_hostile_images import many_scans

from resnext import Model, ResNeXt, explain, predict, save_weights
from resnext.engines.engine import Outputs
from resnext.errors import ArgumentError, ClosedError, DeadlineError, OverloadedError

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from resnext.serving.batcher import Batcher
from resnext.serving.limits import MAX_BODY
from resnext.serving.options import ServingOptions
from resnext.serving.pace import Pace, measure_pace

TOKEN = "a-token-of-the-tests"


class Serving:
    """`resnext serve`, running, and requests to it."""

    def __init__(self, *arguments, **settings):
        self.command = Command("serve", *arguments, "--port", 0, **settings)
        while "stop with" not in self.command.stdout.read_text() if self.command.stdout.exists() else True:
            assert self.command.is_running(), self.command.errors
            time.sleep(0.05)
        self.port = int(self.command.stdout.read_text().split("://")[1].split(":")[1].split()[0].split("/")[0])

    def ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def json(self, method, path, body=None, headers=None):
        status, _, content = self.ask(method, path, body, headers)
        assert status == 200, content
        return json.loads(content)

    def raw(self, content, timeout=30.0, end=False):
        """Send bytes as they are, and return all that comes back until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(content)
            if end:
                connection.shutdown(socket.SHUT_WR)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        return b"".join(parts)

    def end(self):
        if self.command.is_running():
            self.command.send_signal(signal.SIGTERM)
        return self.command.wait(30)


@pytest.fixture(scope="module")
def server(trained):
    seconds = {"resnext.serving.server:HEADER_SECONDS": 1.0, "resnext.serving.app:BODY_SECONDS": 1.0}
    serving = Serving(f"colours={trained[0]}", f"again={trained[0]}", constants=seconds)
    yield serving
    process = serving.end()
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""


@pytest.fixture(scope="module")
def photos(trained, colours):
    files = sorted((colours / "test").glob("*/*.png"))
    return [(file, dict(row.classes)) for file, row in zip(files, predict(trained[0], files), strict=True)]


@pytest.mark.once
def test_a_photo_is_classified_as_predict_does(server, trained, photos):
    for file, expected in photos[::4]:
        given = server.json("POST", "/v1/classify", file.read_bytes(), {"Content-Type": "image/png"})
        assert given["model"] == "colours"
        assert {row["class"]: row["probability"] for row in given["classes"]} == pytest.approx(expected, abs=1e-5)
        shares = [row["probability"] for row in given["classes"]]
        assert shares == sorted(shares, reverse=True)
        assert given["seen"] == [0, 0, 1, 1]
        assert 0 < given["milliseconds"] < 10_000
    file, _ = photos[0]
    given = server.json("POST", "/v1/models/colours/classify?top=2&maps=1", file.read_bytes())
    assert len(given["classes"]) == 2
    for row in given["classes"]:
        (explained,) = explain(trained[0], file, class_name=row["class"])
        np.testing.assert_allclose(row["map"], explained.map, atol=1e-3)


def infer(server, document, values=b"", **headers):
    head = json.dumps(document).encode()
    length = {"Inference-Header-Content-Length": str(len(head))} if values else {}
    status, given, content = server.ask("POST", "/v2/models/colours/infer", head + values, length | headers)
    assert status == 200, content
    size = int(given.get("inference-header-content-length", len(content)))
    return json.loads(content[:size]), content[size:]


@pytest.mark.once
def test_programs_ask_by_kserves_protocol(server, trained, photos):
    """JSON and the binary extension; pixels and image files; all probabilities and classes by name."""
    model = Model.open(trained[0])
    pixels = np.stack([model.preprocessing.load(file) for file, _ in photos[:3]])
    expected = [[row[name] for name in model.classes] for _, row in photos[:3]]
    contents = [file.read_bytes() for file, _ in photos[:3]]
    as_json = {"name": "images", "datatype": "UINT8", "shape": list(pixels.shape), "data": pixels.tolist()}
    document, _ = infer(server, {"id": "7", "inputs": [as_json]})
    assert (document["id"], document["model_name"], document["model_version"]) == ("7", "colours", "1")
    (output,) = document["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probabilities", "FP32", [3, 3])
    np.testing.assert_allclose(np.reshape(output["data"], (3, 3)), expected, atol=1e-5)
    binary = {**as_json, "parameters": {"binary_data_size": pixels.size}}
    del binary["data"]
    asked = {"inputs": [binary], "outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]}
    document, values = infer(server, asked, pixels.tobytes())
    assert document["outputs"][0]["parameters"] == {"binary_data_size": 36}
    np.testing.assert_allclose(np.frombuffer(values, "<f4").reshape(3, 3), expected, atol=1e-5)
    files = {
        "name": "images",
        "datatype": "BYTES",
        "shape": [3],
        "data": [base64.b64encode(c).decode() for c in contents],
    }
    classification = [{"name": "probabilities", "parameters": {"classification": 2}}]
    document, _ = infer(server, {"inputs": [files], "outputs": classification})
    assert document["outputs"][0]["shape"] == [3, 2]
    share, label, name = document["outputs"][0]["data"][0].split(":")
    best = max(photos[0][1], key=photos[0][1].get)
    assert (name, model.classes[int(label)], float(share)) == (best, best, pytest.approx(photos[0][1][best], abs=1e-5))
    packed = b"".join(struct.pack("<I", len(content)) + content for content in contents)
    files = {"name": "images", "datatype": "BYTES", "shape": [3], "parameters": {"binary_data_size": len(packed)}}
    document, values = infer(server, {"inputs": [files], "parameters": {"binary_data_output": True}}, packed)
    np.testing.assert_allclose(np.frombuffer(values, "<f4").reshape(3, 3), expected, atol=1e-5)


@pytest.mark.once
def test_what_the_server_says_of_itself(server, trained, photos):
    from_a_link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path, start in (("/", b"<!doctype html>"), ("/page.js", b'"use strict"'), ("/page.css", b":root")):
        status, headers, content = server.ask("GET", path, headers=from_a_link if path == "/" else {})
        assert (status, content.startswith(start)) == (200, True)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert server.json("GET", "/v2")["extensions"] == ["binary_tensor_data", "classification"]
    assert server.json("GET", "/v2/health/live") == {"live": True}
    assert server.json("GET", "/v2/health/ready") == {"ready": True}
    assert server.json("GET", "/v2/models/colours/ready") == {"name": "colours", "ready": True}
    known = server.json("GET", "/v2/models/colours")
    assert known["inputs"] == [{"name": "images", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}]
    assert known["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}]
    row, _ = server.json("GET", "/v1/models")["models"]
    assert (row["name"], row["classes"], row["size"], row["maps"], row["report"]) == ("colours", 3, 32, True, True)
    status, headers, report = server.ask("GET", "/v1/models/colours/report")
    assert (status, report) == (200, (trained[0] / "report.html").read_bytes())
    assert "sandbox" in headers["content-security-policy"]
    server.ask("POST", "/v1/classify", b"no image")
    server.ask("POST", "/v1/classify", photos[0][0].read_bytes())
    status, _, text = server.ask("GET", "/metrics")
    assert b'resnext_requests_total{model="colours",status="400"}' in text
    assert b"resnext_batch_images_bucket" in text


GOOD = {"inputs": [{"name": "images", "datatype": "UINT8", "shape": [1, 32, 32, 3], "data": [0] * 3072}]}


def changed(**fields):
    return json.dumps({"inputs": [{**GOOD["inputs"][0], **fields}]})


REFUSED = [
    ("GET", "/no", None, {}, 404, ""),
    ("GET", "/v2/models/no", None, {}, 404, "no model of this name. The models are colours, again"),
    ("GET", "/v1/classify", None, {}, 405, ""),
    ("POST", "/v1/classify", b"", {}, 400, "the body is empty"),
    ("POST", "/v1/classify", b"no image", {}, 400, "image: not a JPEG, PNG"),
    ("POST", "/v1/classify?top=0", b"x", {}, 400, "top must be a whole number, at least 1"),
    ("POST", "/v1/classify", b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "nothing around it"),
    ("POST", "/v1/classify", b"x", {"Content-Encoding": "gzip"}, 415, "without Content-Encoding"),
    ("POST", "/v1/classify", b"x", {"Content-Length": str(MAX_BODY + 1)}, 413, "a body has 16,777,216 bytes at most"),
    ("POST", "/v1/classify", b"x", {"Host": "example.com"}, 421, "for this machine only"),
    ("POST", "/v1/classify", b"x", {"Origin": "http://example.com"}, 403, "other sites' pages"),
    ("POST", "/v1/classify", b"x", {"Sec-Fetch-Site": "cross-site"}, 403, "other sites' pages"),
    ("POST", "/v2/models/colours/infer", b"{", {}, 400, "the body must be JSON"),
    ("POST", "/v2/models/colours/infer", b"[" * 100_000, {}, 400, "the body must be JSON"),
    ("POST", "/v2/models/colours/infer", b"[]", {}, 400, "a JSON object"),
    ("POST", "/v2/models/colours/infer", b"{}", {}, 400, "one tensor called images"),
    ("POST", "/v2/models/colours/infer", changed(name="x"), {}, 400, "one tensor called images"),
    ("POST", "/v2/models/colours/infer", changed(shape=[33, 32, 32, 3]), {}, 400, "1 to 32 images. Received: 33"),
    ("POST", "/v2/models/colours/infer", changed(shape=[1, 16, 16, 3]), {}, 400, "must be UINT8 [n, 32, 32, 3]"),
    ("POST", "/v2/models/colours/infer", changed(shape=["1"]), {}, 400, "a list of whole numbers"),
    ("POST", "/v2/models/colours/infer", changed(data=[0] * 5), {}, 400, "has 5 values, and its shape says 3072"),
    ("POST", "/v2/models/colours/infer", changed(data=[256] * 3072), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=[[0], [0, 1]]), {}, 400, "has 3 values, and its shape says"),
    ("POST", "/v2/models/colours/infer", changed(data=["x" * 1000] * 3072), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", b" " * (4 * 2**20 + 1), {}, 400, "the JSON has 4,194,304 bytes at most"),
    ("POST", "/v2/models/colours/infer", b'{"inputs": 5}', {}, 400, "inputs must be of JSON's type array"),
    ("POST", "/v1/classify", many_scans(), {}, 400, "more than 500 scans"),
    ("POST", "/v1/classify?top=٣", b"x", {}, 400, "top must be a whole number, at least 1"),
    ("POST", "/v1/classify?maps=yes", b"x", {}, 400, "maps must be 0 or 1"),
    (
        "POST",
        "/v1/classify",
        b"1\r\nx\r\n0\r\n\r\n",
        {"Transfer-Encoding": "chunked", "Content-Length": "1"},
        400,
        "Content-Length or Transfer-Encoding, not both",
    ),
    ("POST", "/no", b"x" * 6_000_000, {}, 404, "Not Found"),
    ("POST", "/v1/models/no/classify", b"x" * 6_000_000, {}, 404, "The models are colours, again"),
    ("POST", "/v1/classify?top=1000000", b"x", {}, 400, "top must be a whole number, at least 1"),
    ("POST", "/v2/models/colours/infer", changed(data="x"), {}, 400, "data must be of JSON's type array"),
    ("POST", "/v2/models/colours/infer", changed(datatype="BYTES", shape=[1], data=["%"]), {}, 400, "in base64"),
    ("POST", "/v2/models/colours/infer", changed(datatype="BYTES", shape=[2], data=["AA=="]), {}, 400, "has 1 files"),
    ("POST", "/v2/models/colours/infer", changed(parameters={"binary_data_size": 9}), {}, 400, "0 bytes follow"),
    ("POST", "/v2/models/colours/infer", json.dumps({**GOOD, "id": 3}), {}, 400, "id must be a string"),
    ("POST", "/v2/models/colours/infer", json.dumps({**GOOD, "outputs": [{"name": "x"}]}), {}, 400, "one entry, prob"),
    (
        "POST",
        "/v2/models/colours/infer",
        b"{}",
        {"Inference-Header-Content-Length": "9"},
        400,
        "number of bytes of the",
    ),
]


@pytest.mark.once
@pytest.mark.parametrize(("method", "path", "body", "headers", "status", "words"), REFUSED)
def test_requests_are_refused_with_a_reason(server, method, path, body, headers, status, words):
    started = time.monotonic()
    given, _, content = server.ask(method, quote(path, safe="/?="), body, headers)
    assert (given, words in json.loads(content)["error"]) == (status, True), content
    assert status == 413 or time.monotonic() - started < 4  # nobody waits for what a client has sent already


def send_for_ever(connection, content):
    for _ in range(100):
        connection.sendall(content)
        time.sleep(0.01)


@pytest.mark.once
def test_clients_that_take_their_time_are_sent_away(server, photos):
    """Slow heads and bodies, endless and half-closed ones: each ends, and others are answered meanwhile."""
    head = b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\n"
    content = photos[0][0].read_bytes()
    started = time.monotonic()
    assert server.raw(b"POST /v1/cla") == b""  # no whole head
    assert server.raw(b"") == b""  # nothing at all
    assert b" 408 " in server.raw(head + b"Content-Length: 100\r\n\r\nx")
    assert b" 400 " in server.raw(head + b"Content-Length: 100\r\n\r\nx", end=True)
    assert time.monotonic() - started < 10
    endless = head + b"Transfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    more = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(endless)
        with pytest.raises(OSError, match=r"reset|pipe"):
            send_for_ever(connection, more)
    two = (head + f"Content-Length: {len(content)}\r\n\r\n".encode() + content) * 2  # pipelined
    assert server.raw(two[: len(two) // 2], end=True).count(b" 200 OK") == 1
    assert server.raw(two + b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").count(b" 200 OK") == 3
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    server.json("POST", "/v1/classify", content)
    for connection in idle:
        connection.close()


@pytest.mark.once
def test_many_threads_get_the_answers_of_one(server, photos):
    def ask(number):
        file, expected = photos[number % len(photos)]
        given = server.json("POST", "/v1/classify", file.read_bytes())["classes"]
        return {row["class"]: row["probability"] for row in given} == pytest.approx(expected, abs=1e-5)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(320)))


@pytest.mark.once
def test_elsewhere_a_token_is_wanted(trained, photos):
    serving = Serving(trained[0], "--host", "0.0.0.0", env={"RESNEXT_TOKEN": TOKEN})
    try:
        assert TOKEN not in serving.command.stdout.read_text()  # who set it knows it, and logs are read by others
        content = photos[0][0].read_bytes()
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}é"}):
            headers = {name: value.encode() for name, value in headers.items()}
            assert serving.ask("POST", "/v1/classify", content, headers)[0] == 401
        assert serving.ask("GET", "/v2/health/ready")[0] == 200
        assert serving.ask("GET", "/metrics")[0] == 401
        given = {"Authorization": f"Bearer {TOKEN}", "Host": "example.com"}
        assert serving.ask("POST", "/v1/classify", content, given)[0] == 200
        assert not serving.json("GET", "/v1/models", headers=given)["models"][0]["report"]
    finally:
        assert serving.end().returncode == 0


@pytest.mark.once
def test_a_second_signal_does_not_wait_for_an_answer(trained, photos):
    """The network computes for an hour."""
    computes = ("resnext.serving.batcher:Batcher._compute", 1, "hang")
    serving = Serving(trained[0], "--deadline", 600, fault=computes)

    def ask():
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            serving.ask("POST", "/v1/classify", photos[0][0].read_bytes())

    threading.Thread(target=ask).start()
    time.sleep(1)
    serving.command.send_signal(signal.SIGTERM)
    time.sleep(1)
    assert serving.command.is_running()
    serving.command.send_signal(signal.SIGTERM)
    process = serving.command.wait(5)
    assert (process.returncode, process.stderr) == (143, "resnext: stopped by SIGTERM\n")


@pytest.mark.once
def test_what_has_begun_is_answered_before_the_end(trained, photos):
    """SIGTERM while many ask: no answer is lost, later ones are refused, and the exit status is 0."""
    serving = Serving(trained[0])
    content, statuses = photos[0][0].read_bytes(), []

    def ask():
        with_answers = True
        while with_answers:
            try:
                statuses.append(serving.ask("POST", "/v1/classify", content)[0])
            except ConnectionError:  # refused, or reset before it was accepted
                with_answers = False

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    while len(statuses) < 50:
        time.sleep(0.01)
    process = serving.end()
    for thread in threads:
        thread.join(30)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert {*statuses} <= {200, 503}


@pytest.mark.once
def test_a_model_is_loaded_again_when_its_file_changes(trained, photos, tmp_path):
    """Without a request lost; a file that can't be loaded changes nothing."""
    path = tmp_path / "w.safetensors"

    def write(seed):
        keras.utils.set_random_seed(seed)
        network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2)
        save_weights(network, path.with_name("new.safetensors"))
        path.with_name("new.safetensors").replace(path)

    write(0)
    serving = Serving(f"w={path}", constants={"resnext.serving.models:PERIOD": 0.1})
    try:
        content = photos[0][0].read_bytes()

        def ask():
            return serving.json("POST", "/v1/classify", content)["classes"]

        def wait_for(words):
            until = time.monotonic() + 60
            while words not in serving.command.errors:
                assert time.monotonic() < until
                ask()

        first = ask()
        write(1)
        wait_for("w: loaded again")
        second = ask()
        assert second != first
        path.write_bytes(b"damaged")
        wait_for("w: could not be loaded again, the old one stays")
        assert ask() == second
    finally:
        assert serving.end().returncode == 0


@pytest.mark.parametrize("engine", ["keras", "onnxruntime"])
def test_a_network_in_any_engine_answers_with_maps(trained, photos, engine):
    pytest.importorskip("onnxruntime")
    model = Model.open(trained[0])
    (network,) = model.with_engine(engine).engines(outputs=("logits", "maps"))
    images = np.stack([model.preprocessing.load(file) for file, _ in photos[:3]])
    for count in (1, 3):
        outputs = network.outputs(images[:count])
        expected = [[row[name] for name in model.classes] for _, row in photos[:count]]
        np.testing.assert_allclose(outputs.probabilities(), expected, atol=1e-4)
    (explained,) = explain(trained[0], photos[2][0], class_name="red")
    np.testing.assert_allclose(outputs.activation_map(2, 2), explained.map, atol=1e-3)


# The batcher, with a network that waits to be told


class Held:
    """A network that computes when it may, and remembers how many images it was given at once."""

    def __init__(self):
        self.may, self.batches = threading.Semaphore(0), []

    def __call__(self, images):
        self.may.acquire()
        self.batches.append(len(images))
        if images[0, 0, 0, 0] == 255:
            raise ValueError("a bug")
        return Outputs(images[:, 0, 0, :1].astype(np.float32))


def pixels(value, count=1):
    return np.full((count, 1, 1, 3), value, np.uint8)


@pytest.mark.once
def test_what_waits_is_computed_at_once_and_in_order():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=64, deadline=60)
    until = time.monotonic() + 60
    futures = []
    for value in range(7):
        batcher.admit(1)
        futures.append(batcher.submit(pixels(value), until))
        while value == 0 and batcher._works:
            time.sleep(0.001)  # the first is computed alone, for nothing else is there
    for _ in range(3):
        network.may.release()
    assert [future.result(10).logits.tolist() for future in futures] == [[[value]] for value in range(7)]
    assert network.batches == [1, 4, 2]
    batcher.leave(7)
    batcher.close(10)


@pytest.mark.once
def test_a_large_request_is_computed_in_batches_and_late_ones_among_others_are_not():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=64, deadline=60)
    batcher.admit(13)
    large = batcher.submit(np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, 3), time.monotonic() + 60)
    while batcher._works:
        time.sleep(0.001)
    ends = [time.monotonic() + 60, time.monotonic() - 1, time.monotonic() - 1]
    three = [batcher.submit(pixels(20 + i), end) for i, end in enumerate(ends)]
    for _ in range(4):
        network.may.release()
    assert large.result(10).logits.ravel().tolist() == [*range(10)]
    assert three[0].result(10).logits == 20
    for late in three[1:]:
        with pytest.raises(DeadlineError):
            late.result(10)
    assert network.batches == [4, 4, 2, 1]
    batcher.leave(13)
    batcher.close(10)


@pytest.mark.once
@pytest.mark.parametrize(
    ("most", "seconds", "tried", "pace"),
    [
        (16, lambda images: 0.25 * images, [1, 2], Pace(1, 0.25)),  # nothing is saved
        (6, lambda images: 1.0, [1, 2, 4, 6], Pace(6, 1 / 6)),
        (16, lambda images: max(4, images), [1, 2, 4, 8], Pace(4, 1.0)),
    ],
)
def test_no_more_is_computed_at_once_than_saves_time(monkeypatch, most, seconds, tried, pace):
    """A photo must not wait for others where all of them take as long one by one."""
    clock, given = SimpleNamespace(now=0.0), []

    def network(images):
        clock.now += seconds(len(images))
        given.append(len(images))

    monkeypatch.setattr("resnext.serving.pace.time", SimpleNamespace(perf_counter=lambda: clock.now))
    assert measure_pace(network, 8, most) == pace
    assert sorted({*given}) == tried


@pytest.mark.once
def test_the_wait_is_learned_from_requests():
    """With the time for decoding, and from the first request on."""
    batcher = Batcher(Held(), Pace(4, 1.0), queue=64, deadline=10)
    assert batcher.admit(8) == 8
    with pytest.raises(OverloadedError, match="try again in 8 s"):
        batcher.admit(1)  # nine images in eight seconds
    for _ in range(40):
        batcher.measure(4, 1.0)
    assert batcher.admit(20) == 28
    with pytest.raises(OverloadedError, match="try again in 8 s"):
        batcher.admit(5)


@pytest.mark.once
def test_too_much_is_refused_and_too_late_is_not_computed():
    network = Held()
    batcher = Batcher(network, Pace(4, 0.0), queue=32, deadline=60)
    batcher.admit(32)
    with pytest.raises(OverloadedError, match=r"^too many images are waiting; try again in 1 s$"):
        batcher.admit(1)
    batcher.leave(31)
    batcher.seconds_per_image = 30.0  # the wait would be longer than the deadline
    with pytest.raises(OverloadedError, match="try again in 30 s"):
        batcher.admit(1)
    first = batcher.submit(pixels(1), time.monotonic() + 60)
    while batcher._works:
        time.sleep(0.001)
    late = batcher.submit(pixels(2), time.monotonic() - 1)
    network.may.release()
    assert first.result(10).logits == 1
    with pytest.raises(DeadlineError):
        late.result(10)
    bug = batcher.submit(pixels(255), time.monotonic() + 60)
    network.may.release()
    with pytest.raises(ValueError, match="a bug"):
        bug.result(10)
    batcher.leave(1)
    batcher.close(10)
    with pytest.raises(ClosedError):
        batcher.admit(1)
    assert network.batches == [1, 1]


# The command


@pytest.mark.once
def test_what_cannot_be_served_is_refused(trained, tmp_path):
    assert "no such model" in refusal(resnext("serve", tmp_path / "no"))
    assert refusal(resnext("serve")).startswith("no model. Pass a run, weights, or an exported file")
    assert refusal(resnext("serve", f"a={trained[0]}", f"a={trained[0]}", "--port", 0)) == (
        "two models are called a. Give each a name of its own: NAME=MODEL"
    )
    for word in ("ü=x", "a=", "=x", "a b=x"):
        assert refusal(resnext("serve", word)).startswith(f"{word}: must be NAME=MODEL; a name has the letters a to z")
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2)
    network.layers[-1].bias.assign([np.nan, 0.0])
    save_weights(network, tmp_path / "nan.safetensors")
    assert "the network computes values that are not finite" in refusal(resnext("serve", tmp_path / "nan.safetensors"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = refusal(resnext("serve", trained[0], "--port", port))
        assert message == (
            f"127.0.0.1:{port}: can't listen there (Address already in use). Pass another --host or --port."
        )
    for options, words in (
        ({"port": 65536}, "`port` must be from 0 to 65535"),
        (
            {"token": "short"},
            r"the token \(--token or \$RESNEXT_TOKEN\) must have at least 16 printable",
        ),
        ({"token": ""}, "the token"),
        ({"batch_size": 0}, "`batch_size` must be from 1 to 1024"),
        ({"queue": 31}, "`queue` must be at least 32"),
        ({"deadline": 0}, "`deadline` must be above 0 seconds"),
        ({"deadline": float("inf")}, "`deadline` must be above 0 seconds, and an hour at most"),
    ):
        with pytest.raises(ArgumentError, match=words):
            ServingOptions(**options)


@pytest.mark.once
def test_serving_is_an_extra(trained, monkeypatch):
    from resnext.cli.serve import serve

    monkeypatch.setitem(__import__("sys").modules, "resnext.serving.server", None)
    monkeypatch.delitem(__import__("sys").modules, "resnext.serving.server")
    monkeypatch.setitem(__import__("sys").modules, "uvicorn", None)
    with pytest.raises(ImportError, match=r"^serve needs the package uvicorn: pip install 'resnext\[serve\]'$"):
        serve((str(trained[0]),))


# The page, in a browser


NAMES = "[...document.querySelectorAll('.bars li:first-child .bar span:first-of-type')].map(s => s.textContent)"
PICTURE = "document.querySelector('canvas').toDataURL()"
ENTER = "\ue007"


@needs_browser
@pytest.mark.once
def test_the_page_shows_classes_and_maps(server, colours, tmp_path):
    """Photos are chosen; bars and maps appear; keys alone do; nothing is asked of other servers; wrong files say so."""
    (tmp_path / "wrong.png").write_bytes(b"no image")
    files = [colours / "test" / "red" / "000.png", colours / "test" / "blue" / "001.png", tmp_path / "wrong.png"]
    with driven(tmp_path, f"http://127.0.0.1:{server.port}/") as page:
        value, wait = page.value, page.wait
        wait("document.getElementById('facts').textContent.startsWith('colours: resnext14_2x4d, 3 classes')", True)
        page.choose("#files", files)
        wait("document.querySelectorAll('.bars button, .error:not([hidden])').length", 7)
        wait("document.querySelectorAll('[aria-busy]').length", 0)
        assert value("document.querySelector('.result:last-child .error').textContent").startswith("image: not a JPEG")
        assert value(NAMES) == ["red", "blue"]
        assert value("document.querySelector('canvas').getAttribute('aria-label')").startswith("000.png: red, ")
        with_map = value(PICTURE)
        value("(s => { s.value = 0; s.dispatchEvent(new Event('input')); })(document.getElementById('strength'))")
        wait(f"{PICTURE} !== {json.dumps(with_map)}", True)
        value("document.querySelectorAll('.bars button')[1].focus()")
        page.press(ENTER)
        pressed = "[...document.querySelectorAll('.result:first-child .bars button')].map(b => b.ariaPressed)"
        wait(pressed, ["false", "true", "false"])
        assert value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        resources = "performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin))"
        assert value(resources)
        unnamed = (
            "[...document.querySelectorAll('button, select, input')].filter(e => !e.textContent && !e.labels?.length)"
        )
        assert value(f"{unnamed}.length") == 0
        # Another model is asked for all photos again, and named.
        value("(s => { s.value = 'again'; s.dispatchEvent(new Event('change')); })(document.getElementById('model'))")
        wait("[...document.querySelectorAll('.time')].map(e => e.textContent.split(',')[0])", ["again", "again", ""])
        assert value(NAMES) == ["red", "blue"]
        value("document.getElementById('clear').click()")
        assert value("document.querySelectorAll('.result').length") == 0
        # A webcam, as far as Chromium imitates one, with keys alone.
        value("document.getElementById('webcam').focus()")
        page.press(ENTER)
        wait("document.getElementById('viewfinder').open && document.getElementById('video').videoWidth > 0", True)
        value("document.getElementById('take').focus()")
        page.press(ENTER)
        wait("document.querySelectorAll('.bars button').length", 3)
        assert value("document.querySelector('figcaption').textContent") == "photo 1"
        assert not value("document.getElementById('viewfinder').open")
        assert value("document.getElementById('video').srcObject.getTracks()[0].readyState") == "ended"
        dropped = (
            "(t => { t.setData('text/plain', 'x'); document.dispatchEvent(new DragEvent('drop', {dataTransfer: t})); })"
            "(new DataTransfer())"
        )
        value(dropped)
        assert value("document.getElementById('left').textContent").startswith("What was dropped is not a file")
        severe = [entry for entry in page.ask("se/log", {"type": "browser"}) if "/v1/" not in entry["message"]]
        assert severe == []
