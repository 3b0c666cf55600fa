"""Networks of five channels: from files with as many pages, and from arrays, to every use of them."""

import dataclasses
import json
import time

import numpy as np
import pytest
from PIL import Image

from resnext import Model, evaluate, explain, export, get_recipe, predict, preview, train
from resnext.errors import ArgumentError, DataError

RNG = np.random.default_rng(0)
SMALL = {"variant": "resnext11_4x4d", "image_size": 24, "epochs": 4, "batch_size": 8, "channels": 5}


def an_image(bright: int) -> np.ndarray:
    """Return noise, uint8 (26, 22, 5), of which one channel has a bright square."""
    image = RNG.integers(0, 60, (26, 22, 5), np.uint8)
    image[6:18, 6:18, bright] += 180
    return image


def write(path, image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = (Image.fromarray(image[..., i]) for i in range(image.shape[-1]))
    first.save(path, save_all=True, append_images=others)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Two classes that differ in the last two channels."""
    folder = tmp_path_factory.mktemp("five") / "photos"
    for part, count in (("train", 16), ("test", 4)):
        for name, bright in (("near", 3), ("far", 4)):
            for number in range(count):
                write(folder / part / name / f"{number}.tif", an_image(bright))
    return folder


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return train(photos, out=tmp_path_factory.mktemp("five") / "run", rotate=10, vertical_flip=True, **SMALL).folder


def test_files_of_five_pages_are_learned_and_used_like_any_other(run, photos, tmp_path):
    assert json.loads((run / "config.json").read_text())["preprocessing"]["channels"] == 5
    assert evaluate(run).top(1) == 1, "the classes differ in the last channels only"
    (classifier,) = Model.open(run).build()
    assert classifier.input_shape == (None, 24, 24, 5)
    files = sorted((photos / "test").glob("*/*.tif"))
    rows = [row.classes for row in predict(run, files)]
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes((run / "best.safetensors").read_bytes())
    assert [row.classes for row in predict(alone, files)] == rows
    explained = next(explain(run, files[0]))
    assert explained.photo.shape == (26, 22, 3)
    assert explained.name == files[0].parent.name


@pytest.mark.once
@pytest.mark.parametrize(
    ("name", "package", "options"),
    [
        ("net.onnx", "onnxruntime", {}),
        ("net.onnx", "onnxruntime", {"normalisation": "outside"}),
        ("net.onnx", "onnxruntime", {"size": "any"}),
        ("net.onnx", "onnxruntime", {"dtype": "int8"}),
        ("net.xml", "openvino", {}),
        ("net.tflite", "ai_edge_litert", {}),
    ],
)
def test_an_exported_file_is_the_same(run, photos, tmp_path, name, package, options):
    pytest.importorskip(package)
    export(run, tmp_path / name, **options)
    close = 0.2 if "dtype" in options else 1e-4
    assert evaluate(tmp_path / name, photos).losses == pytest.approx(evaluate(run).losses, abs=close)


@pytest.mark.once
def test_arrays_of_five_channels(run, tmp_path):
    labels = np.arange(32) % 2
    images = np.stack([an_image(4 - label) for label in labels])
    assert evaluate(run, (images, ["near" if label else "far" for label in labels])).top(1) == 1
    result = train((images, labels), out=tmp_path / "arrays", **SMALL)
    assert [row.answer for row in predict(result.folder, images[:4])] == ["0", "1", "0", "1"]
    assert [row.answer for row in predict(result.folder, list(images[:4]))] == ["0", "1", "0", "1"]
    with pytest.raises(DataError, match=r"\(26, 22, 5\) has 5 channels.*A network for them is trained by channels=5"):
        train((images, labels), out=tmp_path / "other", **SMALL | {"channels": "rgb"})
    with pytest.raises(DataError, match="has 5 channels; the network takes 4"):
        train((images, labels), out=tmp_path / "other", **SMALL | {"channels": 4})
    assert not (tmp_path / "other").exists()
    (row,) = predict(run, images[:1, ..., :3])
    assert row.error == "an image of shape (26, 22, 3) has 3 channels; the network takes 5"


@pytest.mark.once
def test_files_of_other_channels_are_named_before_training(photos, tmp_path):
    with pytest.raises(DataError, match=r"32 of 32 images can't be read: .*\.tif: more channels than the 4 that"):
        train(photos, out=tmp_path / "run", **SMALL | {"channels": 4})
    image = next((photos / "train").glob("*/*.tif"))
    for part in ("train", "test"):
        for name in ("near", "far"):
            for number in range(3):
                write(tmp_path / "mixed" / part / name / f"{number}.tif", an_image(3))
    Image.open(image).save(tmp_path / "mixed" / "train" / "near" / "one.png")
    with pytest.raises(DataError, match=r"1 of 7 images can't be read: .*one\.png: 1 channel; the network takes 5"):
        train(tmp_path / "mixed", out=tmp_path / "run", **SMALL)
    result = train(tmp_path / "mixed", out=tmp_path / "run", skip_bad=1, **SMALL | {"epochs": 1})
    assert result.folder.is_dir()


@pytest.mark.once
def test_weights_for_three_channels_are_adapted(photos, tmp_path, caplog):
    colours = train(photos, out=tmp_path / "rgb", **SMALL | {"channels": "rgb", "epochs": 1})
    assert "0.tif has 5 pages, of which only the first is read; --channels 5 trains on all of them" in caplog.text
    result = train(photos, out=tmp_path / "five", weights=str(colours.folder), channels=5, epochs=1)
    assert Model.open(result.folder).preprocessing.channels == 5
    train(photos, "resnext14_2x4d", tmp_path / "four", channels=5, image_size=24, epochs=1)
    with pytest.raises(ArgumentError, match="its images have 5 channels, which timm prepares otherwise"):
        export(tmp_path / "four", tmp_path / "bundle", to="bundle")


@pytest.mark.once
def test_a_training_goes_on_with_the_channels_of_its_weights(run, photos, tmp_path):
    result = train(photos, out=tmp_path / "longer", weights=str(run), epochs=1)
    assert Model.open(result.folder).preprocessing.channels == 5
    train(photos, out=tmp_path / "probe", weights=str(run), recipe="probe")
    assert Model.open(tmp_path / "probe").preprocessing.channels == 5
    with pytest.raises(ArgumentError, match=r"takes images of 5 channels, and --channels 4 was passed\. Leave"):
        train(photos, out=tmp_path / "other", weights=str(run), channels=4)


@pytest.mark.once
def test_pillow_images_are_their_bands(run, photos):
    files = sorted((photos / "test").glob("*/*.tif"))[:2]
    opened = [Image.open(file) for file in files]
    assert [row.classes for row in predict(run, opened)] == [row.classes for row in predict(run, files)]
    labels = [file.parent.name for file in files]
    assert len(evaluate(run, (opened, labels))) == 2


@pytest.mark.once
def test_a_preview_shows_three_of_them(photos, tmp_path):

    recipe = dataclasses.replace(get_recipe("photos"), channels=5)
    assert Image.open(preview(photos, tmp_path / "sheet.png", recipe=recipe)).mode == "RGB"


@pytest.mark.once
def test_the_server_reads_such_files(run, photos):
    pytest.importorskip("starlette")
    from resnext.serving.decoding import read_files

    known = Model.open(run).preprocessing
    file = next((photos / "test").glob("*/*.tif"))
    seen = read_files([file.read_bytes()], known, time.monotonic() + 60)
    assert np.array_equal(seen.pixels[0], known.load(file))
    assert seen.part == pytest.approx((0, 0.077, 1, 0.923), abs=1e-3)
