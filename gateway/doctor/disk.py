"""The disk: whether the folder is ours alone, has room, is no network's, and keeps what it is told to keep."""

import os
import stat
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gateway.doctor.patient import Patient, Skipped, bad, doubtful, well
from gateway.setup.report import Check
from gateway.space import Room, Space

MOUNTS: Final = Path("/proc/self/mountinfo")
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "lustre", "afs", "beegfs", "fuse.sshfs"}
    | {"fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "virtiofs", "vboxsf", "fuse.vmhgfs-fuse", "davfs"}
)
PASSING: Final = frozenset({"tmpfs", "ramfs", "overlay"})
FLUSHES: Final = 20
SLOW_S: Final = 0.05  # a letter is answered after one flush
TOO_SLOW_S: Final = 1.0  # Graph waits for three seconds
PAGE: Final = 4096
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def folder(patient: Patient) -> Check:
    """It is there, and can be written by us and read by nobody else."""
    path, tried = patient.folder, f"Looked at the folder {patient.folder}."
    try:
        found = path.stat()
    except FileNotFoundError:
        parent = next(one for one in path.absolute().parents if one.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return doubtful("folder", tried, "It is not there yet.", "The first start makes it, mode 0700.")
        cure = f"Make it, for the gateway's user alone: {parent} cannot be written by this user."
        return bad("folder", tried, "It is not there.", cure)
    except OSError as error:
        return bad("folder", tried, f"It cannot be looked at: {error.strerror}.", "Let the gateway's user into it.")
    if not stat.S_ISDIR(found.st_mode):
        return bad("folder", tried, "It is no folder.", "Correct GATEWAY_DATABASE, which names the file in it.")
    if not os.access(path, os.W_OK | os.X_OK):
        return bad(
            "folder", tried, "This user cannot write in it.", "Run the doctor as the gateway's user, or chown it."
        )
    if found.st_mode & stat.S_IWOTH:
        return bad("folder", tried, "Everybody may write in it.", f"chmod 700 {path}")
    if found.st_mode & OTHERS:
        return doubtful("folder", tried, "Others may look into it.", f"chmod 700 {path}")
    return well("folder", tried, "It is ours alone.")


def files(patient: Patient) -> Check:
    """Nobody else may read them, and they are ours."""
    patient.needs("folder")
    if not patient.folder.exists():
        raise Skipped("The folder is not there yet.")
    tried, wrong = "Looked at who may read the files in it.", []
    for path in sorted(patient.folder.glob(f"{patient.database.name}*")):
        found = path.stat()
        if found.st_mode & OTHERS:
            wrong.append((f"{path.name} can be read by others.", f"chmod 600 {path}"))
        if not os.access(path, os.R_OK | os.W_OK):
            wrong.append(
                (f"{path.name} cannot be read and written by this user.", f"chown it to the gateway's user: {path}")
            )
    if wrong:
        return bad("files", tried, " ".join(one for one, _ in wrong), "; ".join(cure for _, cure in wrong))
    return well("files", tried, "Nobody but us.")


def space(patient: Patient) -> Check:
    """More is free than what letters are refused at."""
    path = next(one for one in (patient.folder.absolute(), *patient.folder.absolute().parents) if one.exists())
    return judge_space(Space(patient.clock, path, wanted=patient.settings.wanted_free_space).room())


def judge_space(room: Room) -> Check:
    """What the room comes to."""
    tried, cure = (
        "Asked how much is free.",
        "Make room, or enlarge the disk; GATEWAY_FREE_SPACE says how much is wanted.",
    )
    if room.free is None:
        return doubtful("space", tried, room.sentence, "Look at the disk.")
    if room.is_low:
        return bad("space", tried, room.sentence, cure)
    if room.free < 2 * room.wanted:
        return doubtful("space", tried, f"{room.sentence} That will not last.", cure)
    return well("space", tried, room.sentence)


def filesystem(patient: Patient) -> Check:
    """Of this machine, and one that stays."""
    try:
        mounts = MOUNTS.read_text()
    except OSError:
        raise Skipped("This system does not say what is mounted.") from None
    return judge_filesystem(kind_of(mounts, patient.folder.absolute()))


def kind_of(mounts: str, path: Path) -> str:
    """The kind of filesystem that a path is on, by what `/proc/self/mountinfo` says (proc(5))."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        at = Path(before.split()[4].encode().decode("unicode_escape"))
        if (path == at or at in path.parents) and len(at.parts) >= best:  # a later mount lies over an earlier one
            best, kind = len(at.parts), after.split()[0]
    return kind


def judge_filesystem(kind: str) -> Check:
    """SQLite's log lies in shared memory, which no network has: https://www.sqlite.org/wal.html#noshm"""
    tried, found = "Looked at what kind of filesystem the folder is on.", f"It is {kind}."
    if kind in NETWORK:
        cure = "Put the database on a disk of this machine: locks and flushes over a network damage SQLite's files."
        return bad("filesystem", tried, found, cure)
    if kind in PASSING:
        cure = "Put the database on a disk, in a container on a volume: this one goes with the machine or container."
        return doubtful("filesystem", tried, found, cure)
    return well("filesystem", tried, found)


def flush(patient: Patient) -> Check:
    """How long a commit has to wait for the disk."""
    patient.needs("folder")
    if not patient.folder.exists():
        raise Skipped("The folder is not there yet.")
    try:
        return judge_flush(flush_times(patient.folder))
    except OSError as error:
        return bad("flush", "Wrote and flushed a few pages.", f"The disk says: {error.strerror}.", "Look at the disk.")


def flush_times(folder: Path, *, now: Callable[[], float] = time.perf_counter) -> list[float]:
    """Seconds, of each. Raises OSError."""
    took = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(FLUSHES):
            began = now()
            file.write(bytes(PAGE))
            os.fsync(file.fileno())
            took.append(now() - began)
    return took


def judge_flush(took: list[float]) -> Check:
    """What the times come to."""
    usual, worst = statistics.median(took), max(took)
    tried = f"Wrote and flushed 4 KiB, {len(took)} times."
    found = f"Half of them took {usual * 1000:.1f} ms or less, the worst {worst * 1000:.1f} ms."
    if usual >= TOO_SLOW_S:
        return bad("flush", tried, found, "Use a faster disk: Graph waits for three seconds, and then holds back.")
    if usual >= SLOW_S:
        cure = "Use a faster disk, or see who else writes to it: each letter waits for one flush at least."
        return doubtful("flush", tried, found, cure)
    return well("flush", tried, found)
