"""Options of the server: what can't be served is refused."""

import socket

import numpy as np
import pytest

from resnext import ResNeXt, save_weights
from resnext.errors import ArgumentError
from support.command import refusal, resnext
from support.photos import write_photos

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from resnext.serving.options import ServingOptions


@pytest.mark.once
def test_what_cannot_be_served_is_refused(trained, colours, tmp_path):
    assert "no such model" in refusal(resnext("serve", tmp_path / "no"))
    assert refusal(resnext("serve")).startswith("no model. Pass a run, weights, or an exported file")
    assert refusal(resnext("serve", f"a={trained[0]}", f"a={trained[0]}", "--port", 0)) == (
        "two models are called a. Give each its own name: NAME=MODEL"
    )
    for word in ("ü=x", "a=", "=x", "a b=x"):
        assert refusal(resnext("serve", word)).startswith(f"{word}: must be NAME=MODEL; a name has the letters a to z")
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=2)
    kernel = network.get_layer("predictions").kernel
    kernel.assign(np.full(kernel.shape, 3e38, np.float32))  # finite, but not its answers
    save_weights(network, tmp_path / "large.safetensors")
    message = f"{tmp_path / 'large.safetensors'}: the network computes values that are not finite, so that its weights "
    photo = next((colours / "test").glob("*/*.png"))
    given = {
        "serve": (),
        "predict": (photo,),
        "evaluate": (write_photos(tmp_path / "two", {"0": (0, 0, 0), "1": (99, 99, 99)}, 1),),
        "explain": (photo, "--out", tmp_path / "explained"),
        "export": ("--images", photo, "--out", tmp_path / "large.onnx"),
    }
    for command, more in given.items():
        process = resnext(command, tmp_path / "large.safetensors", *more)
        assert message in process.stderr, (command, process.stderr)
        assert process.returncode == 1
    assert not (tmp_path / "large.onnx").exists()
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
