"""Bounces, automatic replies, and what is neither: https://github.com/sisimai/set-of-emails"""

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from gateway.threads.kinds import What
from gateway.threads.reports import Nature
from storage.messages import Kind
from tests.corpora.reading import Seen, see

NAME: Final = "bounces"
HELP: Final = "bounces and automatic replies of a clone of sisimai/set-of-emails"
URL: Final = "https://github.com/sisimai/set-of-emails"
FOLDERS: Final = ("bsd", "dos", "mac")  # the same mails, partly, by how their lines end
REPLIES: Final = "rfc3834-"
COMPLAINTS: Final = "arf-"  # of recipients, about unwanted mail: no bounces
LEAST: Final = 0.95
OF_REPORTS: Final = (Nature.FAILED, Nature.DELAYED, Nature.DELIVERED)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the clone is."""
    parser.add_argument(
        "--from", dest="folder", type=Path, default=Path("set-of-emails"), help="the clone (%(default)s)"
    )
    parser.add_argument("--missed", action="store_true", help="name those that were not recognised")


def run(given: argparse.Namespace) -> int:
    """Print the figures; 1 when a promise is broken."""
    maildir = given.folder / "maildir"
    if not maildir.is_dir():
        print(f"There is no corpus in {given.folder}: git clone --depth 1 {URL}")
        return 1
    promises = [told(name, read(maildir / name), missed=given.missed) for name in FOLDERS]
    others = dict(read(maildir / "not"))
    marked = [name for name, seen in others.items() if seen.sort.kind is Kind.BOUNCE]
    print(f"not: {len(marked)} of {len(others)} mails that are no bounces marked as one")
    return 0 if all(promises) and others and not marked else 1


def read(folder: Path) -> Iterator[tuple[str, Seen]]:
    """Every mail of a folder, by name."""
    for file in sorted(folder.glob("*.eml")):
        yield file.name, see(file.read_bytes())


def told(folder: str, found: Iterable[tuple[str, Seen]], *, missed: bool) -> bool:
    """Print what was made of a folder; whether it is as promised."""
    everything = dict(found)
    replies = {name: seen for name, seen in everything.items() if name.startswith(REPLIES)}
    complaints = {name: seen for name, seen in everything.items() if name.startswith(COMPLAINTS)}
    bounces = {name: seen for name, seen in everything.items() if name not in replies and name not in complaints}
    known = {name: seen for name, seen in bounces.items() if seen.report and seen.report.nature in OF_REPORTS}
    reports = [seen.report for seen in known.values() if seen.report is not None]
    automatic = [name for name, seen in replies.items() if seen.sort.kind is Kind.AUTOMATIC]
    complained = [name for name, seen in complaints.items() if seen.sort.what is What.COMPLAINT]
    late = sum(report.nature is Nature.DELAYED for report in reports)
    print(f"{folder}: {of(len(known), len(bounces))} reports recognised, {late} of them of a delay")
    tied = sum(bool(one.message_ids) for one in reports)
    print(f"  with the Message-ID of what they are about: {of(tied, len(reports))}")
    whom = sum(any(one.addresses for one in report.deliveries) for report in reports)
    why = sum(any(one.status for one in report.deliveries) for report in reports)
    print(f"  with a recipient: {of(whom, len(reports))}, with a code: {of(why, len(reports))}")
    print(
        f"  automatic replies: {of(len(automatic), len(replies))}, complaints: {of(len(complained), len(complaints))}"
    )
    if missed:
        print("  missed: " + ", ".join(sorted(bounces.keys() - known.keys())))
    return bool(bounces) and len(known) >= LEAST * len(bounces) and len(automatic) == len(replies)


def of(some: int, all_of_them: int) -> str:
    """A share, as people read it."""
    share = f" ({some / all_of_them:.1%})" if all_of_them else ""
    return f"{some} of {all_of_them}{share}"
