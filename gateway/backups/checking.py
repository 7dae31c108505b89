"""Whether a backup is what it says: the file, the database in it, and whether the master key opens its secrets."""

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import storage
from gateway.backups.errors import Damaged, NoRoom, OtherMasterKey
from gateway.backups.making import Watcher, silent
from gateway.backups.manifest import Manifest
from gateway.backups.packing import checksum, is_encrypted, unpack
from gateway.backups.scratch import OWNER_ONLY, folder_beside
from gateway.backups.shelf import Backup, look_at
from gateway.master_key import keys_at_hand
from gateway.settings import Settings
from storage import copies
from storage.migrate import released

UNPACKED: Final = "gateway.db"
UNKNOWN_SIZE_FACTOR: Final = 12  # of a database against its backup, where no manifest says how large it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found. `opened` is False when no identity was at hand, so that only the file's checksum is known."""

    path: Path
    manifest: Manifest
    opened: bool


def verify(path: Path, settings: Settings, watch: Watcher = silent, *, needs_key: bool = True) -> Checked:
    """Check a backup down to its secrets, in a scratch folder beside the database that is gone afterwards.

    Encrypted, and with no identity at hand: only the file against the manifest beside it. `needs_key`: whether the
    master key must open it. Blocks: call it in a thread. Raises `Damaged`, `Locked`, `OtherMasterKey`,
    `storage.SchemaTooNew`, `NoRoom`, `OSError`.
    """
    found = present(path)
    if is_encrypted(path) and not settings.backup_identity and found.beside is not None:
        check_file(found, watch)
        return Checked(path=path, manifest=found.beside.manifest, opened=False)
    with unpacked(found, settings, watch) as (database, manifest):
        if needs_key:
            check_key(database, manifest, settings)
    return Checked(path=path, manifest=manifest, opened=True)


def present(path: Path) -> Backup:
    """Raises `Damaged` when there is no such file, or what lies beside it says that it is not whole."""
    if not path.is_file():
        raise Damaged(f"There is no backup {path}.")
    found = look_at(path)
    if found.beside is not None and found.problem is not None:
        raise Damaged(f"{path.name} is damaged. {found.problem}")
    return found


def check_file(found: Backup, watch: Watcher = silent) -> None:
    """The file against the checksum beside it. Raises `Damaged`."""
    if found.beside is None:
        return
    digest = checksum(found.path, lambda done: watch("reading", done, found.file_bytes))
    _compare(found, digest)


@contextmanager
def unpacked(found: Backup, settings: Settings, watch: Watcher = silent) -> Iterator[tuple[Path, Manifest]]:
    """The database of a backup, in a scratch folder beside the real one, looked over; both are gone afterwards.

    Raises `Damaged`, `Locked`, `storage.SchemaTooNew`, `NoRoom`.
    """
    beside_it = settings.database.parent
    beside_it.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_room(found, beside_it)
    with folder_beside(settings.database) as folder:
        database = folder / UNPACKED
        with os.fdopen(os.open(database, os.O_WRONLY | os.O_CREAT | os.O_EXCL, OWNER_ONLY), "wb") as into:
            manifest, digest = unpack(
                found.path, into, settings.backup_identity, lambda done: watch("unpacking", done, found.file_bytes)
            )
        _compare(found, digest)
        watch("checking", 0, 1)
        check_contents(database, manifest)
        watch("checking", 1, 1)
        yield database, manifest


def check_room(found: Backup, folder: Path) -> None:
    """Raises `NoRoom`."""
    free = shutil.disk_usage(folder).free
    needed = found.manifest.database_bytes if found.manifest else found.file_bytes * UNKNOWN_SIZE_FACTOR
    if free < needed:
        raise NoRoom(f"The disk of {folder} is too full to unpack {found.path.name}: {needed:,} bytes are needed.")


def check_contents(database: Path, manifest: Manifest) -> None:
    """Schema, integrity and the number of rows. Raises `storage.SchemaTooNew`, `Damaged`."""
    newest = released()[-1].version
    if manifest.schema_version > newest:
        raise storage.SchemaTooNew(
            f"The backup is at version {manifest.schema_version} of the tables and was made by selma-gateway "
            f"{manifest.gateway}; this release knows versions up to {newest}. Use that release to restore it."
        )
    if faults := copies.faults(database):
        raise Damaged(f"The database in the backup is damaged: {'; '.join(faults)}.")
    found = copies.contents(database)
    if found.schema_version != manifest.schema_version:
        raise Damaged(f"The database is at version {found.schema_version}, its manifest says otherwise.")
    if others := _differing(found.rows, manifest.rows):
        raise Damaged(f"The number of rows is not what the manifest says: {', '.join(others)}.")


def check_key(database: Path, manifest: Manifest, settings: Settings) -> None:
    """Whether the master key at hand opens the secrets in the copy. Raises `OtherMasterKey` with the cure."""
    if manifest.key_id is None:
        return
    keys = keys_at_hand(settings)
    if not keys:
        raise OtherMasterKey(
            f"The secrets in the backup are sealed with the master key {manifest.key_id}, and there is none at hand. "
            f"Put its file at {settings.database.parent / 'master.key'} (mode 0600), or set GATEWAY_MASTER_KEY."
        )
    where, first = keys[0]
    if copies.opens_with(database, first):
        return
    for other, key in keys[1:]:
        if copies.opens_with(database, key):
            raise OtherMasterKey(
                f"The secrets in the backup are sealed with an earlier master key, {manifest.key_id}. It lies at "
                f"{other}: put it in the place of {where}, or into GATEWAY_MASTER_KEY, and try again."
            )
    raise OtherMasterKey(
        f"The secrets in the backup are sealed with the master key {manifest.key_id}; {where} is the key {first.id} "
        "and does not open them. Put the right one in its place: the one that was kept when this backup was made."
    )


def _compare(found: Backup, digest: str) -> None:
    if found.beside is not None and digest != found.beside.file_sha256:
        raise Damaged(
            f"{found.path.name} is damaged: its SHA-256 is not the one that was written beside it. Take another backup."
        )


def _differing(found: Mapping[str, int], said: Mapping[str, int]) -> Sequence[str]:
    return [
        f"{table} has {found.get(table, 0)}, not {said.get(table, 0)}"
        for table in sorted({*found, *said})
        if found.get(table) != said.get(table)
    ]
