"""Query options that are OData's: $select, $expand, $top, $skip, and the paging of lists."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from urllib.parse import quote

from gateway.sandbox.graph import errors
from gateway.sandbox.graph.exchange import Call
from gateway.sandbox.graph.filters import property_ids

Item = TypeVar("Item")
LARGEST_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Expand:
    """What to bring along: the values of named extended properties, and attachments."""

    property_ids: frozenset[str] = frozenset()
    properties: bool = False
    attachments: bool = False
    attachment_select: frozenset[str] | None = None


NOTHING_MORE: Final = Expand()


def select(query: Mapping[str, str], *, known: Collection[str], type_name: str) -> frozenset[str] | None:
    """The selected properties in Graph's spelling, or None for the default ones. Raises GraphError."""
    if "$select" not in query:
        return None
    spelling = {name.lower(): name for name in known}
    chosen = [part.strip() for part in query["$select"].split(",") if part.strip()]
    for name in chosen:
        if name.lower() not in spelling:
            raise errors.no_such_select(name, type_name)
    return frozenset(spelling[name.lower()] for name in chosen)


def expand(query: Mapping[str, str]) -> Expand:
    """`$expand` of a message. Raises GraphError."""
    ids: frozenset[str] = frozenset()
    properties = attachments = False
    attachment_select = None
    for part in split_outside_brackets(query.get("$expand", "")):
        name, _, options = part.partition("(")
        inner = dict(option.strip().partition("=")[::2] for option in options.removesuffix(")").split(";") if option)
        if name.lower() == "singlevalueextendedproperties":
            if "$filter" not in inner:
                raise errors.invalid_query("The $expand of singleValueExtendedProperties needs a $filter by id.")
            ids, properties = property_ids(inner["$filter"]), True
        elif name.lower() == "attachments":
            attachments = True
            if "$select" in inner:
                attachment_select = frozenset(part.strip() for part in inner["$select"].split(","))
        else:
            raise errors.no_such_select(name, "message")
    return Expand(property_ids=ids, properties=properties, attachments=attachments, attachment_select=attachment_select)


def split_outside_brackets(text: str) -> list[str]:
    """The parts between commas that stand in no bracket and no quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for position, char in enumerate(text):
        if char == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif char in "()":
            depth += 1 if char == "(" else -1
        elif char == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [part for part in (*parts, text[start:].strip()) if part]


def number(query: Mapping[str, str], name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    """A counting option. Raises GraphError for anything that is none, or is out of bounds."""
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise errors.invalid_query(f"Invalid value '{text}' for {name} query option found. It is out of bounds.")
    return int(text)


def refuse_others(query: Mapping[str, str], allowed: Collection[str]) -> None:
    """Raise GraphError for an option that begins with $ and is not allowed here."""
    for name in query:
        if name.startswith("$") and name not in allowed:
            raise errors.bad_request(f"Query option '{name}' is not supported for this request.")


def page(
    call: Call, items: Sequence[Item], *, default: int, most: int = LARGEST_PAGE
) -> tuple[Sequence[Item], str | None]:
    """One page by $top and $skip, and the link to the next."""
    query = call.request.query
    skip = number(query, "$skip", 0)
    top = number(query, "$top", default, least=1, most=most)
    rest = items[skip : skip + top]
    if skip + top >= len(items):
        return rest, None
    return rest, link(call, {**query, "$skip": str(skip + top)})


def link(call: Call, query: Mapping[str, str]) -> str:
    """This request's address with another query string."""
    encoded = "&".join(f"{quote(name, safe='$')}={quote(value, safe='')}" for name, value in query.items())
    return f"{call.base}/{call.request.path.strip('/')}?{encoded}"


def collection(context: str, value: list[Any], next_link: str | None) -> dict[str, Any]:
    """A list as Graph answers it."""
    body: dict[str, Any] = {"@odata.context": context}
    if next_link is not None:
        body["@odata.nextLink"] = next_link
    return {**body, "value": value}
