"""Export: all that is kept of a record, with each message as its mailbox has it, and what is missing said plainly."""

import contextlib
import email
import email.policy
import io
import json
import mailbox
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

import storage
from gateway.graph import NotFound, Unreachable
from gateway.privacy import letters
from gateway.privacy.exporting import DELETED, NEVER_THERE, Exporter
from storage import Store, audit, privacy
from storage.threads import Object, ObjectType
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.privacy.scene import CANARIES, OTHER, STUDENT, School, build

GRAPH_ID = CANARIES[14]
MIME = b"Subject: as the mailbox has it\r\n\r\nFrom here on:\r\n>From there\r\nFrom nowhere\r\n" + b"x" * 3_000_000
THERE = {GRAPH_ID: MIME}


class Mailbox:
    """A mailbox that has some messages, or fails."""

    def __init__(self, there: Mapping[str, bytes], error: Exception | None = None) -> None:
        self._there = there
        self._error = error

    async def graph(self, account_id: str) -> "Mailbox":
        return self

    async def mime_pieces(self, user: str, id: str) -> AsyncGenerator[bytes, None]:
        if self._error is not None:
            yield b"broken off" * 10_000
            raise self._error
        if id not in self._there:
            raise NotFound(status=404, code="ErrorItemNotFound", message="", request_id=None, client_request_id="x")
        for start in range(0, len(self._there[id]), 70_000):
            yield self._there[id][start : start + 70_000]


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with storage.open_store(tmp_path / "gateway.db") as store:
        yield store


@pytest.fixture
async def school(store: Store) -> School:
    return await store.write(build)


async def exported(store: Store, school: School, mailbox: Mailbox, what: Object = STUDENT) -> zipfile.ZipFile:
    pieces = [piece async for piece in Exporter(store, mailbox, FakeClock()).export(school.account_id, what)]
    assert max(len(piece) for piece in pieces) < 1_000_000
    found = zipfile.ZipFile(io.BytesIO(b"".join(pieces)))
    assert found.testzip() is None
    return found


def manifest(found: zipfile.ZipFile) -> dict[str, Any]:
    return {one["id"]: one for one in json.loads(found.read("manifest.json"))["messages"]}


def message(found: zipfile.ZipFile, name: str) -> Any:
    return email.message_from_bytes(found.read(name), policy=email.policy.default)


async def test_each_message_is_as_its_mailbox_has_it(store: Store, school: School) -> None:
    found = await exported(store, school, Mailbox(THERE))
    told = manifest(found)
    assert set(told) == {"msg_letter", "msg_reply", "msg_held", "msg_shared"}
    assert told["msg_letter"]["from"] == "mailbox"
    assert found.read(told["msg_letter"]["file"]) == MIME


async def test_what_the_mailbox_has_no_more_is_made_from_what_is_here_and_says_so(store: Store, school: School) -> None:
    found = await exported(store, school, Mailbox({}))
    told = manifest(found)
    letter, reply = told["msg_letter"], told["msg_reply"]
    assert (letter["from"], letter["because"]) == ("gateway", DELETED)
    assert reply["because"] == NEVER_THERE
    (attached,) = letter["attachments"]
    assert found.read(attached["file"]) == CANARIES[9].encode() * 50
    made = message(found, letter["file"])
    assert (made["subject"], made["to"]) == (CANARIES[2], f"{CANARIES[1]} <{CANARIES[0]}>")
    assert made["x-selma-gateway-attachment"] == CANARIES[8]
    assert CANARIES[3] in made.get_content()
    assert CANARIES[4] in message(found, reply["file"]).get_content()


async def test_a_mailbox_that_cannot_be_read_is_named_and_the_rest_comes(store: Store, school: School) -> None:
    found = await exported(store, school, Mailbox({}, Unreachable("ReadError", sent=True)))
    letter = manifest(found)["msg_letter"]
    assert letter["because"] == "the mailbox could not be read: Unreachable"
    assert b"broken off" not in found.read(letter["file"])


async def test_all_that_is_kept_is_in_it_and_nothing_of_anybody_elses_threads(store: Store, school: School) -> None:
    await store.write(
        audit.record, school.account_id, audit.SYSTEM, "thread.read", {"thread_id": school.thread_id}, now=A_MONDAY
    )
    found = await exported(store, school, Mailbox(THERE))
    told = json.loads(found.read("threads.json"))
    by_id = {one["threads"][0]["id"]: one for one in told["threads"]}
    assert set(by_id) == {school.thread_id, school.shared_id}
    rows = by_id[school.thread_id]
    assert {table for table, some in rows.items() if some} == set(privacy.PARTS) - {"file_pieces"}
    assert rows["acts"][0]["done_at"] == "2026-03-02T09:00:00Z"
    assert [one["act"] for one in told["audit"]] == ["thread.read"]
    text = json.dumps(told)
    # The file's content stands in a folder of its own, and the index is made of what is here.
    assert [one for one in CANARIES if one not in text] == [CANARIES[9], CANARIES[17]]
    assert "msg_kept" not in text


async def test_the_mbox_has_all_messages_whole(store: Store, school: School, tmp_path: Path) -> None:
    found = await exported(store, school, Mailbox(THERE))
    path = tmp_path / "messages.mbox"
    path.write_bytes(found.read("messages.mbox"))
    with contextlib.closing(mailbox.mbox(path)) as box:
        read = list(box)
    assert len(read) == 4
    (whole,) = [one for one in read if one["subject"] == "as the mailbox has it"]
    lines = whole.get_payload().splitlines()
    assert lines[:3] == [">From here on:", ">>From there", ">From nowhere"]
    assert lines[3] == "x" * 3_000_000


async def test_a_record_without_letters_has_an_export_that_says_so(store: Store, school: School) -> None:
    nobody = Object(type=ObjectType.STUDENT, id="S-nobody")
    found = await exported(store, school, Mailbox(THERE), nobody)
    assert manifest(found) == {}
    assert json.loads(found.read("threads.json"))["threads"] == []


async def test_the_other_student_has_their_own(store: Store, school: School) -> None:
    assert set(manifest(await exported(store, school, Mailbox(THERE), OTHER))) == {"msg_shared", "msg_kept"}


@pytest.mark.parametrize(
    ("line", "quoted"),
    [(b"From me\r\n", b">From me\n"), (b">From me\n", b">>From me\n"), (b"From: me\n", b"From: me\n"), (b"a", b"a")],
)
def test_lines_that_would_begin_a_message_are_quoted(line: bytes, quoted: bytes) -> None:
    out = io.BytesIO()
    letters.append(out, [b"Subject: x\n", b"\n", line], at=A_MONDAY)
    head, rest = out.getvalue().split(b"\n", 1)
    assert head == b"From selma-gateway Mon Mar 02 09:00:00 2026"
    assert rest.startswith(b"Subject: x\n\n" + quoted)
    assert rest.endswith(b"\n")


@pytest.mark.parametrize(
    ("name", "safe"), [("../../x", "_.._x"), ("", "file"), ("..", "file"), ("a/b\x00.pdf", "a_b_.pdf")]
)
def test_no_name_leads_out_of_the_archive(name: str, safe: str) -> None:
    assert letters.safe_name(name) == safe
