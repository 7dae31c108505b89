"""Where the master key comes from: the environment, or a key file beside the database made at first start."""

import os
import stat
from pathlib import Path
from typing import Final

import storage
from gateway.clock import Clock
from gateway.settings import Settings
from storage import WrongMasterKey, vault
from storage.vault import MasterKey

KEY_FILE: Final = "master.key"
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


async def unlock(store: storage.Store, settings: Settings, clock: Clock) -> MasterKey:
    """The master key, proved to be the one this database was set up with.

    Raises `WrongMasterKey` with what to do: another key, a lost key file, one that others can read.
    """
    sealed = await store.read(vault.is_sealed)
    key = settings.master_key or _from_file(settings.database.parent / KEY_FILE, sealed=sealed)
    await store.write(vault.unlock, key, now=clock.now())
    return key


def _from_file(path: Path, *, sealed: bool) -> MasterKey:
    if path.exists():
        return _read(path)
    if sealed:
        raise WrongMasterKey(
            f"The database was set up with a master key, but there is no {path} and GATEWAY_MASTER_KEY is not set. "
            "Put the key file back from its backup, or set GATEWAY_MASTER_KEY."
        )
    key = MasterKey.new()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key.to_text() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return key


def _read(path: Path) -> MasterKey:
    if path.stat().st_mode & OTHERS:
        raise WrongMasterKey(f"Others can read {path}. Take that away first: chmod 600 {path}")
    try:
        return MasterKey.from_text(path.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise WrongMasterKey(f"{path} holds no master key ({error}). Put the file back from its backup.") from error
