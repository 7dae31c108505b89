"""The gateway of a soak: it serves as always, and says when asked what it holds and what has grown in it."""

import asyncio
import gc
import os
import tracemalloc
from dataclasses import dataclass
from typing import Final

import uvloop

from gateway import logs
from gateway.main import gateway
from gateway.running import run
from gateway.serving import collect_seldom, hand_over_soon, listen
from gateway.settings import from_env
from tests.bench.processes import orders, plan_from_stdin, say

GROWN: Final = 15  # lines of what has grown


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakPlan:
    """`environment` is the gateway's. `trace`: so many frames of each allocation are kept; 0: none."""

    environment: dict[str, str]
    trace: int = 0


async def serve(plan: SoakPlan) -> None:
    """Run until stdin ends. An order `tasks` is answered with their number, `trace` with what grew since the last."""
    settings = from_env(plan.environment)
    logs.set_up("error")
    stop, before = asyncio.Event(), None
    if plan.trace:
        tracemalloc.start(plan.trace)
    with listen(settings.host, settings.port) as listener:
        async with gateway(settings) as built, asyncio.TaskGroup() as group:
            collect_seldom()
            hand_over_soon()
            group.create_task(run(built, listener, stop))
            say(os.getpid())
            async for order in orders():
                if order["what"] == "tasks":
                    say(len(asyncio.all_tasks()))
                    continue
                gc.collect()
                now = tracemalloc.take_snapshot() if plan.trace else None
                if now is None or before is None:
                    say([])
                else:
                    say([str(one) for one in now.compare_to(before, "lineno")[:GROWN]])
                before = now
            stop.set()


if __name__ == "__main__":
    uvloop.run(serve(SoakPlan(**plan_from_stdin())))
