"""The command: see the package's docstring."""

import argparse
import re
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.fire import backups, canaries, jumps, kills, lossy, report, slow, soak, soak_week, storm

LETTERS: Final = 2000
KILLS: Final = 500
REPLIES: Final = 10_000
NOTIFICATIONS: Final = 50_000
JUMPS: Final = 20
LETTERS_SUNG: Final = 100
MINUTES: Final = 30.0
ROUNDS: Final = 100
SLOW_S: Final = 240
SLOW_CLIENTS: Final = 1000
LINES: Final = 20  # in a run, where there is no terminal for a bar
WIDTH: Final = 120  # of a table that is not shown on a terminal
KILLS_SAYS: Final = """\
Proof under fire: letters are posted to a real gateway process while it is killed with SIGKILL again and again, also
while it starts, and a real sandbox process plays a Microsoft 365 that loses answers, throttles and is late. At the end
the file is compared with the sandbox's ledger: each letter that was answered with 202 has left exactly once, or the
gateway says why not. After each kill the file must be whole, and after each start the gateway ready within 5 seconds.
"""
LOSSY_SAYS: Final = """\
No reply is lost: gateway and sandbox live on one clock that is moved by hand, replies and unrelated mail come in, and
of the notifications 20 % are lost, 20 % come twice, all in any order, 5 % before their mail can be read. Subscriptions
vanish with and without a word, delta tokens expire, the gateway dies in the midst of its work; Graph or the gateway
may be down for long. After 15 simulated minutes of calm each reply must be stored exactly once, in the thread of its
letter, and no byte of any other mail.
"""
STORM_SAYS: Final = """\
Notifications in batches of 1 to 100 are posted to a real gateway process over many connections at once, while it looks
into them with a real sandbox process. Every answer must come within Graph's 3 seconds and p99 be at most 250 ms; the
process may grow by 100 MiB at most, and in the end no hint be open. With --commit the disk takes so many seconds for
each commit: then every answer must be 202 or 503 within 3 seconds. In the end the gateway is killed with SIGKILL and
its file must hold a hint for each notification that was answered with 202.
"""
JUMPS_SAYS: Final = """\
The wall clock of a real gateway and a real sandbox process jumps, on by days and back by hours (libfaketime), while
their monotonic clocks go on. After each jump a reply comes in, half of them with no notification: it must be stored
within a minute, once, and by then each folder must have a subscription with half of its life before it.
"""
CANARIES_SAYS: Final = """\
A word of its own stands in each field that holds what people wrote, who they are, or a secret: in letters, attachments,
replies, strangers' mail, searches, keys, cookies, bad requests and forged notifications, and in what Graph says of its
faults. A real gateway logs all that it can, as JSON in its first life, which ends with a kill, and for people in its
second; its traces go to a collector. Then its logs, metrics, health, problem bodies, traces, arguments and the errors
of commands are searched for each word in each form, and its file too, where the words must be found.
"""
SOAK_SAYS: Final = """\
What the gateway holds does not grow. With --minutes: a real gateway and a real sandbox process under a steady load of
letters, replies, events, failing webhooks and readers; memory, open files, tasks and the database's log must stay as
they are from the second third of the time to the last, and p99 from the first to the last. With --days: a week on one
clock that is moved by hand, through round trips, retention, renewals, sweeps, and deaths on the first days; what the
gateway has allocated itself is counted by tracemalloc.
"""
BACKUPS_SAYS: Final = """\
Letters are posted to a real gateway process and answered by the students of a real sandbox process, without a pause.
Round after round a backup is made beside it, restored into a folder of its own and compared: every letter that had been
answered with 202 before is in it, each message is the one that the gateway has, the number of rows is the manifest's,
and each open letter is in doubt. At the end the last backup takes the place of the gateway's file, the mark beside it
is lost, and a gateway goes on with it 40 minutes later: no letter leaves a second time.
"""
SLOW_SAYS: Final = """\
A thousand clients are slow on purpose (slowhttptest): heads that never end, then bodies that never end, then answers
that are hardly read, against a real gateway process, bare or behind the documented nginx or Caddy. Meanwhile an
ordinary client opens a connection for each request: p99 must stay below a second, none may fail, and the gateway may
neither end nor log an error.
"""
CODES: Final = "The exit code is 0 when all promises were kept, 1 when one was broken: then it is said which."
UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Watcher = Callable[[int], None]
Burn = Callable[[argparse.Namespace, Path, Watcher], report.Outcome]


def arguments() -> argparse.Namespace:
    """Of the command line. `burn` runs what was asked for, `total` is how far it goes."""
    parser = argparse.ArgumentParser(prog="python -m tests.fire", epilog=CODES)
    commands = parser.add_subparsers(dest="which", required=True)

    def command(name: str, help: str, says: str, burn: Burn) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=says, epilog=CODES)
        added.set_defaults(burn=burn)
        added.add_argument(
            "--seed", type=int, help="repeats a run, as far as real time allows (by default another each time)"
        )
        added.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
        return added

    killing = command("kills", "kill -9 at any time", KILLS_SAYS, burn_kills)
    killing.add_argument("--letters", type=int, default=LETTERS, help="posted in all (%(default)s)")
    killing.add_argument(
        "--kills", dest="total", type=int, default=KILLS, help="of the gateway (%(default)s; 12 minutes for 500)"
    )
    losing = command("lossy", "notifications as they are on a bad day", LOSSY_SAYS, burn_lossy)
    losing.add_argument(
        "--replies", dest="total", type=int, default=REPLIES, help="in all (%(default)s; a minute for 10,000)"
    )
    for name, whose in (("--graph-down", "Graph"), ("--gateway-down", "the gateway")):
        losing.add_argument(
            name, type=duration, default=timedelta(0), metavar="TIME", help=f"how long {whose} is away: 6h, 3d"
        )
    storming = command("storm", "many notifications at once", STORM_SAYS, burn_storm)
    storming.add_argument(
        "--notifications", dest="total", type=int, default=NOTIFICATIONS, help="in all (%(default)s; 10 seconds)"
    )
    storming.add_argument(
        "--commit",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="that the disk takes (50,000 notifications take 12 minutes at 2)",
    )
    jumping = command("jumps", "the wall clock jumps", JUMPS_SAYS, burn_jumps)
    soaking = command("soak", "nothing grows with time", SOAK_SAYS, burn_soak)
    how_long = soaking.add_mutually_exclusive_group()
    how_long.add_argument("--minutes", type=float, help="of real time (30 by default)")
    how_long.add_argument("--days", type=float, help="of simulated time (10 minutes for 7)")
    soaking.add_argument("--trace", action="store_true", help="with --minutes: say which lines hold more in the end")
    jumping.add_argument("--jumps", dest="total", type=int, default=JUMPS, help="in all (%(default)s; 3 minutes)")
    singing = command("canaries", "nothing private gets out", CANARIES_SAYS, burn_canaries)
    singing.add_argument(
        "--letters", dest="total", type=int, default=LETTERS_SUNG, help="in each life (%(default)s; 4 minutes)"
    )
    backing = command("backups", "backup, restore, compare", BACKUPS_SAYS, burn_backups)
    backing.add_argument("--rounds", dest="total", type=int, default=ROUNDS, help="in all (%(default)s; 5 minutes)")
    slowing = command("slow", "slow clients", SLOW_SAYS, burn_slow)
    slowing.add_argument("--proxy", choices=slow.PROXIES, default=slow.BARE, help="before the gateway (%(default)s)")
    slowing.add_argument(
        "--seconds", dest="total", type=int, default=SLOW_S, help="for each of the three kinds (%(default)s)"
    )
    slowing.add_argument("--connections", type=int, default=SLOW_CLIENTS, help="of slow clients (%(default)s)")
    given = parser.parse_args()
    if given.which == "soak":
        minutes = MINUTES if given.minutes is None else given.minutes
        given.total = max(1, round(60 * minutes if given.days is None else 24 * given.days))
    return given


def duration(text: str) -> timedelta:
    """As 90s, 10m, 6h, 3d."""
    match = re.fullmatch(r"(\d+)([smhd])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration such as 6h or 3d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def burn_kills(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`kills`."""
    plan = kills.Plan(letters=given.letters, kills=given.total, seed=given.seed, folder=folder)
    return kills.burn(plan, lambda diary: watcher(diary.kills))


def burn_lossy(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`lossy`."""
    plan = lossy.Plan(
        replies=given.total,
        seed=given.seed,
        folder=folder,
        graph_down=given.graph_down,
        gateway_down=given.gateway_down,
    )
    return lossy.brave(plan, watcher)


def burn_storm(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`storm`."""
    plan = storm.Plan(notifications=given.total, seed=given.seed, folder=folder, commit_s=given.commit)
    return storm.weather(plan, watcher)


def burn_jumps(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`jumps`."""
    return jumps.jump_about(jumps.Plan(jumps=given.total, seed=given.seed, folder=folder), watcher)


def burn_canaries(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`canaries`."""
    return canaries.burn(canaries.Plan(letters=given.total, seed=given.seed, folder=folder), watcher)


def burn_soak(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`soak`."""
    if given.days is not None:
        return soak_week.live(soak_week.Plan(days=given.days, seed=given.seed, folder=folder), watcher)
    seconds = 60 * (MINUTES if given.minutes is None else given.minutes)
    return soak.soak(soak.Plan(seconds=seconds, seed=given.seed, folder=folder, trace=given.trace), watcher)


def burn_backups(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`backups`."""
    return backups.back_up_and_restore(backups.Plan(rounds=given.total, seed=given.seed, folder=folder), watcher)


def burn_slow(given: argparse.Namespace, folder: Path, watcher: Watcher) -> report.Outcome:
    """`slow`."""
    plan = slow.Plan(
        proxy=given.proxy, connections=given.connections, seconds=given.total, seed=given.seed, folder=folder
    )
    return slow.endure(plan, watcher)


def main() -> int:
    """Run what is asked for. 1 when a promise was broken."""
    given = arguments()
    given.seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(f"seed {given.seed}", highlight=False)
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-fire-") as folder,
        progress(console, given.which, given.total) as watcher,
    ):
        outcome = given.burn(given, Path(folder), watcher)
    report.show(outcome, console)
    if given.json is not None:
        given.json.write_bytes(report.as_json(outcome))
    return 1 if outcome.violations else 0


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Watcher]:
    """A bar on a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        yield lines(console, what, total)
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def lines(console: Console, what: str, total: int) -> Watcher:
    """How far it is, a line for each twentieth."""
    said = 0

    def say(done: int) -> None:
        nonlocal said
        if done * LINES // total > said:
            said = done * LINES // total
            console.print(f"{what}: {done:,} of {total:,}", highlight=False)

    return say


if __name__ == "__main__":
    sys.exit(main())
