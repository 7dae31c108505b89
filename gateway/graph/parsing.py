"""Reading single values out of Graph's JSON, at the edge and by hand.

Every function takes the object, the member's name and where it stands, and returns the value, None when it is
absent or null, or raises UnexpectedAnswer naming the place (never the value: it may be somebody's words).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeAlias

from .errors import UnexpectedAnswer

Json: TypeAlias = Mapping[str, object]


def as_object(value: object, where: str) -> Json:
    if isinstance(value, dict) or isinstance(value, Mapping):  # noqa: SIM101 - what JSON gives is seen ten times faster
        return value
    raise UnexpectedAnswer(f"{where} is not an object")


def objects(payload: Json, name: str) -> tuple[Json, ...] | None:
    value = payload.get(name)
    if value is None:
        return None
    if not isinstance(value, list):
        raise UnexpectedAnswer(f"{name} is not a list")
    where = f"an item of {name}"
    return tuple([as_object(item, where) for item in value])


def an_object(payload: Json, name: str) -> Json | None:
    value = payload.get(name)
    return None if value is None else as_object(value, name)


def text(payload: Json, name: str) -> str | None:
    value = payload.get(name)
    if value is None or isinstance(value, str):
        return value
    raise UnexpectedAnswer(f"{name} is not a string")


def required_text(payload: Json, name: str) -> str:
    """Like `text`, for what must be there and not be empty: ids, mostly."""
    value = text(payload, name)
    if not value:
        raise UnexpectedAnswer(f"{name} is missing")
    return value


def flag(payload: Json, name: str) -> bool | None:
    """A boolean; samples of delta answers print it as the string "true"."""
    value = payload.get(name)
    if value is None or isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return value == "true"
    raise UnexpectedAnswer(f"{name} is not a boolean")


def integer(payload: Json, name: str) -> int | None:
    value = payload.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise UnexpectedAnswer(f"{name} is not a whole number")


def moment(payload: Json, name: str) -> datetime | None:
    """A time, aware and in UTC. Graph means UTC where it names no zone."""
    value = text(payload, name)
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnexpectedAnswer(f"{name} is not a time") from error


def required_moment(payload: Json, name: str) -> datetime:
    value = moment(payload, name)
    if value is None:
        raise UnexpectedAnswer(f"{name} is missing")
    return value
