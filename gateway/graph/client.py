"""The client of Microsoft Graph, joined from its resources, and the HTTP clients it stands on."""

import random
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.request import getproxies

import httpx

from . import wire
from .applications import Applications
from .attachments import Attachments
from .budget import Budgets
from .clock import Clock
from .directory import Directory
from .mail import Mail
from .pool import PooledTransport
from .subscriptions import Subscriptions
from .token import TokenSource
from .transport import CONNECT_TIMEOUT_S, POOL_TIMEOUT_S, Observer, OnWait, Transport, ignore

CONNECTIONS: Final = 100
KEEP_ALIVE_S: Final = 15.0
LIMITS: Final = httpx.Limits(
    max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS // 2, keepalive_expiry=KEEP_ALIVE_S
)
TIMEOUT: Final = httpx.Timeout(30.0, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S)
LOGIN_TIMEOUT: Final = httpx.Timeout(15.0, connect=CONNECT_TIMEOUT_S, pool=POOL_TIMEOUT_S)
PROXIED: Final = frozenset({"http", "https", "all"})  # what the environment may name a proxy for
LOOPBACK: Final = ("all://localhost", "all://127.0.0.1", "all://[::1]")  # never through a proxy


class GraphClient(Applications, Directory, Mail, Attachments, Subscriptions):
    """Graph for one connection: one token source, one server.

    Every method raises GraphError when Graph does not answer as documented, and TokenError when Entra gives no
    token (then nothing was sent to Graph). What is harmless to repeat waits out short trouble by itself: at most
    4 tries and 30 s of waiting, jittered, never before `Retry-After`; a longer `Retry-After` is raised at once
    with its `retry_after`. Each docstring says when that does not hold.

    Each try of a call about a mailbox is first admitted by the mailbox's budget, and OverBudget is raised, with
    nothing sent, when that would take too long. `budgets` are the app's: give the same to all clients that use
    its client id, one after the other too. `new_request_id` makes a GUID for each request, which Graph is told.

    The caller owns `http` (see `build_http`) and closes it. `observer` hears of every request, retries too; `on_wait`
    of every answer, an item of a batch too, that asks to be left alone.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        tokens: TokenSource,
        graph_url: str,
        *,
        clock: Clock,
        random: random.Random = random.SystemRandom(),  # noqa: B008 - stateless, safe to share
        observer: Observer = ignore,
        on_wait: OnWait = ignore,
        budgets: Budgets | None = None,
        new_request_id: Callable[[], str] = wire.new_request_id,
    ) -> None:
        super().__init__(
            Transport(
                http,
                tokens,
                graph_url,
                clock=clock,
                random=random,
                observer=observer,
                on_wait=on_wait,
                budgets=budgets or Budgets(clock),
                new_request_id=new_request_id,
            )
        )


def build_http(ca_file: Path | None = None) -> httpx.AsyncClient:
    """For GraphClient: no redirects, bounded, proxies from the environment but not for loopback.

    `ca_file` is a PEM file trusted beside the usual authorities. Raises OSError or ssl.SSLError when it cannot
    be read as one.
    """
    names_a_proxy = not getproxies().keys().isdisjoint(PROXIED)
    return (_through_proxies if names_a_proxy else _directly)(trust(ca_file))


def _directly(context: ssl.SSLContext) -> httpx.AsyncClient:
    pool = PooledTransport(context, most=CONNECTIONS, keep_s=KEEP_ALIVE_S)
    return httpx.AsyncClient(transport=pool, timeout=TIMEOUT, follow_redirects=False)


def _through_proxies(context: ssl.SSLContext) -> httpx.AsyncClient:
    """By httpx alone: what the environment says of proxies, and of who needs none, it reads in its own way."""
    return httpx.AsyncClient(
        verify=context, limits=LIMITS, timeout=TIMEOUT, follow_redirects=False, mounts=dict.fromkeys(LOOPBACK)
    )


def build_login_http(ca_file: Path | None = None) -> httpx.Client:
    """For MsalTokens; otherwise as `build_http`."""
    return httpx.Client(
        verify=trust(ca_file),
        limits=LIMITS,
        timeout=LOGIN_TIMEOUT,
        follow_redirects=False,
        mounts=dict.fromkeys(LOOPBACK),
    )


def trust(ca_file: Path | None) -> ssl.SSLContext:
    context = httpx.create_ssl_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context
