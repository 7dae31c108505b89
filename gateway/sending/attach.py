"""Attachments that do not fit into the draft's own request: brought one by one, and proved before the letter may leave.

A small one is one POST. A large one is an upload session, piece by piece, each from the store; how far it has come is
committed after each piece, so that a broken one, or a restart, goes on from there. What is on the draft is believed
only when it has been read back and is, byte for byte, what was posted.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from gateway.graph import (
    UPLOAD_PIECE,
    AttachmentInfo,
    AttachmentKind,
    BadRequest,
    Conflict,
    Gone,
    GraphError,
    NotFound,
)
from gateway.sending import commits
from gateway.sending.commits import Claim
from gateway.sending.draft import file_attachment
from gateway.sending.looking import Mailer
from gateway.steady import SteadyStore
from storage import files
from storage.attachments import LetterAttachment

log = logging.getLogger(__name__)

# "Under 3 MB", whichever megabyte is meant: https://learn.microsoft.com/graph/api/message-post-attachments
LARGEST_POST: Final = 3_000_000
TOO_SMALL: Final = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
ROUNDS: Final = 2
"""How often an attachment is brought before a person is asked."""
AT_ONCE: Final = 4
"""Letters whose attachments are in memory: one piece, or one small file, of each."""


class OutOfStep(GraphError):
    """A session went on somewhere else than where its last piece ended."""


OUT_OF_STEP: Final = (BadRequest, NotFound, Gone, Conflict, OutOfStep)
"""What a session answers that is dead, or has another piece than we know of: it cannot be gone on with."""


class Damaged(Exception):
    """What is on the draft is not what was posted, however often it is brought."""


class Attacher:
    """Completes drafts."""

    def __init__(self, store: SteadyStore) -> None:
        self._store = store
        self._places = asyncio.Semaphore(AT_ONCE)

    async def complete(
        self, graph: Mailer, claim: Claim, item_id: str, wanted: Sequence[LetterAttachment], *, fresh: bool
    ) -> None:
        """Every one of these is on the draft, and is what was posted. `fresh`: it was made just now, and has none.

        Raises GraphError and TokenError, `Damaged`; then as much as was done stands.
        """
        async with self._places:
            absent = list(wanted) if fresh else await self._absent(graph, claim, item_id, wanted)
            for _ in range(ROUNDS):
                if not absent:
                    return
                for one in absent:
                    await self._bring(graph, claim, item_id, one)
                absent = await self._absent(graph, claim, item_id, wanted)
            if absent:
                raise Damaged

    async def _absent(
        self, graph: Mailer, claim: Claim, item_id: str, wanted: Sequence[LetterAttachment]
    ) -> list[LetterAttachment]:
        """Which of them the draft does not have. Each item on it counts for one of them."""
        present = await graph.list_attachments(claim.user, item_id)
        absent = []
        for one in wanted:
            match = await self._match(graph, claim, item_id, one, present)
            if match is None:
                absent.append(one)
            else:
                present.remove(match)
        return absent

    async def _match(
        self, graph: Mailer, claim: Claim, item_id: str, one: LetterAttachment, present: Sequence[AttachmentInfo]
    ) -> AttachmentInfo | None:
        for info in present:
            if _may_be(info, one) and await _is(graph, claim.user, item_id, info, one):
                return info
        return None

    async def _bring(self, graph: Mailer, claim: Claim, item_id: str, one: LetterAttachment) -> None:
        if one.size > LARGEST_POST:
            try:
                await self._upload(graph, claim, item_id, one)
            except BadRequest as error:
                if not error.is_code(TOO_SMALL):
                    raise
            else:
                return
        content = await self._piece(one, 0, one.size)
        await graph.add_attachment(claim.user, item_id, file_attachment(one, content))

    async def _upload(self, graph: Mailer, claim: Claim, item_id: str, one: LetterAttachment) -> None:
        """Go on where the last piece ended; a session that is dead or out of step is begun anew, once."""
        if one.upload_url is not None:
            try:
                await self._send_pieces(graph, claim, one)
            except OUT_OF_STEP as error:
                log.info("upload begins anew", extra=_fields(claim, one) | {"error": type(error).__name__})
                one = await self._note(claim, one, None, 0)
            else:
                return
        session = await graph.create_upload_session(
            claim.user,
            item_id,
            name=one.name,
            content_type=one.content_type,
            size=one.size,
            content_id=one.content_id,
        )
        one = await self._note(claim, one, session.url, session.next_offset)
        try:
            await self._send_pieces(graph, claim, one)
        except OUT_OF_STEP:
            await self._note(claim, one, None, 0)
            raise

    async def _send_pieces(self, graph: Mailer, claim: Claim, one: LetterAttachment) -> None:
        while one.upload_url is not None:
            piece = await self._piece(one, one.upload_offset, UPLOAD_PIECE)
            reached = await graph.upload_piece(
                one.upload_url, piece, offset=one.upload_offset, total=one.size, user=claim.user
            )
            if reached is None:
                one = await self._note(claim, one, None, 0)
            elif not one.upload_offset < reached <= one.upload_offset + len(piece):
                raise OutOfStep(f"offset {reached} after {one.upload_offset}")
            else:
                one = await self._note(claim, one, one.upload_url, reached)

    async def _piece(self, one: LetterAttachment, start: int, length: int) -> bytes:
        return await self._store.read(files.read, one.file_id or "", start=start, length=length)

    async def _note(self, claim: Claim, one: LetterAttachment, url: str | None, offset: int) -> LetterAttachment:
        return await self._store.write(commits.uploaded, claim.letter, one, url=url, offset=offset)


def begun_anew(one: LetterAttachment) -> LetterAttachment:
    """For another draft: an upload that was begun leads to the one before."""
    return replace(one, upload_url=None, upload_offset=0)


def _may_be(info: AttachmentInfo, one: LetterAttachment) -> bool:
    """By name and size, before a byte is read. Graph's size includes overhead."""
    return (
        info.kind is AttachmentKind.FILE
        and info.name == one.name
        and info.is_inline == (one.content_id is not None)
        and (info.size is None or info.size >= one.size)
    )


async def _is(graph: Mailer, user: str, item_id: str, info: AttachmentInfo, one: LetterAttachment) -> bool:
    """By its bytes, streamed."""
    came, digest = 0, hashlib.sha256()
    async for some in graph.attachment_bytes(user, item_id, info.id):
        came += len(some)
        if came > one.size:
            return False
        digest.update(some)
    return came == one.size and digest.digest() == one.sha256


def _fields(claim: Claim, one: LetterAttachment) -> dict[str, object]:
    return {"message_id": claim.letter.message_id, "attachment": one.position, "offset": one.upload_offset}
