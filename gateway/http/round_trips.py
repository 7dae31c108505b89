"""`/v1/mailboxes/{address}/round-trip`: a letter followed to its mailbox and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Self
from urllib.parse import quote

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.paging import Page
from gateway.http.problem_types import MAILBOX_NOT_VALIDATED, NOT_FOUND
from gateway.http.routing import Call, Operation, json_response
from storage import NotFound, Transaction, mailboxes, round_trips
from storage.api_keys import Scope
from storage.round_trips import Kind, RoundTrip, State

HISTORY: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A station; `at` is None until it was seen there."""

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTripView:
    """A round trip. `to` is None when the mailbox writes to itself.

    `missed` is the first step that was missing at `late_at`. Without notifications there is no step `notified`.
    """

    id: str
    to: str | None
    kind: Kind
    state: State
    steps: Sequence[StepView]
    missed: str | None
    seconds: float | None
    late_at: datetime
    started_at: datetime
    ended_at: datetime | None
    message_id: str

    @classmethod
    def of(cls, trip: RoundTrip) -> Self:
        """As the API shows it."""
        return cls(
            id=trip.id,
            to=trip.recipient,
            kind=trip.kind,
            state=trip.state,
            steps=[StepView(name=step, at=trip.at(step)) for step in trip.steps],
            missed=trip.missed,
            seconds=seconds(trip),
            late_at=trip.late_at,
            started_at=trip.accepted_at,
            ended_at=trip.ended_at,
            message_id=trip.message_id,
        )


def seconds(trip: RoundTrip) -> float | None:
    """How long it took, there and back; None for one that is not back."""
    back = [at for step in trip.steps if (at := trip.at(step)) is not None]
    if len(back) < len(trip.steps):
        return None
    return (max(back) - trip.accepted_at).total_seconds()


def latest_view(tx: Transaction, account_id: str, address: str) -> RoundTripView:
    """The newest of a mailbox. Raises `NotFound` when there is none."""
    mailbox = mailboxes.get_by_address(tx, account_id, address)
    newest = round_trips.newest(tx, mailbox.id)
    if not newest:
        raise NotFound("There was no round trip of this mailbox yet.")
    return RoundTripView.of(newest[0])


async def start(call: Call[schemas.TestLetter]) -> Response:
    address = call.path("address")
    trip = await call.services.setup.start_round_trip(call.account_id, address, call.given.to)
    call.deed.about(mailbox_id=trip.mailbox_id, message_id=trip.message_id)
    location = f"/v1/mailboxes/{quote(address, safe='@')}/round-trip"
    return json_response(RoundTripView.of(trip), HTTPStatus.ACCEPTED, {"location": location})


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(latest_view, call.account_id, call.path("address")))


async def history(call: Call[schemas.Nothing]) -> Response:
    found = await call.services.store.read(_history, call.account_id, call.path("address"), call.now - HISTORY)
    return json_response(Page(items=found, next=None))


def _history(tx: Transaction, account_id: str, address: str, since: datetime) -> list[RoundTripView]:
    mailbox = mailboxes.get_by_address(tx, account_id, address)
    return [RoundTripView.of(trip) for trip in round_trips.since(tx, mailbox.id, since)]


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/mailboxes/{address}/round-trip",
        scope=Scope.SETTINGS,
        summary="Send a letter and follow it back",
        takes=schemas.TestLetter,
        does=start,
        audit=does("mailbox.round_trip"),
        gives=RoundTripView,
        status=HTTPStatus.ACCEPTED,
        problems=(NOT_FOUND, MAILBOX_NOT_VALIDATED),
    ),
    Operation(
        method="GET",
        path="/v1/mailboxes/{address}/round-trip",
        scope=Scope.SETTINGS,
        summary="How far a mailbox's newest round trip is",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=RoundTripView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/v1/mailboxes/{address}/round-trips",
        scope=Scope.SETTINGS,
        summary="A mailbox's letters to itself within 30 days, the oldest first",
        takes=schemas.Nothing,
        does=history,
        audit=unaudited(NO_MAIL),
        gives=Page[RoundTripView],
        problems=(NOT_FOUND,),
    ),
)
