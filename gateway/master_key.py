"""Where the master key comes from: the environment, or a key file beside the database made at first start.

It is replaced while the gateway serves: the new key is written beside the old one, everything is sealed anew in one
transaction, and only then the files change names. A crash in between leaves a file that opens what is stored, and a
running gateway looks at the files again when its key opens nothing any more.
"""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import storage
from gateway.clock import Clock
from gateway.settings import Settings
from storage import WrongMasterKey, credentials, encryption_certificates, vault, webhooks
from storage.vault import MasterKey

KEY_FILE: Final = "master.key"
NEXT_FILE: Final = "master.key.next"
# Whatever seals with the master key is sealed anew by one of these when the key is replaced.
RESEALERS: Final = (credentials.reseal, webhooks.reseal, encryption_certificates.reseal)
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def unlock(store: storage.Store, settings: Settings, clock: Clock) -> MasterKey:
    """The master key, proved to be the one this database was set up with.

    Raises `WrongMasterKey` with what to do: another key, a lost key file, one that others can read.
    """
    sealed = await store.read(vault.is_sealed)
    folder = settings.database.parent
    key = settings.master_key or _from_file(folder / KEY_FILE, sealed=sealed)
    try:
        await store.write(vault.unlock, key, now=clock.now())
    except WrongMasterKey:
        if settings.master_key is not None or not (folder / NEXT_FILE).exists():
            raise
        key = _read(folder / NEXT_FILE)  # the last replacement got no further than this
        await store.write(vault.unlock, key, now=clock.now())
        _put_in_place(folder, key_before=None)
    return key


def key_at_hand(settings: Settings) -> MasterKey | None:
    """The key that the next start would take; None when it would make one. Changes nothing. Raises `WrongMasterKey`."""
    path = settings.database.parent / KEY_FILE
    if settings.master_key is not None or not path.exists():
        return settings.master_key
    return _read(path)


class LiveKey:
    """The key of this moment: where the one at hand opens nothing any more, the key files are looked at again."""

    def __init__(self, key: MasterKey, settings: Settings) -> None:
        self._key = key
        self._folder = None if settings.master_key is not None else settings.database.parent

    @property
    def id(self) -> str:
        """Of the key at hand."""
        return self._key.id

    def refresh(self) -> None:
        """Take the key that lies in the files now, if it is another one."""
        self._key = next((one for one in self._lying_there() if one.id != self._key.id), self._key)

    def seal(self, secret: str, context: str) -> bytes:
        """With the key at hand; `vault.check_current` sees that it is the right one."""
        return self._key.seal(secret, context)

    def open(self, ciphertext: bytes, context: str) -> str:
        """With the key at hand, else with one that lies in the files. Raises `WrongMasterKey`."""
        try:
            return self._key.open(ciphertext, context)
        except WrongMasterKey:
            for other in self._lying_there():
                try:
                    opened = other.open(ciphertext, context)
                except WrongMasterKey:
                    continue
                self._key = other
                return opened
            raise

    def _lying_there(self) -> list[MasterKey]:
        if self._folder is None:
            return []
        found: list[MasterKey] = []
        for name in (NEXT_FILE, KEY_FILE):
            try:
                found.append(_read(self._folder / name))
            except (WrongMasterKey, OSError):
                continue
        return found


class KeyInEnvironment(Exception):
    """The key is not ours to replace; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaced:
    """How many secrets were sealed anew, and where the key lies that opens older backups."""

    secrets: int
    old_key: Path


async def replace(store: storage.Store, settings: Settings, clock: Clock) -> Replaced:
    """Make a new master key and seal everything with it, beside a running gateway or alone.

    Raises `WrongMasterKey` when the present key does not open what is stored, and `KeyInEnvironment`.
    """
    if settings.master_key is not None:
        raise KeyInEnvironment(
            f"The master key comes from GATEWAY_MASTER_KEY. Put it into {settings.database.parent / KEY_FILE} (mode "
            "0600), take the variable away, start the gateway again, and then replace the key."
        )
    old = await unlock(store, settings, clock)
    folder, new = settings.database.parent, MasterKey.new()
    (folder / NEXT_FILE).unlink(missing_ok=True)  # of a replacement that did not come to its transaction
    _write(folder / NEXT_FILE, new)
    count = await store.write(_reseal, old, new)
    return Replaced(secrets=count, old_key=_put_in_place(folder, key_before=old))


def keys_at_hand(settings: Settings) -> Sequence[tuple[str, MasterKey]]:
    """Every key that can be had and where it is: the one that would serve first, then those of earlier times."""
    folder = settings.database.parent
    found = [] if settings.master_key is None else [("GATEWAY_MASTER_KEY", settings.master_key)]
    for path in (folder / KEY_FILE, *sorted(folder.glob(f"{KEY_FILE}.*"))):
        try:
            found.append((str(path), _read(path)))
        except (WrongMasterKey, OSError):
            continue
    return found


def _reseal(tx: storage.Transaction, old: MasterKey, new: MasterKey) -> int:
    vault.bind_to(tx, old, new)
    return sum(reseal(tx, old, new) for reseal in RESEALERS)


def _put_in_place(folder: Path, *, key_before: MasterKey | None) -> Path:
    """The next key becomes the key; the one before is kept under its id, for the backups of its time."""
    kept = folder / (f"{KEY_FILE}.{key_before.id}" if key_before else f"{KEY_FILE}.before")
    kept.unlink(missing_ok=True)
    os.link(folder / KEY_FILE, kept)  # so that there is a key file at every moment
    (folder / NEXT_FILE).replace(folder / KEY_FILE)
    sync_folder(folder)
    return kept


def _from_file(path: Path, *, sealed: bool) -> MasterKey:
    if path.exists():
        return _read(path)
    if sealed:
        raise WrongMasterKey(
            f"The database was set up with a master key, but there is no {path} and GATEWAY_MASTER_KEY is not set. "
            "Put the key file back from its backup, or set GATEWAY_MASTER_KEY."
        )
    key = MasterKey.new()
    _write(path, key)
    return key


def _write(path: Path, key: MasterKey) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.to_text() + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """So that a new or renamed file outlives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read(path: Path) -> MasterKey:
    if path.stat().st_mode & OTHERS:
        raise WrongMasterKey(f"Others can read {path}. Take that away first: chmod 600 {path}")
    try:
        return MasterKey.from_text(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise WrongMasterKey(f"{path} holds no master key ({error}). Put the file back from its backup.") from error
