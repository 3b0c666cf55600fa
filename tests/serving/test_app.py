"""The paths of the server: the answers of `predict`, what it says of itself, and requests that are refused."""

import concurrent.futures
import json
import time
from urllib.parse import quote

import numpy as np
import pytest

from resnext import explain, predict
from support.hostile_images import many_scans

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from resnext.serving.limits import MAX_BODY


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


@pytest.mark.once
def test_answers_are_those_of_predict_to_the_bit(server, trained, photos):
    """With the same engine, whatever batches they are in: JSON has every digit of a float."""
    files = [file for file, _ in photos]
    engine = server.json("GET", "/v1/models")["models"][0]["engine"]
    expected = [dict(row.classes) for row in predict(trained[0], files, engine=engine)]

    def ask(file):
        given = server.json("POST", "/v1/classify", file.read_bytes())["classes"]
        return {row["class"]: row["probability"] for row in given}

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert [*pool.map(ask, files)] == expected


@pytest.mark.once
def test_the_interface_is_described_and_the_answers_are_as_it_says(server, photos):
    validate = pytest.importorskip("jsonschema", reason="jsonschema is not installed").validate
    described = server.json("GET", "/openapi.json")
    assert described["openapi"] == "3.1.0"
    assert "security" not in described

    def check(document, name):
        validate(document, {"$ref": f"#/components/schemas/{name}", "components": described["components"]})

    answer = server.json("POST", "/v1/classify?maps=1", photos[0][0].read_bytes())
    check(answer, "Answer")
    assert answer["sure"] == (answer["calibrated"] >= 0.5)
    check(server.json("GET", "/v1/models"), "Models")
    _, _, content = server.ask("POST", "/v1/classify", b"no image")
    check(json.loads(content), "Error")
    for path, verbs in described["paths"].items():
        if "get" in verbs:
            status, _, _ = server.ask("GET", path.replace("{name}", "colours"))
            assert status == 200, path


@pytest.mark.once
def test_what_the_server_says_of_itself(server, trained, photos):
    from_a_link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    for path, start in (("/", b"<!doctype html>"), ("/page.js", b'"use strict"'), ("/page.css", b":root")):
        status, headers, content = server.ask("GET", path, headers=from_a_link if path == "/" else {})
        assert (status, content.startswith(start)) == (200, True)
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert server.json("GET", "/v2")["extensions"] == ["binary_tensor_data", "classification"]
    assert server.json("GET", "/v2/") == server.json("GET", "/v2")
    assert server.json("GET", "/v2/models/colours/versions/1") == server.json("GET", "/v2/models/colours")
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
    ("GET", "/no", None, {}, 404, "no such path. Photos go to POST /v1/classify; KServe's protocol begins at /v2"),
    ("GET", "/v2/models/no", None, {}, 404, "no model of this name. The models are colours, again"),
    ("GET", "/v1/classify", None, {}, 405, ""),
    ("POST", "/v1/classify", b"", {}, 400, "the body is empty"),
    ("POST", "/v1/classify", b"no image", {}, 400, "image: not a JPEG, PNG"),
    ("POST", "/v1/classify?top=0", b"x", {}, 400, "top must be a whole number, at least 1"),
    ("POST", "/v1/classify", b"x", {"Content-Type": "multipart/form-data; boundary=x"}, 415, "nothing around it"),
    ("POST", "/v1/classify", b"x", {"Content-Encoding": "gzip"}, 415, "without Content-Encoding"),
    ("POST", "/v1/classify", b"x", {"Content-Length": str(MAX_BODY + 1)}, 413, "a body has 16,777,216 bytes at most"),
    ("POST", "/v1/classify", b"x", {"Host": "example.com"}, 421, "from this machine only"),
    ("POST", "/v1/classify", b"x", {"Origin": "http://example.com"}, 403, "other sites' pages"),
    ("POST", "/v1/classify", b"x", {"Sec-Fetch-Site": "cross-site"}, 403, "other sites' pages"),
    ("POST", "/v2/models/colours/infer", b"{", {}, 400, "the body must be JSON"),
    ("POST", "/v2/models/colours/infer", b"[" * 100_000, {}, 400, "the body must be JSON"),
    ("POST", "/v2/models/colours/infer", b"[]", {}, 400, "a JSON object"),
    ("POST", "/v2/models/colours/infer", b"{}", {}, 400, "one tensor called images"),
    ("POST", "/v2/models/colours/infer", changed(name="x"), {}, 400, "one tensor called images"),
    ("POST", "/v2/models/colours/infer", changed(shape=[33, 32, 32, 3]), {}, 400, "1 to 32 images. Received: 33"),
    ("POST", "/v2/models/colours/infer", changed(shape=[1, 16, 16, 3]), {}, 400, "must be UINT8 [n, 32, 32, 3]"),
    ("POST", "/v2/models/colours/infer", changed(shape=["1"]), {}, 400, "a list of 1 to 4 whole numbers"),
    ("POST", "/v2/models/colours/infer", changed(data=[0] * 5), {}, 400, "has 5 values, but its shape declares 3072"),
    ("POST", "/v2/models/colours/infer", changed(data=[256] * 3072), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=[[0], [0, 1]]), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=["x" * 1000] * 3072), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=[[0] * 3072, 7]), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=[[]] * 9999), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", changed(data=[True] * 3072), {}, 400, "whole numbers from 0 to 255"),
    ("POST", "/v2/models/colours/infer", b'{"inputs": [], "inputs": []}', {}, 400, "a name twice"),
    (
        "POST",
        "/v2/models/colours/infer",
        json.dumps(GOOD | {"parameters": {"binary_data_output": "yes"}}),
        {},
        400,
        "must be true or false",
    ),
    ("POST", "/v2/models/colours/infer", b" " * (4 * 2**20 + 1), {}, 400, "the JSON has 4,194,304 bytes at most"),
    ("POST", "/v2/models/colours/infer", b'{"a":1,' * 10_001, {}, 400, "10,000 strings and as many objects at most"),
    ("POST", "/v2/models/colours/infer", b"[" + b"{}," * 10_001, {}, 400, "10,000 strings and as many objects at most"),
    ("POST", "/v2/models/colours/infer", b'{"inputs": 5}', {}, 400, "inputs must be of JSON's type array"),
    ("POST", "/v1/classify", many_scans(), {}, 400, "500 scans of 4,000,000 pixels take too long"),
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
    ("POST", "/no", b"x" * 6_000_000, {}, 404, "Photos go to POST /v1/classify"),
    ("POST", "/v1/models/no/classify", b"x" * 6_000_000, {}, 404, "The models are colours, again"),
    ("POST", "/v1/classify?top=1000000", b"x", {}, 400, "top must be a whole number, at least 1"),
    ("POST", "/v2/models/colours/infer", changed(data="x"), {}, 400, "data must be of JSON's type array"),
    ("POST", "/v2/models/colours/infer", changed(shape=[1, *[10**4000] * 900]), {}, 400, "a list of 1 to 4 whole"),
    ("POST", "/v2/models/colours/infer", changed(shape=[1, 10**4000, 1]), {}, 400, "from 0 to 2,147,483,647"),
    ("POST", "/v2/models/colours/infer", changed(shape=[1] * 5), {}, 400, "a list of 1 to 4 whole numbers"),
    (
        "POST",
        "/v2/models/colours/infer",
        changed(datatype=["BYTES"]),
        {},
        400,
        "datatype must be of JSON's type string",
    ),
    (
        "POST",
        "/v2/models/colours/infer",
        changed(datatype="BYTES", shape=[2], data=["AA=="] * 9),
        {},
        400,
        "has 9 or more files, but its shape declares 2",
    ),
    ("GET", "/v2/models/colours/versions/2", None, {}, 404, "colours has no version but 1"),
    ("POST", "/v2/models/colours/versions/01/infer", b"x", {}, 404, "colours has no version but 1"),
    ("POST", "/v1/models/colours:predict", b"{}", {}, 404, "Send a photo to POST /v1/models/colours/classify"),
    ("POST", "/v1/models/no:predict", b"{}", {}, 404, "The models are colours, again"),
    ("POST", "/v2/models/colours/infer", changed(datatype="BYTES", shape=[1], data=["%"]), {}, 400, "in base64"),
    ("POST", "/v2/models/colours/infer", changed(datatype="BYTES", shape=[2], data=["AA=="]), {}, 400, "has 1 files"),
    (
        "POST",
        "/v2/models/colours/infer",
        changed(parameters={"binary_data_size": 9}),
        {},
        400,
        "bytes that follow the JSON, here 0",
    ),
    ("POST", "/v2/models/colours/infer", json.dumps({**GOOD, "id": 3}), {}, 400, "id must be of JSON's type string"),
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


@pytest.mark.once
def test_many_threads_get_the_answers_of_one(server, photos):
    def ask(number):
        file, expected = photos[number % len(photos)]
        given = server.json("POST", "/v1/classify", file.read_bytes())["classes"]
        return {row["class"]: row["probability"] for row in given} == pytest.approx(expected, abs=1e-5)

    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        assert all(pool.map(ask, range(320)))
