"""Microsoft 365 in a box with the small school, in a process of its own, without any delay that is not work.

It can have more mailboxes than the small school has, and it knows people who read what they get and do not answer.
"""

from dataclasses import dataclass
from typing import Final

import uvloop

from gateway.sandbox import Behaviour, Correspondent, Sandbox, school
from gateway.sandbox.school import DOMAIN, STUDENT_DOMAIN, School, Student
from gateway.serving import listen
from tests.bench.machine import stay_on
from tests.bench.processes import plan_from_stdin, say, told_to_stop
from tests.bench.serving import served, url_of

QUIET_STUDENTS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPlan:
    """Where it runs, and how many more mailboxes it has."""

    processor: int | None
    more_mailboxes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxReady:
    """Where it listens, and who is there."""

    url: str
    school: School
    more_mailboxes: tuple[str, ...]
    quiet_students: tuple[Student, ...]


def behaviour() -> Behaviour:
    """Microsoft's whose own pace and limits are not what is measured."""
    return Behaviour.unlimited()


def add_mailboxes(sandbox: Sandbox, count: int) -> tuple[str, ...]:
    """Their addresses."""
    names = [f"Office {number}" for number in range(1, count + 1)]
    return tuple(
        sandbox.world.add_user(f"{name.lower().replace(' ', '-')}@{DOMAIN}", name, shared=True).mail for name in names
    )


def add_quiet_students(sandbox: Sandbox) -> tuple[Student, ...]:
    """People to write to where the answers are not what is measured."""
    numbers = range(1, QUIET_STUDENTS + 1)
    students = tuple(
        Student(
            student_id=f"S{2000 + number}", name=f"Quiet Student {number}", address=f"quiet.{number}@{STUDENT_DOMAIN}"
        )
        for number in numbers
    )
    for student in students:
        sandbox.world.correspondents.add(Correspondent(address=student.address, name=student.name, is_silent=True))
    return students


async def serve(plan: SandboxPlan) -> None:
    """Be Microsoft until told to stop."""
    sandbox = Sandbox(behaviour=behaviour())
    ready = {
        "school": school.build(sandbox),
        "more_mailboxes": add_mailboxes(sandbox, plan.more_mailboxes),
        "quiet_students": add_quiet_students(sandbox),
    }
    with listen("127.0.0.1", 0) as listener:
        async with sandbox.running(), served(sandbox.app, listener):
            say(SandboxReady(url=url_of(listener), **ready))
            await told_to_stop()


if __name__ == "__main__":
    the_plan = SandboxPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
