"""A probe: logistic regression on features computed once, as an ordinary run."""

import importlib.util
import logging

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from resnext import evaluate, predict, resume, train
from resnext.errors import ArgumentError, MissingPackageError
from support.command import refusal, resnext
from support.photos import write_photos


@pytest.fixture
def photos(tmp_path):
    """Photos of other classes than those of the run whose features are used."""
    folder = tmp_path / "photos"
    for part, count in (("train", 12), ("test", 5)):
        write_photos(folder / part, {"pink": (230, 120, 160), "teal": (20, 140, 140), "ochre": (190, 140, 30)}, count)
    return folder


def regression_on_embeddings(run, photos, classes):
    """The probabilities of the test photos by scikit-learn, on what `predict --embeddings` writes."""

    def embeddings(part):
        rows = [(each, label) for label, name in enumerate(classes)
                for each in predict(run, photos / part / name, embeddings=True)]  # fmt: skip
        return np.stack([each.embedding for each, _ in rows]), [label for _, label in rows]

    model = LogisticRegression(max_iter=1000).fit(*embeddings("train"))
    return model.predict_proba(embeddings("test")[0])


@pytest.mark.parametrize("classes", [("ochre", "pink", "teal"), ("pink", "teal")])
def test_it_is_the_logistic_regression_on_embeddings(trained, photos, tmp_path, classes):
    if len(classes) == 2:
        for part in ("train", "test"):
            (photos / part / "ochre").rename(tmp_path / part)
    result = train(photos, out=tmp_path / "probe", weights=trained[0], recipe="probe", image_size=32, test_crop=1.0)
    wanted = regression_on_embeddings(trained[0], photos, classes)
    given = [dict(each.classes) for name in classes for each in predict(tmp_path / "probe", photos / "test" / name)]
    np.testing.assert_allclose([[each[name] for name in classes] for each in given], wanted, atol=2e-3)
    assert result.history.epochs == 1
    assert result.history.last.train_accuracy > 0.9
    assert evaluate(tmp_path / "probe").top(1) == result.test.top(1)


@pytest.mark.once
def test_it_is_resumed_and_weighs_classes(trained, photos, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for number in range(4, 12):
        (photos / "train" / "teal" / f"{number:03}.png").unlink()
    probe = tmp_path / "probe"
    train(photos, out=probe, weights=trained[0], recipe="probe", image_size=32, class_weights=1.0)
    assert "only the head is trained: logistic regression on the features of all images, which are computed once" in (
        caplog.messages
    )
    assert not [line for line in caplog.messages if line.startswith("steps:")]
    before = (probe / "best.safetensors").read_bytes()
    again = resume(probe)
    assert again.history.epochs == 1
    assert (probe / "best.safetensors").read_bytes() == before
    other = train(photos, out=tmp_path / "other", weights=trained[0], recipe="probe", image_size=32)
    assert other.history.last.train_loss != again.history.last.train_loss


@pytest.mark.once
def test_what_a_probe_does_not_do_is_refused(trained, photos, tmp_path, monkeypatch):
    assert "a probe fits the head to features of loaded weights, and no weights are loaded" in refusal(
        resnext("train", photos, "--recipe", "probe", "--out", tmp_path / "a")
    )
    with pytest.raises(ArgumentError, match=r"fits the head once, .* Received: epochs 3, mixup 0\.2"):
        train(photos, out=tmp_path / "b", weights=trained[0], recipe="probe", epochs=3, mixup=0.2)
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "sklearn" else find(name, *rest)
    )
    with pytest.raises(
        MissingPackageError, match=r"a probe needs the package scikit-learn: pip install 'resnext\[data"
    ):
        train(photos, out=tmp_path / "c", weights=trained[0], recipe="probe")
    assert not any((tmp_path / name).exists() for name in "abc")
