"""The gateway's application over a school made by `corpus`, and beside it, when told to, a writer that commits."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import uvloop

from gateway.clock import Clock
from gateway.http.pages.sessions import ticket_url
from gateway.main import gateway
from gateway.running import MERGE_TICK, Gateway
from gateway.schedule import Schedule
from gateway.serving import listen
from gateway.settings import Settings
from storage import Transaction, api_keys, messages, threads
from storage.ids import new_id
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address, Thread
from tests.bench.machine import stay_on
from tests.bench.processes import orders, plan_from_stdin, say
from tests.bench.serving import served, url_of

AT_ONCE: Final = 20
LIVELY: Final = 2_000  # threads that are written to
EVERY: Final = timedelta(milliseconds=20)
TEXT: Final = "Kia ora, the form that you sent me is for another course. Could you have a look at it, please? " * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """The file, the key that it was made with, and how many commits to make when the readers have gone."""

    path: str
    key: str
    commits: int
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """How long each commit of AT_ONCE messages took, in seconds: while others read; then one upon the other."""

    beside: Sequence[float]
    alone: Sequence[float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingReady:
    """Where it listens, and the path that signs a browser in."""

    url: str
    ticket: str


class Writer:
    """Commits AT_ONCE messages at a time, and takes the time of each."""

    def __init__(self, built: Gateway, known: list[Thread]) -> None:
        self._built = built
        self._known = known
        self._chance = random.Random(1)

    async def commit(self) -> float:
        """How long it took, in seconds."""
        some = self._chance.sample(self._known, AT_ONCE)
        began = time.perf_counter()
        await self._built.store.write(_insert, some, self._built.clock)
        return time.perf_counter() - began

    async def write(self, took: list[float]) -> None:
        """A thousand replies a second, if the machine is up to it."""
        while True:
            took.append(await self.commit())
            await self._built.clock.sleep(EVERY)


def _first_account(tx: Transaction) -> list[str]:
    return [row["id"] for row in tx.execute("SELECT id FROM accounts")]


def _insert(tx: Transaction, known: list[Thread], clock: Clock) -> None:
    for thread in known:
        now = clock.now()
        message = Message(
            id=new_id("msg", now),
            account_id=thread.account_id,
            mailbox_id=thread.mailbox_id,
            thread_id=thread.id,
            direction=Direction.IN,
            kind=Kind.MAIL,
            placement=Placement.PLACED,
            graph_id=new_id("AAMk", now),
            conversation_id=thread.conversation_id,
            internet_message_id=f"<{new_id('reply', now)}@student.example>",
            subject=f"Re: {thread.subject}",
            sender=Address(name="A student", address="student@student.example"),
            recipients=Recipients(to=(Address(name=None, address=thread.mailbox),)),
            body_type=BodyType.TEXT,
            body=TEXT,
            preview=TEXT[:255],
            attachments=(),
            evidence=None,
            created_by=None,
            message_at=now,
            created_at=now,
            new_text=TEXT,
        )
        messages.insert(tx, message)


@asynccontextmanager
async def merging(built: Gateway) -> AsyncIterator[None]:
    """The search index is merged as in a gateway that works."""
    schedule = Schedule()
    with schedule.running():
        async with asyncio.TaskGroup() as group:
            task = group.create_task(built.merger.run(schedule.every(MERGE_TICK)))
            yield
            task.cancel()


async def written(built: Gateway, plan: ReadingPlan, given: AsyncIterator[Any]) -> Written:
    """What a writer did until there was nothing more given, and then alone."""
    account_id = (await built.store.read(_first_account))[0]
    known = await built.store.read(threads.newest, account_id, limit=LIVELY)
    writer, beside = Writer(built, known), list[float]()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(writer.write(beside))
        async for _ in given:
            pass
        task.cancel()
    return Written(beside=beside, alone=[await writer.commit() for _ in range(plan.commits)])


async def serve(plan: ReadingPlan) -> None:
    """Answer; from the first order on write as well, until there are no more orders; then say what was written."""
    with listen("127.0.0.1", 0) as listener:
        async with (
            gateway(Settings(database=Path(plan.path), requests_per_minute=0)) as built,
            served(built.app, listener),
            merging(built),
        ):
            key = await built.store.read(api_keys.find, plan.key)
            assert key is not None
            ticket = ticket_url(built.session_key, key.id, next="/objects", now=built.clock.now())
            say(ReadingReady(url=url_of(listener), ticket=ticket))
            given = orders()
            await anext(given)
            say(await written(built, plan, given))


if __name__ == "__main__":
    the_plan = ReadingPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
