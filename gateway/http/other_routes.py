"""The routes for machines that are no operations, as the OpenAPI document describes them. Pages are for people."""

from collections.abc import Mapping
from typing import Any, Final

from subscriptions.addresses import LIFECYCLE, NOTIFICATIONS

OPEN: Final[list[Any]] = []  # no key
STRING: Final = {"type": "string"}


def _answer(description: str, media_type: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {media_type: {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return _answer(description, "application/problem+json", {"$ref": "#/components/schemas/Problem"})


READINESS: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["ready", "parts"],
    "properties": {
        "ready": {"type": "boolean"},
        "parts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "ok", "detail"],
                "properties": {"name": STRING, "ok": {"type": "boolean"}, "detail": STRING},
            },
        },
    },
}
EXPLANATION: Final[Mapping[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "meaning"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": STRING,
        "status": {"type": "integer"},
        "meaning": {"type": "string", "description": "What it is, and what to do about it."},
    },
}


def _get(id: str, summary: str, tag: str, responses: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    described = {"operationId": id, "summary": summary, "description": "Open to all.", "tags": [tag], "security": OPEN}
    return {"get": {**described, "parameters": [], "responses": responses, **more}}


def _door(id: str, summary: str) -> dict[str, Any]:
    token = {
        "name": "validationToken",
        "in": "query",
        "description": "Given when Graph tries the address: the answer is this text, as text/plain.",
        "schema": STRING,
    }
    return {
        "post": {
            "operationId": id,
            "summary": summary,
            "description": "For Microsoft Graph alone; each notification is checked by its `clientState`. No limit of "
            "requests.",
            "tags": ["graph"],
            "security": OPEN,
            "parameters": [token],
            "requestBody": {"required": False, "content": {"application/json": {"schema": {"type": "object"}}}},
            "responses": {
                "200": _answer("The address is ours.", "text/plain", STRING),
                "202": {"description": "Kept, or refused in silence."},
                "400": _problem("It cannot be read (/problems/bad-request)."),
                "413": _problem("It is too large (/problems/body-too-large)."),
                "503": _problem("It could not be kept in time: Graph sends it again (/problems/unavailable)."),
            },
        }
    }


_BY_NAME: Final[dict[str, Any]] = {
    "name": "name",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
}

OTHER_ROUTES: Final[Mapping[str, dict[str, Any]]] = {
    "/healthz": _get(
        "get-healthz",
        "Whether the process answers",
        "running",
        {"200": _answer("It does.", "application/json", {"type": "object", "properties": {"status": STRING}})},
    ),
    "/readyz": _get(
        "get-readyz",
        "Whether the gateway can do its work",
        "running",
        {
            "200": _answer("It can.", "application/json", READINESS),
            "503": _answer("It cannot; `parts` says why.", "application/json", READINESS),
        },
    ),
    "/metrics": _get(
        "get-metrics",
        "The account and the process in numbers, for Prometheus",
        "running",
        {
            "200": _answer("The numbers.", "text/plain", STRING),
            "401": _problem("An API key is needed (/problems/not-authenticated)."),
            "403": _problem(
                "It may not do this (/problems/missing-scope). Or: not from here (/problems/address-not-allowed)."
            ),
            "429": _problem("It has made too many requests (/problems/too-many-requests)."),
            "503": _problem("The store cannot be read now, nor has this key come lately (/problems/unavailable)."),
        },
        security=[{"key": []}],
        description="Needs the scope `metrics`. While the store cannot be read, a key that came within the last hour "
        "gets what is counted in memory.",
    ),
    "/openapi.json": _get(
        "get-openapi",
        "This document",
        "contract",
        {"200": _answer("OpenAPI 3.1.", "application/json", {"type": "object"})},
    ),
    "/docs": _get(
        "get-docs", "This document, for people", "contract", {"200": _answer("A page.", "text/html", STRING)}
    ),
    "/problems": _get(
        "get-problems",
        "Every type of error",
        "contract",
        {"200": _answer("All of them.", "application/json", {"type": "array", "items": EXPLANATION})},
    ),
    "/problems/{name}": _get(
        "get-problem",
        "What a type of error means, and what to do about it",
        "contract",
        {
            "200": _answer("In words.", "application/json", EXPLANATION),
            "404": _problem("There is none of this name (/problems/not-found)."),
        },
        parameters=[_BY_NAME],
    ),
    NOTIFICATIONS: _door("graph-notifications", "Change notifications of Microsoft Graph"),
    LIFECYCLE: _door("graph-lifecycle", "Lifecycle notifications of Microsoft Graph"),
}
