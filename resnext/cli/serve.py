"""Serve trained networks over HTTP: serve."""

from __future__ import annotations

import os
from typing import Annotated

import tyro
from tyro.conf import Positional

from resnext.cli.interrupts import leave_threads
from resnext.errors import missing_package, printable
from resnext.serving.options import PORT, ServingOptions


def serve(
    models: Annotated[Positional[tuple[str, ...]], tyro.conf.arg(metavar="[NAME=]MODEL ...")],
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    batch_size: int = 16,
    queue: int = 64,
    deadline: float = 10.0,
) -> None:
    """Serve trained networks: a page for photos at http://localhost:8000, and KServe's protocol for programs.

    Args:
        models: run folders, files of weights, exported files; NAME= before one sets its name in paths.
        host: address to listen on; clients must send the token unless it is this machine's own.
        port: port; 0 chooses a free one.
        token: token that clients must send as "Authorization: Bearer TOKEN"; by default $RESNEXT_TOKEN or, if one is
            needed, a new one, which is printed.
        batch_size: most images that a network computes at once; fewer if that is as fast.
        queue: images that may wait for a network; more are refused with status 429.
        deadline: seconds within which a request is answered, or fails with status 504.
    """
    token = os.environ.get("RESNEXT_TOKEN") if token is None else token
    options = ServingOptions(host, port, token, batch_size, queue, deadline)
    try:
        from resnext.serving.server import serve
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn", "prometheus_client", "h11"):
            raise
        raise missing_package("serve", error.name.replace("_", "-"), "serve") from error
    serve(models, options, lambda text: print(*map(printable, text.split("\n")), sep="\n", flush=True))
    leave_threads()  # one may still be decoding an image
