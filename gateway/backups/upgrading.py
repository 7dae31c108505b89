"""The backup before a new release changes the tables, so that the release before can be gone back to.

It goes where backups go; where no folder is set, into `backups` beside the database. Without room for it the tables
are not changed and the gateway does not start: whoever upgrades is there to make room, and a way back cannot be had
afterwards.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from gateway.backups.errors import BackupError, NotMade
from gateway.backups.making import Order, make
from gateway.backups.manifest import Reason
from gateway.clock import Clock
from gateway.settings import Settings

log = logging.getLogger(__name__)


def backup_before_change(settings: Settings, clock: Clock) -> Callable[[Path, int], None]:
    """For `storage.open_store`. What it returns raises `NotMade`; then nothing of the database is changed."""

    def keep(database: Path, version: int) -> None:
        try:
            made = make(replace(Order.of(settings, Reason.UPGRADE), database=database), clock.now())
        except BackupError as error:
            raise NotMade(
                f"This release has to change the tables of the database (now at version {version}), and there is no "
                f"way back without a backup. {error}"
            ) from error
        log.info("backed up before the tables are changed", extra={"backup": made.path.name, "version": version})

    return keep
