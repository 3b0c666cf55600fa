"""The interface of the server as an OpenAPI document, which tools turn into clients and forms."""

from __future__ import annotations

from typing import Any

_ERROR = {
    "description": "the reason",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
}
_NAME = {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}, "description": "a model's name"}
_IMAGE = {
    "required": True,
    "description": "the content of an image file",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}
_QUERY = [
    {"name": "top", "in": "query", "schema": {"type": "integer", "default": 5, "minimum": 1}, "description": "classes"},
    {
        "name": "maps",
        "in": "query",
        "schema": {"type": "integer", "enum": [0, 1]},
        "description": "with activation maps",
    },
]
_NUMBERS = {"type": "array", "items": {"type": "number"}}
_SCHEMAS = {
    "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    "Class": {
        "type": "object",
        "properties": {
            "class": {"type": "string"},
            "probability": {"type": "number"},
            "map": {"type": "array", "items": _NUMBERS, "description": "activation map, in logits"},
        },
        "required": ["class", "probability"],
    },
    "Answer": {
        "type": "object",
        "properties": {
            "model": {"type": "string"},
            "classes": {"type": "array", "items": {"$ref": "#/components/schemas/Class"}},
            "labels": {"type": "array", "items": {"type": "string"}, "description": "of a model of several labels"},
            "calibrated": {"type": "number", "description": "probability of the first class at the run's temperature"},
            "sure": {"type": "boolean", "description": "whether that is at least one half"},
            "seen": {**_NUMBERS, "description": "left, upper, right, lower of what the network saw, as shares"},
            "milliseconds": {"type": "number"},
        },
        "required": ["classes", "milliseconds", "model", "seen"],
    },
    "Models": {
        "type": "object",
        "properties": {
            "models": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string"},
                        "variant": {"type": "string"},
                        "classes": {"type": "integer"},
                        "labels": {"enum": ["one", "several"]},
                        "size": {"type": "integer", "description": "pixels"},
                        "engine": {"type": "string"},
                        "runtime": {"type": "string"},
                        "maps": {"type": "boolean"},
                        "report": {"type": "boolean"},
                    },
                },
            }
        },
    },
}


def document(version: str, requires_token: bool) -> dict[str, Any]:
    """Return the document.

    Args:
        version: version of resnext.
        requires_token: whether requests need a bearer token.
    """
    answer, models = (_json(name) for name in ("Answer", "Models"))
    classify = {
        "summary": "Classify an image",
        "requestBody": _IMAGE,
        "parameters": _QUERY,
        "responses": _responses(answer),
    }
    of_model = {**classify, "summary": "Classify an image by one of several models", "parameters": [_NAME, *_QUERY]}
    tensors = {"application/json": {"schema": {"type": "object"}}}
    infer = {"summary": "Classify tensors or image files (KServe's protocol, version 2)", "parameters": [_NAME]}
    infer |= {
        "requestBody": {"required": True, "content": tensors},
        "responses": _responses({"description": "tensors"}),
    }
    metadata = {"summary": "What a model takes (KServe's protocol, version 2)", "parameters": [_NAME]}
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "resnext serve", "version": version},
        "servers": [{"url": "."}],
        "paths": {
            "/v1/models": {"get": {"summary": "The models of this server", "responses": {"200": models}}},
            "/v1/classify": {"post": classify},
            "/v1/models/{name}/classify": {"post": of_model},
            "/v2/models/{name}": {"get": {**metadata, "responses": {"200": {"description": "metadata"}}}},
            "/v2/models/{name}/infer": {"post": infer},
            "/v2/health/live": {
                "get": {"summary": "Whether the server runs", "responses": {"200": {"description": "yes"}}}
            },
            "/v2/health/ready": {
                "get": {"summary": "Whether it answers", "responses": {"200": {"description": "yes"}}}
            },
            "/metrics": {"get": {"summary": "Metrics for Prometheus", "responses": {"200": {"description": "text"}}}},
        },
        "components": {"schemas": _SCHEMAS},
    }
    if requires_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _json(schema: str) -> dict[str, Any]:
    return {
        "description": schema.lower(),
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _responses(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the responses to an image, by status."""
    return {"200": answer} | dict.fromkeys(("400", "401", "404", "413", "415", "429", "503"), _ERROR)
