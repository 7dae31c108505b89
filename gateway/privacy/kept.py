"""Which backups still hold what was erased, and until when: told with each receipt."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.backups.manifest import STAMP
from gateway.backups.shelf import Backup, Shelf

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class StillIn:
    """A backup in the gateway's own folder. `kept_until` is None when nobody but people will delete it."""

    name: str
    made_at: datetime
    kept_until: datetime | None


async def all_kept(shelf: Shelf | None) -> Sequence[StillIn]:
    """All backups that lie in the folder, newest first. Of copies that lie elsewhere nothing is known here."""
    if shelf is None:
        return ()
    try:
        found = await asyncio.to_thread(shelf.backups)
    except OSError as error:
        log.warning("folder of backups cannot be read", extra={"error": type(error).__name__})
        return ()
    return [_told(shelf, one) for one in found]


def _told(shelf: Shelf, one: Backup) -> StillIn:
    manifest = one.manifest
    if manifest is None:  # what cannot be read is not deleted by itself either
        stamp = one.path.name.split("-")[1]
        made_at = datetime.strptime(stamp, STAMP).replace(tzinfo=UTC)
        return StillIn(name=one.path.name, made_at=made_at, kept_until=None)
    return StillIn(name=one.path.name, made_at=manifest.made_at, kept_until=shelf.kept_until(manifest))
