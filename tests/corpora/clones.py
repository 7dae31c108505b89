"""Copies of public repositories: those that lie in a folder, or fresh clones."""

import subprocess
from pathlib import Path


def clone(owner_and_name: str, folder: Path) -> None:
    """As anybody would, without history. Raises CalledProcessError."""
    name = owner_and_name.rpartition("/")[2]
    url = f"https://github.com/{owner_and_name}"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", url, str(folder / name)], check=True)


def version(copy: Path) -> str:
    """Which commit it is, in short."""
    return _git(copy, "rev-parse", "--short=12", "HEAD").decode().strip()


def names(copy: Path, under: str) -> list[str]:
    """The files in a folder of it. A copy may be a work tree or a bare repository."""
    return _git(copy, "ls-tree", "-r", "--name-only", "HEAD", under).decode().splitlines()


def text(copy: Path, path: str) -> str:
    """One file of it. Raises CalledProcessError when it is not there."""
    return _git(copy, "show", f"HEAD:{path}").decode("utf-8", "replace")


def _git(copy: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(copy.resolve()), *arguments], check=True, capture_output=True).stdout
