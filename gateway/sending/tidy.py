"""Taking away the drafts of letters that will not leave, so that nobody sends them by hand."""

import logging
from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.sending import commits
from gateway.sending.errors import FAILURES
from gateway.sending.looking import GraphSource, look
from storage import NotFound, Store, Transaction, mailboxes, outbox
from storage.outbox import Letter

log = logging.getLogger(__name__)

AT_ONCE: Final = 20
RETRY: Final = timedelta(minutes=1)
GIVE_UP: Final = timedelta(days=1)  # then the mailbox is out of reach for good, or its owner has seen the draft


class Tidier:
    """Looks for what failed and cancelled letters have left in their mailboxes; `outbox.tidy_at` says of which."""

    def __init__(self, store: Store, graphs: GraphSource, clock: Clock) -> None:
        self._store = store
        self._graphs = graphs
        self._clock = clock

    async def run_due(self) -> int:
        """Tidy what is due; how many letters that were. Raises `StorageUnavailable`."""
        due = await self._store.read(_untidy, self._clock)
        for letter, user in due:
            again_at = None
            try:
                await self._tidy(letter, user)
            except FAILURES as failure:
                fields = {"message_id": letter.message_id, "error": type(failure).__name__}
                log.warning("drafts not tidied", extra=fields)
                now = self._clock.now()
                again_at = now + RETRY if now - letter.state_since < GIVE_UP else None
            await self._store.write(outbox.tidied, letter, again_at=again_at)
        return len(due)

    async def _tidy(self, letter: Letter, user: str) -> None:
        graph = await self._graphs.graph(letter.account_id)
        found = await look(graph, user, letter)
        if found.sent is not None:  # somebody has sent it by hand already
            await self._store.write(commits.seen_sent, letter, found.sent, now=self._clock.now())
            return
        for item in found.drafts:
            await graph.delete_message(user, item.id)
            log.info("draft of a letter that will not leave deleted", extra={"message_id": letter.message_id})


def _untidy(tx: Transaction, clock: Clock) -> list[tuple[Letter, str]]:
    found = []
    for letter in outbox.untidy(tx, now=clock.now(), limit=AT_ONCE):
        try:
            mailbox = mailboxes.get(tx, letter.mailbox_id)
        except NotFound:
            continue
        found.append((letter, mailbox.user))
    return found
