"""What the tests of the server share: one that runs, and photos with their answers."""

import pytest

from resnext import predict
from support.serving import Serving


@pytest.fixture(scope="session")
def server(trained):
    seconds = {"resnext.serving.server:HEADER_SECONDS": 1.0, "resnext.serving.bodies:BODY_SECONDS": 1.0}
    serving = Serving(f"colours={trained[0]}", f"again={trained[0]}", constants=seconds)
    yield serving
    process = serving.end()
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""


@pytest.fixture(scope="session")
def photos(trained, colours):
    files = sorted((colours / "test").glob("*/*.png"))
    return [(file, dict(row.classes)) for file, row in zip(files, predict(trained[0], files), strict=True)]
