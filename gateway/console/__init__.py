"""The console: what is flowing, what is stuck, why, and what helps.

`snapshot` reads what is known of an account, at one moment and from our own store alone, so that the console works when
nothing else does. Each judge makes a stream of it, a pure function; `process` has those of the whole process.
`acts` does what the buttons say. Page, API and command line show the same `Console`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway import __version__
from gateway.console import letters, mail, upkeep
from gateway.console.process import PROCESS_WIDE, Place
from gateway.console.snapshot import Snapshot
from gateway.console.stream import WORST_FIRST, Stream, Verdict

__all__ = ["Console", "judge"]

JUDGES: Final[Sequence[Callable[[Snapshot], Stream]]] = (
    letters.judge,
    mail.replies,
    mail.watching,
    mail.tray,
    upkeep.events,
    upkeep.credential,
    upkeep.round_trips,
    mail.completeness,
    mail.backfill,
    upkeep.search,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Console:
    """Every stream, and the worst of their verdicts. `running_since` is None where the process is not ours to ask."""

    verdict: Verdict
    sentence: str
    streams: Sequence[Stream]
    version: str
    running_since: datetime | None
    taken_at: datetime


def judge(snapshot: Snapshot, place: Place) -> Console:
    """What to make of it all."""
    streams = [*(one(snapshot) for one in JUDGES), *(one(place) for one in PROCESS_WIDE)]
    worst = min((one.verdict for one in streams if one.verdict is not Verdict.OFF), key=WORST_FIRST.index)
    return Console(
        verdict=worst,
        sentence=in_short(streams),
        streams=streams,
        version=__version__,
        running_since=place.running_since,
        taken_at=snapshot.now,
    )


def in_short(streams: Sequence[Stream]) -> str:
    """How it stands, in one sentence."""
    stuck = [one.title for one in streams if one.verdict is Verdict.STUCK]
    slow = [one.title for one in streams if one.verdict is Verdict.SLOW]
    if stuck:
        return f"Stuck: {', '.join(stuck)}." + (f" To look at: {', '.join(slow)}." if slow else "")
    if slow:
        return f"Nothing is stuck. To look at: {', '.join(slow)}."
    return "Nothing is stuck: everything that is in use is flowing."
