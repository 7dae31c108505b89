"""The folder of backups: what lies there, and how long the gateway keeps what."""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, Self

from gateway.backups.manifest import BESIDE, ENCRYPTED, NAME, PART, Beside, Manifest, Reason
from gateway.settings import Settings

BESIDE_THE_DATABASE: Final = "backups"
UPGRADES_KEPT: Final = timedelta(days=30)
ALL_KEPT: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup as it lies there. `beside` is None, and `problem` a sentence, when something about it is wrong."""

    path: Path
    file_bytes: int
    beside: Beside | None = None
    problem: str | None = None

    @property
    def manifest(self) -> Manifest | None:
        """What it says of itself."""
        return None if self.beside is None else self.beside.manifest

    @property
    def is_encrypted(self) -> bool:
        """By its name."""
        return self.path.name.endswith(ENCRYPTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How many days have one each, and how many weeks; besides, all of the last day stay, and the newest of all."""

    daily: int
    weekly: int

    @property
    def longest(self) -> timedelta:
        """After this time nothing that was made by schedule is left, while newer ones are made."""
        return max(ALL_KEPT, timedelta(days=self.daily), timedelta(weeks=self.weekly))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """The folder that a gateway keeps its backups in, and its rules."""

    folder: Path
    rules: Rules

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The folder that is set; without one, `backups` beside the database, for what is asked for by hand."""
        folder = settings.backups or settings.database.parent / BESIDE_THE_DATABASE
        return cls(folder=folder, rules=Rules(daily=settings.backups_daily, weekly=settings.backups_weekly))

    def backups(self) -> Sequence[Backup]:
        """All of them, newest first. Raises `OSError` when the folder cannot be read; a missing one is empty."""
        if not self.folder.exists():
            return []
        found = [look_at(path) for path in self.folder.iterdir() if NAME.fullmatch(path.name)]
        return sorted(found, key=lambda one: one.path.name.removeprefix("gateway-"), reverse=True)

    def good(self) -> Sequence[tuple[Backup, Manifest]]:
        """Those with nothing visibly wrong, newest first."""
        found = [(one, one.manifest) for one in self.backups() if one.manifest is not None and one.problem is None]
        return sorted(found, key=lambda pair: pair[1].made_at, reverse=True)

    def kept_until(self, manifest: Manifest) -> datetime | None:
        """When the gateway deletes it at the latest, while newer ones are made; None: only people delete it."""
        match manifest.reason:
            case Reason.SCHEDULED:
                return manifest.made_at + self.rules.longest
            case Reason.UPGRADE:
                return manifest.made_at + UPGRADES_KEPT
            case Reason.ASKED:
                return None

    def forget_old(self, now: datetime) -> int:
        """Delete what the rules do not keep, and what a crash left half done; how many backups went."""
        going = too_old(self.good(), self.rules, now)
        for one in going:
            one.path.unlink(missing_ok=True)
            beside(one.path).unlink(missing_ok=True)
        return len(going)

    def sweep(self) -> None:
        """Delete what a crash left of backups that never came to be. Only with the lock on making them."""
        if not self.folder.exists():
            return
        for path in list(self.folder.iterdir()):
            whole = path.with_name(path.name.removesuffix(PART).removesuffix(BESIDE))
            if NAME.fullmatch(whole.name) and path != whole and (path.name.endswith(PART) or not whole.exists()):
                path.unlink(missing_ok=True)


def look_at(path: Path) -> Backup:
    """A backup by what lies beside it; its contents are not read."""
    try:
        size = path.stat().st_size
        said = Beside.from_bytes(beside(path).read_bytes())
    except FileNotFoundError:
        return Backup(path=path, file_bytes=_size(path), problem="Its manifest, which belongs beside it, is missing.")
    except (OSError, ValueError) as error:
        return Backup(path=path, file_bytes=_size(path), problem=f"Its manifest cannot be read: {error}.")
    if size != said.file_bytes:
        problem = f"It has {size:,} bytes, and was written with {said.file_bytes:,}."
        return Backup(path=path, file_bytes=size, beside=said, problem=problem)
    return Backup(path=path, file_bytes=size, beside=said)


def beside(path: Path) -> Path:
    """Where the manifest of this backup lies."""
    return path.with_name(path.name + BESIDE)


def too_old(found: Iterable[tuple[Backup, Manifest]], rules: Rules, now: datetime) -> Sequence[Backup]:
    """What the rules do not keep. What people asked for is theirs to delete."""
    known = list(found)
    scheduled = [pair for pair in known if pair[1].reason is Reason.SCHEDULED]
    kept = {one.path for one, manifest in scheduled if now - manifest.made_at < ALL_KEPT}
    kept |= {one.path for one, _ in scheduled[:1]}
    kept |= _newest_of_each(scheduled, "%Y-%m-%d", since=now - timedelta(days=rules.daily))
    kept |= _newest_of_each(scheduled, "%G-%V", since=now - timedelta(weeks=rules.weekly))
    upgrades = [pair for pair in known if pair[1].reason is Reason.UPGRADE]
    kept |= {one.path for one, manifest in upgrades if now - manifest.made_at < UPGRADES_KEPT}
    return [one for one, _ in (*scheduled, *upgrades) if one.path not in kept]


def _newest_of_each(found: Sequence[tuple[Backup, Manifest]], period: str, *, since: datetime) -> set[Path]:
    """The last of each day, or of each week; `found` has the newest first."""
    newest: dict[str, Path] = {}
    for one, manifest in found:
        if manifest.made_at > since:
            newest.setdefault(manifest.made_at.strftime(period), one.path)
    return set(newest.values())


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
