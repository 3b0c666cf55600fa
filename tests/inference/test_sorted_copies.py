"""Images sorted into folders by their answers, as copies."""

import shutil
import zipfile

import pytest

from resnext import predict
from resnext.inference.predict import Prediction
from resnext.inference.sorted_copies import SortedCopies, folder_name
from support.command import refusal, resnext

pytestmark = pytest.mark.once


def test_images_are_sorted_by_their_answers(trained, colours, tmp_path):
    run, _ = trained
    inputs = tmp_path / "inputs"
    for name in ("red", "blue"):
        (inputs / name).mkdir(parents=True)
        for i, file in enumerate(sorted((colours / "test" / name).iterdir())):
            shutil.copy(file, inputs / name / f"{'IMG' if i else 'img'}_{i}.png")
    (inputs / "broken.png").write_bytes(b"nothing")
    with zipfile.ZipFile(inputs / "more.zip", "w") as archive:
        archive.write(inputs / "red" / "img_0.png", "in/img_0.png")
    before = {path: path.read_bytes() for path in inputs.rglob("*.png")}
    process = resnext(
        "predict", run, inputs, inputs / "more.zip", "--copy-to", tmp_path / "sorted", "--format", "jsonl"
    )
    assert "1 of 10 images can't be read" in process.stderr
    answers = [each for each in predict(run, [inputs, inputs / "more.zip"]) if each.answer]
    found = {path: path.read_bytes() for path in (tmp_path / "sorted").glob("*/*")}
    assert len(found) == len(answers) == 9
    for each in answers:
        content = before.get(each.source) or before[inputs / "red" / "img_0.png"]
        assert content in [value for path, value in found.items() if path.parent.name == each.answer]
    assert {path: path.read_bytes() for path in inputs.rglob("*.png")} == before
    unknown = resnext("predict", run, inputs / "red", "--threshold", 1, "--copy-to", tmp_path / "none")
    assert unknown.returncode == 0
    assert {path.parent.name for path in (tmp_path / "none").glob("*/*")} <= {"unknown", "red", "blue", "green"}
    assert refusal(resnext("predict", run, inputs, "--copy-to", tmp_path / "sorted")).endswith(
        "holds other files. Pass a new or an empty folder as --copy-to."
    )
    assert refusal(resnext("predict", run, inputs, "--copy-to", inputs / "here")) == (
        f"{inputs / 'here'}: lies in {inputs}, whose images are being read. Choose another --copy-to."
    )


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "c:\\d", "x" * 300, "tab\there", "."])
def test_no_class_name_leads_out_of_the_folder(tmp_path, name):
    copies = SortedCopies(tmp_path / "sorted")
    folder = (tmp_path / "sorted" / folder_name(name)).resolve()
    assert folder.parent == copies.folder
    folder.mkdir()


def test_two_classes_of_one_folder_name_stay_apart(tmp_path):
    copies = SortedCopies(tmp_path / "sorted")
    (tmp_path / "a.png").write_bytes(b"image")
    for name in ("a/b", "a:b", "A_b"):
        copies.write(Prediction(str(tmp_path / "a.png"), [(name, 1.0)], source=tmp_path / "a.png"))
    found = sorted(path.relative_to(tmp_path / "sorted").as_posix() for path in (tmp_path / "sorted").glob("*/*"))
    assert found == ["A_b (3)/a.png", "a_b (2)/a.png", "a_b/a.png"]
