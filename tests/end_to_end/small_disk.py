"""A disk that is soon full: a tmpfs in a mount namespace of its own, which is gone with the process that holds it.

Mounting takes no rights of root where the kernel lets everybody have a user namespace.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HOLD: Final = 'mount -t tmpfs -o "size=$1,mode=700" tmpfs "$0" && echo mounted && exec cat'


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """`folder` is its place for processes that run `under` it; `outside` the same for everybody else."""

    folder: Path
    outside: Path
    under: Sequence[str]

    def fill(self, size_bytes: int) -> None:
        """Take room away with a ballast file."""
        (self.outside / "ballast").write_bytes(bytes(size_bytes))

    def make_room(self) -> None:
        """Give it back."""
        (self.outside / "ballast").unlink()


@contextmanager
def small_disk(folder: Path, *, size_bytes: int) -> Iterator[SmallDisk]:
    """Mount it over `folder` while the block lasts."""
    folder.mkdir()
    needed = ("unshare", "nsenter", "mount")
    assert all(map(shutil.which, needed)), f"Install {', '.join(needed)} (Debian and Ubuntu: apt install util-linux)."
    own_user = () if os.geteuid() == 0 else ("--map-root-user",)
    with subprocess.Popen(
        ["unshare", "--mount", *own_user, "sh", "-c", HOLD, str(folder), str(size_bytes)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as holder:  # leaving the block closes its stdin, and so ends it
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"mounted\n":
            raise AssertionError(f"This machine does not let us mount a tmpfs: {holder.stderr.read().decode()}")
        yield SmallDisk(
            folder=folder,
            outside=Path(f"/proc/{holder.pid}/root{folder}"),
            under=_entering(holder.pid, as_root=not own_user),
        )


def _entering(pid: int, *, as_root: bool) -> Sequence[str]:
    """The command under which others see the mount. Entering changes the working directory, so it is changed back."""
    user = () if as_root else ("--user", "--preserve-credentials")
    return ["nsenter", "--target", str(pid), "--mount", *user, "sh", "-c", 'cd "$0" && exec "$@"', str(Path.cwd())]
