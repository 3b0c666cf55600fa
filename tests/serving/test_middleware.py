"""Who may ask: a token is wanted elsewhere."""

import pytest

from support.serving import Serving

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

TOKEN = "a-token-of-the-tests"


@pytest.mark.once
def test_elsewhere_a_token_is_wanted(trained, photos):
    serving = Serving(trained[0], "--host", "0.0.0.0", env={"RESNEXT_TOKEN": TOKEN})
    try:
        assert TOKEN not in serving.command.stdout.read_text()  # who set it knows it, and logs are read by others
        content = photos[0][0].read_bytes()
        for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Bearer {TOKEN}é"}):
            headers = {name: value.encode() for name, value in headers.items()}
            assert serving.ask("POST", "/v1/classify", content, headers)[0] == 401
        assert serving.ask("GET", "/v2/health/ready")[0] == 200
        assert serving.ask("GET", "/metrics")[0] == 401
        given = {"Authorization": f"Bearer {TOKEN}", "Host": "example.com"}
        assert serving.ask("POST", "/v1/classify", content, given)[0] == 200
        assert not serving.json("GET", "/v1/models", headers=given)["models"][0]["report"]
    finally:
        assert serving.end().returncode == 0
