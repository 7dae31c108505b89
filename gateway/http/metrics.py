"""`/metrics`: an account's outbox and the process in numbers, in the text format of Prometheus.

https://prometheus.io/docs/instrumenting/exposition_formats/

Each group is a function over one snapshot of the store; `GROUPS` lists them. What is counted in memory registers with
the application's own registry.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.budgets import calls_left
from gateway.graph import Limits
from gateway.http import auth
from gateway.http.round_trips import seconds
from gateway.http.services import Services
from gateway.sending import budget
from gateway.sending.machine import LOOP, SHOWN, shown
from gateway.sending.rules import Allowance
from gateway.setup.expiry import standing_of
from gateway.threads.standing import read_completeness
from storage import Transaction, accounts, batches, credentials, mailboxes, outbox, round_trips
from storage.api_keys import Scope

NAMESPACE: Final = "selma_gateway"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Whose numbers are wanted, and as of when."""

    account_id: str
    allowance: Allowance
    limits: Limits
    now: datetime


Group = Callable[[Transaction, Scrape], Iterable[Metric]]


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read, as the library wants to be handed it."""

    families: Sequence[Metric]

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        return self.families


def routes(services: Services) -> Sequence[BaseRoute]:
    """`/metrics`, for keys with the scope `metrics`."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    for collector in services.door.collectors:
        registry.register(collector)

    async def show(request: Request) -> Response:
        key = await auth.authenticate(services, request)
        auth.require(key, Scope.METRICS)
        scrape = Scrape(
            account_id=key.account_id,
            allowance=services.settings.rules.allowance,
            limits=services.settings.limits,
            now=services.clock.now(),
        )
        collected = await services.store.read(collect, scrape)
        text = generate_latest(collected) + generate_latest(registry)
        return Response(text, headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4, "cache-control": "no-store"})

    return [Route("/metrics", show)]


def collect(tx: Transaction, scrape: Scrape) -> Collected:
    """Every group, in one snapshot."""
    return Collected([family for group in GROUPS for family in group(tx, scrape)])


def letters(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How many letters have each status, and how late the latest of them is."""
    by_status = Counter(dict.fromkeys(SHOWN.values(), 0))
    for state, count in outbox.counts(tx, scrape.account_id).items():
        by_status[shown(state)] += count
    yield _by("status", "letters", "Letters in the outbox, by status.", by_status)
    yield _one(
        "letters_held",
        "Letters that wait because their recipient answers automatically and got as many as may be within an hour.",
        outbox.drafted_with_problem(tx, scrape.account_id, LOOP),
    )
    due = outbox.oldest_due(tx, scrape.account_id, scrape.now)
    late = timedelta(0) if due is None else scrape.now - due
    yield _one(
        "oldest_due_letter_seconds",
        "How long ago the letter that waits longest was due; 0 when none is. A pause, or a batch longer than its "
        "mailbox's budget, makes it grow.",
        late.total_seconds(),
    )


def budgets(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What each mailbox may still send."""
    left = {
        one.address: budget.left(tx, one.id, scrape.allowance, scrape.now)
        for one in mailboxes.list_validated(tx, scrape.account_id)
    }
    yield _by(
        "mailbox",
        "letters_left_this_minute",
        "Letters that a validated mailbox may still send within a minute.",
        {address: one.letters for address, one in left.items()},
    )
    yield _by(
        "mailbox",
        "recipients_left_today",
        "Recipients that a validated mailbox may still send to within 24 hours.",
        {address: one.recipients for address, one in left.items()},
    )


def calls(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What Graph may still be asked about each mailbox."""
    left = {
        one.address: calls_left(tx, one.id, scrape.limits, scrape.now)
        for one in mailboxes.list_mailboxes(tx, scrape.account_id)
    }
    yield _by(
        "mailbox",
        "graph_requests_left",
        "Calls to Microsoft Graph that a mailbox may still be asked within 10 minutes.",
        {address: one.requests for address, one in left.items()},
    )
    yield _by(
        "mailbox",
        "upload_bytes_left",
        "Bytes that may still be uploaded to a mailbox within 5 minutes.",
        {address: one.upload_bytes for address, one in left.items()},
    )


def queues(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What waits in each mailbox, and what keeps it waiting."""
    found = mailboxes.list_mailboxes(tx, scrape.account_id)
    waiting = {one.address: outbox.waiting(tx, one.id).letters for one in found}
    yield _by("mailbox", "letters_waiting", "Letters that are still to leave a mailbox.", waiting)
    paused = {one.address: int(_lies_ahead(one.paused_until, scrape)) for one in found}
    yield _by("mailbox", "mailbox_paused", "1 while nothing is tried in a mailbox.", paused)
    account = accounts.get(tx, scrape.account_id)
    yield _one(
        "outbox_paused",
        "1 while no letter of the account is tried: there is no token.",
        int(_lies_ahead(account.outbox_paused_until, scrape)),
    )


def batches_open(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How many batches are under way."""
    yield _one("batches_open", "Batches that are not over.", len(batches.under_way(tx, scrape.account_id)))


def completeness_of_mail(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """What was not told of, what is not here, and where that is not known."""
    found = {
        one.address: read_completeness(tx, one, scrape.now) for one in mailboxes.list_validated(tx, scrape.account_id)
    }
    yield _by(
        "mailbox",
        "mail_unannounced",
        "Mails that were found and stored though no notification had told of them, in all.",
        {address: one.unannounced for address, one in found.items()},
    )
    yield _by(
        "mailbox",
        "mail_missing",
        "Mails that the last check found in Microsoft 365 and not here; none for a mailbox that was never checked.",
        {address: one.check.missing for address, one in found.items() if one.check.missing is not None},
    )
    yield _by(
        "mailbox",
        "delivery_gaps_open",
        "Times in which mail may have been missed that no pull has passed yet.",
        {address: len(one.gaps) for address, one in found.items()},
    )


def round_trips_of_mailboxes(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """Whether mail leaves each mailbox and comes back, as the last letter to itself showed."""
    found = {
        one.address: round_trips.last_verdict(tx, one.id) for one in mailboxes.list_validated(tx, scrape.account_id)
    }
    known = {address: trip for address, trip in found.items() if trip is not None}
    yield _by(
        "mailbox",
        "mailbox_healthy",
        "1 when the last round trip came back in time, 0 when a step of it was late; none before the first.",
        {address: int(trip.missed is None) for address, trip in known.items()},
    )
    took = {address: seconds(trip) for address, trip in known.items()}
    yield _by(
        "mailbox",
        "round_trip_seconds",
        "How long the last round trip took; none for one that did not come back.",
        {address: time for address, time in took.items() if time is not None},
    )


def credentials_ending(tx: Transaction, scrape: Scrape) -> Iterable[Metric]:
    """How long the account's credential is good for."""
    serving, time_zone = credentials.serving(tx, scrape.account_id), accounts.get(tx, scrape.account_id).time_zone
    stands = standing_of(serving, scrape.now, time_zone=time_zone)
    if stands is not None and stands.days_left is not None:
        yield _one(
            "credential_days_left",
            "Begun days until the credential of the account ends; 0 when it has, none when its end is not known.",
            stands.days_left,
        )


GROUPS: Final[Sequence[Group]] = (
    letters,
    budgets,
    calls,
    queues,
    batches_open,
    completeness_of_mail,
    round_trips_of_mailboxes,
    credentials_ending,
)


def _lies_ahead(until: datetime | None, scrape: Scrape) -> bool:
    return until is not None and until > scrape.now


def _one(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, value=value)


def _by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
