"""Microsoft 365 in a box whose mailbox is filled on demand: with mail that is nobody's business, and with replies.

It has letters before anything else: conversations of the mailbox, with the student each was written to. Mail is
shaped as real mail is: some 4 KiB of headers, 1.5 KiB of text of its own.
"""

import gc
import itertools
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import httpx
import uvloop

from gateway.sandbox import Sandbox, school
from gateway.sandbox.school import STUDENT_DOMAIN, School
from gateway.serving import listen
from tests.bench.machine import stay_on
from tests.bench.processes import orders, plan_from_stdin, say
from tests.bench.sandbox_server import behaviour
from tests.bench.serving import served, url_of

SUBJECT: Final = "Your enrolment"
VOCABULARY: Final = 20_000
WORDS: Final = 230  # of a mail
STAMPS: Final = tuple(
    (name, f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=mail.example; s=selector{number}; b={'Qk9PS0xFVA' * 40}")
    for number, name in enumerate(("DKIM-Signature", "ARC-Seal", "ARC-Message-Signature", "X-Filter"))
) + tuple(
    ("Received", f"from hop{number}.mail.example (2001:db8::{number}) by hop{number + 1}.mail.example with TLS1_3")
    for number in range(6)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxPlan:
    """How many letters have been written from it, and where it runs."""

    letters: int
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenLetter:
    """A conversation of the mailbox, and whom it is with."""

    conversation_id: str
    internet_message_id: str
    subject: str
    student: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxReady:
    """Where it listens."""

    url: str
    school: School
    mailbox: str
    letters: list[WrittenLetter]


@dataclass(slots=True)
class Notified:
    """When each request to a subscriber was sent: `time.perf_counter`'s, the same for all processes of a machine."""

    at: list[float] = field(default_factory=list)

    async def note(self, request: httpx.Request) -> None:
        """As httpx calls it, before the request leaves."""
        if request.method == "POST" and request.content:
            self.at.append(time.perf_counter())


class Postman:
    """Brings mail into one mailbox; the same seed brings the same."""

    def __init__(self, sandbox: Sandbox, mailbox: str, letters: int) -> None:
        self._world = sandbox.world
        self._mailbox = mailbox
        self._chance = random.Random(letters)
        self._words = [f"w{number:x}" for number in range(VOCABULARY)]
        self._numbers = itertools.count()
        self.letters = [self._write(number) for number in range(letters)]
        self._turn = itertools.cycle(self.letters)

    def _write(self, number: int) -> WrittenLetter:
        """It lies in the archive, where nobody looks: that it was written is all that matters of it."""
        subject = f"{SUBJECT} {number}"
        copy = self._world.deliver(self._mailbox, from_=self._mailbox, subject=subject, text="…", folder="archive")
        return WrittenLetter(
            conversation_id=copy.conversation_id,
            internet_message_id=copy.internet_message_id,
            subject=subject,
            student=f"student.{number}@{STUDENT_DOMAIN}",
        )

    def fill(self, *, strange: int, ours: int) -> None:
        """So much mail of each kind, evenly mixed; the replies go to the letters in turn."""
        for is_reply in mixed(strange, ours):
            if is_reply:
                self._reply(next(self._turn))
            else:
                self._strange_mail()

    def _reply(self, letter: WrittenLetter) -> None:
        self._world.deliver(
            self._mailbox,
            from_=letter.student,
            subject=f"RE: {letter.subject}",
            html=f"<html><body><p>{self._text()}</p></body></html>",
            conversation_id=letter.conversation_id,
            in_reply_to=letter.internet_message_id,
            headers=STAMPS,
        )

    def _strange_mail(self) -> None:
        number = next(self._numbers)
        self._world.deliver(
            self._mailbox,
            from_=f"person.{number % 5000}@elsewhere.example",
            subject=f"Something else {number}",
            html=STRANGE,
            in_reply_to=f"<{number}@elsewhere.example>" if number % 3 == 0 else None,
            headers=STAMPS,
        )

    def _text(self) -> str:
        """Common words are common: the square of an even chance."""
        return " ".join(self._words[int(self._chance.random() ** 2 * VOCABULARY)] for _ in range(WORDS))


STRANGE: Final = f"<p>{'Nothing that anybody here should read. ' * 40}</p>"


def mixed(strange: int, ours: int) -> Iterator[bool]:
    """Whether each mail is one of `ours`, which are spread evenly."""
    total = strange + ours
    return ((number + 1) * ours // total > number * ours // total for number in range(total))


async def serve(plan: MailboxPlan) -> None:
    """Be Microsoft; bring what is ordered, until told to stop. Then say when notifications left."""
    notified = Notified()
    async with httpx.AsyncClient(trust_env=False, timeout=10, event_hooks={"request": [notified.note]}) as http:
        sandbox = Sandbox(behaviour=behaviour(), http=http)
        there = school.build(sandbox)
        postman = Postman(sandbox, there.mailboxes[0], plan.letters)
        with listen("127.0.0.1", 0) as listener:
            async with sandbox.running(), served(sandbox.app, listener):
                ready = MailboxReady(
                    url=url_of(listener), school=there, mailbox=there.mailboxes[0], letters=postman.letters
                )
                say(ready)
                async for order in orders():
                    postman.fill(**order)
                    gc.freeze()
                    say(time.perf_counter())
        say(notified)


if __name__ == "__main__":
    the_plan = MailboxPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
