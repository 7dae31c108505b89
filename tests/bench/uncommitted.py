"""The yardstick of accepting letters: the gateway's API, but what it writes is never committed.

Routes, middleware, key check, validation, SQL and answers are the gateway's own. Only the store that they write to is
another: it runs a route's work at once, on a copy of the database in memory, and takes it back. So what is left out is
the way to the writer's thread and back, the wait for its group, the commit with its fsync, and that the tables grow.
What is read, such as the API key, is read from the gateway's store.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from starlette.applications import Starlette

from gateway.http.app import create_app
from gateway.http.door import Door
from gateway.http.services import Services
from gateway.pace import Pace
from gateway.running import Gateway
from gateway.settings import Settings
from gateway.threads.attachments import AttachmentReader
from gateway.threads.linking import Linking
from storage import Store, Transaction
from storage.entering import enter
from subscriptions.receiver import Receiver

T = TypeVar("T")


class UncommittedStore:
    """A `Store` for the routes. The copy is made at the first write: then the mailboxes have been validated."""

    def __init__(self, store: Store, path: Path) -> None:
        self.read = store.read
        self.glance = store.glance
        self.watching = store.watching
        self._path = path

    @cached_property
    def _copy(self) -> Transaction:
        memory = sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)
        with contextlib.closing(sqlite3.connect(self._path)) as file:
            file.backup(memory)
        memory.execute("PRAGMA foreign_keys = ON")
        return memory

    async def write(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run `work`, bring the search index up to date as a commit would, and undo all of it."""
        tx = self._copy
        tx.execute("BEGIN IMMEDIATE")
        try:
            outcome = work(tx, *args, **kwargs)
            enter(tx)
            return outcome
        finally:
            tx.execute("ROLLBACK")


def without_commits(built: Gateway, settings: Settings) -> Starlette:
    """The gateway's application on such a store. Graph's notifications go to the gateway's own."""
    return create_app(
        Services(
            store=UncommittedStore(built.store, settings.database),
            clock=built.clock,
            settings=settings,
            linking=Linking(built.store, built.connections, built.clock),
            receiver=Receiver(built.store, built.clock),
            attachments=AttachmentReader(built.store, built.connections),
            door=Door(Pace()),
            trail=built.trail,
            privacy=built.privacy,
            setup=built.setup,
            webhooks=built.webhooks,
            readiness=built.health,
            session_key=built.session_key,
            stopping=built.stopping,
        )
    )
