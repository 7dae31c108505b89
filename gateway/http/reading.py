"""Reading what a request gives: its JSON body or its query, checked against a model, every bad value at once."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import ClientDisconnect, Request

from gateway.http.problem_types import BAD_REQUEST, MALFORMED_JSON, UNSUPPORTED_MEDIA_TYPE
from gateway.http.problems import BadValue, Problem, invalid, pointer_to

NAMES_STAFF: Final = ("by", "created_by", "reader", "staff")


class Taken(BaseModel):
    """The parent of all that a request can give: unknown fields are refused, nothing is coerced."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """What is wrong between the fields of `raw`, which may have any shape; told beside what is wrong in them."""
        yield from ()

    @property
    def names_staff(self) -> str | None:
        """The staff member on whose behalf SELMA asks, if it says so in one of the fields that are for this."""
        named = (getattr(self, field) for field in NAMES_STAFF if field in type(self).model_fields)
        return next((one for one in named if isinstance(one, str)), None)


class Nothing(Taken):
    """No body, or an empty object; no query."""


Given = TypeVar("Given", bound=Taken)

MOST_ERRORS: Final = 100
FEW_VALUES: Final = 10_000
BYTES_A_VALUE: Final = (
    12  # a person takes 16 a comma, at least; what has more commas becomes far larger when it is parsed
)
A_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
LARGE_BODY: Final = 128 * 1024  # from here on, parsing would hold up everybody else

# pydantic's words are about Python; these are about JSON. The rest is good English already.
WORDS: Final[Mapping[str, str]] = {
    "missing": "This is required.",
    "extra_forbidden": "There is no such field here.",
    "model_type": "This must be an object.",
    "dict_type": "This must be an object.",
    "list_type": "This must be an array.",
    "tuple_type": "This must be an array.",
    "string_type": "This must be a string.",
}


async def body_as(request: Request, model: type[Given]) -> Given:
    """The body as this model. Raises `Problem`: 415, 400 when it is not JSON, 422 with every bad value."""
    content = await content_of(request)
    if not content and not model.model_fields:
        return model()
    _check_media_type(request)
    if len(content) > LARGE_BODY:
        return await asyncio.to_thread(_checked_json, content, model)
    return _checked_json(content, model)


async def content_of(request: Request) -> bytes:
    """The body as it came. Raises `Problem` (400) when the caller hung up before its end."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise Problem(BAD_REQUEST, "The body ended before its end.") from None


def query_as(request: Request, model: type[Given]) -> Given:
    """The query string as this model. Raises `Problem` (422) with every bad value."""
    pairs = request.query_params.multi_items()
    values = dict(pairs)
    twice = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
    if twice:
        raise invalid(*(_bad([name], "This may be given once only.", "query") for name in twice[:MOST_ERRORS]))
    return checked(values, model, where="query")


def checked(value: object, model: type[Given], *, where: str = "body") -> Given:
    """`value` as this model, or a `Problem` (422) that names every bad value without repeating it."""
    across = list(model.across(value)) if isinstance(value, Mapping) else []
    try:
        taken = model.model_validate(value)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True, include_input=False)
        found = [_bad_value(one, where) for one in details[:MOST_ERRORS]]
        named = {one.pointer for one in found}
        raise invalid(*found, *(one for one in across if one.pointer not in named)) from None
    if across:
        raise invalid(*across)
    return taken


def header(request: Request, name: str) -> str | None:
    """The one value of a header. Raises `Problem` (422) when it is given twice."""
    values = request.headers.getlist(name)
    if len(values) > 1:
        raise invalid(_bad([name], "This header may be given once only.", "header"))
    return values[0] if values else None


def _check_media_type(request: Request) -> None:
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(UNSUPPORTED_MEDIA_TYPE, "Send the body without Content-Encoding.")
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.replace(" ", "").replace('"', "").lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise Problem(UNSUPPORTED_MEDIA_TYPE, "Send the body as Content-Type: application/json, in UTF-8.")


def _checked_json(content: bytes, model: type[Given]) -> Given:
    return checked(parse(content), model)


def parse(content: bytes) -> Any:
    """The JSON document. Raises `Problem`: 400 when it is none, or leaves doubt what it says; 422 when it is a bomb."""
    _check_values(content)
    try:
        orjson.loads(content)  # strict where the standard library is not: UTF-8, NaN, surrogates, depth
        return json.loads(content, object_pairs_hook=_without_doubles)
    except orjson.JSONDecodeError as error:
        raise Problem(MALFORMED_JSON, f"Line {error.lineno}, column {error.colno}: {error.msg.rstrip('.')}.") from None
    except RecursionError:
        raise Problem(MALFORMED_JSON, "It is nested too deeply.") from None


def _check_values(content: bytes) -> None:
    """Before they are made: a body of commas takes twenty times its size."""
    most = max(FEW_VALUES, len(content) // BYTES_A_VALUE)
    commas = content.count(b",")
    if commas > most and commas - sum(one.group().count(b",") for one in A_STRING.finditer(content)) > most:
        raise invalid(BadValue(pointer="", detail=f"There are more than {most:,} values in this body."))


def _without_doubles(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise Problem(MALFORMED_JSON, "An object has the same name twice.")
    return document


def _bad_value(error: ErrorDetails, where: str) -> BadValue:
    return _bad(error["loc"], WORDS.get(error["type"]) or _sentence(error), where)


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "value_error":  # a validator of ours: its own sentence
        return str(error.get("ctx", {}).get("error", error["msg"]))
    if error["type"] in ("too_long", "too_short"):
        context = error.get("ctx", {})
        most, least = context.get("max_length"), context.get("min_length")
        return f"At most {most} are taken." if most is not None else f"At least {least} is needed."
    text = error["msg"].removeprefix("Input should ").removeprefix("be ")
    return f"This should be {text}." if text != error["msg"] else f"{text}."


def _bad(path: Sequence[str | int], detail: str, where: str) -> BadValue:
    return BadValue(pointer=pointer_to(path), detail=detail, where=where)
