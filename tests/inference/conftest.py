"""What the tests of a trained network in use share: a file of weights."""

import pytest

from resnext import ResNeXt, save_weights
from resnext.images.preprocessing import Preprocessing


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A file with the weights of a network of ImageNet's classes."""
    path = tmp_path_factory.mktemp("weights") / "network.safetensors"
    network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=1000)
    network.preprocessing = Preprocessing(32, 36, "bicubic")
    save_weights(network, path)
    return path
