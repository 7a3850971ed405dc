"""`/openapi.json` and `/docs`, made from the route table: what is not there is not served, and the other way round."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import orjson
from aiohttp import web
from pydantic.json_schema import models_json_schema

from gateway.web.endpoint import Endpoint, Visit


def describe_routes(routes: Sequence[Endpoint]) -> list[Endpoint]:
    """The routes that describe these, and themselves."""
    described: list[Endpoint] = []

    async def openapi(visit: Visit) -> web.Response:
        return web.Response(body=_openapi(), content_type="application/json")

    async def docs(visit: Visit) -> web.Response:
        show = import_module("gateway.web.api.page").page  # its templates' engine is loaded for who looks at it
        page = show(orjson.loads(_openapi()), visit.desk.keyring.asks)
        return web.Response(text=page, content_type="text/html", headers={"Content-Security-Policy": _CSP})

    async def front(visit: Visit) -> web.Response:
        return web.Response(status=302, headers={"Location": "/docs"})

    @cache
    def _openapi() -> bytes:
        return orjson.dumps(document([*routes, *described]))

    described += [
        Endpoint("GET", "/openapi.json", openapi, "This API as OpenAPI 3.1", answers={200: "The description"}),
        Endpoint("GET", "/docs", docs, "This API as a page", answers={200: "HTML"}),
        Endpoint("GET", "/", front, "Leads to /docs", answers={302: "To the page"}),
    ]
    return described


_CSP = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def document(routes: Sequence[Endpoint]) -> dict[str, Any]:
    """The OpenAPI description of these routes."""
    models = [model for route in routes for model in (route.body, route.reply, route.refusal) if model]
    names, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template="#/components/schemas/{model}"
    )
    references = {model: reference for (model, _), reference in names.items()}
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "modgate",
            "version": version("modgate"),
            "description": "May this be published? Several vendors asked, one policy, an answer with reasons.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "signature": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "Signature Version 4: a key's name as access key id, the key as secret.",
                },
            },
        },
    }


def _operation(route: Endpoint, references: dict[Any, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace('{', '').replace('}', '')}",
        "responses": _responses(route, references),
    }
    if route.roles:
        operation["security"] = [{"signature": []}] if route.signed else [{"bearer": []}, {"header": []}]
        operation["description"] = "Roles: " + ", ".join(sorted(role.value for role in route.roles)) + ", admin."
    if parameters := _parameters(route):
        operation["parameters"] = parameters
    content: dict[str, Any] = {}
    if route.body:
        content["application/json"] = {"schema": references[route.body], "example": route.example}
    if route.multipart:
        content["multipart/form-data"] = {"schema": _form(route)}
    if content:
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _responses(route: Endpoint, references: dict[Any, Any]) -> dict[str, Any]:
    refusals = {} if route.signed or not route.roles else _KEYLESS
    texts = sorted({**refusals, **route.answers}.items())
    refusal = {route.refusal_type: {"schema": references[route.refusal]}}
    responses: dict[int, dict[str, Any]] = {status: {"description": text} for status, text in texts}
    for status, response in responses.items():
        if route.reply and status in route.replied:
            response["content"] = {route.reply_type: {"schema": references[route.reply]}}
        elif status >= 400:
            response["content"] = refusal
    named = {str(status): response for status, response in responses.items()}
    return {**named, "default": {"description": _ELSE, "content": refusal}}


def _parameters(route: Endpoint) -> list[dict[str, Any]]:
    names = [piece[1:-1] for piece in route.path.split("/") if piece.startswith("{")]
    text = {"schema": {"type": "string"}}
    return [
        *[{"name": name, "in": "path", "required": True, **text} for name in names],
        *[{"name": name, "in": "query", "description": what, **text} for name, what in route.query.items()],
        *[{"name": name, "in": "header", "description": what, **text} for name, what in route.headers.items()],
    ]


def _form(route: Endpoint) -> dict[str, Any]:
    fields: dict[str, Any] = {name: {"type": "string", "description": text} for name, text in route.multipart.items()}
    if "image" in fields:
        fields["image"] = {
            "type": "array",
            "items": {"type": "string", "format": "binary"},
            "description": route.multipart["image"],
        }
    return {"type": "object", "properties": fields}


_KEYLESS = {401: "No key, or one that is not known here", 403: "A key without the role"}
_ELSE = "Anything else that keeps it from an answer"
