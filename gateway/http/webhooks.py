"""The handshake at the two doors of Microsoft Graph. What comes in by them is taken in by `doorway`.

https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
"""

from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from subscriptions.addresses import LIFECYCLE, NOTIFICATIONS
from subscriptions.handshake import BadHandshake, handshake_answer

DOORS: Final = frozenset({LIFECYCLE, NOTIFICATIONS})
VALIDATION_TOKEN: Final = "validationToken"  # noqa: S105 - the name of a parameter


def routes() -> Sequence[BaseRoute]:
    """POST only: a GET with a token in it would be an open echo for anyone's links."""
    return [Route(door, _shake_hands, methods=["POST"]) for door in (NOTIFICATIONS, LIFECYCLE)]


async def _shake_hands(request: Request) -> Response:
    """Raises `BadHandshake`."""
    tokens = _tokens(request.scope["query_string"])
    if len(tokens) != 1:
        raise BadHandshake("validationToken is to be given once.")
    answer = handshake_answer(tokens[0])
    return Response(answer.body, headers=dict(answer.headers))


def is_handshake(query: bytes) -> bool:
    """Whether a query has the parameter, however often."""
    return bool(_tokens(query))


def _tokens(query: bytes) -> list[str]:
    """Decoded."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="surrogateescape")
    return [value for name, value in pairs if name == VALIDATION_TOKEN]
