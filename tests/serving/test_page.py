"""The page of the server, in a browser."""

import base64
import io
import itertools
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from resnext.images.preprocessing import Preprocessing
from resnext.inference.explanation_files import overlay
from support.browser import driven, needs_browser
from support.command import resnext

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

NAMES = "[...document.querySelectorAll('.bars li:first-child .bar span:first-of-type')].map(s => s.textContent)"
PICTURE = "document.querySelector('canvas').toDataURL()"
AXE = Path(os.environ.get("AXE_CORE", "node_modules/axe-core/axe.min.js"))  # of `npm install axe-core`
needs_axe = pytest.mark.skipif(
    not AXE.is_file(), reason="no axe-core: `npm install axe-core`, or AXE_CORE names the file"
)
ENTER = "\ue007"


@needs_browser
@pytest.mark.once
def test_the_page_shows_classes_and_maps(server, colours, tmp_path):
    """Photos are chosen; bars and maps appear; keys alone do; nothing is asked of other servers; wrong files say so."""
    (tmp_path / "wrong.png").write_bytes(b"no image")
    files = [colours / "test" / "red" / "000.png", colours / "test" / "blue" / "001.png", tmp_path / "wrong.png"]
    with driven(tmp_path, f"http://127.0.0.1:{server.port}/") as page:
        value, wait = page.value, page.wait
        wait("document.getElementById('facts').textContent.startsWith('colours: resnext14_2x4d, 3 classes')", True)
        page.choose("#files", files)
        wait("document.querySelectorAll('.bars button, .error:not([hidden])').length", 7)
        wait("document.querySelectorAll('[aria-busy]').length", 0)
        assert value("document.querySelector('.result:last-child .error').textContent").startswith("not a JPEG")
        assert value(NAMES) == ["red", "blue"]
        assert value("document.querySelector('canvas').getAttribute('aria-label')").startswith("000.png: red, ")
        with_map = value(PICTURE)
        value("(s => { s.value = 0; s.dispatchEvent(new Event('input')); })(document.getElementById('strength'))")
        wait(f"{PICTURE} !== {json.dumps(with_map)}", True)
        value("document.querySelectorAll('.bars button')[1].focus()")
        page.press(ENTER)
        pressed = "[...document.querySelectorAll('.result:first-child .bars button')].map(b => b.ariaPressed)"
        wait(pressed, ["false", "true", "false"])
        assert value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        resources = "performance.getEntriesByType('resource').every(e => e.name.startsWith(location.origin))"
        assert value(resources)
        unnamed = (
            "[...document.querySelectorAll('button, select, input')].filter(e => !e.textContent && !e.labels?.length)"
        )
        assert value(f"{unnamed}.length") == 0
        # Another model is asked for all photos again, and named.
        value("(s => { s.value = 'again'; s.dispatchEvent(new Event('change')); })(document.getElementById('model'))")
        wait("[...document.querySelectorAll('.time')].map(e => e.textContent.split(',')[0])", ["again", "again", ""])
        assert value(NAMES) == ["red", "blue"]
        value("document.getElementById('clear').click()")
        assert value("document.querySelectorAll('.result').length") == 0
        # A webcam, as far as Chromium imitates one, with keys alone.
        value("document.getElementById('webcam').focus()")
        page.press(ENTER)
        wait("document.getElementById('viewfinder').open && document.getElementById('video').videoWidth > 0", True)
        value("document.getElementById('take').focus()")
        page.press(ENTER)
        wait("document.querySelectorAll('.bars button').length", 3)
        assert value("document.querySelector('figcaption h2').textContent") == "photo 1"
        assert not value("document.getElementById('viewfinder').open")
        assert value("document.getElementById('video').srcObject.getTracks()[0].readyState") == "ended"
        dropped = (
            "(t => { t.setData('text/plain', 'x'); document.dispatchEvent(new DragEvent('drop', {dataTransfer: t})); })"
            "(new DataTransfer())"
        )
        value(dropped)
        assert value("document.getElementById('left').textContent").startswith("What was dropped is not a file")
        severe = [entry for entry in page.ask("se/log", {"type": "browser"}) if "/v1/" not in entry["message"]]
        assert severe == []


@needs_browser
@needs_axe
@pytest.mark.once
def test_axe_finds_nothing_on_any_page(server, trained, colours, tmp_path):
    """The server's page with an answer, a run's report and an evaluation's page: wide and narrow, light and dark."""
    evaluate_to = tmp_path / "evaluation"
    assert resnext("evaluate", trained[0], colours, "--out", evaluate_to).returncode == 0
    pages = [
        f"http://127.0.0.1:{server.port}/",
        (trained[0] / "report.html").as_uri(),
        (evaluate_to / "index.html").as_uri(),
    ]
    for address in pages:
        with driven(tmp_path, address) as page:
            if address.startswith("http"):
                page.wait("document.getElementById('facts').textContent.length > 0", True)
                page.choose("#files", [colours / "test" / "red" / "000.png"])
                page.wait("document.querySelectorAll('.bars button').length", 3)
            page.ask("execute/sync", {"script": AXE.read_text(), "args": []})
            for width, scheme in itertools.product((1200, 390), ("light", "dark")):
                page.ask("window/rect", {"width": width, "height": 900})
                media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
                page.ask("goog/cdp/execute", {"cmd": "Emulation.setEmulatedMedia", "params": media})
                asked = "axe.run().then(found => arguments[0](found.violations.map(each => each.id)))"
                assert page.ask("execute/async", {"script": asked, "args": []}) == [], (address, width, scheme)
                assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@needs_browser
@pytest.mark.once
def test_an_answer_that_is_not_sure_is_shown_as_such_and_a_refused_file_has_its_reason_first(server, colours, tmp_path):
    (tmp_path / "wrong.png").write_bytes(b"no image")
    with driven(tmp_path, f"http://127.0.0.1:{server.port}/") as page:
        answer = {"model": "colours", "classes": [{"class": "red", "probability": 0.99}], "calibrated": 0.4}
        answered(page, answer | {"sure": False, "seen": [0, 0, 1, 1], "milliseconds": 1})
        page.choose("#files", [colours / "test" / "red" / "000.png"])
        page.wait("document.querySelectorAll('.bars li').length", 1)
        unsure = page.value("document.querySelector('.unsure').textContent")
        assert unsure == "Not sure: red has 40 % after calibration."
        assert page.value("getComputedStyle(document.querySelector('.percent')).whiteSpace") == "nowrap"
        assert page.value("document.querySelector('footer a').href").endswith("/openapi.json")
    with driven(tmp_path, f"http://127.0.0.1:{server.port}/") as page:
        page.wait("document.getElementById('facts').textContent.length > 0", True)
        page.choose("#files", [tmp_path / "wrong.png"])
        page.wait("document.querySelectorAll('.error:not([hidden])').length", 1)
        shown = page.value("document.querySelector('.result').innerText").split("\n")
        assert [line for line in shown if line][1].startswith("not a JPEG")
        assert "can't show the picture" not in " ".join(shown)


@needs_browser
@pytest.mark.once
def test_the_page_colours_a_map_as_explain_does(server, tmp_path):
    photo = np.full((180, 240, 3), (90, 140, 60), np.uint8)
    Image.fromarray(photo).save(tmp_path / "meadow.png")
    shares = np.array([[4.0, 0.5, -1.0], [1.0, 3.0, 2.0], [0.0, 1.5, 2.5]])
    seen = Preprocessing(64, resize=64).seen(240, 180)
    best = {"class": "red", "probability": 0.99, "map": shares.tolist()}
    answer = {"model": "colours", "classes": [best], "milliseconds": 1}
    with driven(tmp_path, f"http://127.0.0.1:{server.port}/") as page:
        answered(page, answer | {"seen": [each / side for each, side in zip(seen, (240, 180, 240, 180), strict=True)]})
        page.choose("#files", [tmp_path / "meadow.png"])
        page.wait("document.querySelectorAll('.bars button').length", 1)
        assert page.value("document.querySelector('figcaption .hint').textContent") == "The map has 3 x 3 positions."
        drawn = page.value(PICTURE).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(drawn))) as opened:
        picture = np.asarray(opened.convert("RGB")).astype(int)
    explained = overlay(photo, shares, Preprocessing(64, resize=64)).astype(int)
    assert abs(picture - explained).mean() < 4


def answered(page, answer):
    """Let the page receive this answer to whatever it asks."""
    page.wait("document.getElementById('facts').textContent.length > 0", True)
    page.value(f"(window.fetch = async () => new Response({json.dumps(json.dumps(answer))}))")
