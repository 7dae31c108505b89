"""The gateway as `serve` runs it, workers and all, connected to the sandbox of another process; it keeps a diary.

The diary has each call to Graph (the client's own observer tells of it) and each notification that came in (seen in
front of the application). Times are `time.perf_counter`'s, which is the same for all processes of a machine.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import uvloop
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.graph import Call
from gateway.http.services import AccountConfiguration
from gateway.main import gateway
from gateway.running import Gateway, run
from gateway.serving import collect_seldom, hand_over_soon, listen
from gateway.settings import Settings
from storage import Transaction, accounts, api_keys, subscriptions
from storage.api_keys import Scope as KeyScope
from storage.folders import WellKnown
from storage.subscriptions import SubscriptionState
from subscriptions.addresses import NOTIFICATIONS
from tests.bench.machine import places, stay_on
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import url_of
from tests.bench.taking_over import take_over
from tests.bench.uncommitted import without_commits

DRAFT_ROUTE: Final = "users/{id}/messages"
SEND_ROUTE: Final = "users/{id}/messages/{id}/send"
PORTAL: Final = ("tenant_id", "client_id", "client_secret", "secret_expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPlan:
    """What an admin enters, where the file is made, and where the process runs.

    Without `commits` the API is that of `uncommitted`. `letters` are those of the first mailbox's, as the sandbox's
    `WrittenLetter`s, that it is to take for its own.
    """

    folder: str
    sandbox_url: str
    tenant_id: str
    client_id: str
    client_secret: str
    secret_expires_at: datetime
    mailboxes: Sequence[str]
    processor: int | None
    commits: bool = True
    letters: Sequence[Mapping[str, str]] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayReady:
    """Where it listens, a key of all scopes, and the threads of the plan's letters."""

    url: str
    key: str
    threads: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call to Graph. `items` is what Graph counts: more than one in a batch."""

    began: float
    ended: float
    method: str
    route: str
    status: int | None
    items: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A request with notifications had come in whole; `folders` are those that it is about."""

    at: float
    folders: list[str]


@dataclass(slots=True)
class Diary:
    """What happened between the gateway and Microsoft."""

    asked: list[Asked] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    folder_of: dict[str, str] = field(default_factory=dict)

    def note_call(self, call: Call) -> None:
        """As the observer of the Graph client: called when the answer is there."""
        now = time.perf_counter()
        self.asked.append(
            Asked(
                began=now - call.duration_s,
                ended=now,
                method=call.method,
                route=call.route,
                status=call.status,
                items=call.items,
            )
        )

    def note_notifications(self, body: bytes) -> None:
        """Of whatever was posted to the door; what is none is left to the gateway."""
        at = time.perf_counter()
        named = {item["subscriptionId"] for item in orjson.loads(body)["value"]}
        self.told.append(Told(at=at, folders=sorted({self.folder_of.get(one, "") for one in named})))


class InFront:
    """Looks at what comes in at Graph's door, and hands it on."""

    def __init__(self, app: ASGIApp, diary: Diary) -> None:
        self._app = app
        self._diary = diary

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != NOTIFICATIONS or scope["query_string"]:
            await self._app(scope, receive, send)
            return
        body = bytearray()

        async def looked_at() -> Message:
            message = await receive()
            body.extend(message.get("body", b""))
            if body and not message.get("more_body", False):
                self._diary.note_notifications(bytes(body))
                body.clear()
            return message

        await self._app(scope, looked_at, send)


def watches_of(tx: Transaction) -> dict[str, str]:
    """The folder of each live subscription, by Graph's id."""
    return {
        watch.subscription.subscription_id: watch.well_known
        for watch in subscriptions.watches(tx)
        if watch.subscription.state is SubscriptionState.LIVE and watch.subscription.subscription_id is not None
    }


async def configure(built: Gateway, plan: GatewayPlan) -> str:
    """What an admin does once; returns the account's id."""
    account = (await built.store.read(accounts.all_of_them))[0]
    configuration = AccountConfiguration(
        tenant_id=plan.tenant_id,
        client_id=plan.client_id,
        client_secret=plan.client_secret,
        secret_expires_at=plan.secret_expires_at,
        cloud="global",
        time_zone="UTC",
    )
    await built.setup.configure_account(account.id, configuration)
    for address in plan.mailboxes:
        await built.setup.add_mailbox(account.id, address)
        await built.setup.validate_mailbox(account.id, address)
    return account.id


async def connect(built: Gateway, plan: GatewayPlan) -> str:
    """Configure, and return the value of an API key. All folders are watched when it returns."""
    account_id = await configure(built, plan)
    value = api_keys.new_value()
    await built.store.write(
        api_keys.create, account_id, name="bench", scopes=frozenset(KeyScope), value=value, now=built.clock.now()
    )
    with built.store.watching("subscriptions") as changed:
        while len(await built.store.read(watches_of)) < len(plan.mailboxes) * len(WellKnown):
            await changed.wait()
            changed.clear()
    return value


MANY: Final = 1_000_000_000


def limits_off(**given: Any) -> Settings:
    """Settings with which nothing but its work holds a letter back: whatever limits the pace is to be lifted here."""
    return Settings(
        letters_per_minute=MANY,
        recipients_per_day=MANY,
        requests_per_10_minutes=MANY,
        upload_bytes_per_5_minutes=MANY,
        requests_per_minute=0,
        **given,
    )


def plan_for(
    microsoft: Mapping[str, Any],
    folder: Path,
    *,
    mailboxes: Sequence[str],
    commits: bool = True,
    letters: Sequence[Mapping[str, str]] = (),
) -> GatewayPlan:
    """For a sandbox that has said what a `SandboxReady` says."""
    return GatewayPlan(
        folder=str(folder),
        sandbox_url=microsoft["url"],
        mailboxes=mailboxes,
        processor=places().server,
        commits=commits,
        letters=letters,
        **{name: microsoft["school"][name] for name in PORTAL},
    )


def calls_per_letter(asked: Iterable[Asked], *, letters: int) -> dict[str, float]:
    """By method and route, the most frequent first; a batch counts as one call."""
    counted = Counter(f"{one.method} {one.route}" for one in asked)
    return {route: count / letters for route, count in counted.most_common()}


async def serve(plan: GatewayPlan) -> None:
    """Run until told to stop; then say the diary."""
    diary, stop = Diary(), asyncio.Event()
    with listen("127.0.0.1", 0) as listener:
        settings = limits_off(
            database=Path(plan.folder) / "gateway.db",
            public_url=url_of(listener),
            graph_url=plan.sandbox_url,
            login_url=plan.sandbox_url,
        )
        async with gateway(settings, observer=diary.note_call) as built, asyncio.TaskGroup() as group:
            if not plan.commits:
                built = replace(built, app=without_commits(built, settings))
            built.app.add_middleware(InFront, diary=diary)
            collect_seldom()
            hand_over_soon()
            running = group.create_task(run(built, listener, stop))
            key = await connect(built, plan)
            diary.folder_of = await built.store.read(watches_of)
            threads = await built.store.write(take_over, plan.mailboxes[0], plan.letters, built.clock.now())
            say(GatewayReady(url=url_of(listener), key=key, threads=threads))
            await told_to_stop()
            stop.set()
            await running
    say(diary)


def given_plan() -> GatewayPlan:
    """For the child: the plan it was given."""
    given = plan_from_stdin()
    return GatewayPlan(**given | {"secret_expires_at": datetime.fromisoformat(given["secret_expires_at"])})


if __name__ == "__main__":
    the_plan = given_plan()
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
