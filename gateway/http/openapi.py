"""The OpenAPI 3.1 document, read off the operations and the types that they take and give.

Source: https://spec.openapis.org/oas/v3.1.1
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from gateway.http.problem_types import (
    BAD_REQUEST,
    BODY_TOO_LARGE,
    INTERNAL_ERROR,
    INVALID_REQUEST,
    MALFORMED_JSON,
    MISSING_SCOPE,
    NOT_AUTHENTICATED,
    UNAVAILABLE,
    UNSUPPORTED_MEDIA_TYPE,
    ProblemType,
)
from gateway.http.problems import MEDIA_TYPE
from gateway.http.routing import ABOUT_STAFF, STAFF, Operation

ABOUT: Final = """\
The gateway sends SELMA's letters from the school's Microsoft 365 mailboxes, and gives back every reply in its thread.

Times are RFC 3339 in UTC. Lists are pages `{"items", "next"}`: give `next` as `after` for the next page. Errors are
`application/problem+json` (RFC 9457); their `type` is a reference that this server explains. Every answer has an
`x-request-id`, which is yours if you sent one.
"""

# What every operation can answer, and what those with a body can answer beside.
ALWAYS: Final = (NOT_AUTHENTICATED, MISSING_SCOPE, INVALID_REQUEST, INTERNAL_ERROR, UNAVAILABLE)
WITH_BODY: Final = (MALFORMED_JSON, BAD_REQUEST, BODY_TOO_LARGE, UNSUPPORTED_MEDIA_TYPE)

RAW: Final = (BAD_REQUEST, BODY_TOO_LARGE)

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
    return {
        "openapi": "3.1.1",
        "info": {"title": "SELMA mail gateway", "version": version, "description": ABOUT},
        "paths": paths,
        "components": {
            "schemas": {"Problem": PROBLEM_SCHEMA, **schemas.definitions},
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
    words = PATH_PART.sub("", operation.path.removeprefix("/v1")).replace("/", "-").strip("-")
    one = "-one" if operation.path.endswith("}") else ""
    return f"{operation.method.lower()}-{re.sub('-+', '-', words)}{one}"


def _path(operation: Operation[Any]) -> str:
    return PATH_PART.sub(r"{\1}", operation.path)


def _operation(operation: Operation[Any], schemas: _Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": _name(operation),
        "summary": operation.summary,
        "description": f"Needs the scope `{operation.scope.value}`.",
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


def _parameters(operation: Operation[Any]) -> list[dict[str, Any]]:
    string = {"type": "string"}
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": string}
        for name, _ in PATH_PART.findall(operation.path)
    ]
    found += [
        {"name": name, "in": "header", "description": meaning, "schema": string}
        for name, meaning in {**(operation.headers or {}), STAFF: ABOUT_STAFF}.items()
    ]
    if not operation.takes_body:
        found += _query(operation.takes)
    return found


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    fields = model.model_json_schema(ref_template="#/components/schemas/{model}").get("properties", {})
    return [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]


def _responses(operation: Operation[Any], schemas: _Schemas) -> dict[str, Any]:
    success: dict[str, Any] = {"description": operation.status.phrase}
    if operation.gives is not None:
        success["content"] = {operation.media_type: {"schema": schemas.given(operation)}}
    can_be = (*ALWAYS, *(WITH_BODY if operation.takes_body else ()), *(RAW if operation.raw else ()))
    can_be = (*can_be, *operation.problems)
    by_status: dict[str, list[ProblemType]] = {}
    for problem in can_be:
        by_status.setdefault(str(int(problem.status)), []).append(problem)
    return {str(int(operation.status)): success} | {
        status: _problem_response(by_status[status]) for status in sorted(by_status)
    }


def _problem_response(problems: Sequence[ProblemType]) -> dict[str, Any]:
    return {
        "description": " Or: ".join(f"{one.title} ({one.uri})." for one in problems),
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
