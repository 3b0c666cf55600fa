"""Callbacks from Python, and what a result shows of itself."""

import re

import keras
import numpy as np
import pytest

import resnext
from resnext import ResNeXt, evaluate, resume, train
from resnext.errors import ArgumentError
from support.photos import COLOURS, write_photos

pytestmark = pytest.mark.once
SMALL = {"variant": "resnext11_4x4d", "image_size": 16, "epochs": 4, "batch_size": 8}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("callbacks") / "photos", COLOURS, 6)


class Recorder(keras.callbacks.Callback):
    def __init__(self, stop_after=None):
        super().__init__()
        self.calls, self.stop_after = [], stop_after

    def on_train_begin(self, logs=None):
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.calls.append(("begin", epoch))

    def on_epoch_end(self, epoch, logs=None):
        self.calls.append(("end", epoch, logs))
        if self.stop_after == epoch + 1:
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        self.calls.append("end")


def test_functions_and_keras_callbacks_get_each_epoch(photos, tmp_path):
    rows, recorder = [], Recorder()
    result = train(photos, out=tmp_path / "run", callbacks=[rows.append, recorder], **SMALL)
    assert rows == [*result.history]
    words = [call if isinstance(call, str) else call[:2] for call in recorder.calls]
    assert words == ["begin", *[(when, epoch) for epoch in range(4) for when in ("begin", "end")], "end"]
    logs = recorder.calls[2][2]
    assert logs["val_loss"] == logs["validation_loss"] == rows[0].validation_loss
    assert logs["accuracy"] == rows[0].train_accuracy


@pytest.mark.parametrize("make", [lambda: lambda row: row.epoch == 2, lambda: Recorder(stop_after=2)])
def test_one_ends_the_training_which_resumes_to_the_same_weights(photos, tmp_path, caplog, make):
    result = train(photos, out=tmp_path / "run", callbacks=[make()], **SMALL)
    assert [row.epoch for row in result.history] == [1, 2]
    assert "ended by a callback after epoch 2" in caplog.text
    assert (result.folder / "report.html").exists()
    resume(result.folder)
    whole = train(photos, out=tmp_path / "whole", **SMALL)
    same = [(folder / "last.safetensors").read_bytes() for folder in (result.folder, whole.folder)]
    assert same[0] == same[1]


def test_keras_own_early_stopping(photos, tmp_path):
    stopping = keras.callbacks.EarlyStopping(monitor="val_loss", patience=0, min_delta=1e9)
    result = train(photos, out=tmp_path / "run", callbacks=[stopping], **SMALL)
    assert len(result.history) == 2


@pytest.mark.parametrize("callbacks", [[3], "name", object()])
def test_what_is_no_callback_is_refused(photos, callbacks):
    with pytest.raises(ArgumentError, match=r"a callback must be a function of the row of an epoch, or a keras\.callb"):
        train(photos, callbacks=callbacks, **SMALL)


def test_an_error_in_a_callback_is_its_own_and_the_run_stays(photos, tmp_path):
    def broken(row):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        train(photos, out=tmp_path / "run", callbacks=[broken], **SMALL)
    assert resume(tmp_path / "run").history.epochs == 4


def test_answers_of_functions_and_callbacks_that_do_not_suit(photos, tmp_path, caplog):
    stopped = train(photos, out=tmp_path / "stopped", callbacks=[lambda row: np.float64(row.epoch) > 1], **SMALL)
    assert stopped.history.epochs == 2
    train(photos, out=tmp_path / "told", callbacks=[lambda row: row.epoch], **SMALL | {"epochs": 1})
    assert "a callback returned 1, which is neither True, to end the training, nor False or None" in caplog.text
    for callback in (keras.callbacks.ReduceLROnPlateau(), keras.callbacks.LearningRateScheduler(lambda epoch: 0.1)):
        with pytest.raises(ArgumentError, match="changes the learning rate, which belongs to the recipe here"):
            train(photos, out=tmp_path / "none", callbacks=[callback], **SMALL)
    assert not (tmp_path / "none").exists()


def test_callbacks_of_keras_take_our_names_and_count_epochs(photos, tmp_path):
    early = keras.callbacks.EarlyStopping(monitor="validation_macro_f1", patience=1, min_delta=1.0)
    log = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    kept = keras.callbacks.ModelCheckpoint(str(tmp_path / "{epoch}-{val_loss:.2f}.weights.h5"), save_weights_only=True)
    result = train(photos, out=tmp_path / "run", callbacks=[early, log, kept], **SMALL)
    assert result.history.epochs == 2  # no epoch is better by 1 than the first
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert header.split(",").count("epoch") == 1
    assert [row.split(",")[0] for row in rows] == ["0", "1"]
    assert len([*tmp_path.glob("[12]-*.weights.h5")]) == 2


def test_results_are_shown_in_one_line_and_as_html(photos, trained, colours):
    pandas = pytest.importorskip("pandas")
    evaluation = evaluate(trained[0], colours)
    assert re.fullmatch(r"Evaluation\(top-1 [\d.]+ % of 12 images, 3 classes\)", repr(evaluation))
    assert "<td>balanced accuracy</td>" in evaluation._repr_html_()
    history = resnext.Run.open(trained[0]).history
    assert re.fullmatch(r"History\(\d+ epochs, best validation top-1 [\d.]+ % \(epoch \d+\)\)", repr(history))
    table = pandas.DataFrame(history)
    assert table["validation_loss"].tolist() == [row.validation_loss for row in history]
    (explanation,) = resnext.explain(trained[0], next((colours / "test").glob("*/*.png")))
    assert re.fullmatch(r"Explanation\(.*\.png: \w+ [\d.]+ %\)", repr(explanation))


def test_what_is_opened_made_or_found_is_shown_in_one_line(trained, colours, tmp_path):
    model, run = resnext.Model.open(trained[0]), resnext.Run.open(trained[0])
    data = run.config.data
    assert repr(model) == f"Model({trained[0]}: resnext14_2x4d, 3 classes, 32 pixels)"
    assert repr(run) == f"Run({trained[0]}: resnext14_2x4d at 32 pixels, 3 classes of {data})"
    assert repr(run.config) == f"RunConfig(resnext14_2x4d at 32 pixels, 3 classes of {data})"
    (summary,) = resnext.compare([trained[0]])
    assert re.fullmatch(r"RunSummary\(.*colours: resnext14_2x4d, History\(6 epochs, best .*\)\)", repr(summary))
    assert repr(resnext.get_variant("resnext50_32x4d")) == (
        "Variant(blocks=(3, 4, 6, 3), cardinality=32, bottleneck_width=4)"
    )
    assert repr(resnext.get_recipe("smoke")) == "Recipe(name='smoke', epochs=1, batch_size=8, learning_rate=0.01)"
    report = resnext.check_data(colours)
    assert repr(report) == (
        "DataReport(84 images: train 72, validation and test 12; 0 can't be read, 0 in train too, 0 contradictions)"
    )
    assert "<tr><td>red</td><td>24</td><td>4</td></tr>" in report._repr_html_()
    (tmp_path / "broken.png").write_bytes(b"no image")
    files = [colours / "test" / "red" / "000.png", tmp_path / "broken.png"]
    answers = resnext.predict(model, files, threshold=1.0)
    assert repr(answers) == "Answers(one for each image, computed by keras as you iterate)"
    unsure, broken = map(repr, answers)
    assert re.fullmatch(r"Prediction\(.*000\.png: unknown, red [\d.]+ %\)", unsure)
    assert re.fullmatch(r"Prediction\(.*broken\.png: not a JPEG, .*\)", broken)


def test_a_row_of_the_history_has_its_values_by_name_and_by_place(trained):
    row = resnext.Run.open(trained[0]).history[0]
    assert row["train_loss"] == row.train_loss == row[2]
    assert re.fullmatch(r"EpochRow\(epoch=1, learning_rate=0\.\d+, train_loss=\d\.\d+, (\w+=[\d.]+(, |\)))+", repr(row))
    with pytest.raises(KeyError, match=r"no column 'val_loss'\."):
        row["val_loss"]


def test_a_training_is_shown_with_its_curves(photos, tmp_path):
    pytest.importorskip("matplotlib")
    result = train(photos, out=tmp_path / "run", **SMALL | {"epochs": 1})
    assert re.fullmatch(r"TrainingResult\(.*run: test top-1 [\d.]+ %; best validation top-1 .*\)", repr(result))
    html = result._repr_html_()
    assert "data:image/png;base64," in html
    assert str(result.folder) in html


def test_words_of_other_libraries_get_a_hint():
    with pytest.raises(
        AttributeError, match=r"no attribute 'ResNeXt50'. A network is made by its name: .*'resnext50_32x4d'"
    ):
        resnext.ResNeXt50  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        resnext.nonsense  # noqa: B018
    with pytest.raises(ArgumentError, match=r"weights are read from files. Received: a dict. Save it by safetensors"):
        ResNeXt("resnext11_4x4d", weights={"conv.weight": 1})
    with pytest.raises(ArgumentError, match=r"weights are read from files\. Received: a dict"):
        train("digits", weights={"conv.weight": 1})
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(
        ArgumentError, match=r"`variant` must be a name, such as .* Received: keras's Sequential. A Keras"
    ):
        train("digits", variant=model)
    with pytest.raises(ArgumentError, match=r"weights are read from files. Received: keras's Sequential\. Pass a file"):
        ResNeXt("resnext11_4x4d", weights=model)
