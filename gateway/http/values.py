"""What a single value may be: addresses, lines of text, times, names of files. Refused or kept as given, never mended.

Each check raises `ValueError` with a sentence for the developer who sent the value.
"""

import base64
import binascii
import difflib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from ipaddress import ip_network
from typing import Annotated, Any, Final

import orjson
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, PlainValidator, StringConstraints, WithJsonSchema

from gateway.host.catalogue import EVENTS
from gateway.setup.values import client_id_problem, secret_problem, tenant_problem, time_zone_problem
from gateway.threads.matching import MAX_ID_LENGTH, usable_message_id
from storage import api_keys

LONGEST_ADDRESS: Final = 254  # RFC 5321 section 4.5.3.1.3: 256 octets with the angle brackets
LONGEST_BODY: Final = 3_500_000  # bytes of JSON: Graph takes requests up to 4 MB (facts 3.7)
LARGEST_ATTACHMENT: Final = 3_000_000  # bytes: in base64, it just fits into such a request
LARGEST_METADATA: Final = 4096
DEEPEST_METADATA: Final = 16
LARGEST_SEQ: Final = 2**63 - 1  # of an event, in SQLite

# C0, DEL and C1, Unicode's line and paragraph separators, halves of surrogate pairs.
NOT_IN_A_LINE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
# Mail bodies may break lines and use tabs; the rest of C0 no mail format can carry.
NOT_IN_A_BODY: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
# Characters that reorder what is shown: `gpj.exe` can look like `exe.jpg`. Unicode UAX 9, Bidi_Control.
REORDERING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# RFC 3339 section 5.6, with the zone that it demands.
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
# RFC 6838 section 4.2 for the names, RFC 2045 section 5.1 for the parameters.
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of RFC 2045
MEDIA_TYPE: Final = re.compile(
    rf"[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{{0,126}}/[0-9A-Za-z][0-9A-Za-z!#$&^_.+-]{{0,126}}"
    rf"(; ?{_TOKEN}=({_TOKEN}|\"[ !#-\[\]-~]*\"))*"
)
HEADER_NAME: Final = re.compile(r"[Xx]-[A-Za-z0-9](?:[A-Za-z0-9-]{0,60}[A-Za-z0-9])?")
PRINTABLE_ASCII: Final = re.compile(r"[!-~](?:[ -~]{0,898}[!-~])?")
# What nearly all addresses look like: so short that no part can be too long, no two hyphens, which may mean an A-label.
SHORT_ADDRESS: Final = 64
PLAIN_ADDRESS: Final = re.compile(
    r"[A-Za-z0-9_]+(?:[.+-][A-Za-z0-9_]+)*@(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,}"
)
SPECIAL_USE: Final = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
VISIBLE_ASCII: Final = re.compile(r"[!-~]+")


def seq_of(text: str) -> int | None:
    """The number of an event, as its id is written. None for what none can have."""
    seq = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else None
    return seq if seq is None or seq <= LARGEST_SEQ else None


def one_line(text: str) -> str:
    """Nothing that could end a header line or hide in one."""
    found = NOT_IN_A_LINE.search(text)
    if found:
        raise ValueError(
            f"Character {found.start() + 1} is U+{ord(found.group()):04X}: line breaks and control characters cannot "
            "stand here."
        )
    return text


def not_blank(text: str) -> str:
    """Something that people can see."""
    if not text.strip():
        raise ValueError("This must not be empty.")
    return text


def mail_address(text: str) -> str:
    """An address as given; only a domain that is not ASCII is kept in its ASCII form (RFC 5890 A-labels)."""
    if len(text) > LONGEST_ADDRESS:
        raise ValueError(f"An address has at most {LONGEST_ADDRESS} characters.")
    return text if _is_plain(text) else by_the_book(text)


def _is_plain(text: str) -> bool:
    """Whether this is an address at first sight: the book takes ten times as long."""
    if len(text) > SHORT_ADDRESS or not PLAIN_ADDRESS.fullmatch(text):
        return False
    return text.rpartition(".")[2].lower() not in SPECIAL_USE


def by_the_book(text: str) -> str:
    """What `mail_address` says of an address that is not plain. Of a plain one it says the same."""
    one_line(text)
    try:
        # test_environment takes addresses under .test (RFC 6761), which stand-ins for Microsoft 365 use.
        address = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None
    if text.isascii():
        return text
    if address.domain != text.rpartition("@")[2].lower():
        raise ValueError(f"Write the domain as {address.ascii_domain}.")
    return str(address.ascii_email)


def mail_body(text: str) -> str:
    """Text that mail can carry and that one request to Graph can hold."""
    found = NOT_IN_A_BODY.search(text)
    if found:
        raise ValueError(f"Character {found.start() + 1} is U+{ord(found.group()):04X}, which mail cannot carry.")
    not_blank(text)
    if len(orjson.dumps(text)) > LONGEST_BODY:
        raise ValueError(f"A body has at most {LONGEST_BODY:,} bytes.")
    return text


def file_name(text: str) -> str:
    """A name without a path, that looks like what it is."""
    one_line(not_blank(text))
    if "/" in text or "\\" in text or text in (".", ".."):
        raise ValueError("This must be the name of a file, without a path.")
    if REORDERING.search(text):
        raise ValueError("Characters that reverse the direction of text can hide what a file is: leave them out.")
    return text


def object_id(text: str) -> str:
    """An id of SELMA's, which must be able to stand in the path of an address."""
    if text in (".", ".."):
        raise ValueError("An id of dots alone cannot stand in an address.")
    return one_line(not_blank(text))


def media_type(text: str) -> str:
    """`type/subtype`, with parameters if need be."""
    if not MEDIA_TYPE.fullmatch(text):
        raise ValueError("This must be a media type such as application/pdf.")
    return text


def message_id(text: str) -> str:
    """A Message-ID of RFC 5322 section 3.6.4, with its brackets."""
    if usable_message_id(text) != text:
        raise ValueError("This must be a Message-ID with its angle brackets, such as <abc@mail.example>.")
    return text


def visible_ascii(text: str) -> str:
    """Letters, digits and signs, without spaces."""
    if not VISIBLE_ASCII.fullmatch(text):
        raise ValueError("This must be visible ASCII characters, without spaces.")
    return text


def content_id(text: str) -> str:
    """What a `cid:` link names, without the angle brackets."""
    if "<" in text or ">" in text:
        raise ValueError("Leave the angle brackets out.")
    return visible_ascii(text)


def header_name(text: str) -> str:
    """A header of the sender's own. Source: https://learn.microsoft.com/graph/api/resources/internetmessageheader"""
    if not HEADER_NAME.fullmatch(text):
        raise ValueError("The name of a header begins with x- and has letters, digits and hyphens, such as x-selma-id.")
    return text


def header_value(text: str) -> str:
    """What fits into one header line (RFC 5322 section 2.1.1), so that nothing is folded or encoded on the way."""
    if not PRINTABLE_ASCII.fullmatch(text):
        raise ValueError("The value of a header is 1 to 900 printable ASCII characters.")
    return text


def from_base64(value: object) -> object:
    """The bytes; anything but a string is left for the type check."""
    if not isinstance(value, str):
        return value
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("This must be base64 (RFC 4648 section 4), without line breaks.") from None
    if len(content) >= LARGEST_ATTACHMENT:
        raise ValueError(
            f"Content given here must be smaller than {LARGEST_ATTACHMENT:,} bytes. Upload it by POST /v1/files and "
            "name its id as file."
        )
    return content


def moment(text: object) -> datetime:
    """A time of RFC 3339, with its zone; in UTC."""
    if not isinstance(text, str) or not MOMENT.fullmatch(text):
        raise ValueError("This must be a time with its zone (RFC 3339), such as 2026-03-02T09:00:00Z.")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("There is no such time.") from None


def moment_or_date(text: object) -> datetime | date:
    """As `moment`, or a bare date, whose zone only the caller knows."""
    if not isinstance(text, str) or not DATE.fullmatch(text):
        return moment(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("There is no such date.") from None


def network(text: object) -> api_keys.Network:
    """An address or a network in CIDR notation."""
    try:
        return ip_network(text if isinstance(text, str) else "")
    except ValueError:
        raise ValueError("This must be an address, or a network such as 198.51.100.0/24.") from None


def free_of(problem: Callable[[str], str | None]) -> Callable[[str], str]:
    """A check made of one of `gateway.setup.values`' questions, which the pages and the command line ask too."""

    def check(text: str) -> str:
        found = problem(text)
        if found is not None:
            raise ValueError(found)
        return text

    return check


def metadata(document: dict[str, Any]) -> dict[str, Any]:
    """Small, shallow, and the same when it comes back."""
    if not _as_deep_as(document, DEEPEST_METADATA):
        raise ValueError(f"This may be nested {DEEPEST_METADATA} levels deep, not more.")
    try:
        size = len(orjson.dumps(document))
    except orjson.JSONEncodeError:
        raise ValueError("A number in here does not fit into 64 bits: write it as a string.") from None
    if size > LARGEST_METADATA:
        raise ValueError(f"This may have {LARGEST_METADATA:,} bytes as JSON, not {size:,}.")
    return document


def event_type(text: str) -> str:
    """One of the events that there are."""
    if text not in EVENTS:
        near = difflib.get_close_matches(text, EVENTS, n=1)
        raise ValueError("There is no such event." + (f" Did you mean {near[0]}?" if near else ""))
    return text


def _as_deep_as(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return True
    inside = value.values() if isinstance(value, dict) else value
    return levels > 0 and all(_as_deep_as(one, levels - 1) for one in inside)


def null_or(check: Callable[[object], Any]) -> Callable[[object], Any]:
    """The same check, that lets null pass."""
    return lambda value: None if value is None else check(value)


# Lengths are checked first: what is far too long is not looked into.
MailAddress = Annotated[
    str, AfterValidator(mail_address), WithJsonSchema({"type": "string", "format": "email", "maxLength": 254})
]
PersonName = Annotated[str, StringConstraints(max_length=255), AfterValidator(one_line)]
Author = Annotated[str, StringConstraints(max_length=200), AfterValidator(one_line)]
Staff = Annotated[str, StringConstraints(max_length=200), AfterValidator(not_blank), AfterValidator(one_line)]
Reason = Annotated[str, StringConstraints(max_length=500), AfterValidator(not_blank), AfterValidator(one_line)]
# https://learn.microsoft.com/office365/servicedescriptions/exchange-online-service-description/exchange-online-limits
Subject = Annotated[str, StringConstraints(max_length=255), AfterValidator(not_blank), AfterValidator(one_line)]
MailBody = Annotated[str, AfterValidator(mail_body)]
FileName = Annotated[str, StringConstraints(max_length=255), AfterValidator(file_name)]
MediaType = Annotated[str, StringConstraints(max_length=255), AfterValidator(media_type)]
ContentId = Annotated[str, StringConstraints(max_length=200), AfterValidator(content_id)]
HeaderName = Annotated[
    str, AfterValidator(header_name), WithJsonSchema({"type": "string", "pattern": f"^{HEADER_NAME.pattern}$"})
]
HeaderValue = Annotated[
    str, AfterValidator(header_value), WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 900})
]
GraphId = Annotated[str, StringConstraints(min_length=1, max_length=1000), AfterValidator(visible_ascii)]
MessageId = Annotated[str, StringConstraints(max_length=MAX_ID_LENGTH), AfterValidator(message_id)]
RowId = Annotated[str, StringConstraints(max_length=64), AfterValidator(visible_ascii)]
Description = Annotated[str, StringConstraints(max_length=200), AfterValidator(not_blank), AfterValidator(one_line)]
Url = Annotated[str, StringConstraints(max_length=2048), WithJsonSchema({"type": "string", "format": "uri"})]
EventType = Annotated[str, AfterValidator(event_type), WithJsonSchema({"type": "string", "enum": list(EVENTS)})]
BatchName = Annotated[str, StringConstraints(max_length=200), AfterValidator(not_blank), AfterValidator(one_line)]
ObjectId = Annotated[str, StringConstraints(max_length=200), AfterValidator(object_id)]
Base64 = Annotated[bytes, BeforeValidator(from_base64), WithJsonSchema({"type": "string", "contentEncoding": "base64"})]
Moment = Annotated[
    datetime | None,
    PlainValidator(null_or(moment)),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
]
MomentOrDate = Annotated[
    datetime | date | None,
    PlainValidator(null_or(moment_or_date)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "format": "date-time"},
                {"type": "string", "format": "date"},
                {"type": "null"},
            ]
        }
    ),
]
KeyName = Annotated[str, StringConstraints(max_length=200), AfterValidator(not_blank), AfterValidator(one_line)]
Network = Annotated[
    api_keys.Network,
    PlainValidator(network),
    WithJsonSchema({"type": "string", "maxLength": 49, "description": "An address, or a network in CIDR notation."}),
]
Tenant = Annotated[str, AfterValidator(free_of(tenant_problem))]
Client = Annotated[
    str, AfterValidator(free_of(client_id_problem)), WithJsonSchema({"type": "string", "format": "uuid"})
]
ClientSecret = Annotated[str, AfterValidator(free_of(secret_problem))]
TimeZone = Annotated[str, AfterValidator(free_of(time_zone_problem))]
Metadata = Annotated[dict[str, Any], AfterValidator(metadata)]
