"""The application: the route table, the problems, and what surrounds every request. Nothing here is global."""

from collections.abc import Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from gateway.http import (
    account,
    attachments,
    audit,
    batches,
    completeness,
    console,
    conversations,
    credentials,
    docs,
    embed_links,
    events,
    explanations,
    files,
    health,
    hooks,
    keys,
    least_privilege,
    mailboxes,
    messages,
    metrics,
    privacy,
    problems,
    read_marks,
    replies,
    reviews,
    round_trips,
    snoozes,
    subscriptions,
    threads,
    webhooks,
)
from gateway.http.crowd import Crowded
from gateway.http.doorway import Doorway
from gateway.http.headers import SecurityHeaders
from gateway.http.middleware import AnswerHeaders, BodyLimit, LastNet, RequestId, body_limits
from gateway.http.pages import page_routes
from gateway.http.refusals import Refusals
from gateway.http.routing import Operation, routes_of
from gateway.http.services import Services
from gateway.http.short_way import NotificationsShortWay
from subscriptions.notifications import MAX_BODY_BYTES, MAX_RICH_BODY_BYTES

OPERATIONS: Final[Sequence[Operation[Any]]] = (
    *messages.OPERATIONS,
    *batches.OPERATIONS,
    *files.OPERATIONS,
    *replies.OPERATIONS,
    *threads.OPERATIONS,
    *attachments.OPERATIONS,
    *conversations.OPERATIONS,
    *reviews.OPERATIONS,
    *read_marks.OPERATIONS,
    *embed_links.OPERATIONS,
    *account.OPERATIONS,
    *credentials.OPERATIONS,
    *least_privilege.OPERATIONS,
    *snoozes.OPERATIONS,
    *mailboxes.OPERATIONS,
    *round_trips.OPERATIONS,
    *subscriptions.OPERATIONS,
    *completeness.OPERATIONS,
    *console.OPERATIONS,
    *events.OPERATIONS,
    *audit.OPERATIONS,
    *hooks.OPERATIONS,
    *privacy.OPERATIONS,
    *keys.OPERATIONS,
)


def create_app(services: Services) -> Starlette:
    """The whole HTTP surface on these services."""
    routes = [
        *webhooks.routes(),
        *routes_of(OPERATIONS, services),
        *health.routes(services),
        *metrics.routes(services),
        *docs.routes(OPERATIONS),
        *explanations.routes(),
        *page_routes(services),
    ]
    crowded = Middleware(Crowded, crowd=services.crowd)
    limit = Middleware(BodyLimit, limits=body_limits(services.settings))
    proxies = [str(one) for one in services.settings.trusted_proxies]
    behind = Middleware(ProxyHeadersMiddleware, trusted_hosts=proxies)
    strict = Middleware(SecurityHeaders, public_url=services.settings.public_url)
    refusals = Middleware(Refusals, clock=services.clock)
    surroundings = [Middleware(RequestId), refusals, strict, Middleware(AnswerHeaders), Middleware(LastNet)]
    longest = MAX_RICH_BODY_BYTES if services.settings.rich_notifications else MAX_BODY_BYTES
    doorway = Middleware(Doorway, services=services, longest=longest)
    app = Starlette(
        routes=routes,
        middleware=[behind, doorway, *surroundings, limit, crowded],
        exception_handlers=dict.fromkeys((*problems.FORESEEN, HTTPException), problems.answer),
    )
    app.state.short_way = NotificationsShortWay(services, trusted_proxies=proxies)
    app.router.redirect_slashes = False  # a redirect would name the host that the caller claims we are
    return app
