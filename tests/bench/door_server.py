"""The three doors for notifications that are compared, each a server process with the same server settings.

`bare`      one route, no middleware: parse the JSON, answer 202. What Starlette and uvicorn can do at all.
`gateway`   the gateway as it is: all middleware, the receiver's checks, the store's group commit. No worker runs, so
            that hints stay for the count; reading them costs what `latency` measures.
`one each`  what one writes first: one route, no middleware, subscription and `clientState` compared, then a
            transaction of its own for each request on one aiosqlite connection. Same table, `synchronous=FULL` too.
"""

import asyncio
import contextlib
import hashlib
import hmac
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiosqlite
import orjson
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

import storage
from gateway.clock import SystemClock
from gateway.main import gateway
from gateway.serving import listen
from gateway.settings import Settings
from storage import accounts, folders, hints, mailboxes, subscriptions
from storage.folders import WellKnown
from storage.subscriptions import SubscriptionState
from subscriptions.addresses import NOTIFICATIONS
from tests.bench.load import ID_MARK
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import Engine, served
from tests.fire.stalled_server import stall, waiting

TENANT: Final = "84bd8158-6d4d-4958-8b9f-9d6445542f95"
CLIENT: Final = "24d3b144-21ae-4080-943f-7067b395b913"
USER: Final = "622eaaff-0683-4862-9de4-f2ec83c2bd98"
SUBSCRIPTION: Final = "c6126aa3-0ed8-412f-a988-71e6cee627c4"
CLIENT_STATE: Final = "c2VjcmV0LWZvci10aGUtYmVuY2htYXJrLW9ubHktMzItYnl0ZXM"
DATABASE: Final = "gateway.db"

Handler = Callable[[Request], Awaitable[Response]]


class Door(StrEnum):
    """See above."""

    BARE = "bare"
    GATEWAY = "gateway"
    ONE_EACH = "one each"


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorPlan:
    """`folder` is where the database is made, `door` the value of a `Door`, `commit_s` what each commit costs more."""

    door: str
    folder: str
    processor: int | None
    commit_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorReady:
    """Where it listens, and by what."""

    port: int
    engine: Engine


def notification(items: int = 1) -> str:
    """A body as Outlook sends it, with so many changes; `ID_MARK` is where the message id goes.

    Source: https://learn.microsoft.com/graph/outlook-change-notifications-overview
    """
    return orjson.dumps({"value": [_change(f"{number:03}" if number else "") for number in range(items)]}).decode()


def _change(suffix: str) -> dict[str, Any]:
    mark = ID_MARK.decode() + suffix
    return {
        "subscriptionId": SUBSCRIPTION,
        "subscriptionExpirationDateTime": "2026-03-09T08:12:18.2257768+00:00",
        "changeType": "created",
        "resource": f"Users/{USER}/Messages/{mark}",
        "resourceData": {
            "@odata.type": "#Microsoft.Graph.Message",
            "@odata.id": f"Users/{USER}/Messages/{mark}",
            "@odata.etag": 'W/"CQAAABYAAACQ2fKdhq8oSKEDSVrdi3lRAAGDUUXn"',
            "id": mark,
        },
        "clientState": CLIENT_STATE,
        "tenantId": TENANT,
    }


def watched_inbox(tx: storage.Transaction, now: datetime) -> tuple[str, str]:
    """A connected account with a validated mailbox and a live subscription on its Inbox; their ids with us."""
    known = accounts.all_of_them(tx)
    account = known[0] if known else accounts.add(tx, "bench", now=now)
    accounts.configure(tx, account.id, tenant_id=TENANT, client_id=CLIENT, cloud="global", time_zone="UTC", now=now)
    mailbox = mailboxes.add(tx, account.id, "admissions@school.example", now=now)
    mailboxes.mark_validated(tx, mailbox.id, user_id=USER, display_name="Admissions", now=now)
    folders.watch(tx, account.id, mailbox.id, WellKnown.INBOX, folder_id="inbox", since=now, now=now)
    [inbox] = folders.of_mailbox(tx, mailbox.id)
    made = subscriptions.add(
        tx,
        account_id=account.id,
        mailbox_id=mailbox.id,
        folder_id=inbox.id,
        client_state_digest=hashlib.sha256(CLIENT_STATE.encode()).digest(),
        notification_url=f"https://mail.school.example{NOTIFICATIONS}",
        next_step_at=now,
        now=now,
    )
    ends_at = now + timedelta(days=6)
    live = replace(
        made,
        state=SubscriptionState.LIVE,
        subscription_id=SUBSCRIPTION,
        expiration_date_time=ends_at,
        next_step_at=now + timedelta(days=3),
    )
    subscriptions.save(tx, live)
    return account.id, inbox.id


@asynccontextmanager
async def bare(plan: DoorPlan) -> AsyncIterator[Starlette]:
    async def door(request: Request) -> Response:
        orjson.loads(await request.body())
        return Response(status_code=HTTPStatus.ACCEPTED)

    yield _one_route(door)


@asynccontextmanager
async def the_gateway(plan: DoorPlan) -> AsyncIterator[Starlette]:
    async with gateway(Settings(database=Path(plan.folder) / DATABASE)) as built:
        await built.store.write(watched_inbox, built.clock.now())
        if plan.commit_s:
            await built.store.write(stall, plan.commit_s)
        yield built.app


@asynccontextmanager
async def one_each(plan: DoorPlan) -> AsyncIterator[Starlette]:
    path, now = Path(plan.folder) / DATABASE, SystemClock().now
    async with storage.open_store(path) as store:
        account_id, folder_id = await store.write(watched_inbox, now())
    one_at_a_time = asyncio.Lock()
    async with aiosqlite.connect(path, isolation_level=None) as connection:
        await connection.execute("PRAGMA synchronous = FULL")
        await connection.execute("PRAGMA foreign_keys = ON")
        if plan.commit_s:
            await connection.set_trace_callback(waiting(plan.commit_s))

        async def door(request: Request) -> Response:
            [item] = orjson.loads(await request.body())["value"]
            is_right = hmac.compare_digest(item["clientState"], CLIENT_STATE)
            if item["subscriptionId"] != SUBSCRIPTION or not is_right:
                return Response(status_code=HTTPStatus.FORBIDDEN)
            at = now()
            row = (account_id, folder_id, item["changeType"], item["resourceData"]["id"], at, at, None)
            async with one_at_a_time:
                try:
                    await connection.execute("BEGIN")
                    await connection.execute(hints.INSERT, row)
                    await connection.commit()
                except BaseException:
                    await connection.rollback()
                    raise
            return Response(status_code=HTTPStatus.ACCEPTED)

        yield _one_route(door)


DOORS: Final = {Door.BARE: bare, Door.GATEWAY: the_gateway, Door.ONE_EACH: one_each}


def _one_route(door: Handler) -> Starlette:
    return Starlette(routes=[Route(NOTIFICATIONS, door, methods=["POST"])])


def kept(folder: Path) -> tuple[int, int]:
    """How many hints are in the file, and about how many messages. Read by no connection of the server's."""
    with contextlib.closing(sqlite3.connect(folder / DATABASE)) as connection:
        rows, ids = connection.execute("SELECT count(*), count(DISTINCT message_id) FROM hints").fetchone()
    return rows, ids


async def serve(plan: DoorPlan) -> None:
    """Answer until told to stop."""
    with listen("127.0.0.1", 0) as listener:
        async with DOORS[Door(plan.door)](plan) as app, served(app, listener) as engine:
            say(DoorReady(port=listener.getsockname()[1], engine=engine))
            await told_to_stop()


if __name__ == "__main__":
    the_plan = DoorPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
