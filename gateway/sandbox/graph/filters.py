"""`$filter` on messages: a small OData expression becomes a predicate, with a hint where an index can help."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.sandbox.clock import parse_timestamp
from gateway.sandbox.graph import errors
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Message

Predicate = Callable[[Message], bool]
Literal = str | bool | datetime

FIELDS: Final[dict[str, Callable[[Message], Literal]]] = {
    "subject": lambda m: m.subject,
    "conversationid": lambda m: m.conversation_id,
    "internetmessageid": lambda m: m.internet_message_id,
    "parentfolderid": lambda m: m.folder_id,
    "importance": lambda m: m.importance,
    "isdraft": lambda m: m.is_draft,
    "isread": lambda m: m.is_read,
    "hasattachments": lambda m: m.has_attachments,
    "receiveddatetime": lambda m: m.received_date_time.replace(microsecond=0),
    "sentdatetime": lambda m: m.sent_date_time.replace(microsecond=0),
    "createddatetime": lambda m: m.created_date_time.replace(microsecond=0),
    "lastmodifieddatetime": lambda m: m.last_modified_date_time.replace(microsecond=0),
    "from/emailaddress/address": lambda m: (m.from_.address if m.from_ else "").lower(),
    "from/emailaddress/name": lambda m: (m.from_.name if m.from_ else None) or "",
    "sender/emailaddress/address": lambda m: (m.sender.address if m.sender else "").lower(),
}
_CASELESS: Final = {"from/emailaddress/address", "sender/emailaddress/address", "subject", "importance"}
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
}
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)|(?P<word>[A-Za-z_@.][\w/@.]*)|(?P<mark>[(),:]))"
)
_ANY: Final = "singlevalueextendedproperties/any"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """`holds` decides; `fields` are the properties in the order they are named; `candidates` narrows, if it can."""

    holds: Predicate
    fields: tuple[str, ...]
    candidates: Callable[[Mailbox], list[Message]] | None = None


def parse(text: str, *, indexed_until: datetime | None = None) -> Filter:
    """Read a filter on messages; extended properties are those of messages that came by `indexed_until`.

    Raises GraphError.
    """
    parser = _Parser(text, indexed_until=indexed_until)
    found = parser.disjunction()
    parser.expect_end()
    return found


def property_ids(text: str) -> frozenset[str]:
    """The ids in `id eq '…' or id eq '…'`. Raises GraphError for any other filter."""
    parser = _Parser(text)
    ids = {parser.property_id()}
    while parser.accept("or"):
        ids.add(parser.property_id())
    parser.expect_end()
    return frozenset(ids)


class _Parser:
    """Recursive descent over: or-terms of and-terms of comparisons, functions, brackets and `Any` on properties."""

    def __init__(self, text: str, *, indexed_until: datetime | None = None) -> None:
        self._tokens = list(_tokens(text))
        self._position = 0
        self._indexed_until = indexed_until

    def disjunction(self) -> Filter:
        left = self._conjunction()
        while self.accept("or"):
            left = _either(left, self._conjunction())
        return left

    def expect_end(self) -> None:
        if self._position != len(self._tokens):
            raise errors.invalid_filter()

    def accept(self, token: str) -> bool:
        """Step over this word or mark if it comes next."""
        if self._position < len(self._tokens) and self._peek()[1].lower() == token and self._peek()[0] != "string":
            self._position += 1
            return True
        return False

    def property_id(self) -> str:
        """`id eq '…'`, also in brackets, also `ep/id`."""
        bracket = self.accept("(")
        if not (self.accept("id") or self.accept("ep/id")):
            raise errors.invalid_filter()
        self._expect("eq")
        found = self._string()
        if bracket:
            self._expect(")")
        return found

    def _conjunction(self) -> Filter:
        left = self._term()
        while self.accept("and"):
            left = _both(left, self._term())
        return left

    def _term(self) -> Filter:
        if self.accept("not"):
            inner = self._term()
            return Filter(holds=lambda m: not inner.holds(m), fields=inner.fields)
        if self.accept("("):
            inner = self.disjunction()
            self._expect(")")
            return inner
        kind, word = self._next()
        if kind != "word":
            raise errors.invalid_filter()
        if word.lower() == _ANY:
            return self._any_property()
        if word.lower() in ("contains", "startswith"):
            return self._function(word.lower())
        return self._comparison(word)

    def _comparison(self, word: str) -> Filter:
        name = word.lower()
        field = FIELDS.get(name)
        operator = _ORDERS.get(self._next()[1].lower())
        if field is None or operator is None:
            raise errors.invalid_filter()
        literal = self._literal()
        sample_type = bool if name.startswith(("is", "has")) else datetime if name.endswith("datetime") else str
        if not isinstance(literal, sample_type):
            raise errors.invalid_filter()
        return Filter(
            holds=lambda m: operator(_folded(name, field(m)), _folded(name, literal)),
            fields=(name,),
            candidates=_index_for(name, literal) if operator is _ORDERS["eq"] else None,
        )

    def _function(self, function: str) -> Filter:
        self._expect("(")
        name = self._next()[1].lower()
        self._expect(",")
        part = self._string().lower()
        self._expect(")")
        field = FIELDS.get(name)
        if field is None:
            raise errors.invalid_filter()
        test = str.startswith if function == "startswith" else str.__contains__
        return Filter(holds=lambda m: test(str(field(m)).lower(), part), fields=(name,))

    def _any_property(self) -> Filter:
        """`Any(ep: ep/id eq '…' and ep/value eq '…')`: the id with case, the value without."""
        self._expect("(")
        variable = self._next()[1].lower()
        self._expect(":")
        self._expect(f"{variable}/id")
        self._expect("eq")
        wanted = self._string()
        self._expect("and")
        if self.accept("contains") or self.accept("startswith"):
            raise errors.invalid_filter()
        self._expect(f"{variable}/value")
        operator = self._next()[1].lower()
        value = self._string().lower()
        self._expect(")")
        if operator not in ("eq", "ne"):
            raise errors.invalid_filter()
        is_equal, until = operator == "eq", self._indexed_until

        def holds(message: Message) -> bool:
            own = message.extended_properties.get(wanted)
            if until is not None and message.added_date_time is not None and message.added_date_time > until:
                return False
            return own is not None and (own.lower() == value) is is_equal

        return Filter(
            holds=holds,
            fields=("singlevalueextendedproperties",),
            candidates=(lambda mailbox: mailbox.tagged(wanted, value)) if is_equal else None,
        )

    def _literal(self) -> Literal:
        kind, text = self._next()
        if kind == "string":
            return text[1:-1].replace("''", "'")
        if kind == "time":
            return parse_timestamp(text)
        if kind == "date":
            return parse_timestamp(f"{text}T00:00:00Z")
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise errors.invalid_filter()

    def _string(self) -> str:
        kind, text = self._next()
        if kind != "string":
            raise errors.invalid_filter()
        return text[1:-1].replace("''", "'")

    def _expect(self, token: str) -> None:
        if not self.accept(token):
            raise errors.invalid_filter()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position]

    def _next(self) -> tuple[str, str]:
        if self._position == len(self._tokens):
            raise errors.invalid_filter()
        self._position += 1
        return self._tokens[self._position - 1]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    position = 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise errors.invalid_filter()
        yield match.lastgroup, match.group(match.lastgroup)
        position = match.end()


def _folded(name: str, value: Literal) -> Literal:
    return value.lower() if name in _CASELESS and isinstance(value, str) else value


def _index_for(name: str, literal: Literal) -> Callable[[Mailbox], list[Message]] | None:
    if name == "internetmessageid" and isinstance(literal, str):
        return lambda mailbox: mailbox.with_message_id(literal)
    if name == "conversationid" and isinstance(literal, str):
        return lambda mailbox: mailbox.in_conversation(literal)
    return None


def _both(left: Filter, right: Filter) -> Filter:
    return Filter(
        holds=lambda m: left.holds(m) and right.holds(m),
        fields=left.fields + right.fields,
        candidates=left.candidates or right.candidates,
    )


def _either(left: Filter, right: Filter) -> Filter:
    return Filter(holds=lambda m: left.holds(m) or right.holds(m), fields=left.fields + right.fields)
