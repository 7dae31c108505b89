"""The events that there are, and what each tells. `data` of an event holds ids and states, never mail."""

from collections.abc import Mapping
from typing import Final

TEST: Final = "webhook.test"

EVENTS: Final[Mapping[str, str]] = {
    "message.accepted": "A letter was accepted and is on disk.",
    "message.submitted": "Microsoft 365 took the letter.",
    "message.sent": "The letter stands in the mailbox’s Sent Items.",
    "message.failed": "The letter did not leave, and will not by itself.",
    "message.needs_review": "It could not be proved whether the letter left: a person decides.",
    "message.bounced": "A letter’s recipient was not reached.",
    "message.delayed": "A mail system says that it is still trying to deliver the letter.",
    "message.held": "The letter waits: its recipient answers by machine, and got many within the hour.",
    "message.moved": "Somebody moved a message to another thread.",
    "message.unlinked": "Somebody took a message out of its thread.",
    "message.cancelled": "The letter was cancelled before it left.",
    "reply.received": "Somebody answered.",
    "reply.automatic": "A machine answered, such as an out-of-office note.",
    "thread.updated": "Something else was added to a thread, such as mail written in Outlook, or a bounce.",
    "thread.linked": "A thread is shown with another record, too.",
    "thread.unlinked": "A thread is no longer shown with a record.",
    "review.opened": "A mail that may belong to a thread waits for a person.",
    "review.accepted": "Somebody decided where a mail belongs that had waited.",
    "review.dismissed": "Somebody decided that a mail that had waited belongs nowhere here.",
    "batch.accepted": "A batch was accepted and is on disk.",
    "batch.progress": "Another tenth of a batch is over.",
    "batch.finished": "All letters of a batch have come to an end.",
    "mailbox.validated": "A mailbox was proved to work.",
    "mailbox.refused": "A mailbox was tried and did not work.",
    "mailbox.removed": "A mailbox was removed.",
    "credential.expiring": "The credential expires in so many days.",
    "credential.refused": "Microsoft Entra refuses the credential: nothing is sent or read until that is mended.",
    "credential.recovered": "The credential is good again.",
    "completeness.gap": "For a time it was not certain that all mail was seen.",
    "completeness.missing": "Microsoft 365 has mail of our conversations that is not here. It is fetched.",
    "completeness.unannounced": "Mail was found that no notification had announced.",
    "gateway.restored": "The database was put back from a backup.",
    "webhook.down": "A webhook has not taken events for a while. It is tried until it does.",
    "webhook.recovered": "A webhook takes events again; what waited follows.",
    "webhook.disabled": "A webhook said that it is gone (410). Nothing is sent to it until it is enabled.",
    TEST: "Somebody wanted to see whether this webhook works. Only that webhook gets it.",
}
