"""What keeps the gateway going beside letters and mail: events to SELMA, the index, the credential, the self-tests."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from gateway.console.letters import CHECK, MAILBOXES, RENEW, SETTINGS
from gateway.console.snapshot import Box, Hook, Snapshot
from gateway.console.stream import Act, Action, Flow, Stream, Trouble, counted, judged, lasting, link, off, slow, stuck
from gateway.setup.expiry import Level
from gateway.threads.indexing import sentence
from storage.accounts import TokenState
from storage.round_trips import RoundTrip, State
from storage.webhooks import Webhook, WebhookState

LATE: Final = timedelta(minutes=5)
STEPS: Final = {
    "accepted": "being taken",
    "drafted": "being written as a draft",
    "submitted": "being handed to Microsoft 365",
    "sent": "being seen in Sent Items",
    "notified": "being told of by a notification",
    "pulled": "being found in the Inbox",
    "threaded": "being recognised",
}


def events(s: Snapshot) -> Stream:
    """Whether SELMA is told what happens."""
    name, title = "events", "Events to SELMA"
    if not s.hooks:
        why = "There is no webhook: SELMA fetches events by itself."
        return off(name, title, why=why, taken_at=s.now)
    oldest = [one.waiting.oldest_at for one in s.hooks if one.waiting.oldest_at is not None]
    return judged(
        name,
        title,
        well="SELMA takes events as they happen.",
        troubles=[trouble for one in s.hooks for trouble in _of_hook(one, s)],
        flow=Flow(
            noun="event",
            last_hour=sum(s.happened.hour.values()),
            last_day=sum(s.happened.day.values()),
            at_least=not s.happened.is_whole,
            waiting=sum(one.waiting.count for one in s.hooks),
            oldest_at=min(oldest, default=None),
        ),
        taken_at=s.now,
    )


def _of_hook(hook: Hook, s: Snapshot) -> Iterator[Trouble]:
    webhook, waiting = hook.webhook, hook.waiting
    place, wait = place_of(webhook), ""
    if waiting.count:
        wait = f" {counted(waiting.count, 'event')} {'waits' if waiting.count == 1 else 'wait'}; none is lost."
    now = Action(label="Deliver again now", act=Act.ENABLE_WEBHOOK, target=webhook.id, about=place)
    if webhook.state is WebhookState.DISABLED:
        yield stuck(f"{place} said that it is gone, so nothing is sent there any more. {webhook.problem}{wait}", now)
    elif webhook.state is WebhookState.DOWN:
        told = f"{place} does not take events. {webhook.problem}{wait}"
        yield stuck(told, now, until=webhook.next_probe_at)
    elif waiting.oldest_at is not None and s.now - waiting.oldest_at > LATE:
        yield slow(f"{place} is behind by {lasting(s.now - waiting.oldest_at)}.{wait}", now)
    if hook.refused:
        again = Action(label="Deliver them again", act=Act.REDELIVER, target=webhook.id, about=place)
        yield slow(f"{place} would not take {counted(len(hook.refused), 'event')}.", again)


def place_of(webhook: Webhook) -> str:
    """What a webhook is called: by its host, for the rest of its address may be a secret."""
    return webhook.description or urlsplit(webhook.url).hostname or webhook.id


def search(s: Snapshot) -> Stream:
    """Whether every message can be found."""
    backlog = s.backlog
    told = sentence([] if backlog is None else [backlog])
    left = 0 if backlog is None or backlog.total is None else max(0, backlog.total - backlog.indexed)
    troubles = [] if backlog is None else [slow(f"{told} All can be read meanwhile.")]
    flow = Flow(noun="message", waiting=left)
    return judged("search", "Search index", well=told, troubles=troubles, flow=flow, taken_at=s.now)


def credential(s: Snapshot) -> Stream:
    """Whether Microsoft 365 lets the gateway in, and for how long."""
    name, title = "credential", "Credential"
    if not s.is_connected or s.expiry is None:
        why = "This account is not connected to Microsoft 365 yet."
        return off(name, title, why=why, taken_at=s.now, actions=[link("Connect it", SETTINGS)])
    return judged(
        name,
        title,
        well=s.expiry.sentence,
        troubles=list(_of_credential(s)),
        actions=[CHECK],
        taken_at=s.account.token_checked_at or s.now,
    )


def _of_credential(s: Snapshot) -> Iterator[Trouble]:
    problem, expiry, newest = s.account.token_problem or {}, s.expiry, s.serving[0]
    told = " ".join(filter(None, [problem.get("explanation"), problem.get("cure")]))
    if s.account.token_state is TokenState.REFUSED:
        yield stuck(told or "Microsoft Entra refuses the credential.", RENEW)
    elif s.account.token_state is TokenState.UNREACHABLE:
        yield slow(told or "Microsoft Entra cannot be reached.", until=s.account.outbox_paused_until)
    elif newest.problem is not None:
        yield slow(
            f"The newest credential is refused, and the one before serves. {newest.problem['explanation']}", RENEW
        )
    if expiry is not None and expiry.level is Level.EXPIRED:
        yield stuck(expiry.sentence, RENEW)
    elif expiry is not None and expiry.level is Level.WARNING:
        yield slow(expiry.sentence, RENEW)


def round_trips(s: Snapshot) -> Stream:
    """Whether a letter of each mailbox to itself comes back."""
    name, title = "round_trips", "Round trips"
    if not s.boxes:
        return off(name, title, why="No mailbox is validated yet.", taken_at=s.now, actions=[MAILBOXES])
    trips = [box.trip for box in s.boxes if box.trip is not None]
    under_way = sum(1 for box in s.boxes if box.trying is not None)
    if not trips and not under_way:
        when = "The first are made tomorrow morning." if s.self_tests else "They are switched off."
        start = [_start(box) for box in s.boxes[:1]]
        return off(name, title, why=f"No mailbox has written to itself yet. {when}", taken_at=s.now, actions=start)
    ended = [one.ended_at or one.accepted_at for one in trips]
    return judged(
        name,
        title,
        well=_came_back(trips, under_way),
        troubles=[trouble for box in s.boxes for trouble in _of_trip(box)],
        flow=Flow(noun="round trip", waiting=under_way),
        actions=[_start(box) for box in s.boxes[:1] if box.trying is None and not _is_late(box)],
        taken_at=min(ended) if ended else s.now,
    )


def _start(box: Box) -> Action:
    return Action(label="Start one", act=Act.ROUND_TRIP, target=box.mailbox.id, about=box.mailbox.address)


def _is_late(box: Box) -> bool:
    return box.trip is not None and box.trip.missed is not None


def _came_back(trips: list[RoundTrip], under_way: int) -> str:
    took = [one.threaded_at - one.accepted_at for one in trips if one.threaded_at is not None]
    told = f"{counted(under_way, 'letter')} under way. " if under_way else ""
    if not took:
        return told.strip() or "No mailbox has written to itself yet."
    return f"{told}The last letter of each mailbox to itself came back, the slowest after {lasting(max(took))}."


def _of_trip(box: Box) -> Iterator[Trouble]:
    if box.trip is None or box.trip.missed is None or (box.trying is not None and box.trying.id != box.trip.id):
        return
    start = [] if box.trying is not None else [_start(box)]
    step = STEPS[box.trip.missed]
    if box.trip.state is State.FAILED:
        yield stuck(f"{box.mailbox.address}: its letter to itself did not come back. It was not seen {step}.", *start)
    else:
        yield slow(f"{box.mailbox.address}: its letter to itself was late, at {step}.", *start)
