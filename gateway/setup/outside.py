"""What can be seen from outside: whether Graph would reach the gateway, and what time it is there.

Graph posts a token to the notification URL and wants it back, as plain text, within 10 seconds:
https://learn.microsoft.com/graph/change-notifications-delivery-webhooks#notificationurl-validation
"""

import secrets
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeAlias

import httpx

from gateway.clock import Clock
from gateway.setup.report import Check, Verdict
from subscriptions.addresses import NOTIFICATIONS

PATIENCE_S: Final = 10.0
SLOW: Final = timedelta(seconds=3)  # a change notification has no longer than that
SKEW_WARNED_OF: Final = timedelta(minutes=1)
SKEW_REFUSED: Final = timedelta(minutes=5)  # an assertion that begins later than that is AADSTS700024
TRIED: Final = "Called the gateway by its public address, as Graph does before it reports mail."
REST: Final = "Until then replies are found by sweeping, minutes after they arrive."

Client: TypeAlias = AbstractAsyncContextManager[httpx.AsyncClient]


def as_graph_would() -> Client:
    """A client that trusts what everybody trusts, follows no redirect and uses no proxy."""
    return httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=PATIENCE_S)


class Outside:
    """Asks from outside. `graph` is the gateway's own client, `anybody` opens a stranger's."""

    def __init__(self, clock: Clock, graph: httpx.AsyncClient, *, anybody: Callable[[], Client] = as_graph_would):
        self._clock = clock
        self._graph = graph
        self._anybody = anybody

    async def handshake(self, public_url: str) -> Check:
        """Whether a subscription's handshake would succeed. Never worse than a warning: sweeping needs none."""
        token = f"Validation: is the gateway there? + {secrets.token_urlsafe(12)}/=&"
        began = self._clock.now()
        try:
            async with self._anybody() as http:
                answer = await http.post(public_url + NOTIFICATIONS, params={"validationToken": token})
        except (httpx.HTTPError, OSError) as error:
            found, cure = unreached(error)
            return _unheard(found, cure)
        trouble = misheard(answer, token)
        if trouble is not None:
            return _unheard(*trouble)
        if self._clock.now() - began > SLOW:
            return _unheard(
                "The answer came, but slower than the 3 seconds that Graph waits for.",
                "Look at what stands between the internet and the gateway, and at how busy this machine is.",
            )
        found = f"Graph can call {public_url}{NOTIFICATIONS} as soon as mail arrives."
        return Check(name="notifications", verdict=Verdict.OK, tried=TRIED, found=found)

    async def clock_skew(self, graph_url: str) -> Check | None:
        """Our clock beside Graph's; None when Graph does not say, for another check tells why."""
        began = self._clock.now()
        try:
            answer = await self._graph.get(f"{graph_url}/v1.0/", timeout=PATIENCE_S)
        except (httpx.HTTPError, OSError):
            return None
        told = _date(answer.headers.get("date"))
        return None if told is None else skew(began, self._clock.now(), told)


def skew(began: datetime, ended: datetime, told: datetime) -> Check:
    """A `Date` has whole seconds, and may be of any moment between the question and its answer."""
    ahead = max(timedelta(0), began - told - timedelta(seconds=1)) - max(timedelta(0), told - ended)
    tried = "Compared this machine's clock with Graph's."
    if abs(ahead) <= SKEW_WARNED_OF:
        return Check(name="clock", verdict=Verdict.OK, tried=tried, found="They agree.")
    seconds = round(abs(ahead).total_seconds())
    by = f"{seconds} seconds" if seconds < 120 else f"{round(seconds / 60)} minutes"
    return Check(
        name="clock",
        verdict=Verdict.FAIL if abs(ahead) > SKEW_REFUSED else Verdict.WARN,
        tried=tried,
        found=f"This machine is {by} {'ahead' if ahead > timedelta(0) else 'behind'}.",
        cure="Let it keep time by NTP. Entra refuses a certificate's or an identity provider's word that is not of its "
        "time, and warnings of an expiring secret come on the wrong day.",
    )


def unreached(error: Exception) -> tuple[str, str]:
    """Why nobody answered, and the cure."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"The certificate of the public address is not trusted: {cause.verify_message}.",
                "Graph trusts public certificate authorities only, with the whole chain sent along. Give the proxy "
                "such a certificate for this name.",
            )
        if isinstance(cause, ssl.SSLError):
            return "TLS could not be agreed on.", "Let the proxy speak TLS 1.2 or 1.3 at this address."
        if isinstance(cause, socket.gaierror):
            return (
                "The name in the public address is not known.",
                "Add it to the public DNS, or correct GATEWAY_PUBLIC_URL.",
            )
        if isinstance(cause, ConnectionRefusedError):
            return (
                "Nobody listens at the public address.",
                "Start the proxy there, and let the firewall pass port 443 to it.",
            )
    if any(isinstance(cause, httpx.TimeoutException | TimeoutError) for cause in causes):
        return (
            "Nobody answered at the public address within 10 seconds.",
            "Let the firewall pass port 443 from the internet. Where a network cannot reach its own outer address, "
            "this check cannot tell: then look whether the mailboxes are watched live.",
        )
    text = str(error).lower()
    if "certificate" in text or "ssl" in text:
        return (
            "The certificate of the public address is not trusted.",
            "Graph trusts public certificate authorities only. Give the proxy such a certificate for this name.",
        )
    return "The public address could not be reached.", "Check its name, its port, and the firewall before it."


def misheard(answer: httpx.Response, token: str) -> tuple[str, str] | None:
    """What is wrong with an answer, and the cure; None when it is the one that Graph wants."""
    status = answer.status_code
    if answer.is_redirect:
        return (
            f"The public address sends callers on to another one ({status}), and Graph follows nobody.",
            "Set GATEWAY_PUBLIC_URL to the address that answers itself, with https.",
        )
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED):
        return (
            f"Something before the gateway asks callers who they are ({status}).",
            "Let requests to /graph/notifications and /graph/lifecycle pass without sign-in: the gateway proves itself "
            "that they come from Graph.",
        )
    if status in (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT):
        return (
            f"A proxy answers, but does not reach the gateway ({status}).",
            "Compare the address it passes requests on to with GATEWAY_HOST and GATEWAY_PORT.",
        )
    if status != HTTPStatus.OK:
        return (
            f"Another server answers there, or the path is not passed on ({status}).",
            "Let the proxy pass on /graph/notifications and /graph/lifecycle, with path and query unchanged.",
        )
    if answer.text != token or not answer.headers.get("content-type", "").startswith("text/plain"):
        return (
            "An answer came, but it is not the gateway's, or it was changed on the way.",
            "Let the proxy pass on the query and the body as they are.",
        )
    return None


def _unheard(found: str, cure: str) -> Check:
    return Check(name="notifications", verdict=Verdict.WARN, tried=TRIED, found=f"{found} {REST}", cure=cure)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what lies under it: httpx wraps httpcore's, which wraps the system's."""
    seen: list[BaseException] = []
    pending: list[BaseException] = [error]
    while pending:
        one = pending.pop(0)
        if one in seen:
            continue
        seen.append(one)
        yield one
        pending += [under for under in (one.__cause__, one.__context__) if under is not None]
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions


def _date(text: str | None) -> datetime | None:
    try:
        told = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return told if told.tzinfo is not None else None
