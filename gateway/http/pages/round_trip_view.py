"""A mailbox's round trips on the settings page: the stations of the newest, and a month of them as a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.http.round_trips import HISTORY, seconds
from storage import Transaction, mailboxes, outbox, round_trips
from storage.mailboxes import Mailbox
from storage.round_trips import RoundTrip, State

TITLES: Final[Mapping[str, str]] = {
    "accepted": "Taken",
    "drafted": "Written into the mailbox as a draft",
    "submitted": "Handed to Microsoft 365",
    "sent": "Seen in Sent Items",
    "notified": "Told of by a notification",
    "pulled": "Found in the Inbox",
    "threaded": "Recognised as belonging to its thread",
}
WIDTH: Final = 600
HEIGHT: Final = 80
PLACES: Final = 40  # of the plot, for the newest so many
LEAST: Final = 3  # units high, so that a fast one is seen
SCALE_S: Final = 60.0  # the plot reaches at least so far


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """A step of a round trip. `at` is None before it was reached."""

    title: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One round trip in the plot, in its units, y downwards; and in words."""

    x: float
    y: float
    width: float
    height: float
    trip: RoundTrip
    took: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """The bars, the oldest first. `top` is what the full height means."""

    bars: Sequence[Bar]
    top: str
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def passed(self) -> int:
        """How many came back in time."""
        return sum(bar.trip.state is State.PASSED for bar in self.bars)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTripPart:
    """What the page shows of one mailbox's round trips; `trip` is the newest."""

    mailbox: Mailbox
    trip: RoundTrip | None
    stations: Sequence[Station]
    missed: str | None
    problem: Mapping[str, str] | None
    plot: Plot | None


def read_part(tx: Transaction, mailbox: Mailbox, now: datetime) -> RoundTripPart:
    """The newest one, and those of a month."""
    newest = next(iter(round_trips.newest(tx, mailbox.id)), None)
    ended = [one for one in round_trips.since(tx, mailbox.id, now - HISTORY) if one.state is not State.UNDER_WAY]
    letter = None if newest is None else outbox.get(tx, newest.account_id, newest.message_id)
    return RoundTripPart(
        mailbox=mailbox,
        trip=newest,
        stations=[] if newest is None else [Station(title=TITLES[s], at=newest.at(s)) for s in newest.steps],
        missed=None if newest is None or newest.missed is None else TITLES[newest.missed],
        problem=None if letter is None or newest is None or newest.sent_at else letter.problem,
        plot=plot(ended[-PLACES:]) if ended else None,
    )


def read_part_of(tx: Transaction, account_id: str, mailbox_id: str, now: datetime) -> RoundTripPart | None:
    """The same by the mailbox's id; None when the account has none such."""
    for one in mailboxes.list_mailboxes(tx, account_id):
        if one.id == mailbox_id:
            return read_part(tx, one, now)
    return None


def plot(trips: Sequence[RoundTrip]) -> Plot:
    """A bar for each, as high as it took; one that did not come back is as high as the plot."""
    took = [seconds(trip) for trip in trips]
    top = max([SCALE_S, *(one for one in took if one is not None)])
    step = WIDTH / PLACES
    bars = []
    for number, (trip, time) in enumerate(zip(trips, took, strict=True)):
        height = HEIGHT if time is None else max(LEAST, HEIGHT * time / top)
        bars.append(
            Bar(
                x=round(number * step, 1),
                y=round(HEIGHT - height, 1),
                width=round(step * 0.7, 1),
                height=round(height, 1),
                trip=trip,
                took="did not come back" if time is None else words(time),
            )
        )
    return Plot(bars=bars, top=words(top))


def words(time: float) -> str:
    """A length of time, as people say it."""
    if time < 1:
        return "under a second"
    if time < 120:
        return f"{time:.0f} second{'' if round(time) == 1 else 's'}"
    return f"{time / 60:.0f} minutes"
