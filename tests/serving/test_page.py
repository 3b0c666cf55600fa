"""The page of the server, in a browser."""

import json

import pytest

from support.browser import driven, needs_browser

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

NAMES = "[...document.querySelectorAll('.bars li:first-child .bar span:first-of-type')].map(s => s.textContent)"
PICTURE = "document.querySelector('canvas').toDataURL()"
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
        assert value("document.querySelector('.result:last-child .error').textContent").startswith("image: not a JPEG")
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
        assert value("document.querySelector('figcaption').textContent") == "photo 1"
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
