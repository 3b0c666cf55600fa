"""Checkpoints as other people's scripts and libraries leave them: wrapped, in folders, in parts, with company."""

import argparse
import collections
import json
import pathlib

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from resnext import convert, load_weights, save_weights
from resnext.errors import ArgumentError, WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.model.network import ResNeXt
from resnext.weights.variables import get_weights
from support.command import refusal, resnext
from support.logs import logged
from support.weights import network, torch_weights

torch = pytest.importorskip("torch", reason="PyTorch's own files")


def tensors(add=0.0):
    return {name: torch.from_numpy(value + np.float32(add)) for name, value in torch_weights().items()}


def bias(model):
    return get_weights(model)["predictions/bias"]


class Settings(argparse.Namespace):
    """A class of a training script: no other name than those of well-known containers is let through."""


@pytest.mark.once(on="torch")
def test_what_training_scripts_keep_beside_the_weights_is_never_built(tmp_path, monkeypatch):
    built: list[tuple] = []
    beside = {"args": argparse.Namespace(lr=0.1, data=pathlib.Path("x"), groups=[argparse.Namespace()]),
              "best": np.float64(77.1), "epoch": 3, "device": torch.device("cpu"), "seen": np.arange(3),
              "lists": collections.defaultdict(list), "counts": collections.Counter("aab")}  # fmt: skip
    monkeypatch.setattr(argparse.Namespace, "__new__", lambda *a, **k: built.append(a), raising=False)
    for zipped in (True, False):
        torch.save({"model": tensors(), **beside}, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        np.testing.assert_array_equal(bias(network(tmp_path / "w.pth")), tensors()["fc.bias"].numpy())
    assert not built
    monkeypatch.undo()
    torch.save({"model": tensors(), "args": Settings()}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"a pickle that names [\w.]*test_readers.Settings, which weights do not"):
        network(tmp_path / "w.pth")


@pytest.mark.once(on="torch")
def test_of_several_sets_of_weights_the_choice_is_said_and_can_be_made(tmp_path, caplog):
    averaged = {"n_averaged": torch.tensor(7), **{f"module.{name}": value for name, value in tensors(1).items()}}
    path = tmp_path / "w.pth.tar"
    torch.save(
        {"state_dict": tensors(), "state_dict_ema": averaged, "optimizer": {"state": {0: {"m": torch.ones(1)}}}}, path
    )
    words = (
        f"{path}: the weights under 'state_dict_ema' are used, not those under state_dict. To use others, write them"
    )
    with logged(caplog, words):
        np.testing.assert_array_equal(bias(network(path)), tensors(1)["fc.bias"].numpy())
    out = tmp_path / "raw.safetensors"
    process = resnext("convert", path, "--key", "state_dict", "--out", out)
    assert (process.returncode, process.stderr) == (0, "")
    np.testing.assert_array_equal(load_file(out)["predictions/bias"], tensors()["fc.bias"].numpy())
    with pytest.raises(
        WeightsError, match=r"holds no weights under the key 'ema'. Its keys: state_dict, state_dict_ema.$"
    ):
        convert(path, tmp_path / "x.safetensors", key="ema")
    with pytest.raises(
        WeightsError, match=r"only PyTorch files have keys, and this is not one. Leave out the key 'ema'"
    ):
        convert(out, tmp_path / "again.safetensors", key="ema")
    torch.save({"student": tensors(), "teacher": tensors(1)}, path)
    with pytest.raises(
        WeightsError, match=r"several sets of tensors. Choose one of its keys \(student, teacher\): resnext"
    ):
        network(path)


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("prefix", ["student.", "trunk.model.", "model.resnet.", "a.b.c.d."])
def test_any_words_before_every_name_are_taken_off(prefix, tmp_path, caplog):
    torch.save({f"{prefix}{name}": value for name, value in tensors().items()}, tmp_path / "w.pth")
    with logged(caplog, f"the prefix '{prefix}' of its names is ignored"):
        np.testing.assert_array_equal(bias(network(tmp_path / "w.pth")), tensors()["fc.bias"].numpy())


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], torch.ones(3)])
def test_a_whole_file_without_weights_is_not_called_damaged(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w.pth: holds no names with tensors. Save the weights alone"):
        network(tmp_path / "w.pth")


@pytest.mark.once(on="torch")
def test_other_files_are_not_called_damaged(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}')
    with pytest.raises(WeightsError, match=r"a.json: neither a weights file nor the index of one in parts.$"):
        network(tmp_path / "a.json")
    (tmp_path / "a.safetensors").write_bytes(b"\x89PNG\r\n\x1a\n and more")
    with pytest.raises(WeightsError, match=r"no file of weights. Allowed: safetensors, PyTorch's .pth, and HDF5.$"):
        network(tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match="the name of the weights is empty"):
        network("")


@pytest.mark.once(on="torch")
def test_a_tensor_that_is_not_the_networks_is_named(tmp_path):
    state = {f"model.{name}": value for name, value in tensors().items()} | {"criterion.weight": torch.ones(3)}
    torch.save({"state_dict": state}, tmp_path / "w.ckpt")
    words = r"1 of its \d+ tensors are not the network's, whose names begin with 'model.': criterion.weight. Save"
    with pytest.raises(WeightsError, match=words):
        network(tmp_path / "w.ckpt")


HUB_CONFIG = {
    "architecture": "resnetaa50d",
    "num_classes": 10,
    "pretrained_cfg": {"input_size": [3, 288, 288], "crop_pct": 0.95, "interpolation": "bicubic",
                       "mean": [0.5, 0.5, 0.5], "std": [0.4, 0.4, 0.4]},
}  # fmt: skip


@pytest.mark.once(on="torch")
def test_a_folder_of_timms_gives_weights_classes_and_preprocessing(theirs, tmp_path):
    folder = tmp_path / "hub"
    folder.mkdir()
    theirs.rename(folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({**HUB_CONFIG, "architecture": "unknown_to_resnext"}))
    loaded = network(folder, classes=None)
    assert loaded.output_shape == (None, 10)
    preprocessing = Preprocessing(288, 303, "bicubic", (0.5, 0.5, 0.5), (0.4, 0.4, 0.4))
    assert loaded.preprocessing == preprocessing
    (folder / "config.json").write_text(json.dumps(HUB_CONFIG))  # of another network: its preprocessing counts
    convert(folder, tmp_path / "ours.safetensors")
    assert network(tmp_path / "ours.safetensors").preprocessing == preprocessing
    for damaged in ("{", json.dumps({**HUB_CONFIG, "pretrained_cfg": {"input_size": [3, 0, 0]}})):
        (folder / "config.json").write_text(damaged)
        with pytest.raises(
            WeightsError, match=r"config.json: damaged \(.*Restore it, or move model.safetensors away.$"
        ):
            network(folder)


@pytest.mark.once(on="torch")
def test_a_folder_says_what_shapes_do_not(tmp_path):
    plain = tmp_path / "plain.safetensors"
    save_weights(ResNeXt("resnet50d", classes=10, input_shape=(32, 32, 3)), plain)
    convert(plain, tmp_path / "model.safetensors", to="timm")
    (tmp_path / "config.json").write_text(json.dumps(HUB_CONFIG))
    assert convert(tmp_path, tmp_path / "ours.safetensors").variant.name == "resnetaa50d"
    with pytest.raises(ArgumentError, match=r"ours.safetensors: exists already. Choose another --out, or remove it"):
        convert(tmp_path, tmp_path / "ours.safetensors")
    (tmp_path / "config.json").unlink()
    assert convert(tmp_path, tmp_path / "plain2.safetensors").variant.name == "resnet50d"
    told = resnext(
        "convert", tmp_path / "model.safetensors", "--variant", "resnetaa50d", "--out", tmp_path / "aa.safetensors"
    )
    assert told.stdout.startswith("resnetaa50d, 10 classes")
    with pytest.raises(
        WeightsError, match="these weights are for anti_aliasing='average', the network resnet50d has None"
    ):
        load_weights(ResNeXt("resnet50d", classes=10), tmp_path / "aa.safetensors")
    with pytest.raises(WeightsError, match="these are weights of resnet50d, but the network is resnext50_32x4d"):
        convert(tmp_path, tmp_path / "other.safetensors", variant="resnext50_32x4d")


def test_safetensors_in_parts(theirs, tmp_path):
    expected = get_weights(network(theirs))
    whole = load_file(theirs)
    theirs.unlink()
    names = [*whole]
    parts = {name: f"model-0000{1 + (i % 2)}-of-00002.safetensors" for i, name in enumerate(names)}
    for part in {*parts.values()}:
        save_file({name: whole[name] for name in names if parts[name] == part}, tmp_path / part)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": parts}))
    for source in (tmp_path, index):
        for name, value in get_weights(network(source)).items():
            np.testing.assert_array_equal(value, expected[name])
    for bad in ({**parts, "fc.bias": "../other.safetensors"}, {**parts, "fc.bias": "/etc/passwd"}, [], {"fc.bias": 3}):
        index.write_text(json.dumps({"weight_map": bad}))
        with pytest.raises(WeightsError, match="incomplete or damaged index of a safetensors file in parts"):
            network(index)
    index.write_text(json.dumps({"weight_map": {**parts, "fc.bias": parts["fc.weight"]}}))
    with pytest.raises(WeightsError, match=r"fc.bias is not in the file that the index names"):
        network(index)


@pytest.mark.once(on="torch")
def test_another_network_is_called_by_its_name(tmp_path):
    torch.save(tensors(), tmp_path / "w.pth")
    words = (
        "w.pth: these are weights of resnext14_4x4d, but the network is resnext26_4x4d. Use the variant resnext14_4x4d"
    )
    with pytest.raises(WeightsError, match=words):
        network(tmp_path / "w.pth", "resnext26_4x4d")
    assert refusal(resnext("convert", tmp_path / "w.pth", "--variant", "resnet8", "--out", tmp_path / "x.safetensors"))


@pytest.mark.once(on="torch")
def test_what_else_is_in_a_checkpoint_does_no_harm(theirs, tmp_path):
    saved = {"state_dict": tensors(), "rng": torch.get_rng_state(), "mask": torch.ones(3, dtype=torch.bool),
             "levels": torch.ones(3, dtype=torch.int8), "ids": torch.ones(3, dtype=torch.int16)}  # fmt: skip
    torch.save(saved, tmp_path / "all.pth")
    np.testing.assert_array_equal(bias(network(tmp_path / "all.pth")), bias(network(theirs)))


@pytest.mark.once(on="torch")
@pytest.mark.parametrize("zipped", [True, False])
def test_newer_pickles_and_programs_are_called_by_their_names(tmp_path, zipped):
    torch.save(tensors(), tmp_path / "four.pth", pickle_protocol=4, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        WeightsError, match=r"four.pth: a pickle of protocol 4, and torch.save writes 2 by default. Save"
    ):
        network(tmp_path / "four.pth")
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(1, 2)), tmp_path / "script.pt")
    with pytest.raises(
        WeightsError, match=r"script.pt: a TorchScript program, which contains code. Save its weights al"
    ):
        network(tmp_path / "script.pt")


@pytest.mark.once(on="torch")
@pytest.mark.parametrize(
    ("before", "head"),
    [("", "fc.1"), ("", "head.fc"), ("", "classifier"), ("backbone.", "classifier.1"), ("m.", "head")],
)
def test_a_head_under_another_name_is_the_head(before, head, theirs, tmp_path, caplog):
    named = {
        f"{head}{name[2:]}" if name.startswith("fc.") else before + name: value for name, value in tensors().items()
    }
    torch.save(named, tmp_path / "head.pth")
    with logged(caplog, f"{head}.weight is taken for the weight of its head"):
        found = get_weights(network(tmp_path / "head.pth"))
    for name, value in get_weights(network(theirs)).items():
        np.testing.assert_array_equal(found[name], value)
    torch.save({**named, f"{head}.more.weight": torch.ones(3, 3)}, tmp_path / "two.pth")
    with pytest.raises(
        WeightsError, match=r"two.pth: its head has 2 layers \(.*\), and a network of resnext has one. S"
    ):
        network(tmp_path / "two.pth")
