"""A receiver of webhooks that checks what it gets, and has moods."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import httpx
from standardwebhooks.webhooks import Webhook

GLOBAL = "93.184.215.14"


class Mood(StrEnum):
    WELL = "well"
    BROKEN = "broken"  # answers 500
    LYING = "lying"  # takes the event, and says that it did not
    STALLING = "stalling"
    AWAY = "away"  # nobody listens
    MOVED = "moved"  # answers with a redirect
    GONE = "gone"  # answers 410
    DEADLY = "deadly"  # takes the event, and the gateway dies before it hears so


@dataclass
class Receiver:
    """`taken` has the ids of the events in the order in which it got them, `bodies` what they said."""

    secret: str = ""
    mood: Mood = Mood.WELL
    refuses: set[str] = field(default_factory=set)
    taken: list[str] = field(default_factory=list)
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def transport(self) -> httpx.AsyncBaseTransport:
        return httpx.MockTransport(self.answer)

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        match self.mood:
            case Mood.STALLING:
                raise httpx.ReadTimeout("no answer", request=request)
            case Mood.AWAY:
                raise httpx.ConnectError("nobody listens", request=request)
            case Mood.MOVED:
                return says(307, {"location": "https://elsewhere.example/"})
            case Mood.GONE:
                return says(410)
            case Mood.BROKEN:
                return says(500)
        return self._take(request)

    def _take(self, request: httpx.Request) -> httpx.Response:
        if not self._is_signed(request):
            return says(401)
        body = json.loads(request.content)
        if body["type"] in self.refuses:
            return says(422)
        self.headers.append(dict(request.headers))
        self.taken.append(body["data"]["id"])
        self.bodies[body["data"]["id"]] = body
        if self.mood is Mood.DEADLY:
            raise asyncio.CancelledError
        return says(500 if self.mood is Mood.LYING else 204)

    def _is_signed(self, request: httpx.Request) -> bool:
        """As the specification's library would check it, but for the time: here the clock stands elsewhere."""
        body, headers = request.content.decode(), request.headers
        at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
        expected = Webhook(self.secret).sign(headers["webhook-id"], at, body)
        return expected in headers["webhook-signature"].split(" ")


def says(status: int, headers: Mapping[str, str] | None = None) -> httpx.Response:
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(b"as it is"))


async def resolve(host: str, port: int) -> list[str]:
    return [GLOBAL]
