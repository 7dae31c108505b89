"""A gateway's folder: its database, its key, its backups."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.backups.making import Order, Watcher, make, silent
from gateway.backups.manifest import Reason
from gateway.backups.shelf import Backup, Shelf
from gateway.settings import Settings
from storage import Store, accounts, events, open_store, outbox
from tests.fakes.clock import FakeClock


@dataclass
class House:
    """Where it all lies. `more` are further settings."""

    folder: Path
    clock: FakeClock
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return replace(Settings(database=self.folder / "gateway.db", backups=self.folder / "backups"), **self.more)

    @property
    def database(self) -> Path:
        return self.settings.database

    @property
    def shelf(self) -> Shelf:
        return Shelf.of(self.settings)

    def order(self, reason: Reason = Reason.ASKED, **changes: Any) -> Order:
        order = Order(
            database=self.database,
            shelf=self.shelf,
            recipients=self.settings.backup_recipients,
            reason=reason,
            reserve_bytes=0,
        )
        return replace(order, **changes)

    def back_up(self, reason: Reason = Reason.ASKED, *, at: datetime | None = None, watch: Watcher = silent) -> Backup:
        return make(self.order(reason), at or self.clock.now(), watch)

    def leftovers(self) -> set[str]:
        """All files but those that belong there between two acts."""
        found = {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}
        kept = {"gateway.db", "gateway.db.lock", "gateway.db.backup.lock", "gateway.db.mark", "master.key"}
        return (
            found - kept - {f"backups/{one.path.name}{more}" for one in self.shelf.backups() for more in ("", ".json")}
        )


async def something_happens(store: Store, clock: FakeClock) -> None:
    [account] = await store.read(accounts.all_of_them)
    await store.write(events.record, account.id, "message.sent", now=clock.now())


async def states(database: Path) -> dict[str, str]:
    """Of the letters."""
    async with open_store(database) as store:
        found = [await store.read(outbox.find, f"msg_{number}") for number in range(1, 4)]
    return {letter.message_id: letter.state for letter in found if letter is not None}
