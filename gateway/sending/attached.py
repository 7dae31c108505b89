"""The files that go with a letter when it is taken in: brought along, or uploaded before."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from gateway.sending.posted import NewAttachment, TooMuchAttached, UnknownFile
from storage import NotFound, Transaction, files
from storage.attachments import LetterAttachment
from storage.messages import Attachment

DEFAULT_TYPE: Final = "application/octet-stream"


def attach(
    tx: Transaction, account_id: str, given: Sequence[NewAttachment], *, largest: int, now: datetime
) -> list[LetterAttachment]:
    """In the order given, `largest` bytes together at most. Raises `UnknownFile`, `TooMuchAttached`."""
    attached = []
    for position, one in enumerate(given):
        file = _file(tx, account_id, one, position, now)
        attached.append(
            LetterAttachment(
                position=position,
                name=one.name or file.name,
                content_type=one.content_type or file.content_type,
                content_id=one.content_id,
                size=file.size,
                sha256=file.sha256,
                file_id=file.id,
            )
        )
    total = sum(one.size for one in attached)
    if total > largest:
        raise TooMuchAttached(f"The attachments have {total:,} bytes together; a letter may have {largest:,}.")
    return attached


def _file(tx: Transaction, account_id: str, one: NewAttachment, position: int, now: datetime) -> files.File:
    """Raises `UnknownFile`."""
    if one.file_id is None:
        content = one.content or b""
        return files.store(
            tx,
            account_id,
            name=one.name or "",
            content_type=one.content_type or DEFAULT_TYPE,
            content=content,
            sha256=hashlib.sha256(content).digest(),
            expires_at=now,  # it is kept as long as the letter needs it
            now=now,
        )
    try:
        return files.get(tx, account_id, one.file_id)
    except NotFound:
        raise UnknownFile(
            f"Attachment {position + 1} names a file that is not here, or no longer. Upload it, then post the letter."
        ) from None


def described(attachment: LetterAttachment) -> Attachment:
    return Attachment(
        id=None,
        name=attachment.name,
        content_type=attachment.content_type,
        size=attachment.size,
        is_inline=attachment.content_id is not None,
        content_id=attachment.content_id,
    )
