"""SELMA, as the benchmarks play it: posts letters by HTTP, and learns from the event stream what became of them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import httpx
import orjson

from tests.bench.processes import Broken

POSTING_AT_ONCE: Final = 8
PATIENCE_S: Final = 60
SUBMITTED: Final = "message.submitted"
SENT: Final = "message.sent"
REPLIED: Final = "reply.received"

HTML: Final = """<p>Kia ora {name},</p>
<p>Thank you for your application. We are happy to tell you that your place {number} is confirmed. Your course begins
on the first Monday of term, at nine in the morning, in the main hall; somebody from the office will be there to show
you the way. Please bring your passport, your student visa and the signed form that came with your offer.</p>
<p>If your plans have changed, or if there is anything that you are not sure of, just answer this email: it reaches us
at the Admissions desk, and we shall come back to you within two working days. Fees are due <b>four weeks before the
course begins</b>; how to pay them, and what happens if you cannot come, stands in the
<a href="https://school.example/terms">terms of enrolment</a>.</p>
<p>Ngā mihi nui,<br>Jane Doe<br>Admissions</p>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A letter as it went in. Times are `time.perf_counter`'s."""

    thread_id: str
    posted_at: float
    accepted_at: float


def letter(
    number: int | str, *, mailbox: str, student: Mapping[str, str], send_at: datetime | None = None
) -> dict[str, Any]:
    """The body of `POST /v1/messages`."""
    return {
        "from": mailbox,
        "to": [{"name": student["name"], "address": student["address"]}],
        "subject": f"Your enrolment {number}",
        "html": HTML.format(name=student["name"], number=number),
        "objects": [{"type": "student", "id": student["student_id"]}],
        "created_by": "Jane Doe",
        "send_at": None if send_at is None else send_at.isoformat(),
    }


class Host:
    """Posts letters from all mailboxes to all students in turn, numbered from `first`."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        mailboxes: Sequence[str],
        students: Sequence[Mapping[str, str]],
        *,
        first: int = 1,
    ) -> None:
        self._client = client
        self._numbers = itertools.count(first)
        self._pairs = itertools.cycle(itertools.product(students, mailboxes))

    async def post(self, send_at: datetime | None = None) -> Posted:
        """The next letter. Raises `Broken` when it is not accepted."""
        number, (student, mailbox) = next(self._numbers), next(self._pairs)
        body = orjson.dumps(letter(number, mailbox=mailbox, student=student, send_at=send_at))
        headers = {"content-type": "application/json", "idempotency-key": f"bench-{number}"}
        posted_at = time.perf_counter()
        answer = await self._client.post("/v1/messages", content=body, headers=headers)
        accepted_at = time.perf_counter()
        if answer.status_code != httpx.codes.ACCEPTED:
            raise Broken(f"letter {number} was answered with {answer.status_code}: {answer.text}")
        return Posted(thread_id=answer.json()["thread_id"], posted_at=posted_at, accepted_at=accepted_at)

    async def post_many(self, count: int, send_at: datetime | None = None) -> list[Posted]:
        """As fast as a few connections can."""
        left = iter(range(count))

        async def post() -> list[Posted]:
            return [await self.post(send_at) for _ in left]

        async with asyncio.TaskGroup() as group:
            posting = [group.create_task(post()) for _ in range(POSTING_AT_ONCE)]
        return [one for task in posting for one in task.result()]


class Ear:
    """Listens to the event stream and remembers when it heard what."""

    def __init__(self) -> None:
        self._heard: dict[tuple[str, str], float] = {}
        self._news = asyncio.Event()

    async def listen(self, client: httpx.AsyncClient, begun: asyncio.Event) -> None:
        """For ever; `begun` is set once nothing can be missed."""
        async with client.stream("GET", "/v1/events/stream", timeout=None) as stream:
            if stream.status_code != httpx.codes.OK:
                raise Broken(f"the event stream answered {stream.status_code}")
            async for line in stream.aiter_lines():
                begun.set()
                if line.startswith("data: "):
                    self._note(orjson.loads(line.removeprefix("data: ")), time.perf_counter())

    def _note(self, event: Mapping[str, Any], now: float) -> None:
        self._heard.setdefault((event["type"], event["thread_id"]), now)
        self._news.set()

    async def when(self, event: str, thread_id: str) -> float:
        """Wait until this has happened in the thread. Raises `Broken` when it does not."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while (event, thread_id) not in self._heard:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise Broken(f"no {event} within {PATIENCE_S} s") from None
        return self._heard[event, thread_id]


@asynccontextmanager
async def connected(url: str, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway's API while the block lasts."""
    headers = {"authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False) as client:
        yield client


@asynccontextmanager
async def hearing(client: httpx.AsyncClient) -> AsyncIterator[Ear]:
    """An ear at the event stream while the block lasts."""
    ear, begun = Ear(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        listening = group.create_task(ear.listen(client, begun))
        await begun.wait()
        yield ear
        listening.cancel()
