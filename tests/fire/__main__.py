"""The command: see the package's docstring."""

import argparse
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.fire import report
from tests.fire.kills import Diary, Plan, burn

LETTERS: Final = 2000
KILLS: Final = 500
LINE_EVERY: Final = 25  # kills, where there is no terminal for a bar
WIDTH: Final = 120  # of a table that is not shown on a terminal
WHAT: Final = """\
Proof under fire: letters are posted to a real gateway process while it is killed with SIGKILL again and again, also
while it starts, and a real sandbox process plays a Microsoft 365 that loses answers, throttles and is late. At the end
the file is compared with the sandbox's ledger: each letter that was answered with 202 has left exactly once, or the
gateway says why not. After each kill the file must be whole, and after each start the gateway ready within 5 seconds.
"""
CODES: Final = "The exit code is 0 when all promises were kept, 1 when one was broken: then it is said which."


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.fire", description=WHAT, epilog=CODES)
    commands = parser.add_subparsers(dest="which", required=True, metavar="kills")
    kills = commands.add_parser("kills", help="kill -9 at any time", description=WHAT, epilog=CODES)
    kills.add_argument("--letters", type=int, default=LETTERS, help="posted in all (%(default)s)")
    kills.add_argument("--kills", type=int, default=KILLS, help="of the gateway (%(default)s; 12 minutes for 500)")
    kills.add_argument(
        "--seed", type=int, help="repeats a run, as far as real time allows (by default another each time)"
    )
    kills.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser.parse_args()


def main() -> int:
    """Run what is asked for. 1 when a promise was broken."""
    given = arguments()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"seed {seed}", highlight=False)
    with tempfile.TemporaryDirectory(prefix="selma-gateway-fire-") as folder, progress(console, given.kills) as watcher:
        fire = burn(Plan(letters=given.letters, kills=given.kills, seed=seed, folder=Path(folder)), watcher)
    report.show(fire, console)
    if given.json is not None:
        given.json.write_bytes(report.as_json(fire))
    return 1 if fire.violations else 0


@contextmanager
def progress(console: Console, kills: int) -> Iterator[Callable[[Diary], None]]:
    """A bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield lambda diary: print_line(console, diary, kills)
        return
    columns = (TextColumn("kills"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("kills", total=kills)
        yield lambda diary: bar.update(task, completed=diary.kills)


def print_line(console: Console, diary: Diary, kills: int) -> None:
    """How far it is, and whether anything was broken so far."""
    if diary.kills % LINE_EVERY == 0 or diary.kills == kills:
        broken = f", {len(diary.violations)} promises broken" if diary.violations else ""
        console.print(f"{diary.kills} of {kills} kills, {diary.whole} files whole{broken}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
