"""What the client stands on, as small as it can be: time, tokens, a Graph made of a function."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from gateway.graph import Budgets, Call, GraphClient, GraphError

SAMPLES = Path(__file__).parent / "samples"
GRAPH = "https://graph.microsoft.com"
A_MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def sample(name: str) -> Any:
    return json.loads((SAMPLES / f"{name}.json").read_text())


class SkippingClock:
    """Who sleeps wakes at once, and it is later."""

    def __init__(self, now: datetime = A_MONDAY) -> None:
        self._now = now
        self.slept: list[timedelta] = []

    def now(self) -> datetime:
        return self._now

    async def sleep(self, duration: timedelta) -> None:
        self.slept.append(duration)
        self.advance(duration)

    def advance(self, duration: timedelta) -> None:
        self._now += duration


class Tokens:
    """Gives t1 until that is refused, then t2, and so on up to the last."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens or ("t1",))
        self.refused: list[str] = []

    async def token(self, *, refused: str | None = None) -> str:
        if refused is not None:
            self.refused.append(refused)
            if len(self.left) > 1:
                self.left.pop(0)
        return self.left[0]


class Graph:
    """Answers each request with the next of its answers, the last for ever; remembers what was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        # a response is read once, so each request gets its own
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        return httpx.Response(answer.status_code, headers=headers, content=answer.content)

    @property
    def asked(self) -> list[str]:
        return [f"{request.method} {request.url.raw_path.decode()}" for request in self.requests]


class BatchGraph:
    """Answers every item of a batch, backwards: the next of its message's outcomes, or the message.

    An outcome of None leaves the item unanswered.
    """

    def __init__(self, outcomes: dict[str, list[dict[str, Any] | None]]) -> None:
        self.outcomes = outcomes
        self.batches: list[list[dict[str, Any]]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.batches.append(json.loads(request.content)["requests"])
        answered = [(item, self.outcome(item["url"].split("?")[0].rsplit("/", 1)[1])) for item in self.batches[-1]]
        responses = [{**outcome, "id": item["id"]} for item, outcome in answered if outcome is not None]
        return httpx.Response(200, json={"responses": responses[::-1]})

    def outcome(self, id: str) -> dict[str, Any] | None:
        left = self.outcomes.get(id, [{"status": 200, "body": {"id": id}}])
        return left.pop(0) if len(left) > 1 else left[0]


class Setting:
    """A client, its Graph and its clock."""

    def __init__(
        self,
        *answers: httpx.Response | Exception,
        tokens: Tokens | None = None,
        handler: Handler | None = None,
        clock: SkippingClock | None = None,
    ) -> None:
        self.graph = Graph(*answers)
        self.clock = clock or SkippingClock()
        self.tokens = tokens or Tokens()
        self.calls: list[Call] = []
        self.waits: list[GraphError] = []
        self.budgets = Budgets(self.clock)
        self.http = httpx.AsyncClient(transport=httpx.MockTransport(handler or self.graph))
        self.client = GraphClient(
            self.http,
            self.tokens,
            GRAPH,
            clock=self.clock,
            random=random.Random(7),
            observer=self.calls.append,
            on_wait=self.waits.append,
            budgets=self.budgets,
        )


def answer(status: int, body: object = None, **headers: str) -> httpx.Response:
    content = b"" if body is None else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers={k.replace("_", "-"): v for k, v in headers.items()})


def failure(status: int, code: str = "SomeCode", **headers: str) -> httpx.Response:
    return answer(status, {"error": {"code": code, "message": "words"}}, **headers)


async def all_of(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
