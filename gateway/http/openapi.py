"""The OpenAPI 3.1 document, read off the operations and the types that they take and give.

Source: https://spec.openapis.org/oas/v3.1.1
"""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from gateway.http.examples import example_of
from gateway.http.links import links_of
from gateway.http.other_routes import OTHER_ROUTES
from gateway.http.problem_types import (
    ADDRESS_NOT_ALLOWED,
    BAD_REQUEST,
    BODY_TOO_LARGE,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    LIMITED_KEY,
    MALFORMED_JSON,
    MISSING_SCOPE,
    NOT_AUTHENTICATED,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemType,
)
from gateway.http.problems import MEDIA_TYPE
from gateway.http.routing import ABOUT_STAFF, STAFF, Operation
from gateway.http.sight import Sees
from storage.api_keys import Scope
from storage.threads import ObjectType

ABOUT: Final = """\
The gateway sends SELMA's letters from the school's Microsoft 365 mailboxes, and gives back every reply in its thread.

Times are RFC 3339 in UTC. Lists are pages `{"items", "next"}`: give `next` as `after` for the next page. Errors are
`application/problem+json` (RFC 9457); their `type` is a reference that this server explains. Every answer has an
`X-Request-Id`, which is yours if you sent one.

An API key belongs to one account. It has scopes, and can be held to mailboxes, to networks and to a day. What is
outside of its account or its mailboxes is, to it, not there: the answer is the same as for what never was. `RateLimit`
says how many requests are left to it.
"""

# What every operation can answer, and what those with a body can answer beside.
ALWAYS: Final = (
    NOT_AUTHENTICATED,
    MISSING_SCOPE,
    ADDRESS_NOT_ALLOWED,
    INVALID_REQUEST,
    TOO_MANY_REQUESTS,
    INTERNAL_ERROR,
    UNAVAILABLE,
)
WITH_BODY: Final = (MALFORMED_JSON, BAD_REQUEST, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)

RAW: Final = (BAD_REQUEST, BODY_TOO_LARGE)

# To a key that is held to mailboxes.
TO_LIMITED_KEYS: Final[Mapping[Sees, str]] = {
    Sees.WHOLE: "It tells of the whole account: closed to a key that is held to mailboxes.",
    Sees.PART: "A key that is held to mailboxes sees those alone.",
    Sees.ANY: "",
} | dict.fromkeys(
    (Sees.THREAD, Sees.MESSAGE, Sees.BATCH, Sees.ACT),
    "To a key that is held to mailboxes, what belongs to another is not there.",
)


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"} | schema}


HEADERS: Final[Mapping[str, Mapping[str, Any]]] = {
    "X-Request-Id": _header("What the gateway's log calls this request: yours, if it is a plain word, else a new one."),
    "RateLimit": _header('How many requests are left to the key, and for how many seconds: `"requests";r=5999;t=60`.'),
    "RateLimit-Policy": _header('How many there are in how many seconds: `"requests";q=6000;w=60`.'),
    "Location": _header("Where it can be read from now on.", format="uri-reference"),
    "Idempotent-Replayed": _header(
        "`true` when this Idempotency-Key was here before: nothing new was made.", const="true"
    ),
    "Retry-After": _header("Seconds after which to try again.", type="integer"),
    "WWW-Authenticate": _header("What is wanted, by RFC 6750."),
}
REQUEST_ID: Final[Mapping[str, Any]] = {
    "name": "X-Request-Id",
    "in": "header",
    "description": "Yours, for the gateway's log: 1 to 128 letters, digits and `._~-`. Anything else is ignored.",
    "schema": {"type": "string"},
}
TRACEPARENT: Final[Mapping[str, Any]] = {
    "name": "traceparent",
    "in": "header",
    "description": "Your trace (W3C Trace Context): what follows from the request goes on with it, pushed events too.",
    "schema": {"type": "string"},
}
OF_STATUS: Final[Mapping[int, Sequence[str]]] = {
    401: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}

PATH_SCHEMAS: Final[Mapping[str, Any]] = {"type": {"type": "string", "enum": [str(one) for one in ObjectType]}}

PATH_PART: Final = re.compile(r"{(\w+)(:\w+)?}")

PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string", "description": "The request's id, as in the gateway's log."},
        "errors": {
            "type": "array",
            "description": "Every bad value.",
            "items": {
                "type": "object",
                "required": ["in", "pointer", "detail"],
                "properties": {
                    "in": {"enum": ["body", "query", "path", "header"]},
                    "pointer": {"type": "string", "format": "json-pointer"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}


def document(operations: Sequence[Operation[Any]], version: str) -> dict[str, Any]:
    """The whole document."""
    schemas = _Schemas(operations)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(_path(operation), {})[operation.method.lower()] = _operation(operation, schemas)
    paths |= OTHER_ROUTES
    return {
        "openapi": "3.1.1",
        "info": {"title": "SELMA mail gateway", "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM_SCHEMA, **schemas.definitions},
            "headers": HEADERS,
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "description": "An API key of one account."}
            },
        },
    }


def has_body(operation: Operation[Any]) -> bool:
    """Whether there is anything to put into a body."""
    return operation.takes_body and bool(operation.takes.model_fields)


class _Schemas:
    """The JSON Schemas of everything that is taken and given, each once."""

    def __init__(self, operations: Sequence[Operation[Any]]) -> None:
        wanted: list[tuple[str, JsonSchemaMode, TypeAdapter[Any]]] = []
        for operation in operations:
            name = _name(operation)
            if has_body(operation):
                wanted.append((name, "validation", TypeAdapter(operation.takes)))
            if operation.gives is not None:
                wanted.append((name, "serialization", TypeAdapter(operation.gives)))
        self._by_key, found = TypeAdapter.json_schemas(wanted, ref_template="#/components/schemas/{model}")
        self.definitions = {name: _as_spelled(schema) for name, schema in found.get("$defs", {}).items()}

    def taken(self, operation: Operation[Any]) -> dict[str, Any]:
        """The schema of the body."""
        return self._by_key[(_name(operation), "validation")]

    def given(self, operation: Operation[Any]) -> dict[str, Any]:
        """The schema of the answer."""
        return self._by_key[(_name(operation), "serialization")]


def _as_spelled(schema: dict[str, Any]) -> dict[str, Any]:
    """`from` is no name for a field in Python: views call it `from_`."""
    if "properties" not in schema:
        return schema
    properties = {name.rstrip("_"): one for name, one in schema["properties"].items()}
    return schema | {
        "properties": properties,
        "required": [name.rstrip("_") for name in schema.get("required", [])],
    }


def _name(operation: Operation[Any]) -> str:
    if operation.name is not None:
        return operation.name
    words = PATH_PART.sub("", operation.path.removeprefix("/v1")).replace("/", "-").strip("-")
    one = "-one" if operation.path.endswith("}") else ""
    return f"{operation.method.lower()}-{re.sub('-+', '-', words)}{one}"


def _path(operation: Operation[Any]) -> str:
    return PATH_PART.sub(r"{\1}", operation.path)


def _operation(operation: Operation[Any], schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "description": _in_words(operation),
        "tags": [operation.path.split("/")[2]],
        "security": [{"key": []}],
        "parameters": _parameters(operation),
        "responses": _responses(operation, schemas),
    }
    if has_body(operation):
        content = {"application/json": {"schema": schemas.taken(operation)}}
        described["requestBody"] = {"required": True, "content": content}
    if operation.raw:
        described["requestBody"] = {"required": True, "content": {"*/*": {"schema": {}}}}
    return described


def _in_words(operation: Operation[Any]) -> str:
    # Other scopes no key has that is held to mailboxes.
    limited = TO_LIMITED_KEYS[operation.sees] if operation.scope in (Scope.SEND, Scope.READ) else ""
    return f"Needs the scope `{operation.scope.value}`. {limited}".rstrip()


def _parameters(operation: Operation[Any]) -> list[dict[str, Any]]:
    string = {"type": "string"}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS.get(name, string | {"minLength": 1})}
        for name, _ in PATH_PART.findall(operation.path)
    ]
    found += [
        {"name": name, "in": "header", "description": meaning, "schema": string}
        for name, meaning in {**(operation.headers or {}), STAFF: ABOUT_STAFF}.items()
    ]
    if not operation.takes_body:
        found += _query(operation.takes)
    return [*found, dict(REQUEST_ID), dict(TRACEPARENT)]


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_null(one)}
        for name, one in schema.get("properties", {}).items()
    ]


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: what is not asked is left out."""
    if "anyOf" not in schema:
        return schema
    choices = [one for one in schema["anyOf"] if one != {"type": "null"}]
    rest = {name: one for name, one in schema.items() if name not in ("anyOf", "default")}
    return rest | (choices[0] if len(choices) == 1 else {"anyOf": choices})


def _responses(operation: Operation[Any], schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.status.phrase, "headers": _headers(*_of_success(operation))}
    if links := links_of(_name(operation)):
        success["links"] = links
    if operation.gives is not None:
        schema = schemas.given(operation)
        example = example_of(schema, schemas.definitions)
        success["content"] = {operation.media_type: {"schema": schema, "examples": {"answer": {"value": example}}}}
    can_be = (*ALWAYS, *(WITH_BODY if operation.takes_body else ()), *(RAW if operation.raw else ()))
    closed = operation.sees is Sees.WHOLE and operation.scope in (Scope.SEND, Scope.READ)
    can_be = (*can_be, *((LIMITED_KEY,) if closed else ()), *operation.problems)
    by_status: dict[str, list[ProblemType]] = {}
    for problem in can_be:
        by_status.setdefault(str(int(problem.status)), []).append(problem)
    return {str(int(operation.status)): success} | {
        status: _problem_response(by_status[status]) for status in sorted(by_status)
    }


def _of_success(operation: Operation[Any]) -> Sequence[str]:
    makes = operation.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
    located = makes if operation.locates is None else operation.locates
    replayed = "Idempotency-Key" in (operation.headers or {})
    return (*(("Location",) if located else ()), *(("Idempotent-Replayed",) if replayed else ()))


def _headers(*names: str, key: bool = True) -> dict[str, Any]:
    """Without `key`, it was answered before the key was looked at."""
    always = ("X-Request-Id", *(("RateLimit", "RateLimit-Policy") if key else ()))
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*always, *names)}


def _problem_response(problems: Sequence[ProblemType]) -> dict[str, Any]:
    return {
        "description": " Or: ".join(f"{one.title} ({one.uri})." for one in problems),
        "headers": _headers(*OF_STATUS.get(int(problems[0].status), ()), key=problems[0].status not in (401, 413)),
        "content": {
            MEDIA_TYPE: {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "examples": {one.name: {"value": _problem(one)} for one in problems},
            }
        },
    }


def _problem(one: ProblemType) -> dict[str, Any]:
    """As `problems.response_for` makes it."""
    return {
        "type": one.uri,
        "title": one.title,
        "status": int(one.status),
        "detail": "What is wrong, in a sentence.",
        "instance": "1f0e6a0c9d3b4c1e8a7f5b2d4c6e8f01",
    }
