"""A browser for the tests of pages: Debian's Chromium, driven by WebDriver's requests."""

import json
import os
import re
import shutil
import subprocess
import urllib.request

import pytest

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and shutil.which("chromedriver")) and "RESNEXT_NEEDS_BROWSER" not in os.environ,
    reason="no browser: Debian's packages chromium and chromium-driver have one",
)
QUIET = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update",
         "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]  # fmt: skip


class driven:
    """A browser that answers WebDriver's requests."""

    def __init__(self, tmp_path):
        self.tmp_path = tmp_path

    def __enter__(self):
        self.process = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE, text=True)
        line = next(line for line in self.process.stdout if "started successfully on port" in line)
        port = re.search(r"port (\d+)", line)[1]
        self.address = f"http://127.0.0.1:{port}/session"
        arguments = [*QUIET, "--window-size=400,900", f"--user-data-dir={self.tmp_path / 'driven'}"]
        capabilities = {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}
        session = self.request("", {"capabilities": capabilities})["sessionId"]
        self.address += f"/{session}"
        return lambda command, body: self.request(f"/{command}", body)

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
