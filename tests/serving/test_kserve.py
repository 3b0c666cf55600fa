"""KServe's protocol, as JSON and in binary."""

import base64
import json
import struct

import numpy as np
import pytest

from resnext import Model

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


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
