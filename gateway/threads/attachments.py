"""Attachments, fetched from the mailbox when somebody wants one: their bytes are not kept here, and never held whole.

A letter that has not left yet has its files in the store; from then on its copy in Sent Items is what counts.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Sequence, Set
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from gateway.graph import AttachmentInfo, GraphError, NotFound, OverBudget
from gateway.threads.views import POSITION, attachment_id
from storage import NotFound as NotStored
from storage import Store, Transaction, attachments, files, mailboxes, messages
from storage.attachments import LetterAttachment
from storage.messages import Attachment, Message, Placement

log = logging.getLogger(__name__)

# Graph lets four calls into a mailbox at once. Somebody on a slow line must not keep the letters waiting.
AT_ONCE: Final = 2
LONGEST_WAIT_S: Final = 20.0
TRY_AGAIN: Final = timedelta(seconds=10)
PIECE: Final = 256 * 1024
PLACED: Final = frozenset({Placement.PLACED})


class GoneFromMailbox(Exception):
    """Somebody deleted the message, or the attachment, in the mailbox."""

    def __init__(self) -> None:
        super().__init__("The mailbox no longer has this attachment: the message was deleted there, or moved away.")


class KeptElsewhere(Exception):
    """The attachment is a link to a file in the cloud."""

    def __init__(self) -> None:
        super().__init__(
            "This attachment is a link to a file in the cloud: there is nothing to fetch from the mailbox."
        )


class AttachmentSource(Protocol):
    """Reading one tenant's attachments. Raises GraphError and TokenError."""

    async def list_attachments(self, user: str, message_id: str) -> list[AttachmentInfo]: ...

    def attachment_bytes(self, user: str, message_id: str, attachment_id: str) -> AsyncGenerator[bytes, None]: ...


class GraphSource(Protocol):
    """Where an account's client comes from. Raises NotConnected."""

    async def graph(self, account_id: str) -> AttachmentSource: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """An attachment whose bytes have begun to come: `first` are here, `rest` is whoever takes it to close."""

    attachment: Attachment
    first: bytes
    rest: AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which attachment, and where it is: with `file_id` in the store, else in `user`'s mailbox."""

    attachment: Attachment
    user: str
    graph_id: str | None
    file_id: str | None


class AttachmentReader:
    """For the routes. `connections` gives the account's client."""

    def __init__(self, store: Store, connections: GraphSource) -> None:
        self._store = store
        self._connections = connections
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))

    async def open(
        self, account_id: str, message_id: str, attachment_id: str, *, placements: Set[Placement] = PLACED
    ) -> Download:
        """The attachment, as soon as its first bytes are here; of messages that are so placed.

        Raises `storage.NotFound`, GoneFromMailbox, KeptElsewhere, NotConnected, TokenError and GraphError.
        """
        wanted = await self._store.read(_find, account_id, message_id, attachment_id, placements)
        if wanted.attachment.kind == "reference":
            raise KeptElsewhere
        if wanted.file_id is not None:
            rest = self._from_store(wanted.file_id)
        elif wanted.graph_id is not None:
            source = await self._connections.graph(account_id)
            rest = _noted(self._from_mailbox(source, wanted.user, wanted.graph_id, wanted.attachment), message_id)
        else:
            raise GoneFromMailbox
        try:
            return Download(attachment=wanted.attachment, first=await anext(rest, b""), rest=rest)
        except NotFound:
            raise GoneFromMailbox from None
        except BaseException:
            await rest.aclose()
            raise

    async def _from_store(self, file_id: str) -> AsyncGenerator[bytes, None]:
        start = 0
        while piece := await self._store.read(files.read, file_id, start=start, length=PIECE):
            yield piece
            start += len(piece)

    async def _from_mailbox(
        self, source: AttachmentSource, user: str, graph_id: str, attachment: Attachment
    ) -> AsyncGenerator[bytes, None]:
        async with _place(self._places[user]):
            id = attachment.id
            if id is not None:
                try:
                    async with aclosing(source.attachment_bytes(user, graph_id, id)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    return
                except NotFound:
                    pass  # perhaps it has another id by now
            id = _same(await source.list_attachments(user, graph_id), attachment)
            async with aclosing(source.attachment_bytes(user, graph_id, id)) as chunks:
                async for chunk in chunks:
                    yield chunk


async def _noted(chunks: AsyncGenerator[bytes, None], message_id: str) -> AsyncGenerator[bytes, None]:
    """The same, with a line in the log when the mailbox breaks off midway."""
    begun = False
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                yield chunk
                begun = True
        except GraphError as error:
            if begun:
                log.warning("attachment broken off", extra={"message_id": message_id, **error.log_fields()})
            raise


@asynccontextmanager
async def _place(places: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of a mailbox's places for readers. Raises OverBudget when it does not become free in time."""
    try:
        async with asyncio.timeout(LONGEST_WAIT_S):
            await places.acquire()
    except TimeoutError:
        raise OverBudget("others are reading from this mailbox", retry_after=TRY_AGAIN) from None
    try:
        yield
    finally:
        places.release()


def _find(tx: Transaction, account_id: str, message_id: str, wanted: str, placements: Set[Placement]) -> Wanted:
    message = messages.get(tx, account_id, message_id)
    if message.placement not in placements:
        raise NotStored("There is no such message.")
    of_letter = attachments.of_letter(tx, message_id) if message.status is not None else []
    attachment = _attachment(message, of_letter, wanted)
    return Wanted(
        attachment=attachment,
        user=mailboxes.get(tx, message.mailbox_id).user,
        graph_id=message.graph_id,
        file_id=_file_id(of_letter, attachment) if message.sent_at is None else None,
    )


def _attachment(message: Message, of_letter: Sequence[LetterAttachment], wanted: str) -> Attachment:
    """By its id now, or by the one it had while its letter was on the way. Raises `storage.NotFound`."""
    by_id = {attachment_id(one, position): one for position, one in enumerate(message.attachments)}
    if wanted in by_id:
        return by_id[wanted]
    for posted in of_letter:
        if wanted == f"{POSITION}{posted.position}":
            for one in message.attachments:
                if (one.name, one.content_id) == (posted.name, posted.content_id):
                    return one
    raise NotStored("There is no such attachment.")


def _file_id(of_letter: Sequence[LetterAttachment], attachment: Attachment) -> str | None:
    for posted in of_letter:
        if (posted.name, posted.content_id) == (attachment.name, attachment.content_id):
            return posted.file_id
    return None


def _same(listed: Sequence[AttachmentInfo], attachment: Attachment) -> str:
    """The id of the one that has this name, and this content id if any. Raises GoneFromMailbox."""
    for one in listed:
        if one.name == attachment.name and (attachment.content_id is None or one.content_id == attachment.content_id):
            return one.id
    raise GoneFromMailbox
