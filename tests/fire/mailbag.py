"""What people write in a run: letters of the school, replies that must be stored once, mail that must leave no byte."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.sandbox.model import Message as Mail
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from storage import Transaction
from storage.messages import BodyType
from storage.threads import Address
from tests.fire.one_clock import Site

MARK: Final = "wharenui-7719"  # in all mail that is not ours, and nowhere else
OURS: Final = "pohutukawa-2203"  # in every reply: what is stored can be found this way
OTHER_SUBJECT: Final = 0.1  # the share of replies that are tied to their letter by References alone
SENT: Final = """
SELECT messages.thread_id, messages.internet_message_id
  FROM outbox JOIN messages ON messages.id = outbox.message_id
 WHERE outbox.state = 'sent'
"""
STORED: Final = "SELECT internet_message_id, thread_id, placement FROM messages WHERE direction = 'in'"
HELD: Final = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A letter that has left: its copy in the mailbox, and the thread that its replies belong to."""

    mailbox: str
    copy: Mail
    thread_id: str


@dataclass(slots=True, kw_only=True)
class Mailbag:
    """Everybody's pens. `expected` has the thread of each reply by its Message-ID."""

    site: Site
    chance: random.Random
    letters: Sequence[Sent] = ()
    expected: dict[str, str] = field(default_factory=dict)
    unrelated: int = 0

    async def send_letters(self, count: int) -> None:
        """From each mailbox to each student in turn; come back when all of them have left."""
        site = self.site
        for person in site.school.students:
            site.sandbox.world.correspondents.change(person.address, is_silent=True)
        for number in range(count):
            letter = NewLetter(
                sender=site.school.mailboxes[number % len(site.school.mailboxes)],
                to=(Address(name=None, address=site.school.students[number % len(site.school.students)].address),),
                subject=f"Letter {number}",
                body_type=BodyType.HTML,
                body="<p>Kia ora</p>",
            )
            await site.gateway.store.write(accept, site.account_id, letter, idempotency_key=None, now=site.clock.now())

    async def collect(self) -> int:
        """Find the letters that have left; how many."""
        world = self.site.sandbox.world
        threads = {
            row["internet_message_id"]: row["thread_id"]
            for row in await self.site.gateway.store.read(lambda tx: tx.execute(SENT).fetchall())
        }
        boxes = {address: world.mailbox(address) for address in self.site.school.mailboxes}
        self.letters = [
            Sent(mailbox=address, copy=copy, thread_id=threads[copy.internet_message_id])
            for address, box in boxes.items()
            for copy in box.messages(box.well_known("sentitems").id)
            if copy.internet_message_id in threads
        ]
        return len(self.letters)

    def reply(self) -> None:
        """Some student answers some letter, mostly in its conversation."""
        world, letter = self.site.sandbox.world, self.chance.choice(self.letters)
        student = letter.copy.recipients[0].address
        if self.chance.random() < OTHER_SUBJECT:
            arrived = world.deliver(
                letter.mailbox,
                from_=student,
                subject=f"Another matter {len(self.expected)}",
                text=OURS,
                in_reply_to=letter.copy.internet_message_id,
            )
            self.expected[arrived.internet_message_id] = letter.thread_id
            return
        answer = world.reply_to(letter.copy, f"{OURS} {len(self.expected)}", from_=student)
        self.expected[answer.internet_message_id] = letter.thread_id

    def strange_mail(self) -> None:
        """Somebody, perhaps a student, writes of something else."""
        person = self.chance.choice(self.site.school.students).address
        sender = self.chance.choice([person, f"{MARK}@elsewhere.example"])
        mailbox = self.chance.choice(self.site.school.mailboxes)
        self.site.sandbox.world.deliver(
            mailbox, from_=sender, subject=f"{MARK} {self.unrelated}", html=f"<p>{MARK}</p>"
        )
        self.unrelated += 1


@dataclass(frozen=True, slots=True)
class Stored:
    """A mail that came in, as the file has it. `internet_message_id` is its Message-ID."""

    internet_message_id: str
    thread_id: str
    placement: str


def stored(tx: Transaction) -> list[Stored]:
    """All mail that came in."""
    return [Stored(*row) for row in tx.execute(STORED)]


def judge(expected: Mapping[str, str], found: Sequence[Stored]) -> list[str]:
    """What must not be, in sentences: each reply stands once, placed, in the thread of its letter, and nothing else."""
    counts = Counter(one.internet_message_id for one in found)
    return [
        *(f"the reply {id} is lost" for id in expected if id not in counts),
        *(f"the reply {id} is stored {count} times" for id, count in counts.items() if count > 1),
        *(
            f"{one.internet_message_id} is no reply and stored"
            for one in found
            if one.internet_message_id not in expected
        ),
        *(
            f"the reply {one.internet_message_id} is {one.placement} in another thread, or held"
            for one in found
            if one.internet_message_id in expected
            and (one.thread_id != expected[one.internet_message_id] or one.placement == HELD)
        ),
    ]


def traces(folder: Path) -> list[str]:
    """The files in which something stands that is not ours, in sentences; the search must find what is ours."""
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    if not any(OURS.encode() in content for content in files.values()):
        return ["the search for unrelated mail finds nothing, not even what is ours"]
    return [f"{name} holds unrelated mail" for name, content in files.items() if MARK.encode() in content]
