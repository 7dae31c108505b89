"""Whether a mail is one that was erased here, or belongs to a conversation that was: then it stays away.

Whatever is older than the erasure: so what somebody writes afterwards is judged as any other mail, and no reply is lost
to an old conversation.
"""

from gateway.graph import Message as Item
from gateway.threads.matching import usable_message_id
from storage import Transaction, tombstones
from storage.mailboxes import Mailbox
from storage.tombstones import Kind, Mark


def is_erased(tx: Transaction, mailbox: Mailbox, item: Item) -> bool:
    """By its id in this mailbox, its Message-ID, or its conversation."""
    came_at = item.received_at or item.sent_at or item.created_at
    marks = [Mark(kind=Kind.ITEM, mailbox_id=mailbox.id, value=item.id)]
    if item.conversation_id:
        marks.append(Mark(kind=Kind.CONVERSATION, mailbox_id=mailbox.id, value=item.conversation_id))
    if message_id := usable_message_id(item.internet_message_id):
        marks.append(Mark(kind=Kind.MESSAGE, mailbox_id="", value=message_id))
    erased_at = tombstones.erased_at(tx, mailbox.account_id, marks)
    return erased_at is not None and (came_at is None or came_at <= erased_at)


def conversation_is_erased(tx: Transaction, mailbox: Mailbox, conversation_id: str) -> bool:
    """Whether something of it was erased with its thread."""
    mark = Mark(kind=Kind.CONVERSATION, mailbox_id=mailbox.id, value=conversation_id)
    return tombstones.erased_at(tx, mailbox.account_id, [mark]) is not None
