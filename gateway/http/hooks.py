"""`/v1/webhooks`: where the account's events are pushed to, and how each push went."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self

from starlette.responses import Response

from gateway.host import webhooks as acts
from gateway.host.targets import check_url
from gateway.host.webhooks import WithSecret
from gateway.http import schemas, values
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.paging import Page, from_text, page_of
from gateway.http.problem_types import CONFLICT, NOT_FOUND
from gateway.http.problems import BadValue, invalid
from gateway.http.routing import Call, Operation, json_response, no_content
from storage import NotFound, Transaction, deliveries, webhooks
from storage.api_keys import Scope
from storage.deliveries import Delivery, DeliveryState, Waiting
from storage.threads import Cursor
from storage.webhooks import Webhook, WebhookState


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookView:
    """A webhook. `types` empty: it gets all events.

    `state`: `live`; `down`, when it has not taken events for a while and is tried now and then, with nothing lost;
    `disabled`, when it answered 410. `waiting` events are still to be delivered, the oldest since `waiting_since`.
    """

    id: str
    url: str
    description: str | None
    types: Sequence[str]
    state: WebhookState
    problem: str | None
    waiting: int
    waiting_since: datetime | None
    last_success_at: datetime | None
    old_secret_until: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, webhook: Webhook, waiting: Waiting) -> Self:
        """As the API shows it."""
        return cls(
            id=webhook.id,
            url=webhook.url,
            description=webhook.description,
            types=webhook.types,
            state=webhook.state,
            problem=webhook.problem,
            waiting=waiting.count,
            waiting_since=waiting.oldest_at,
            last_success_at=webhook.last_success_at,
            old_secret_until=webhook.old_secret_until,
            created_at=webhook.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSecretView:
    """The secret that the receiver checks signatures with (https://www.standardwebhooks.com/). It is shown once.

    With `old_secret_until` events are signed with the secret before, too, until then.
    """

    id: str
    secret: str
    old_secret_until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryView:
    """An event on its way to a webhook. `status`, `took_ms` and `problem` are those of the last attempt."""

    event_id: str
    type: str
    state: DeliveryState
    attempts: int
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    status: int | None
    took_ms: int | None
    problem: str | None
    created_at: datetime

    @classmethod
    def of(cls, delivery: Delivery) -> Self:
        """As the API shows it. `created_at` is when it happened."""
        return cls(
            event_id=str(delivery.event.seq),
            type=delivery.event.type,
            state=delivery.state,
            attempts=delivery.attempts,
            attempted_at=delivery.attempted_at,
            next_attempt_at=delivery.next_attempt_at,
            status=delivery.status,
            took_ms=delivery.took_ms,
            problem=delivery.problem,
            created_at=delivery.event.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEventView:
    """The event that was recorded. How its delivery went: `GET /v1/webhooks/{id}/deliveries`."""

    event_id: str


async def add(call: Call[schemas.NewWebhook]) -> Response:
    given = call.given
    made = await call.services.webhooks.add(
        call.account_id, url=_target(call, given.url), description=given.description, types=given.types
    )
    return json_response(_secret(made), HTTPStatus.CREATED, {"location": f"/v1/webhooks/{made.webhook.id}"})


async def list_all(call: Call[schemas.Nothing]) -> Response:
    found = await call.services.store.read(_all, call.account_id)
    return json_response(Page(items=[WebhookView.of(*one) for one in found], next=None))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(WebhookView.of(*await _one(call)))


async def change(call: Call[schemas.NewWebhook]) -> Response:
    url = _target(call, call.given.url)
    await call.services.store.write(_change, call.account_id, call.path("id"), call.given, url=url)
    return json_response(WebhookView.of(*await _one(call)))


async def remove(call: Call[schemas.Nothing]) -> Response:
    await call.services.store.write(_remove, call.account_id, call.path("id"))
    return no_content()


async def rotate(call: Call[schemas.Nothing]) -> Response:
    return json_response(_secret(await call.services.webhooks.rotate_secret(call.account_id, call.path("id"))))


async def enable(call: Call[schemas.Nothing]) -> Response:
    await call.services.store.write(acts.enable, call.account_id, call.path("id"), now=call.now)
    return json_response(WebhookView.of(*await _one(call)))


async def test(call: Call[schemas.Nothing]) -> Response:
    seq = await call.services.store.write(acts.test, call.account_id, call.path("id"), now=call.now)
    return json_response(TestEventView(event_id=str(seq)), HTTPStatus.ACCEPTED)


async def list_deliveries(call: Call[schemas.DeliveriesQuery]) -> Response:
    given = call.given
    cursor = from_text(given.after)
    found = await call.services.store.read(
        _log,
        call.account_id,
        call.path("id"),
        before=values.LARGEST_SEQ if cursor is None else _seq(cursor.id),
        state=given.state,
        limit=given.limit + 1,
    )
    items, following = page_of(found, given.limit, lambda one: Cursor(at=one.event.created_at, id=str(one.event.seq)))
    return json_response(Page(items=[DeliveryView.of(one) for one in items], next=following))


async def redeliver(call: Call[schemas.Nothing]) -> Response:
    delivery = await call.services.store.write(
        _afresh, call.account_id, call.path("id"), _seq(call.path("event_id")), now=call.now
    )
    return json_response(DeliveryView.of(delivery), HTTPStatus.ACCEPTED)


def _target(call: Call[Any], url: str) -> str:
    try:
        return check_url(url, call.services.settings.webhook_networks)
    except ValueError as error:
        raise invalid(BadValue(where="body", pointer="/url", detail=str(error))) from None


def _secret(made: WithSecret) -> WebhookSecretView:
    return WebhookSecretView(id=made.webhook.id, secret=made.secret, old_secret_until=made.webhook.old_secret_until)


def _seq(text: str) -> int:
    """Raises `NotFound` for what no event has as its id."""
    if (seq := values.seq_of(text)) is None:
        raise NotFound("There is no such event.")
    return seq


async def _one(call: Call[Any]) -> tuple[Webhook, Waiting]:
    return await call.services.store.read(acts.with_waiting, call.account_id, call.path("id"))


def _all(tx: Transaction, account_id: str) -> list[tuple[Webhook, Waiting]]:
    return [(one, deliveries.waiting(tx, one.id)) for one in webhooks.of_account(tx, account_id)]


def _change(tx: Transaction, account_id: str, webhook_id: str, given: schemas.NewWebhook, *, url: str) -> None:
    found = webhooks.get(tx, account_id, webhook_id)
    webhooks.change(tx, found.id, url=url, description=given.description, types=given.types)


def _remove(tx: Transaction, account_id: str, webhook_id: str) -> None:
    webhooks.remove(tx, webhooks.get(tx, account_id, webhook_id).id)


def _log(
    tx: Transaction, account_id: str, webhook_id: str, *, before: int, state: DeliveryState | None, limit: int
) -> list[Delivery]:
    webhook = webhooks.get(tx, account_id, webhook_id)
    return deliveries.newest(tx, webhook.id, before=before, state=state, limit=limit)


def _afresh(tx: Transaction, account_id: str, webhook_id: str, seq: int, *, now: datetime) -> Delivery:
    webhook = webhooks.get(tx, account_id, webhook_id)
    deliveries.afresh(tx, webhook.id, seq, now=now)
    return deliveries.get(tx, webhook.id, seq)


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/webhooks",
        scope=Scope.SETTINGS,
        summary="Have events pushed to an address, from now on",
        takes=schemas.NewWebhook,
        does=add,
        audit=does("webhook.add"),
        gives=WebhookSecretView,
        status=HTTPStatus.CREATED,
        problems=(CONFLICT,),
    ),
    Operation(
        method="GET",
        path="/v1/webhooks",
        scope=Scope.SETTINGS,
        summary="The webhooks, and how far each is behind",
        takes=schemas.Nothing,
        does=list_all,
        audit=unaudited(NO_MAIL),
        gives=Page[WebhookView],
    ),
    Operation(
        method="GET",
        path="/v1/webhooks/{id}",
        scope=Scope.SETTINGS,
        summary="One webhook, and how far it is behind",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=WebhookView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="PUT",
        path="/v1/webhooks/{id}",
        scope=Scope.SETTINGS,
        summary="Change where a webhook is, and which events it gets",
        takes=schemas.NewWebhook,
        does=change,
        audit=does("webhook.change", id="webhook_id"),
        gives=WebhookView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="DELETE",
        path="/v1/webhooks/{id}",
        scope=Scope.SETTINGS,
        summary="Push nothing there any more",
        takes=schemas.Nothing,
        does=remove,
        audit=does("webhook.remove", id="webhook_id"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/webhooks/{id}/rotate-secret",
        scope=Scope.SETTINGS,
        summary="A new secret; the one before is good for another day",
        takes=schemas.Nothing,
        does=rotate,
        audit=does("webhook.rotate_secret", id="webhook_id"),
        gives=WebhookSecretView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/webhooks/{id}/enable",
        scope=Scope.SETTINGS,
        summary="Push there again, first of all what has waited",
        takes=schemas.Nothing,
        does=enable,
        audit=does("webhook.enable", id="webhook_id"),
        gives=WebhookView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/webhooks/{id}/test",
        scope=Scope.SETTINGS,
        summary="Send a test event to this webhook alone",
        takes=schemas.Nothing,
        does=test,
        audit=does("webhook.try", id="webhook_id"),
        gives=TestEventView,
        status=HTTPStatus.ACCEPTED,
        locates=False,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/v1/webhooks/{id}/deliveries",
        scope=Scope.SETTINGS,
        summary="How the deliveries went, newest event first",
        takes=schemas.DeliveriesQuery,
        does=list_deliveries,
        audit=unaudited(NO_MAIL),
        gives=Page[DeliveryView],
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/webhooks/{id}/deliveries/{event_id}/redeliver",
        scope=Scope.SETTINGS,
        summary="Deliver an event once more",
        takes=schemas.Nothing,
        does=redeliver,
        audit=does("webhook.redeliver", id="webhook_id", event_id="event_id"),
        gives=DeliveryView,
        status=HTTPStatus.ACCEPTED,
        locates=False,
        problems=(NOT_FOUND,),
    ),
)
