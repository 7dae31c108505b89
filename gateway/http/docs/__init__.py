"""`/openapi.json` and `/docs`: the contract for SELMA's developers, served from our own files."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final

import orjson
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.openapi import document
from gateway.http.problem_types import TYPES
from gateway.http.routing import Operation

PAGE_POLICY: Final = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """The contract in its three forms."""

    as_json: bytes
    page: str
    style: str


def files_of(operations: Sequence[Operation[Any]]) -> Files:
    """Make all three."""
    contract = document(operations, version("selma-gateway"))
    templates = Environment(
        loader=PackageLoader("gateway.http.docs", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    templates.filters |= {"type": type_in_words, "prose": prose, "json": as_readable_json}
    return Files(
        as_json=orjson.dumps(contract, option=orjson.OPT_INDENT_2),
        page=templates.get_template("page.html").render(contract=contract, problem_types=TYPES.values()),
        style=templates.get_template("style.css").render(),
    )


def routes(operations: Sequence[Operation[Any]]) -> Sequence[BaseRoute]:
    """Both, and the page's style; made when first asked for, as nothing of them changes while the process runs.

    That takes a second, so it is done in a thread: Graph waits for three.
    """
    made = cache(lambda: files_of(operations))

    async def files() -> Files:
        return await asyncio.to_thread(made)

    async def openapi(request: Request) -> Response:
        return Response((await files()).as_json, media_type="application/json")

    async def docs(request: Request) -> Response:
        return Response((await files()).page, media_type="text/html", headers={"content-security-policy": PAGE_POLICY})

    async def stylesheet(request: Request) -> Response:
        return Response((await files()).style, media_type="text/css")

    return [Route("/openapi.json", openapi), Route("/docs", docs), Route("/docs/style.css", stylesheet)]


def type_in_words(schema: Mapping[str, Any]) -> str:
    """A JSON Schema as people read it: `array of Person`, `string or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(type_in_words(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"array of {type_in_words(schema.get('items', {}))}"
    kind = str(schema.get("type", "any"))
    precise = schema.get("format") or schema.get("contentEncoding")
    return f"{kind} ({precise})" if precise else kind


def prose(text: str) -> Markup:
    """Text in which `code` is marked by backticks."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped right here


def as_readable_json(value: Any) -> str:
    """An example, indented."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
