"""The drawings of the pages are those of today's layers, numbers and recordings, and the page of the forms is right."""

import math
import re
import runpy
import xml.etree.ElementTree as ET
from pathlib import Path

import keras
import pytest

from resnext.model.blocks import identity_block
from resnext.variants.variant import Block

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[2] / "docs"
PAGE = DOCS / "forms.md"


@pytest.fixture(scope="module")
def drawings():
    return runpy.run_path(str(DOCS / "drawings"))["DRAWINGS"]


def test_every_drawing_is_drawn_as_it_is_checked_in(drawings):
    for name, draw in drawings.items():
        assert draw() == (DOCS / name).read_text(), f"{name} has changed: python docs/drawings"


def test_drawings_are_readable_by_everybody(drawings):
    """In light and dark and on paper, without other files, with words for those who do not see them."""
    for name in drawings:
        text = (DOCS / name).read_text()
        root = ET.fromstring(text)
        namespace = "{http://www.w3.org/2000/svg}"
        assert len(root.find(f"{namespace}title").text) > 20
        assert "@media screen and (prefers-color-scheme: dark)" in text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)|<script|<image", text)
        width, height = int(root.get("width")), int(root.get("height"))
        for each in root.iter(f"{namespace}text"):
            assert 0 <= float(each.get("x")) <= width
            assert 0 <= float(each.get("y")) <= height


def test_the_words_of_the_forms_are_in_their_drawing():
    text = (DOCS / "forms.svg").read_text()
    for word in ("split", "transform", "merge", "transition", "all 256", "64 each", "3x3, 128, in 4 groups", "sum"):
        assert f">{word}<" in text


@pytest.mark.parametrize(("cardinality", "width", "column"), [(4, 32, 1), (32, 4, 2)])
def test_the_pages_kernels_are_those_of_the_layers(cardinality, width, column):
    lines = re.findall(r"^\| (a|b|c|sliced), (.*) \|$", PAGE.read_text(), re.MULTILINE)
    rows = {form: line.replace(" |", "|").replace("| ", "|").split("|")[1:] for form, line in lines}
    for form, count in (("a", "3 C"), ("b", "2 C + 1"), ("c", "3"), ("sliced", "2 C + 1")):
        x = keras.Input((56, 56, 256))
        layers = keras.Model(x, identity_block(x, Block(cardinality, width, 256), "block", form)).layers
        kernels = [math.prod(layer.kernel.shape) for layer in layers if hasattr(layer, "kernel")]
        assert rows[form][0] == count
        assert len(kernels) == eval(count.replace(" C", f" * {cardinality}"))
        assert rows[form][column] == f"{sum(kernels):,}"


def test_the_pages_check_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    exec(code, {})
    for line, form in zip(capsys.readouterr().out.splitlines(), "ab", strict=True):
        name, difference, _, largest = line.split()
        assert name == form
        assert float(difference) < 1e-5 * float(largest) * 10
