"""Microsoft 365 in a box with the small school, in a process of its own, without any delay that is not work."""

from dataclasses import dataclass

import uvloop

from gateway.main import listen
from gateway.sandbox import Behaviour, Sandbox, school
from gateway.sandbox.school import School
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import served, url_of


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPlan:
    """Where it runs."""

    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReady:
    """Where it listens, and who is there."""

    url: str
    school: School


async def serve() -> None:
    """Be Microsoft until told to stop."""
    sandbox = Sandbox(behaviour=Behaviour.at_once())
    the_school = school.build(sandbox)
    with listen("127.0.0.1", 0) as listener:
        async with sandbox.running(), served(sandbox.app, listener):
            say(SandboxReady(url=url_of(listener), school=the_school))
            await told_to_stop()


if __name__ == "__main__":
    stay_on(SandboxPlan(**plan_from_stdin()).processor)
    uvloop.run(serve())
