"""Everything that is kept about one of SELMA's records, as a ZIP that is made while it is read.

    messages/….eml          each message as its mailbox has it, with attachments; made from what the gateway has where
                            the mailbox has it no more, or cannot be read now
    attachments/…           what such a message brought along, as far as it is here
    messages.mbox           all of them in one file
    threads.json            every row of every table: evidence, acts, states, read marks; and the audit log about it
    manifest.json           where each message came from, and what is not in here and why

Only messages of the record's threads. Other people's addresses stay in them: it is their correspondence too. Nothing
larger than a piece is held in memory; a message and the mbox wait in temporary files that have no name.
"""

import asyncio
import tempfile
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any, Final, Protocol, cast

import orjson

from gateway.clock import Clock
from gateway.connections import NotConnected
from gateway.graph import GraphError, NotFound, TokenError
from gateway.privacy import letters
from gateway.threads.views import to_json
from storage import NotFound as NotStored
from storage import Store, Transaction, attachments, audit, files, mailboxes, messages, privacy
from storage.attachments import LetterAttachment
from storage.messages import Message
from storage.threads import Object

PIECE: Final = 256 * 1024  # bytes
IN_MEMORY: Final = 1024 * 1024  # bytes of a message: longer ones wait on disk
DELETED: Final = "deleted from the mailbox, or moved where it cannot be found"
NEVER_THERE: Final = "not in a mailbox: it has not left, or was never seen there"


class MimeReader(Protocol):
    """Reading messages whole. Raises GraphError and TokenError."""

    def mime_pieces(self, user: str, id: str) -> AsyncGenerator[bytes, None]: ...


class GraphSource(Protocol):
    """Where an account's client comes from. Raises NotConnected."""

    async def graph(self, account_id: str) -> MimeReader: ...


class _Sink:
    """What the ZIP has written and nobody has taken yet. It cannot be sought in, so the ZIP goes forward only."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing waits here."""

    def taken(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


@dataclass(slots=True, kw_only=True)
class _Archive:
    """An export that is being made."""

    zip: zipfile.ZipFile
    sink: _Sink
    mbox: IO[bytes]
    now: datetime
    entries: list[dict[str, Any]] = field(default_factory=list)


class Exporter:
    """Makes exports."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def count(self, account_id: str, what: Object) -> int:
        """How many messages an export would have."""
        return len((await self._store.read(_reach, account_id, what)).messages)

    async def export(
        self, account_id: str, what: Object, *, told: Callable[[], None] = lambda: None
    ) -> AsyncIterator[bytes]:
        """The ZIP, piece by piece; `told` is called after each message."""
        sink = _Sink()
        with (
            tempfile.TemporaryFile() as mbox,
            zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_DEFLATED) as zip,
        ):
            archive = _Archive(zip=zip, sink=sink, mbox=mbox, now=self._clock.now())
            reach = await self._store.read(_reach, account_id, what)
            for number, message_id in enumerate(reach.messages, start=1):
                async for piece in self._message(archive, account_id, message_id, number):
                    yield piece
                told()
            mbox.seek(0)
            async for piece in _copied(archive, "messages.mbox", mbox):
                yield piece
            async for piece in self._rows(archive, account_id, what, reach.threads):
                yield piece
            manifest = {"object": what, "exported_at": archive.now, "messages": archive.entries}
            zip.writestr(_info("manifest.json", archive.now), _json(manifest))
        yield sink.taken()

    async def _message(self, archive: _Archive, account_id: str, message_id: str, number: int) -> AsyncIterator[bytes]:
        found = await self._store.read(_message, account_id, message_id)
        if found is None:  # erased meanwhile
            return
        message, user, brought = found
        name = f"{number:05d} {message.message_at:%Y-%m-%d} {message.id}"
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as content:
            problem = await self._fetch(account_id, user, message, content)
            entry: dict[str, Any] = {"id": message.id, "file": f"messages/{name}.eml"}
            if problem is None:
                entry["from"] = "mailbox"
            else:
                entry |= {"from": "gateway", "because": problem}
                async for piece in self._attached(archive, entry, name, message, brought):
                    yield piece
                content.seek(0)
                content.truncate()
                content.write(letters.made(message, [one.name for one in message.attachments]))
            archive.entries.append(entry)
            content.seek(0)
            await asyncio.to_thread(letters.append, archive.mbox, content, at=message.message_at)
            content.seek(0)
            async for piece in _copied(archive, entry["file"], content):
                yield piece

    async def _fetch(self, account_id: str, user: str, message: Message, into: IO[bytes]) -> str | None:
        """The message as its mailbox has it; or why not."""
        if message.graph_id is None:
            return NEVER_THERE
        try:
            graph = await self._graphs.graph(account_id)
            async with aclosing(graph.mime_pieces(user, message.graph_id)) as pieces:
                async for piece in pieces:
                    into.write(piece)
        except NotFound:
            return DELETED
        except NotConnected:
            return "the account is not connected to Microsoft 365"
        except (GraphError, TokenError) as error:
            return f"the mailbox could not be read: {type(error).__name__}"
        return None

    async def _attached(
        self,
        archive: _Archive,
        entry: dict[str, Any],
        name: str,
        message: Message,
        brought: Sequence[LetterAttachment],
    ) -> AsyncIterator[bytes]:
        """Of a letter of ours, the files that are still here; of all others, that they are not."""
        here = {one.name: one for one in brought if one.file_id is not None}
        entry["attachments"] = [
            {
                "name": one.name,
                "file": f"attachments/{name}/{letters.safe_name(one.name)}" if one.name in here else None,
            }
            for one in message.attachments
        ] or [{"name": one.name, "file": f"attachments/{name}/{letters.safe_name(one.name)}"} for one in here.values()]
        for told in entry["attachments"]:
            if told["file"] is not None:
                one = here[told["name"]]
                with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as content:
                    for start in range(0, one.size, PIECE):
                        length = min(PIECE, one.size - start)
                        content.write(await self._store.read(files.read, one.file_id or "", start=start, length=length))
                    content.seek(0)
                    async for piece in _copied(archive, told["file"], content):
                        yield piece

    async def _rows(
        self, archive: _Archive, account_id: str, what: Object, thread_ids: Sequence[str]
    ) -> AsyncIterator[bytes]:
        """Thread by thread, so that none but the one at hand is in memory."""
        with archive.zip.open(_info("threads.json", archive.now), "w", force_zip64=True) as entry:
            entry.write(b'{"object": ' + _json(what) + b', "threads": [')
            for number, thread_id in enumerate(thread_ids):
                rows = await self._store.read(_rows_of, account_id, thread_id)
                entry.write((b",\n" if number else b"\n") + _json(rows))
                yield archive.sink.taken()
            about = [what.id, *thread_ids, *(one["id"] for one in archive.entries)]
            found = await self._store.read(audit.about, account_id, about)
            entry.write(b'\n], "audit": ' + _json(found) + b"}\n")
        yield archive.sink.taken()


def _reach(tx: Transaction, account_id: str, what: Object) -> privacy.Reach:
    about = privacy.about(tx, account_id, [what])
    return privacy.reach(tx, account_id, sorted((*about.alone, *about.shared)))


def _rows_of(tx: Transaction, account_id: str, thread_id: str) -> dict[str, list[dict[str, Any]]]:
    return privacy.rows_of(tx, account_id, privacy.reach(tx, account_id, [thread_id]))


def _message(
    tx: Transaction, account_id: str, message_id: str
) -> tuple[Message, str, Sequence[LetterAttachment]] | None:
    try:
        message = messages.get(tx, account_id, message_id)
    except NotStored:
        return None
    return message, mailboxes.get(tx, message.mailbox_id).user, attachments.of_letter(tx, message_id)


async def _copied(archive: _Archive, name: str, content: IO[bytes]) -> AsyncIterator[bytes]:
    with archive.zip.open(_info(name, archive.now), "w", force_zip64=True) as entry:
        while piece := content.read(PIECE):
            await asyncio.to_thread(entry.write, piece)
            yield archive.sink.taken()
    yield archive.sink.taken()


def _info(name: str, now: datetime) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=now.timetuple()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _json(value: object) -> bytes:
    return orjson.dumps(to_json(value), option=orjson.OPT_INDENT_2)
