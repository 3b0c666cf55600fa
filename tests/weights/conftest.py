"""What the tests of weights share: a file as timm has it, and the hub's cache."""

import pytest
from safetensors.numpy import save_file

from support.weights import torch_weights


@pytest.fixture
def theirs(tmp_path):
    save_file(torch_weights(), tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Hugging Face's local cache with one repository, and no network."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="the hub extra is not installed")
    folder = tmp_path / "hub" / "models--timm--resnext14_4x4d.mine" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    save_file(torch_weights(), folder / "model.safetensors")
    (folder.parent.parent / "refs").mkdir()
    (folder.parent.parent / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path
