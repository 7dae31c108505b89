"""`strings`: texts that break programs, in every field that takes a text."""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

from tests.contract.room import with_client
from tests.http.scene import MAILBOX, a_letter

NAME: Final = "strings"
HELP: Final = "Every naughty string, in every field that takes a text."
URL: Final = "https://github.com/minimaxir/big-list-of-naughty-strings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Where a text goes. `kept` finds it again in what is read at `Location`, or in the answer itself."""

    put: Callable[[str], dict[str, Any]]
    method: str = "POST"
    path: str = "/v1/messages"
    kept: Callable[[Any], Any] | None = None
    in_answer: bool = False


def _in_letter(put: Callable[[str], dict[str, Any]], kept: Callable[[Any], Any]) -> Field:
    return Field(put=lambda text: {"json": a_letter(**put(text))}, kept=kept)


def _person(text: str) -> dict[str, Any]:
    return {"name": text, "address": "aroha@student.example"}


def _query(path: str, name: str, **more: str) -> Field:
    return Field(put=lambda text: {"params": {name: text, **more}}, method="GET", path=path)


def _body(path: str, put: Callable[[str], Any], method: str = "POST") -> Field:
    return Field(put=lambda text: {"json": put(text)}, path=path, method=method)


AN_ACCOUNT: Final = {"tenant_id": "school.example", "client_id": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11"}
FIELDS: Final[Mapping[str, Field]] = {
    "subject": _in_letter(lambda text: {"subject": text}, lambda shown: shown["subject"]),
    "html": _in_letter(lambda text: {"html": text}, lambda shown: None),  # it is made safe on the way back
    "text": _in_letter(lambda text: {"html": ..., "text": text}, lambda shown: shown["text"]),
    "to name": _in_letter(lambda text: {"to": [_person(text)]}, lambda shown: shown["to"][0]["name"]),
    "cc name": _in_letter(lambda text: {"cc": [_person(text)]}, lambda shown: shown["cc"][0]["name"]),
    "to address": _in_letter(lambda text: {"to": [{"address": text}]}, lambda shown: shown["to"][0]["address"]),
    "from": _in_letter(lambda text: {"from": text}, lambda shown: shown["from"]["address"]),
    "created_by": _in_letter(lambda text: {"created_by": text}, lambda shown: shown["created_by"]),
    "metadata": _in_letter(lambda text: {"metadata": {"a": text}}, lambda shown: shown["metadata"]["a"]),
    "metadata name": _in_letter(lambda text: {"metadata": {text: 1}}, lambda shown: next(iter(shown["metadata"]))),
    "object id": _in_letter(
        lambda text: {"objects": [{"type": "student", "id": text}]}, lambda shown: shown["objects"][0]["id"]
    ),
    "attachment": _in_letter(
        lambda text: {"attachments": [{"name": text, "content": "JVBERg=="}]},
        lambda shown: shown["attachments"][0]["name"],
    ),
    "content type": _in_letter(
        lambda text: {"attachments": [{"name": "a", "content": "JVBERg==", "content_type": text}]},
        lambda shown: shown["attachments"][0]["content_type"],
    ),
    "content id": _body(
        "/v1/messages",
        lambda text: a_letter(attachments=[{"name": "a", "content": "JVBERg==", "content_id": text}]),
    ),
    "header name": _body("/v1/messages", lambda text: a_letter(headers=[{"name": text, "value": "a"}])),
    "header value": _body("/v1/messages", lambda text: a_letter(headers=[{"name": "x-a", "value": text}])),
    "in_reply_to": _body("/v1/messages", lambda text: a_letter(in_reply_to=text)),
    "send_at": _body("/v1/messages", lambda text: a_letter(send_at=text)),
    "unknown field": _body("/v1/messages", lambda text: a_letter(**{text: 1})),
    "batch name": _body("/v1/batches", lambda text: {"name": text, "letters": [a_letter()]}),
    "key name": Field(
        put=lambda text: {"json": {"name": text, "scopes": ["read"]}},
        path="/v1/keys",
        kept=lambda shown: shown["name"],
        in_answer=True,
    ),
    "key network": _body("/v1/keys", lambda text: {"name": "a", "scopes": ["read"], "networks": [text]}),
    "staff": _body("/v1/embed-links", lambda text: {"object": {"type": "student", "id": "1"}, "staff": text}),
    "embedded id": _body("/v1/embed-links", lambda text: {"object": {"type": "student", "id": text}, "staff": "a"}),
    "mailbox": Field(
        put=lambda text: {"json": {"address": text}},
        path="/v1/mailboxes",
        kept=lambda shown: shown["address"],
        in_answer=True,
    ),
    "conversation": _body(
        "/v1/threads",
        lambda text: {"mailbox": MAILBOX, "conversation_id": text, "objects": [{"type": "student", "id": "1"}]},
    ),
    "message id": _body(
        "/v1/threads",
        lambda text: {"mailbox": MAILBOX, "internet_message_id": text, "objects": [{"type": "student", "id": "1"}]},
    ),
    "tenant": _body("/v1/account", lambda text: AN_ACCOUNT | {"tenant_id": text}, "PUT"),
    "client": _body("/v1/account", lambda text: AN_ACCOUNT | {"client_id": text}, "PUT"),
    "secret": _body("/v1/account", lambda text: AN_ACCOUNT | {"client_secret": text}, "PUT"),
    "time zone": _body("/v1/account", lambda text: AN_ACCOUNT | {"client_secret": "s~3", "time_zone": text}, "PUT"),
    "search": _query("/v1/threads", "q"),
    "search from": _query("/v1/threads", "from"),
    "reader": _query("/v1/threads", "reader"),
    "object": _query("/v1/threads", "object_id", object_type="student"),
    "cursor": _query("/v1/messages", "after"),
    "audit": _query("/v1/audit", "by"),
    "file name": Field(put=lambda text: {"params": {"name": text}, "content": b"x"}, path="/v1/files"),
}
PATHS: Final = (
    "/v1/messages/{}",
    "/v1/threads/{}",
    "/v1/mailboxes/{}",
    "/v1/objects/student/{}/threads",
    "/problems/{}",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the strings are."""
    parser.add_argument("--from", dest="file", type=Path, required=True, help=f"blns.json of {URL}.")


def run(given: argparse.Namespace) -> int:
    """Try all of them."""
    if not given.file.is_file():
        print(f"There is no file {given.file}. It is in {URL}.", file=sys.stderr)
        return 1
    texts = [str(one) for one in orjson.loads(given.file.read_bytes())]
    accepted, broken = try_in_every_field(texts)
    print(*broken, sep="\n", end="\n" if broken else "")
    places = len(FIELDS) + len(PATHS)
    print(f"{len(texts)} texts in {places} places: {accepted} accepted, {len(broken)} promises broken.")
    return 1 if broken else 0


def try_in_every_field(texts: Iterable[str]) -> tuple[int, list[str]]:
    """How many were accepted, and what was answered that must not be."""

    async def try_all(client: httpx.AsyncClient) -> tuple[int, list[str]]:
        accepted, broken = 0, []
        for text in texts:
            for name, field in FIELDS.items():
                answer = await client.request(field.method, field.path, **field.put(text))
                accepted += answer.status_code < 300
                broken += [f"{name} = {text!r}: {wrong}" for wrong in await _wrong(client, field, text, answer)]
            for path in PATHS:
                status = (await client.get(path.format(quote(text, safe="")))).status_code
                broken += [] if status < 500 else [f"{path} with {text!r} got {status}"]
        return accepted, broken

    return with_client(try_all)


async def _wrong(client: httpx.AsyncClient, field: Field, text: str, answer: httpx.Response) -> list[str]:
    if answer.status_code >= 500:
        return [f"it got {answer.status_code}"]
    if answer.status_code >= 300 or field.kept is None:
        return []
    shown = answer.json() if field.in_answer else (await client.get(answer.headers["location"])).json()
    kept = field.kept(shown)
    return [] if kept is None or kept == text else [f"it came back as {kept!r}"]
