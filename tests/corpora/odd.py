"""Mail with odd encodings, names and structure: nothing of it may raise, whatever it is taken for."""

import argparse
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import test

from tests.corpora.reading import see

NAME: Final = "odd"
HELP: Final = "any folder of mail that is written oddly; by default Python's own test data"
PYTHONS_OWN: Final = Path(test.__file__).parent / "test_email" / "data"
MBOX: Final = b"\nFrom "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which folder."""
    parser.add_argument("--from", dest="folder", type=Path, default=PYTHONS_OWN, help="files, and folders of them")


def run(given: argparse.Namespace) -> int:
    """Print what everything was taken for; 1 when something raised or there was nothing."""
    kinds, broken = Counter[str](), 0
    for name, mime in mails(given.folder):
        try:
            sort = see(mime).sort
        except Exception as error:
            print(f"{name}: {type(error).__name__}")
            broken += 1
        else:
            kinds[f"{sort.kind.value} ({sort.what.value})" if sort.what else sort.kind.value] += 1
    print(
        f"{kinds.total()} mails read, {broken} raised: " + ", ".join(f"{n} {kind}" for kind, n in kinds.most_common())
    )
    return 1 if broken or not kinds else 0


def mails(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file, and of mbox files every mail in them."""
    for file in sorted(one for one in folder.rglob("*") if one.is_file()):
        content = file.read_bytes()
        pieces = content.split(MBOX) if content.startswith(MBOX[1:]) else [content]
        yield from ((f"{file.name} {number}", piece) for number, piece in enumerate(pieces))
