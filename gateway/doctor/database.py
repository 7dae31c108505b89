"""The database and its key."""

import sqlite3
from pathlib import Path
from typing import Final

from gateway.doctor.patient import Patient, Skipped, bad, doubtful, well
from gateway.master_key import KEY_FILE, key_at_hand
from gateway.setup.report import Check
from storage import WrongMasterKey, examine, vault

QUICK_S: Final = 10.0  # a million messages take minutes
RESTORE: Final = "Stop the gateway, keep the file as it is for whoever looks into it, and restore the newest backup."


def database(patient: Patient) -> Check:
    """It is there and SQLite can read it."""
    path, tried = patient.database, f"Opened {patient.database}."
    if not path.exists():
        cure = "The first start makes it. If there was one, correct GATEWAY_DATABASE, or restore a backup."
        return doubtful("database", tried, "It is not there yet.", cure)
    try:
        with examine.looked_at(path) as tx:
            examine.version_of(tx)
            tx.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        return _trouble("database", tried, error)
    return well("database", tried, f"It can be read; {path.stat().st_size:,} bytes.")


def schema(patient: Patient) -> Check:
    """It is of this release, or can be brought to it."""
    _must_be_there(patient)
    tried, newest = "Compared the version of its tables with this release's.", examine.newest_version()
    with examine.looked_at(patient.database) as tx:
        version = examine.version_of(tx)
    if version > newest:
        cure = "Start the newer release, or restore a backup that was made before it ran."
        return bad("schema", tried, f"It is {version}; this release knows {newest} at most.", cure)
    if version < newest:
        cure = "Make a backup; the next start brings it up to date."
        return doubtful("schema", tried, f"It is {version} of {newest}.", cure)
    return well("schema", tried, f"It is {version}, as it should be.")


def integrity(patient: Patient) -> Check:
    """SQLite finds no damage."""
    _must_be_there(patient)
    tried = (
        "Let SQLite check all of it." if patient.thorough else "Let SQLite check it quickly (--thorough: all of it)."
    )
    try:
        with examine.looked_at(patient.database) as tx:
            if patient.thorough:
                found: list[str] | None = examine.damage(tx, whole=True)
            else:
                found = examine.damage_within(tx, QUICK_S)
    except sqlite3.Error as error:
        return _trouble("integrity", tried, error)
    if found is None:
        return well("integrity", tried, f"No damage in what could be read in {QUICK_S:.0f} s; it is large.")
    if found:
        return bad("integrity", tried, f"It is damaged: {'; '.join(found)}.", RESTORE)
    return well("integrity", tried, "No damage.")


def search_index(patient: Patient) -> Check:
    """The search index says what the messages say."""
    _must_be_there(patient)
    patient.needs("schema", "integrity")
    if not patient.thorough:
        raise Skipped("It takes long. Ask for it with --thorough.")
    if examine.is_held(patient.database):
        raise Skipped("It would hold up the gateway that is running. Stop it first, or look at a restored backup.")
    tried = "Compared the search index with the messages."
    try:
        found = examine.damage_of_search(patient.database)
    except sqlite3.Error as error:
        return _trouble("search index", tried, error)
    if found is not None:
        return bad("search index", tried, f"They differ: {found}.", RESTORE)
    return well("search index", tried, "They agree.")


def master_key(patient: Patient) -> Check:
    """It is there, ours alone, and opens what is stored."""
    path: Path = patient.folder / KEY_FILE
    tried = "Opened the vault with the master key."
    try:
        key = key_at_hand(patient.settings)
    except (WrongMasterKey, OSError) as error:
        return bad("master key", tried, f"{error}", "Put it right, or put the key file back from its backup.")
    _must_be_there(patient)
    patient.needs("schema")
    try:
        with examine.looked_at(patient.database) as tx:
            is_sealed = vault.is_sealed(tx)
            if is_sealed and key is not None:
                vault.unlock(tx, key, now=patient.clock.now())
    except WrongMasterKey as error:
        return bad("master key", tried, str(error), "Without the right key all credentials must be entered anew.")
    except sqlite3.Error as error:
        return _trouble("master key", tried, error)
    if key is None and is_sealed:
        cure = f"Put {path} back from its backup, or set GATEWAY_MASTER_KEY."
        return bad("master key", tried, "There is none, and the database was set up with one.", cure)
    if key is None:
        return doubtful("master key", tried, "There is none yet.", "The first start makes it. Back it up then.")
    return well("master key", tried, "It opens what is stored." if is_sealed else "Nothing is sealed yet.")


def _must_be_there(patient: Patient) -> None:
    patient.needs("database")
    if not patient.database.exists():
        raise Skipped("There is no database yet.")


def _trouble(name: str, tried: str, error: sqlite3.Error) -> Check:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        cure = "See which program has it open (fuser, lsof), and end that one, or let it come to its end."
        return bad(name, tried, "Another program holds it locked.", cure)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return bad(name, tried, f"It is damaged, or no database: {error}.", RESTORE)
    if code == sqlite3.SQLITE_FULL:
        return bad(name, tried, f"The disk is full: {error}.", "Make room on its disk.")
    return bad(name, tried, f"SQLite says: {error}.", "Look at the disk and at who may read the file.")
