"""The command: see the package's docstring."""

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gateway.clock import SystemClock
from tests.bench import (
    accepting,
    auditing,
    backfill,
    fanout,
    latency,
    notifications,
    opening,
    reading,
    replies,
    report,
    sending,
    starting,
)
from tests.bench.machine import machine
from tests.bench.processes import Broken
from tests.bench.report import Report

WIDTH = 140  # of a table that is not shown on a terminal
BENCHMARKS = (
    "notifications",
    "opening",
    "accepting",
    "sending",
    "latency",
    "replies",
    "backfill",
    "reading",
    "auditing",
    "fanout",
    "starting",
)


def arguments() -> argparse.Namespace:
    """Of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Benchmarks beside their yardsticks.")
    parser.add_argument("which", nargs="?", choices=(*BENCHMARKS, "all"), default="all")
    parser.add_argument("--seconds", type=float, default=notifications.SECONDS, help="of each load (%(default)s)")
    parser.add_argument("--rounds", type=int, default=notifications.ROUNDS, help="of all loads (%(default)s)")
    parser.add_argument("--queue", type=int, default=sending.LETTERS, help="letters to send (%(default)s)")
    parser.add_argument("--letters", type=int, default=latency.LETTERS, help="one at a time (%(default)s)")
    parser.add_argument("--burst", type=int, default=latency.BURST, help="letters at once (%(default)s)")
    parser.add_argument("--replies", type=int, default=replies.REPLIES, help="one at a time (%(default)s)")
    parser.add_argument("--reply-burst", type=int, default=replies.BURST, help="replies at once (%(default)s)")
    parser.add_argument("--mails", type=int, default=backfill.MESSAGES, help="in the mailbox (%(default)s)")
    parser.add_argument("--times", type=int, default=reading.TIMES, help="each question is asked (%(default)s)")
    parser.add_argument("--requests", type=int, default=auditing.REQUESTS, help="one at a time (%(default)s)")
    parser.add_argument("--events", type=int, default=fanout.EVENTS, help="to be pushed (%(default)s)")
    parser.add_argument("--school", type=Path, metavar="FILE", help="made by tests.bench.corpus, for the large size")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    return parser.parse_args()


def measured(name: str, given: argparse.Namespace) -> Any:
    """The figures of one benchmark. Raises `Broken`."""
    match name:
        case "notifications":
            return notifications.measure(seconds=given.seconds, rounds=given.rounds)
        case "opening":
            return opening.measure(seconds=given.seconds, rounds=given.rounds)
        case "accepting":
            return accepting.measure(seconds=given.seconds, rounds=given.rounds)
        case "sending":
            return sending.measure(letters=given.queue, rounds=given.rounds)
        case "replies":
            return replies.measure(replies=given.replies, burst=given.reply_burst, rounds=given.rounds)
        case "backfill":
            return backfill.measure(messages=given.mails, rounds=min(given.rounds, backfill.ROUNDS))
        case "reading":
            return reading.measure(times=given.times, school=given.school)
        case "auditing":
            return auditing.measure(requests=given.requests, rounds=given.rounds)
        case "fanout":
            return fanout.measure(count=given.events, rounds=given.rounds)
        case "starting":
            return starting.measure(rounds=given.rounds, school=given.school)
        case _:
            return latency.measure(letters=given.letters, burst=given.burst)


def first_of(error: BaseException) -> BaseException:
    """The first that is no group."""
    return first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def main() -> int:
    """Run what is asked for. 1 when an answer was wrong or missing: then that benchmark has no figures."""
    given = arguments()
    with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
        facts = machine(Path(folder))
    found, broken = Report(made_at=SystemClock().now(), machine=facts), None
    try:
        for name in BENCHMARKS if given.which == "all" else (given.which,):
            found = replace(found, **{name: measured(name, given)})
    except* Broken as several:  # what tasks raise comes in groups
        broken = first_of(several)
    report.show(found, Console(width=None if sys.stdout.isatty() else WIDTH))
    if given.json is not None:
        given.json.write_bytes(report.as_json(found))
    if broken is not None:
        print(f"This benchmark proves nothing: {broken}.", file=sys.stderr)
    return 0 if broken is None else 1


if __name__ == "__main__":
    sys.exit(main())
