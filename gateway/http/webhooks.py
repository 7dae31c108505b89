"""The two doors of Microsoft Graph. They check, keep and answer; Graph gives them three seconds, and the work is done
elsewhere.

Handshake: https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.http.door import Door
from gateway.http.problem_types import UNAVAILABLE
from gateway.http.problems import Problem
from gateway.http.room import Room
from gateway.http.services import Services
from gateway.tracing import span
from subscriptions.addresses import LIFECYCLE, NOTIFICATIONS
from subscriptions.handshake import BadHandshake, handshake_answer
from subscriptions.receiver import Receipt

VALIDATION_TOKEN: Final = "validationToken"  # noqa: S105 - the name of a parameter
PATIENCE: Final = timedelta(seconds=2.5)  # Graph waits three seconds; a 503 in time is better than a late 202


def routes(services: Services) -> Sequence[BaseRoute]:
    """POST only: a GET with a token in it would be an open echo for anyone's links."""
    room = Room()
    return [
        Route(NOTIFICATIONS, _door(services.receiver.receive, services.door, room), methods=["POST"]),
        Route(LIFECYCLE, _door(services.receiver.receive_lifecycle, services.door, room), methods=["POST"]),
    ]


def _door(
    keep: Callable[[bytes], Awaitable[Receipt]], measures: Door, room: Room
) -> Callable[[Request], Awaitable[Response]]:
    async def door(request: Request) -> Response:
        token = _validation_token(request)
        if token is not None:
            answer = handshake_answer(token)
            return Response(answer.body, headers=dict(answer.headers))
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                async with room.body_of(request) as body:
                    with span("notification", bytes=len(body)) as step:
                        receipt = await keep(body)
                        step.say(kept=receipt.kept, refused=receipt.refused, ignored=receipt.ignored)
                    measures.received(receipt)
        except TimeoutError:
            raise Problem(UNAVAILABLE, "The notifications could not be kept in time.") from None
        return Response(status_code=HTTPStatus.ACCEPTED)

    return door


def _validation_token(request: Request) -> str | None:
    """The decoded token; None when this is no handshake. Raises `BadHandshake`."""
    pairs = parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    tokens = [value for name, value in pairs if name == VALIDATION_TOKEN]
    if len(tokens) > 1:
        raise BadHandshake("validationToken is given more than once.")
    return tokens[0] if tokens else None
