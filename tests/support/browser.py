"""A browser for the tests of pages: Debian's Chromium, driven by WebDriver's requests."""

import json
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and shutil.which("chromedriver")),
    reason="no browser: Debian's packages chromium and chromium-driver have one",
)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update",
         "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]  # fmt: skip


class driven:
    """A page in a browser that answers WebDriver's requests."""

    def __init__(self, tmp_path, url):
        self.tmp_path, self.url = tmp_path, url

    def __enter__(self):
        self.process = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.process.stdout if "started successfully on port" in line)
        port = re.search(r"port (\d+)", line)[1]
        self.address = f"http://127.0.0.1:{port}/session"
        arguments = [*QUIET, "--window-size=400,900", f"--user-data-dir={self.tmp_path / 'driven'}"]
        capabilities = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}
        session = self.request("", {"capabilities": capabilities})["sessionId"]
        self.address += f"/{session}"
        self.ask("url", {"url": self.url})
        return self

    def ask(self, command, body):
        return self.request(f"/{command}", body)

    def value(self, expression):
        return self.ask("execute/sync", {"script": f"return {expression}", "args": []})

    def wait(self, expression, expected):
        until = time.monotonic() + 20
        while self.value(expression) != expected:
            assert time.monotonic() < until, (self.value(expression), self.value("document.body.innerText"))
            time.sleep(0.05)

    def choose(self, selector, files):
        """Choose files as a user does in the dialog of the browser."""
        (element,) = self.ask("element", {"using": "css selector", "value": selector}).values()
        self.ask(f"element/{element}/value", {"text": "\n".join(map(str, files))})

    def press(self, key):
        keys = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.ask("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": keys}]})

    def request(self, path, body):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def __exit__(self, *_):
        request = urllib.request.Request(self.address, method="DELETE")
        urllib.request.urlopen(request, timeout=30).close()
        self.process.terminate()
        self.process.wait(timeout=30)
