"""The gateway in the future: the same file, the same sandbox, a clock ahead. Until nothing is left to do there.

A letter whose submission is uncertain rests for 15 minutes, and for 30 at most, before the gateway believes what it
reads; nobody wants to wait for that.
"""

import asyncio
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import uvloop

from gateway import logs
from gateway.clock import SystemClock
from gateway.main import gateway
from gateway.running import run
from gateway.serving import listen
from gateway.settings import from_env
from storage import Store, Transaction
from tests.bench.processes import plan_from_stdin, say

FINISHED: Final = "('sent', 'bounced', 'failed', 'needs_review', 'cancelled')"
# An uncertain letter that is not due is left to a gateway further in the future.
UNDER_WAY: Final = f"""
SELECT count(*) FROM outbox
 WHERE state NOT IN {FINISHED} AND NOT (state = 'unknown' AND lease_owner IS NULL AND next_attempt_at > :now)
"""
UNCERTAIN: Final = "SELECT count(*) FROM outbox WHERE state = 'unknown'"
# Every student answers every letter.
UNANSWERED: Final = """
SELECT (SELECT count(*) FROM outbox WHERE state = 'sent') - (SELECT count(*) FROM messages WHERE direction = 'in')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class AheadPlan:
    """`environment` is the gateway's, `ahead_s` how far its clock is ahead; `patience_s` is in real time."""

    environment: dict[str, str]
    ahead_s: float
    patience_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AtRest:
    """What was left when nothing happened any more: letters under way and uncertain, letters without their answer.

    Less than none are unanswered when there are more answers than letters.
    """

    under_way: int
    uncertain: int
    unanswered: int


class AheadClock(SystemClock):
    """The machine's clock, put forward."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def now(self) -> datetime:
        """The time there, aware and in UTC."""
        return super().now() + self._ahead


def left(tx: Transaction, now: datetime) -> AtRest:
    """What is still to come."""
    (under_way,) = tx.execute(UNDER_WAY, {"now": now}).fetchone()
    (uncertain,) = tx.execute(UNCERTAIN).fetchone()
    (unanswered,) = tx.execute(UNANSWERED).fetchone()
    return AtRest(under_way=under_way, uncertain=uncertain, unanswered=unanswered)


async def at_rest(store: Store, clock: AheadClock, patience_s: float) -> AtRest:
    """Wait, commit by commit, until nothing is to come; or, when patience ends, say what still is."""
    with store.watching("outbox", "events", "folders") as news:
        try:
            async with asyncio.timeout(patience_s):
                while (found := await store.read(left, clock.now())).under_way or found.unanswered > 0:
                    await news.wait()
                    news.clear()
        except TimeoutError:
            return await store.read(left, clock.now())
    return found


async def serve(plan: AheadPlan) -> None:
    """Run until there is nothing to do; then say so, and end as on SIGTERM."""
    settings, clock, stop = from_env(plan.environment), AheadClock(timedelta(seconds=plan.ahead_s)), asyncio.Event()
    logs.set_up("error", stream=sys.stderr)
    with listen(settings.host, settings.port) as listener:
        async with gateway(settings, clock=clock) as built, asyncio.TaskGroup() as group:
            running = group.create_task(run(built, listener, stop))
            say(await at_rest(built.store, clock, plan.patience_s))
            stop.set()
            await running


if __name__ == "__main__":
    uvloop.run(serve(AheadPlan(**plan_from_stdin())))
