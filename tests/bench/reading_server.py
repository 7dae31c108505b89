"""The gateway's application over a school made by `corpus`, and beside it, when asked for, a writer that commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import uvloop

from gateway.clock import Clock
from gateway.http.pages.sessions import ticket_url
from gateway.main import Gateway, gateway, listen
from gateway.settings import Settings
from storage import Transaction, api_keys, messages, threads
from storage.ids import new_id
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address, Thread
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import served, url_of

AT_ONCE: Final = 20
EVERY: Final = timedelta(milliseconds=20)
TEXT: Final = "Kia ora, the form that you sent me is for another course. Could you have a look at it, please? " * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingPlan:
    """The file, the key that it was made with, and whether somebody writes."""

    path: str
    key: str
    writing: bool
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingReady:
    """Where it listens, and the path that signs a browser in."""

    url: str
    ticket: str


async def write(built: Gateway, clock: Clock, written: list[int]) -> None:
    """A thousand replies a second, twenty in a commit, if the machine is up to it."""
    account_id = (await built.store.read(_first_account))[0]
    known = await built.store.read(threads.newest, account_id, limit=100)
    while True:
        await built.store.write(_insert, known[: AT_ONCE * 5 : 5], clock)
        written[0] += AT_ONCE
        await clock.sleep(EVERY)


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
async def writing(built: Gateway, plan: ReadingPlan) -> AsyncIterator[list[int]]:
    """How many messages were written so far, in a list of one number."""
    written = [0]
    async with asyncio.TaskGroup() as group:
        task = group.create_task(write(built, built.clock, written)) if plan.writing else None
        yield written
        if task is not None:
            task.cancel()


async def serve(plan: ReadingPlan) -> None:
    """Answer until told to stop; then say how many messages were written meanwhile."""
    with listen("127.0.0.1", 0) as listener:
        async with gateway(Settings(database=Path(plan.path))) as built, served(built.app, listener):
            key = await built.store.read(api_keys.find, plan.key)
            assert key is not None
            ticket = ticket_url(built.session_key, key.id, next="/objects", now=built.clock.now())
            async with writing(built, plan) as written:
                say(ReadingReady(url=url_of(listener), ticket=ticket))
                await told_to_stop()
            say(written[0])


if __name__ == "__main__":
    the_plan = ReadingPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
