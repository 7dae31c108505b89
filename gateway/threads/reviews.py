"""The review tray as it is shown: what waits for a person, why, and where it may belong."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.threads.bodies import text_of
from gateway.threads.views import Json, ThreadView, thread_view
from gateway.threads.why import explained, explanation
from storage import Transaction, mailboxes, placements, threads
from storage.messages import Attachment, Direction, Kind, Message
from storage.threads import Address, Cursor, Object

LONGEST_TEXT: Final = 4000  # characters; to decide, nobody needs more


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewView:
    """A message that is held until somebody decides, as far as it takes to decide. `thread` is the proposed one.

    `id` is the message's. `text` is its new part as plain text; `text_is_cut` when that is not all.
    """

    id: str
    reason: str
    explanation: str
    thread: ThreadView
    mailbox: str
    direction: Direction
    kind: Kind
    from_: Address | None
    to: Sequence[Address]
    cc: Sequence[Address]
    subject: str
    text: str
    text_is_cut: bool
    at: datetime
    attachments: Sequence[Attachment]
    evidence: Json | None


def reviews(
    tx: Transaction,
    account_id: str,
    *,
    of: Object | None = None,
    before: Cursor | None = None,
    limit: int,
    mailbox_ids: Collection[str] | None = None,
) -> list[ReviewView]:
    """What waits, newest first: all, or what may belong to an object's or some mailboxes' threads.

    A page ends at (`at`, `id`).
    """
    found = placements.held(tx, account_id, of=of, before=before, limit=limit, mailbox_ids=mailbox_ids)
    return [_review(tx, one) for one in found]


def _review(tx: Transaction, message: Message) -> ReviewView:
    evidence = message.evidence or {}
    text = (message.new_text or text_of(message)).strip()
    return ReviewView(
        id=message.id,
        reason=str(evidence.get("reason", "")),
        explanation=explanation(evidence),
        thread=thread_view(tx, threads.get(tx, message.account_id, message.thread_id)),
        mailbox=mailboxes.get(tx, message.mailbox_id).address,
        direction=message.direction,
        kind=message.kind,
        from_=message.sender,
        to=message.recipients.to,
        cc=message.recipients.cc,
        subject=message.subject,
        text=text[:LONGEST_TEXT],
        text_is_cut=len(text) > LONGEST_TEXT,
        at=message.message_at,
        attachments=message.attachments,
        evidence=explained(message.evidence),
    )
