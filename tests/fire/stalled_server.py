"""The gateway with a disk that takes its time: each commit of its writer waits before it begins, on that thread.

SQLite itself says when a commit begins (`sqlite3.Connection.set_trace_callback`), so nothing of the gateway is changed.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import uvloop

from gateway import logs
from gateway.main import gateway
from gateway.running import run
from gateway.serving import listen
from gateway.settings import from_env
from storage import Transaction
from tests.bench.processes import plan_from_stdin, say


@dataclass(frozen=True, slots=True, kw_only=True)
class StalledPlan:
    """`environment` is the gateway's, `commit_s` how long a commit waits."""

    environment: dict[str, str]
    commit_s: float


def stall(tx: Transaction, commit_s: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
    """From the commit of this very transaction on."""
    tx.set_trace_callback(waiting(commit_s, sleep=sleep))


def waiting(commit_s: float, *, sleep: Callable[[float], None] = time.sleep) -> Callable[[str], None]:
    """A trace callback that takes its time before each commit."""

    def statement_begins(sql: str) -> None:
        if sql == "COMMIT":
            sleep(commit_s)

    return statement_begins


async def serve(plan: StalledPlan) -> None:
    """Run until killed; says its process id when it listens."""
    settings = from_env(plan.environment)
    logs.set_up("critical", stream=sys.stderr)  # that the store is late is no news here
    with listen(settings.host, settings.port) as listener:
        async with gateway(settings) as built:
            await built.store.write(stall, plan.commit_s)
            say(os.getpid())
            await run(built, listener, asyncio.Event())


if __name__ == "__main__":
    uvloop.run(serve(StalledPlan(**plan_from_stdin())))
