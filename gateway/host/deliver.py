"""Takes each event to each webhook: at least once, and those of a thread in their order.

What is to be done stands in rows: how far a webhook's events were taken up, what waits, and what is in hand. So a crash
repeats at most what was under way, and a receiver that was away for a week misses nothing.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway import tracing
from gateway.clock import Clock
from gateway.host.catalogue import TEST
from gateway.host.plan import Again, GiveUp, after_failure
from gateway.host.post import TIMEOUT_S, Answer
from gateway.host.signing import body_of, headers_of
from gateway.steady import SteadyStore
from gateway.tracing import span
from gateway.waiting import first_of
from storage import StorageUnavailable, Store, Transaction, deliveries, events, webhooks
from storage.deliveries import Attempt, Delivery
from storage.events import Event
from storage.vault import Key
from storage.webhooks import Webhook, WebhookState

log = logging.getLogger(__name__)

AT_ONCE: Final = 8  # requests to one webhook
LEASE: Final = timedelta(seconds=TIMEOUT_S * 4)
TAKE_UP: Final = 500  # events in one transaction
MOST_WAITING: Final = 10_000  # rows for one webhook; the log has the rest
STATES_AT_WORK: Final = (WebhookState.LIVE, WebhookState.DOWN)


class Post(Protocol):
    """How a request is made. Never raises for what the other side does."""

    async def post(self, url: str, headers: dict[str, str], body: str) -> Answer: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery in hand, and where it is to go."""

    webhook: Webhook
    delivery: Delivery


class Deliverer:
    """Delivers to the webhooks of all accounts. A slow receiver holds up nothing but itself.

    `count` hears of what came of each attempt.
    """

    def __init__(
        self,
        store: Store,
        post: Post,
        key: Key,
        clock: Clock,
        *,
        random: random.Random = random.SystemRandom(),  # noqa: B008 - stateless, safe to share
        count: Callable[[Answer], None] = lambda answer: None,
    ) -> None:
        self._store = store
        self._steady = SteadyStore(store, clock)
        self._post = post
        self._key = key
        self._clock = clock
        self._random = random
        self._count = count

    async def recover(self) -> None:
        """At start: what the last run had in hand is tried again. Raises `StorageUnavailable`."""
        await self._store.write(deliveries.release_all)

    async def run(self, tick: asyncio.Event) -> None:
        """Deliver what is due whenever there are events, at each `tick`, and when a person asks. Never returns."""
        with self._store.watching("events", "webhooks") as bell:
            async with asyncio.TaskGroup() as group:
                while True:
                    tick.clear()
                    bell.clear()
                    try:
                        await self._begin_due(group)
                    except StorageUnavailable:
                        log.warning("webhooks wait: the store is not to be had")
                    await first_of(tick.wait(), bell.wait())

    async def run_due(self) -> None:
        """Deliver until nothing is due. Raises `StorageUnavailable`."""
        while True:
            async with asyncio.TaskGroup() as group:
                begun = await self._begin_due(group)
            if not begun:
                return

    async def _begin_due(self, group: asyncio.TaskGroup) -> int:
        """Take up new events and begin what is due; each that ends begins the next. How many were begun here."""
        for webhook in await self._store.glance(webhooks.at_work):
            while await self._store.glance(_has_news, webhook) and await self._store.write(
                _take_up, webhook.id, now=self._clock.now()
            ):
                pass
        begun = 0
        for webhook in await self._store.glance(_with_work, now=self._clock.now()):
            begun += self._begin(group, await self._store.write(_claim, webhook.id, now=self._clock.now()))
        return begun

    def _begin(self, group: asyncio.TaskGroup, claimed: Sequence[Claimed]) -> int:
        for one in claimed:
            group.create_task(self._deliver(group, one))
        return len(claimed)

    async def _deliver(self, group: asyncio.TaskGroup, claimed: Claimed) -> None:
        """One attempt, and what it makes room for."""
        event = claimed.delivery.event
        with tracing.taken_up(event.origin, webhook_id=claimed.webhook.id, seq=str(event.seq)):
            await self._deliver_and_go_on(group, claimed)

    async def _deliver_and_go_on(self, group: asyncio.TaskGroup, claimed: Claimed) -> None:
        with span("push", event=claimed.delivery.event.type, attempt=claimed.delivery.attempts) as step:
            answer = await self._attempt(claimed)
            step.say(**{"http.response.status_code": answer.status})
        self._count(answer)
        following = await self._steady.write(
            _settle, claimed, answer, now=self._clock.now(), roll=self._random.random()
        )
        if answer.problem is not None:
            log.warning("event not delivered", extra=_fields(claimed, answer))
        self._begin(group, following)

    async def _attempt(self, claimed: Claimed) -> Answer:
        event, now = claimed.delivery.event, self._clock.now()
        try:
            body = body_of(event)
            headers = headers_of(event, body, claimed.webhook.secrets(self._key, now), now) | _whose()
            return await self._post.post(claimed.webhook.url, headers, body)
        except Exception:
            # A fault of ours with one event must neither stop the process nor the events behind it.
            log.exception("delivery stumbled", extra=_fields(claimed, None))
            return Answer(status=None, problem="A fault of the gateway, described in its log.", took_ms=0)


def _whose() -> dict[str, str]:
    """Headers that say what the event was begun by: https://www.w3.org/TR/trace-context/"""
    unit = tracing.current()
    if unit is None:
        return {}
    named = {} if unit.request_id is None else {"x-request-id": unit.request_id}
    return {"traceparent": unit.trace.within().traceparent, **named}


def _fields(claimed: Claimed, answer: Answer | None) -> dict[str, object]:
    fields: dict[str, object] = {"webhook_id": claimed.webhook.id, "seq": claimed.delivery.event.seq}
    if answer is not None:
        fields |= {"status": answer.status, "took_ms": answer.took_ms}
    return fields


def _has_news(tx: Transaction, webhook: Webhook) -> bool:
    return events.last_seq(tx, webhook.account_id) > webhook.taken_up


def _take_up(tx: Transaction, webhook_id: str, *, now: datetime) -> bool:
    """Make rows of the next events; whether there may be more to make."""
    webhook = webhooks.by_id(tx, webhook_id)
    room = MOST_WAITING - deliveries.waiting(tx, webhook_id).count
    if webhook.state not in STATES_AT_WORK or room <= 0:
        return False
    found = events.after(tx, webhook.account_id, webhook.taken_up, limit=min(TAKE_UP, room))
    deliveries.insert(tx, webhook_id, [one for one in found if is_told(webhook, one)], now=now)
    if found:
        webhooks.take_up(tx, webhook_id, found[-1].seq)
    return len(found) == TAKE_UP


def is_told(webhook: Webhook, event: Event) -> bool:
    """Whether this event is for this webhook."""
    if event.type == TEST:
        return event.data.get("webhook_id") == webhook.id
    return not webhook.types or event.type in webhook.types


def _with_work(tx: Transaction, *, now: datetime) -> list[Webhook]:
    return [one for one in webhooks.at_work(tx) if deliveries.has_due(tx, one.id, now=now)]


def _claim(tx: Transaction, webhook_id: str, *, now: datetime) -> list[Claimed]:
    """What may be begun now. Of one that is down: one, when it is time."""
    webhook = webhooks.by_id(tx, webhook_id)
    if webhook.state not in STATES_AT_WORK or (webhook.next_probe_at is not None and webhook.next_probe_at > now):
        return []
    limit = 1 if webhook.state is WebhookState.DOWN else AT_ONCE
    taken = deliveries.claim(tx, webhook_id, now=now, lease_ends_at=now + LEASE, limit=limit)
    return [Claimed(webhook=webhook, delivery=one) for one in taken]


def _settle(tx: Transaction, claimed: Claimed, answer: Answer, *, now: datetime, roll: float) -> list[Claimed]:
    """Write down what came of it, and take what it made room for."""
    webhook = webhooks.by_id(tx, claimed.webhook.id)
    attempt = Attempt(status=answer.status, took_ms=answer.took_ms, problem=answer.problem, at=now)
    if answer.problem is None:
        deliveries.delivered(tx, claimed.delivery, attempt)
        _succeeded(tx, webhook, now=now)
    else:
        decided = _decided(webhook, claimed.delivery, now=now, roll=roll)
        if isinstance(decided, GiveUp):
            deliveries.failed(tx, claimed.delivery, attempt)
        else:
            deliveries.again(tx, claimed.delivery, attempt, next_attempt_at=decided.at)
        _failed(tx, webhook, decided, answer.problem, gone=answer.gone, now=now)
    return _claim(tx, webhook.id, now=now)


def _decided(webhook: Webhook, delivery: Delivery, *, now: datetime, roll: float) -> Again | GiveUp:
    return after_failure(
        attempts=delivery.attempts,
        failures=webhook.failures + 1,
        is_down=webhook.state is WebhookState.DOWN,
        first_failed_at=delivery.first_failed_at,
        last_success_at=webhook.last_success_at,
        now=now,
        roll=roll,
    )


def _succeeded(tx: Transaction, webhook: Webhook, *, now: datetime) -> None:
    if webhook.state not in STATES_AT_WORK:
        return
    webhooks.succeeded(tx, webhook.id, now=now)
    if webhook.failures:
        deliveries.hasten(tx, webhook.id, now=now)
    if webhook.state is WebhookState.DOWN:
        _tell(tx, webhook, "webhook.recovered", now)


def _failed(
    tx: Transaction, webhook: Webhook, decided: Again | GiveUp, problem: str, *, gone: bool, now: datetime
) -> None:
    if webhook.state not in STATES_AT_WORK:
        return
    failures = webhook.failures + 1
    if gone:
        webhooks.disable(tx, webhook.id, problem)
        _tell(tx, webhook, "webhook.disabled", now)
    elif isinstance(decided, Again) and decided.down:
        webhooks.go_down(tx, webhook.id, failures=failures, problem=problem, next_probe_at=decided.at)
        if webhook.state is WebhookState.LIVE:
            _tell(tx, webhook, "webhook.down", now)
    else:
        webhooks.failed(tx, webhook.id, failures=failures)


def _tell(tx: Transaction, webhook: Webhook, event_type: str, now: datetime) -> None:
    events.record(tx, webhook.account_id, event_type, data={"webhook_id": webhook.id}, now=now)
