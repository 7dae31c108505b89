"""What opens contents in a process of its own, on a loop as the gateway's, and takes the loop's pulse meanwhile."""

import asyncio
import base64
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, cast

import orjson
import uvloop

from gateway.clock import SystemClock
from gateway.graph import Cloud
from gateway.rich import KeySource, Opener, issuers_of
from gateway.sandbox.rich import encrypt
from gateway.serving import collect_seldom, hand_over_soon
from subscriptions.addresses import METADATA
from subscriptions.rich import EncryptionCertificate
from tests.bench.processes import plan_from_stdin, say

OF_A_REQUEST: Final = 100  # contents: as many as the sandbox puts into one
DIFFERENT: Final = 20  # contents are made, and told again and again
BEAT_S: Final = 0.001
HEADERS: Final = 60  # with a name and 150 characters each: 10 KiB, as mail that came over several hosts has


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningPlan:
    """`at_once` requests are opened at a time, for so many seconds after a warm-up of a quarter."""

    at_once: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReport:
    """`of_processor` is how many are opened in a second of processor time, as `openssl speed` counts.

    `longest_pause_ms`: how late the loop's beat was, at worst; `idle_pause_ms`: the same with nothing to open.
    """

    content_bytes: int
    opened: int
    per_second: float
    of_processor: float
    longest_pause_ms: float
    idle_pause_ms: float


def a_mail(number: int) -> dict[str, Any]:
    """What a subscription selects of it."""
    found = {
        "id": f"AAMkAGUwNjQ4ZjIxLTQ3Y2Y8{number:08}AAA=",
        "conversationId": f"AAQkAGUwNjQ4ZjIx{number:08}",
        "internetMessageId": f"<{number}@elsewhere.example>",
        "from": {"emailAddress": {"name": "A Stranger", "address": "stranger@elsewhere.example"}},
        "receivedDateTime": "2026-03-02T09:00:00Z",
        "isDraft": False,
        "parentFolderId": "AAMkAGUwNjQ4ZjIxLTQ3Y2Y8FOLDER=",
        "internetMessageHeaders": [{"name": f"X-Header-{one}", "value": "x" * 150} for one in range(HEADERS)],
    }
    assert found.keys() == set(METADATA)
    return found


class Pulse:
    """Beats every millisecond and notes how late each beat was."""

    def __init__(self) -> None:
        self.latest_s = 0.0

    async def beat(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time() + BEAT_S
        while True:
            await asyncio.sleep(BEAT_S)
            now = time.monotonic()
            self.latest_s = max(self.latest_s, now - due)
            due = now + BEAT_S


async def run(plan: OpeningPlan) -> OpeningReport:
    """Carry the plan out."""
    clock = SystemClock()
    certificate = EncryptionCertificate.new(clock.now(), timedelta(days=1))
    keys = {certificate.id: certificate.key()}
    made = [
        {**encrypt(orjson.dumps(a_mail(number)), certificate.certificate), "encryptionCertificateId": certificate.id}
        for number in range(DIFFERENT)
    ]
    contents = [made[number % DIFFERENT] for number in range(OF_A_REQUEST)]
    opener = Opener(cast("KeySource", None), issuers_of(Cloud.GLOBAL), clock=clock)
    collect_seldom()
    hand_over_soon()
    idle, busy = Pulse(), Pulse()
    await _for(plan.seconds / 4, idle)
    await _open(opener, contents, keys, plan.at_once, plan.seconds / 4)
    began, worked = time.perf_counter(), time.process_time()
    opened = await _open(opener, contents, keys, plan.at_once, plan.seconds)
    took, work = time.perf_counter() - began, time.process_time() - worked
    async with asyncio.TaskGroup() as group:  # after that: a thousand beats a second are work, and not the opener's
        pulse = group.create_task(busy.beat())
        opened_beside = await _open(opener, contents, keys, plan.at_once, plan.seconds)
        pulse.cancel()
    return OpeningReport(
        content_bytes=len(base64.b64decode(made[0]["data"])),
        opened=opened + opened_beside,
        per_second=opened / took,
        of_processor=opened / work,
        longest_pause_ms=busy.latest_s * 1000,
        idle_pause_ms=idle.latest_s * 1000,
    )


async def _for(seconds: float, pulse: Pulse) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await pulse.beat()


async def _open(opener: Opener, contents: Sequence[Any], keys: Any, at_once: int, seconds: float) -> int:
    """How many were opened, each of them whole."""
    opened, ends = 0, time.perf_counter() + seconds

    async def work() -> None:
        nonlocal opened
        while time.perf_counter() < ends:
            found = await opener.opened(contents, keys)
            assert all(isinstance(one, dict) for one in found)
            opened += len(found)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return opened


if __name__ == "__main__":
    say(uvloop.run(run(OpeningPlan(**plan_from_stdin()))))
