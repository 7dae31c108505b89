"""Microsoft 365 in a box, in a process of its own, that calls the gateway by TLS and trusts a test's certificate."""

import asyncio
import ssl
from dataclasses import dataclass
from datetime import timedelta

import httpx
import orjson

from gateway.sandbox import Behaviour, Sandbox, school
from gateway.sandbox.serve import as_line
from gateway.serving import listen
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import served, url_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustingPlan:
    """A file of certificates."""

    trusts: str


async def serve(plan: TrustingPlan) -> None:
    """Be Microsoft until told to stop."""
    trust = ssl.create_default_context(cafile=plan.trusts)
    async with httpx.AsyncClient(verify=trust, follow_redirects=False, trust_env=False, timeout=10) as http:
        sandbox = Sandbox(behaviour=Behaviour(reply_delay=timedelta(0)), http=http)
        pupils = school.build(sandbox)
        with listen("127.0.0.1", 0) as listener:
            async with sandbox.running(), served(sandbox.app, listener):
                say(orjson.loads(as_line(url_of(listener), pupils)))
                await told_to_stop()


if __name__ == "__main__":
    asyncio.run(serve(TrustingPlan(**plan_from_stdin())))
