"""The paths of the server, and the answer on each."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.resources
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from pathlib import Path
from typing import Any

import numpy as np
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from resnext.engines.engine import Outputs
from resnext.engines.open import title_of
from resnext.errors import (
    ClosedError,
    DeadlineError,
    ImageError,
    OverloadedError,
    RequestError,
    WeightsError,
    one_line,
    printable,
)
from resnext.inference.model import Model
from resnext.metrics.calibration import probability_at
from resnext.metrics.probabilities import most_probable
from resnext.runs.run import REPORT
from resnext.serving import kserve, openapi
from resnext.serving.bodies import Body
from resnext.serving.limits import MAX_IMAGES
from resnext.serving.middleware import Guard, refused
from resnext.serving.models import ServedModel
from resnext.serving.service import Service

logger = logging.getLogger(__name__)

TOP = 5
SURE = 0.5  # calibrated probability from which an answer is shown as certain
TINY = 1e-30  # least probability whose logarithm is taken
MAPS = 20  # for one image at most
PAGE = importlib.resources.files("resnext.serving") / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}
# A report may load only its own pictures and styles, and no script.
REPORT_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
PATHS = "no such path. Photos go to POST /v1/classify; KServe's protocol begins at /v2"
Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(service: Service) -> Guard:
    """Return the application that serves the models of a service."""
    app = Starlette(
        routes=[
            Route("/", partial(_file, "index.html")),
            Route("/page.css", partial(_file, "page.css")),
            Route("/page.js", partial(_file, "page.js")),
            Route("/openapi.json", _interface),
            Route("/metrics", _metrics),
            Route("/v1/models", _models),
            Route("/v1/classify", _inference(_classify), methods=["POST"]),
            Route("/v1/models/{name}/classify", _inference(_classify), methods=["POST"]),
            Route("/v1/models/{name}/report", _report),
            Route("/v1/models/{name}:{verb}", _not_v1, methods=["GET", "POST"]),
            Route("/v2", _server_metadata),
            Route("/v2/", _server_metadata),
            Route("/v2/health/live", _live),
            Route("/v2/health/ready", _ready),
            Route("/v2/models/{name}", _model_metadata),
            Route("/v2/models/{name}/ready", _model_ready),
            Route("/v2/models/{name}/infer", _inference(_infer), methods=["POST"]),
            Route("/v2/models/{name}/versions/{version}", _model_metadata),
            Route("/v2/models/{name}/versions/{version}/ready", _model_ready),
            Route("/v2/models/{name}/versions/{version}/infer", _inference(_infer), methods=["POST"]),
        ],
        exception_handlers={HTTPException: _problem},
    )
    app.state.service = service
    app.router.redirect_slashes = False
    return Guard(app, service, service.options)


async def _problem(request: Request, error: Any) -> Response:
    reason = PATHS if error.detail == "Not Found" else error.detail
    return refused(error.status_code, reason, dict(error.headers or {}))


def _inference(endpoint: Callable[[Request, ServedModel, bytes, float], Awaitable[Response]]) -> Endpoint:
    """Wrap an inference endpoint: find the model, read the body, turn errors into answers, and count."""

    @wraps(endpoint)
    async def answer(request: Request) -> Response:
        service, served = _service(request), _served(request)
        body = Body(service.bodies)
        try:
            content = await body.read(request)
            started = time.monotonic()
            async with asyncio.timeout(service.options.deadline):
                response = await endpoint(request, served, content, started)
            service.metrics.seconds.labels(served.name).observe(time.monotonic() - started)
        except (RequestError, ImageError) as error:
            response = refused(400, printable(one_line(error)))
        except HTTPException as error:
            response = refused(error.status_code, error.detail)
        except OverloadedError as error:
            response = refused(429, str(error), {"retry-after": str(error.retry_after)})
        except ClosedError:
            response = refused(503, "this server is shutting down", {"retry-after": "1"})
        except (DeadlineError, TimeoutError):
            response = refused(504, f"not answered within {service.options.deadline:g} s")
        except WeightsError as error:
            logger.error(str(error))
            response = refused(500, f"{served.name}: the network computes values that are not finite")
        except ClientDisconnect:
            response = refused(400, "the client disconnected")
        except Exception as error:  # a bug; the server continues
            logger.error(f"a request for {served.name} failed: {type(error).__name__}: {printable(one_line(error))}")
            response = refused(500, "internal error")
        finally:
            body.release()
        service.metrics.requests.labels(served.name, response.status_code).inc()
        return response

    return answer


async def _classify(request: Request, served: ServedModel, body: bytes, started: float) -> Response:
    """Answer an image file with its most probable classes and, if requested, their maps."""
    if request.headers.get("content-type", "").startswith(("multipart/", "application/json", "text/")):
        raise HTTPException(415, "send the content of an image file as the body, and nothing around it")
    top, with_maps = _number(request, "top", TOP), _flag(request, "maps")
    service = _service(request)
    model, seen, outputs = await service.compute(served, [body], started)
    found = await service.in_thread(service.writer, _answer, model, outputs, top, with_maps)
    milliseconds = round(1000 * (time.monotonic() - started), 1)
    return JSONResponse({"model": served.name, **found, "seen": seen.part, "milliseconds": milliseconds})


def _answer(model: Model, outputs: Outputs, top: int, with_maps: bool) -> dict[str, Any]:
    """Return the most probable classes of the first image, with their activation maps if available.

    A model that gives an image any number of classes answers with these labels as well.
    """
    (probabilities,) = outputs.probabilities()
    best = most_probable(probabilities, top)
    rows: list[dict[str, Any]] = [
        {"class": model.classes[label], "probability": float(probabilities[label])} for label in best
    ]
    if outputs.has_maps and with_maps:
        for label, row in zip(best[:MAPS], rows, strict=False):
            row["map"] = np.round(outputs.activation_map(0, int(label)), 4).tolist()
    if model.several:
        return {"classes": rows, "labels": model.labels(probabilities)}
    logarithms = np.log(np.maximum(probabilities, TINY))[None]
    share = float(probability_at(model.temperature, logarithms, best[:1])[0])
    return {"classes": rows, "calibrated": share, "sure": share >= SURE}


async def _infer(request: Request, served: ServedModel, body: bytes, started: float) -> Response:
    """Answer a request in KServe's protocol."""
    service = _service(request)
    length = request.headers.get(kserve.HEADER_LENGTH)
    shape = served.loaded.model.preprocessing.shape
    parsed = await service.in_thread(service.parser, kserve.parse, body, length, shape, MAX_IMAGES)
    model, _, outputs = await service.compute(served, parsed.images, started)
    probabilities = outputs.probabilities()
    content, head = await service.in_thread(
        service.writer, kserve.answer, parsed, served.name, probabilities, model.classes
    )
    if not head:
        return Response(content, media_type="application/json")
    return Response(content, media_type="application/octet-stream", headers={kserve.HEADER_LENGTH: str(head)})


def _number(request: Request, name: str, default: int) -> int:
    value = request.query_params.get(name, str(default))
    if not (value.isascii() and value.isdecimal()) or len(value) > 6 or int(value) < 1:
        raise HTTPException(400, f"{name} must be a whole number, at least 1")
    return int(value)


def _flag(request: Request, name: str) -> bool:
    value = request.query_params.get(name, "0")
    if value not in ("0", "1"):
        raise HTTPException(400, f"{name} must be 0 or 1")
    return value == "1"


def _service(request: Request) -> Service:
    return request.app.state.service


def _served(request: Request) -> ServedModel:
    """Return the model that a path names, or the first one. Raises HTTPException."""
    models = _service(request).models
    name = request.path_params.get("name")
    if name is None:
        return models.first
    if name not in models.by_name:
        raise HTTPException(404, f"no model of this name. The models are {', '.join(models.by_name)}")
    if request.path_params.get("version", kserve.VERSION) != kserve.VERSION:
        raise HTTPException(404, f"{name} has no version but {kserve.VERSION}: /v2/models/{name}/versions/1")
    return models.by_name[name]


async def _not_v1(request: Request) -> Response:
    """Refuse version 1 of KServe's protocol, which TensorFlow Serving has, too."""
    name = _served(request).name
    raise HTTPException(
        404,
        f"version 1 of KServe's protocol is not served. Send a photo to POST /v1/models/{name}/classify, or version 2 "
        f"of the protocol to POST /v2/models/{name}/infer",
    )


async def _file(name: str, request: Request) -> Response:
    return Response((PAGE / name).read_bytes(), media_type=TYPES[Path(name).suffix])


async def _metrics(request: Request) -> Response:
    return Response(_service(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _interface(request: Request) -> Response:
    """Answer with the OpenAPI document."""
    return JSONResponse(
        openapi.document(importlib.metadata.version("resnext"), _service(request).options.token is not None)
    )


async def _models(request: Request) -> Response:
    """Answer with the facts about each model that the page needs."""
    rows = []
    for served in _service(request).models.by_name.values():
        model = served.loaded.model
        report = _report_of(model)
        row = {"name": served.name, "variant": model.network, "classes": len(model.classes)}
        row |= {"labels": "several" if model.several else "one"}
        row |= {"size": model.preprocessing.size, "engine": model.engine_name, "maps": model.has_maps}
        row |= {"runtime": title_of(model.engine_name)}
        # A link can't send the token, so only servers without one show the report.
        rows.append(row | {"report": report is not None and _service(request).options.token is None})
    return JSONResponse({"models": rows})


async def _report(request: Request) -> Response:
    """Answer with the report of a run, which can only be viewed."""
    path = _report_of(_served(request).loaded.model)
    if path is None:
        raise HTTPException(404, "this model has no report")
    service = _service(request)
    content = await service.in_thread(service.writer, path.read_bytes)
    return Response(content, media_type=TYPES[".html"], headers={"content-security-policy": REPORT_POLICY})


def _report_of(model: Model) -> Path | None:
    path = model.run.folder / REPORT if model.run else None
    return path if path and path.is_file() else None


async def _server_metadata(request: Request) -> Response:
    version = importlib.metadata.version("resnext")
    return JSONResponse({"name": "resnext", "version": version, "extensions": list(kserve.EXTENSIONS)})


async def _live(request: Request) -> Response:
    return JSONResponse({"live": True})


async def _ready(request: Request) -> Response:
    """Answer whether all networks can compute; while the server shuts down, `Guard` answers with 503."""
    is_ready = all(served.loaded.batcher.is_alive for served in _service(request).models.by_name.values())
    return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)


async def _model_metadata(request: Request) -> Response:
    served = _served(request)
    model = served.loaded.model
    document = kserve.metadata(served.name, model.engine_name, model.preprocessing.shape, len(model.classes))
    return JSONResponse(document)


async def _model_ready(request: Request) -> Response:
    served = _served(request)
    is_ready = served.loaded.batcher.is_alive
    return JSONResponse({"name": served.name, "ready": is_ready}, 200 if is_ready else 503)
