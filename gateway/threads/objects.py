"""Which of SELMA's records a thread is shown with. Each function is one transaction's work; doing it twice is no news.

The last record stays: else what comes in the thread later would be on nobody's Events tab.
"""

from datetime import datetime
from typing import Final

from storage import Conflict, Transaction, audit, events, threads
from storage.audit import Actor
from storage.threads import Object

LINKED: Final = "thread.linked"
UNLINKED: Final = "thread.unlinked"
ACTS: Final = {LINKED: "thread.link", UNLINKED: "thread.unlink"}
LAST: Final = "This is the only record that shows the thread. Link the thread to another one first."


def link(tx: Transaction, account_id: str, thread_id: str, what: Object, *, by: Actor, now: datetime) -> None:
    """Show the thread on this record's Events tab, too. Raises `storage.NotFound`."""
    threads.get(tx, account_id, thread_id)
    if what not in threads.objects_of(tx, thread_id):
        threads.link(tx, account_id, thread_id, [what])
        _write_down(tx, account_id, thread_id, what, LINKED, by, now)


def unlink(tx: Transaction, account_id: str, thread_id: str, what: Object, *, by: Actor, now: datetime) -> None:
    """Show the thread there no more. Raises `storage.NotFound`, and `storage.Conflict` for its last record."""
    threads.get(tx, account_id, thread_id)
    if threads.objects_of(tx, thread_id) == [what]:
        raise Conflict(LAST)
    if threads.unlink(tx, account_id, thread_id, what):
        _write_down(tx, account_id, thread_id, what, UNLINKED, by, now)


def _write_down(
    tx: Transaction, account_id: str, thread_id: str, what: Object, event: str, by: Actor, now: datetime
) -> None:
    data = {"type": what.type.value, "id": what.id}
    events.record(tx, account_id, event, thread_id=thread_id, data=data, now=now)
    targets = {"thread_id": thread_id, "object_type": what.type.value, "object_id": what.id}
    audit.record(tx, account_id, by, ACTS[event], targets, now=now)
