"""What is a model: a run, a file of weights with its classes, and nothing else."""

import keras
import numpy as np
import pytest

from resnext import ResNeXt, evaluate, predict, save_weights
from resnext.errors import WeightsError
from resnext.images.preprocessing import Preprocessing
from resnext.inference.model import Model
from resnext.weights.published import default_weights
from support.command import refusal, resnext
from support.photos import write_photos

pytestmark = pytest.mark.once


def test_a_file_of_weights_is_a_model(weights, tmp_path):
    model = Model.open(str(weights))
    assert (model.variant.name, model.preprocessing) == ("resnext14_2x4d", Preprocessing(32, 36, "bicubic"))
    assert (model.classes[0], model.wordnet_ids[0]) == ("tench", "n01440764")
    named = Model.open("resnext14_2x4d", str(weights))
    assert (named.variant, named.classes) == (model.variant, model.classes)
    for folder, name in (("ids", "n01440764"), ("names", "tench"), ("numbers", "0")):  # ImageNet, photos, ImageNet-V2
        write_photos(tmp_path / folder, {name: (1, 2, 3)}, 2, size=40)
        given = evaluate(str(weights), tmp_path / folder)
        assert (given.labels.tolist(), given.classes[0]) == ([0, 0], "tench")
    write_photos(tmp_path / "other", {"tenc": (1, 2, 3)}, 2)
    with pytest.raises(ValueError, match=r"has classes that training has not seen: 'tenc' \(did you mean 'tench'\?\)"):
        evaluate(str(weights), tmp_path / "other")
    process = resnext("predict", weights, tmp_path / "ids", "--top", 1)
    assert process.returncode == 0, process.stderr


@pytest.mark.parametrize("setting", [("image_data_format", "channels_first"), ("floatx", "float16")])
def test_the_users_configuration_of_keras_changes_no_answer(trained, colours, setting):
    name, value = setting
    image, before = colours / "test" / "red" / "000.png", getattr(keras.config, name)()
    (expected,) = predict(trained[0], image)
    getattr(keras.config, f"set_{name}")(value)
    try:
        (given,) = predict(trained[0], image)
        assert getattr(keras.config, name)() == value
    finally:
        getattr(keras.config, f"set_{name}")(before)
    assert dict(given.classes) == pytest.approx(dict(expected.classes), rel=1e-4)


def test_class_names_travel_with_the_weights(trained, colours, tmp_path):
    folder, _ = trained
    assert resnext("convert", folder, "--out", tmp_path / "a.safetensors").returncode == 0
    assert Model.open(tmp_path / "a.safetensors").classes == ("blue", "green", "red")
    one, other = (evaluate(model, colours) for model in (folder, tmp_path / "a.safetensors"))
    np.testing.assert_allclose(one.losses, other.losses, atol=1e-5)


def test_what_is_no_model_is_refused(trained, weights, tmp_path):
    folder, _ = trained
    allowed = (
        "Pass a run folder, a file of weights, an exported file or folder, hf:OWNER/NAME, or the tag of published "
        "weights (resnext list --weights)."
    )
    assert refusal(resnext("predict", "resnxt50_32x4d", "x.png")) == (
        f"resnxt50_32x4d: no such model. Did you mean resnext50_32x4d? {allowed}"
    )
    tag = default_weights("resnext50_32x4d")
    assert refusal(resnext("predict", "resnext50_32x4d", "x.png")) == (
        f"resnext50_32x4d: a network without weights. Pass --weights FILE, hf:OWNER/NAME or a tag, such as {tag}."
    )
    assert refusal(resnext("predict", "swsl_resnext50_32x4d", "x.png")) == (
        "swsl_resnext50_32x4d: a former name. Pass the tag of its weights, resnext50_32x4d.fb_swsl_ig1b_ft_in1k."
    )
    assert refusal(resnext("predict", weights, "x.png", "--weights", "last")) == (
        f"{weights}: not a run folder, and only a run has last weights. {allowed}"
    )
    assert refusal(resnext("predict", folder, "x.png", "--weights", "third")) == (
        "`weights` must be one of best, last. Received: 'third'"
    )
    headless = tmp_path / "headless.safetensors"
    save_weights(ResNeXt("resnext14_2x4d", include_top=False), headless)
    with pytest.raises(WeightsError, match=r"has no head, so it cannot classify. Pass weights with a head\."):
        Model.open(headless)
    grey = tmp_path / "grey.safetensors"
    save_weights(ResNeXt("resnext14_2x4d", input_shape=(32, 32, 1), classes=3), grey)
    with pytest.raises(WeightsError, match=r"\+ stem_conv/kernel \(7, 7, 1, 64\)"):
        Model.open(grey)
