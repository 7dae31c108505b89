"""Attachments on demand: from the mailbox, or from the store while a letter has not left."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from gateway.graph import AttachmentInfo, AttachmentKind, NotFound, Throttled, Unreachable
from gateway.sending.accept import accept
from gateway.sending.posted import NewAttachment, NewLetter
from gateway.threads.attachments import AT_ONCE, AttachmentReader, Download, GoneFromMailbox, KeptElsewhere
from gateway.threads.views import attachment_views
from storage import NotFound as NotStored
from storage import Transaction, identities, messages, outbox, placements
from storage.messages import Attachment, BodyType, Placement
from storage.threads import Address
from tests.threads.conftest import ADMISSIONS, AROHA, School

PDF = Attachment(id="g-1", name="form.pdf", content_type="application/pdf", size=9, is_inline=False, content_id=None)
CHUNKS = [b"%PDF", b"-1.7", b"..."]


def info(id: str, name: str, content_id: str | None = None) -> AttachmentInfo:
    return AttachmentInfo(
        id=id,
        name=name,
        content_type="application/pdf",
        size=9,
        is_inline=False,
        content_id=content_id,
        kind=AttachmentKind.FILE,
    )


@dataclass
class FakeFiles:
    """A mailbox's attachments by id; it counts who reads, and how many at once."""

    holds: dict[str, list[bytes]] = field(default_factory=dict)
    listed: list[AttachmentInfo] = field(default_factory=list)
    fails: Exception | None = None
    breaks: Exception | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    reading: int = 0
    most: int = 0

    async def graph(self, account_id: str) -> "FakeFiles":
        return self

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]:
        if self.fails is not None:
            raise self.fails
        return self.listed

    async def attachment_bytes(self, user: str, message_id: str, attachment_id: str) -> AsyncGenerator[bytes, None]:
        self.asked.append((user, message_id, attachment_id))
        if self.fails is not None:
            raise self.fails
        if attachment_id not in self.holds:
            raise NotFound(status=404)
        self.reading += 1
        self.most = max(self.most, self.reading)
        try:
            for chunk in self.holds[attachment_id]:
                yield chunk
            if self.breaks is not None:
                raise self.breaks
        finally:
            self.reading -= 1


@pytest.fixture
def files() -> FakeFiles:
    return FakeFiles(holds={"g-1": CHUNKS})


@pytest.fixture
def reader(school: School, files: FakeFiles) -> AttachmentReader:
    return AttachmentReader(school.store, files)


async def received(school: School, attachment: Attachment = PDF, **changes: Any) -> str:
    """A mail with an attachment; its id."""
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    return await school.store.write(_attach, school.mailbox_ids[ADMISSIONS], attachment, changes)


def _attach(tx: Transaction, mailbox_id: str, attachment: Attachment, changes: dict[str, Any]) -> str:
    message = identities.by_graph_id(tx, mailbox_id, "r1")
    assert message is not None
    identities.identify(
        tx,
        message.id,
        graph_id=changes.get("graph_id", "r1"),
        conversation_id=message.conversation_id,
        internet_message_id=message.internet_message_id,
        attachments=[attachment],
    )
    placements.place(tx, message.id, changes.get("placement", Placement.PLACED))
    return message.id


async def whole(download: Download) -> bytes:
    async with aclosing(download.rest) as rest:
        return download.first + b"".join([chunk async for chunk in rest])


async def test_the_bytes_come_from_the_mailbox_as_they_are(
    school: School, reader: AttachmentReader, files: FakeFiles
) -> None:
    message_id = await received(school)
    download = await reader.open(school.account_id, message_id, "g-1")
    assert (download.first, download.attachment.name) == (CHUNKS[0], "form.pdf")
    assert await whole(download) == b"%PDF-1.7..."
    assert files.reading == 0


async def test_whoever_stops_early_stops_the_call_to_graph(
    school: School, reader: AttachmentReader, files: FakeFiles
) -> None:
    download = await reader.open(school.account_id, await received(school), "g-1")
    assert files.reading == 1
    await download.rest.aclose()
    assert files.reading == 0


async def test_readers_leave_room_for_the_letters(school: School, reader: AttachmentReader, files: FakeFiles) -> None:
    message_id = await received(school)

    async def read() -> bytes:
        return await whole(await reader.open(school.account_id, message_id, "g-1"))

    begun = [await reader.open(school.account_id, message_id, "g-1") for _ in range(AT_ONCE)]
    async with asyncio.TaskGroup() as group:
        late = group.create_task(read())
        for _ in range(10):  # it has had the time to find out what it wants, and to ask for it
            await school.store.read(messages.get, school.account_id, message_id)
        assert (files.reading, late.done()) == (AT_ONCE, False)
        for one in begun:
            await one.rest.aclose()
    assert late.result() == b"%PDF-1.7..."
    assert files.most == AT_ONCE


async def test_an_attachment_that_has_another_id_by_now_is_found_by_its_name(
    school: School, reader: AttachmentReader, files: FakeFiles
) -> None:
    files.holds, files.listed = {"g-2": CHUNKS}, [info("g-9", "other.pdf"), info("g-2", "form.pdf")]
    assert await whole(await reader.open(school.account_id, await received(school), "g-1")) == b"%PDF-1.7..."


@pytest.mark.parametrize("fails", [None, NotFound(status=404)], ids=["the attachment", "the message"])
async def test_what_was_deleted_in_the_mailbox_is_said_to_be_gone(
    school: School, reader: AttachmentReader, files: FakeFiles, fails: Exception | None
) -> None:
    files.holds, files.fails = {}, fails
    with pytest.raises(GoneFromMailbox):
        await reader.open(school.account_id, await received(school), "g-1")
    assert files.reading == 0


async def test_a_mail_that_is_no_item_any_more_has_no_attachments(school: School, reader: AttachmentReader) -> None:
    with pytest.raises(GoneFromMailbox):
        await reader.open(school.account_id, await received(school, graph_id=None), "g-1")


async def test_a_file_in_the_cloud_is_not_asked_for(school: School, reader: AttachmentReader, files: FakeFiles) -> None:
    message_id = await received(school, replace(PDF, kind="reference"))
    with pytest.raises(KeptElsewhere):
        await reader.open(school.account_id, message_id, "g-1")
    assert files.asked == []


@pytest.mark.parametrize("trouble", [Throttled(status=429), Unreachable("ConnectError", sent=False)])
async def test_trouble_with_graph_is_raised_before_a_byte_and_frees_the_place(
    school: School, reader: AttachmentReader, files: FakeFiles, trouble: Exception
) -> None:
    message_id = await received(school)
    files.fails = trouble
    for _ in range(AT_ONCE + 1):
        with pytest.raises(type(trouble)):
            await reader.open(school.account_id, message_id, "g-1")


async def test_a_stream_that_breaks_is_no_end(school: School, reader: AttachmentReader, files: FakeFiles) -> None:
    files.breaks = Unreachable("ReadError", sent=True)
    download = await reader.open(school.account_id, await received(school), "g-1")
    with pytest.raises(Unreachable):
        await whole(download)
    assert files.reading == 0


async def test_an_empty_file_is_a_file(school: School, reader: AttachmentReader, files: FakeFiles) -> None:
    files.holds = {"g-1": []}
    assert await whole(await reader.open(school.account_id, await received(school), "g-1")) == b""


@pytest.mark.parametrize("id", ["g-2", "part-0", "", "../g-1"])
async def test_an_unknown_attachment_is_not_asked_for(
    school: School, reader: AttachmentReader, files: FakeFiles, id: str
) -> None:
    with pytest.raises(NotStored):
        await reader.open(school.account_id, await received(school), id)
    assert files.asked == []


async def test_another_accounts_and_a_held_mails_attachments_are_not_there(
    school: School, reader: AttachmentReader
) -> None:
    message_id = await received(school, placement=Placement.HELD)
    for account_id in ("acc_other", school.account_id):
        with pytest.raises(NotStored):
            await reader.open(account_id, message_id, "g-1")
    held = frozenset({Placement.HELD})
    assert await whole(await reader.open(school.account_id, message_id, "g-1", placements=held)) == b"%PDF-1.7..."


async def posted(school: School) -> str:
    letter = NewLetter(
        sender=ADMISSIONS,
        to=(Address(name=None, address=AROHA),),
        subject="Your enrolment",
        body_type=BodyType.TEXT,
        body="Kia ora",
        attachments=(
            NewAttachment(name="offer.pdf", content_type="application/pdf", content=b"offer" * 100_000),
            NewAttachment(name="map.png", content_type="image/png", content=b"map"),
        ),
    )
    accepted = await school.store.write(accept, school.account_id, letter, idempotency_key=None, now=school.clock.now())
    return accepted.message_id


async def test_a_letter_that_has_not_left_has_its_files_here(
    school: School, reader: AttachmentReader, files: FakeFiles
) -> None:
    message_id = await posted(school)
    message = await school.store.read(messages.get, school.account_id, message_id)
    assert [(one.id, one.name) for one in attachment_views(message)] == [("part-0", "offer.pdf"), ("part-1", "map.png")]
    assert await whole(await reader.open(school.account_id, message_id, "part-0")) == b"offer" * 100_000
    assert await whole(await reader.open(school.account_id, message_id, "part-1")) == b"map"
    assert files.asked == []


async def test_of_a_letter_that_left_the_copy_in_sent_items_counts(
    school: School, reader: AttachmentReader, files: FakeFiles
) -> None:
    message_id = await posted(school)
    await school.store.write(_sent, school, message_id)
    files.holds, files.listed = {"s-1": [b"as it left"]}, [info("s-0", "map.png"), info("s-1", "offer.pdf")]
    assert await whole(await reader.open(school.account_id, message_id, "part-0")) == b"as it left"
    sent = [Attachment(id="s-1", name="offer.pdf", content_type="x/y", size=1, is_inline=False, content_id=None)]
    await school.store.write(_sent, school, message_id, sent)
    assert await whole(await reader.open(school.account_id, message_id, "part-0")) == b"as it left"
    assert await whole(await reader.open(school.account_id, message_id, "s-1")) == b"as it left"


def _sent(tx: Transaction, school: School, message_id: str, listed: list[Attachment] | None = None) -> None:
    row = outbox.get(tx, school.account_id, message_id)
    outbox.save(tx, replace(row, state="sent", submits=1, next_attempt_at=None, sent_at=row.created_at))
    identities.identify(
        tx, message_id, graph_id="sent-1", conversation_id="c", internet_message_id="<l@x>", attachments=listed
    )
