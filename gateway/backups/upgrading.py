"""The backup before a new release changes the tables, so that the release before can be gone back to.

It goes where backups go; where no folder is set, into `backups` beside the database. Without room for it the tables
are not changed and the gateway does not start: whoever upgrades is there to make room, and a way back cannot be had
afterwards.
"""

import logging
from collections.abc import Callable
from pathlib import Path

from gateway.backups.errors import BackupError, NotMade
from gateway.backups.making import Order, make
from gateway.backups.manifest import Reason
from gateway.backups.shelf import Shelf
from gateway.clock import Clock
from gateway.settings import Settings

log = logging.getLogger(__name__)


def backup_before_change(settings: Settings, clock: Clock) -> Callable[[Path, int], None]:
    """For `storage.open_store`. What it returns raises `NotMade`; then nothing of the database is changed."""

    def keep(database: Path, version: int) -> None:
        order = Order(
            database=database,
            shelf=Shelf.of(settings),
            recipients=settings.backup_recipients,
            reason=Reason.UPGRADE,
        )
        try:
            made = make(order, clock.now())
        except BackupError as error:
            raise NotMade(
                f"This release has to change the tables of the database (now at version {version}), and there is no "
                f"way back without a backup. {error}"
            ) from error
        log.info("backed up before the tables are changed", extra={"backup": made.path.name, "version": version})

    return keep
