"""The models of a server: loaded again when a file changes, in any engine."""

import time

import keras
import numpy as np
import pytest

from resnext import Model, ResNeXt, explain, save_weights
from support.serving import Serving

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")


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
