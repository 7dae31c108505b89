"""The same mail, in any order, seen once or often, with parents lost on the way, makes the same threads.

What people decide stands, whatever comes after it, until they take it back.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, precondition, rule

from gateway.graph import Unavailable
from gateway.threads import deciding
from gateway.threads.deciding import Into
from storage import Conflict, threads
from storage.acts import Act, Place
from storage.audit import Actor, Via
from storage.messages import Message, Placement
from tests.machines.school import SchoolMachine
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, TANE, Letter

STUDENTS = st.sampled_from([AROHA, TANE])
# Not a bundle: swarm testing leaves rules out, and without the one that fills it nothing else could happen.
LETTERS = st.runner().flatmap(lambda machine: st.sampled_from(machine.written))
PLACED, HELD = Placement.PLACED, Placement.HELD
JANE = Actor(via=Via.SYSTEM, staff="Jane Doe")


@dataclass(frozen=True)
class Mail:
    """A mail as the model knows it. `names`: the letter that its headers name."""

    id: str
    mailbox: str
    folder: str
    conversation: str
    sender: str
    to: str
    names: Letter | None
    message_id: str


class Grouping(SchoolMachine):
    """Microsoft 365 is a list of mail; the store must come to hold what that list says, however it is told."""

    replies = Bundle("replies")

    def begin(self) -> None:
        self.written: list[Letter] = []
        self.mail: dict[str, Mail] = {}
        self.unseen: set[str] = set()
        self.decided: dict[tuple[str, str], Place] = {}
        """Where people left a mail, by its Message-ID and the thread that it was first judged into."""
        self.acts: dict[str, list[Act]] = {}
        """What is not undone, by message."""
        self.homes: dict[str, str] = {}
        self.number = 0
        for student, mailbox in ((AROHA, ADMISSIONS), (TANE, OFFICE)):
            self.write(student, mailbox, self.new("conversation"))

    # What people do

    @rule(student=STUDENTS, mailbox=st.sampled_from([ADMISSIONS, OFFICE]))
    def the_school_writes(self, student: str, mailbox: str) -> None:
        self.write(student, mailbox, self.new("conversation"))

    @rule(student=STUDENTS, other=LETTERS)
    def the_school_writes_and_exchange_throws_two_letters_together(self, student: str, other: Letter) -> None:
        sharing = [one for one in self.written if one.conversation == other.conversation]
        if len(sharing) == 1:
            self.write(student, other.sender, other.conversation)

    @rule(target=replies, letter=LETTERS, in_conversation=st.booleans(), with_references=st.booleans())
    def the_student_answers(self, letter: Letter, in_conversation: bool, with_references: bool) -> Mail:
        conversation = letter.conversation if in_conversation else self.new("conversation")
        return self.arrive(letter.sender, conversation, letter.student, letter if with_references else None)

    @rule(letter=LETTERS, naming=st.permutations([True, False, False]), at_leisure=st.booleans())
    def the_student_begins_a_new_conversation_and_only_one_of_its_mails_has_references(
        self, letter: Letter, naming: list[bool], at_leisure: bool
    ) -> None:
        conversation = self.new("conversation")
        for names in naming:
            self.arrive(letter.sender, conversation, letter.student, letter if names else None)
            if at_leisure:
                self.what_is_due_is_pulled(50)

    @rule(target=replies, reply=replies)
    def and_again_in_the_same_conversation(self, reply: Mail) -> Mail:
        return self.arrive(reply.mailbox, reply.conversation, reply.sender, None)

    @rule(letter=LETTERS, known=st.booleans())
    def somebody_answers_to_both_our_mailboxes(self, letter: Letter, known: bool) -> None:
        sender = letter.student if known else f"{self.new('relative')}@home.example"
        message_id = f"<{self.new('copy')}@student.example>"
        for mailbox in (ADMISSIONS, OFFICE):
            here = mailbox == letter.sender
            conversation = letter.conversation if here else self.new("conversation")
            self.arrive(mailbox, conversation, sender, letter, message_id=message_id)

    @rule(letter=LETTERS, in_conversation=st.booleans(), with_references=st.booleans())
    def a_stranger_writes(self, letter: Letter, in_conversation: bool, with_references: bool) -> None:
        conversation = letter.conversation if in_conversation else self.new("conversation")
        stranger = f"{self.new('stranger')}@elsewhere.example"
        self.arrive(letter.sender, conversation, stranger, letter if with_references else None)

    @rule(letter=LETTERS)
    def staff_write_in_outlook(self, letter: Letter) -> None:
        self.arrive(letter.sender, letter.conversation, letter.sender, None, folder="sentitems", to=letter.student)

    @rule(letter=LETTERS)
    def a_second_student_was_in_cc_and_answers_all(self, letter: Letter) -> None:
        (other,) = {AROHA, TANE} - {letter.student}
        if all(one.student != other for one in self.written):
            self.write(other, letter.sender, self.new("conversation"))
        for names in (letter, None):
            self.arrive(letter.sender, letter.conversation, other, names)
            self.what_is_due_is_pulled(50)

    @rule(letter=LETTERS, mails=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=3))
    def an_aunt_writes_more_than_once(self, letter: Letter, mails: list[tuple[bool, bool]]) -> None:
        aunt = f"{self.new('aunt')}@home.example"
        for in_conversation, with_references in mails:
            conversation = letter.conversation if in_conversation else self.new("conversation")
            self.arrive(letter.sender, conversation, aunt, letter if with_references else None)

    @rule(letter=LETTERS)
    def an_uncles_answer_is_seen_before_what_staff_wrote_to_him_in_outlook(self, letter: Letter) -> None:
        uncle = f"{self.new('uncle')}@home.example"
        self.arrive(letter.sender, letter.conversation, uncle, None)
        self.what_is_due_is_pulled(50)
        self.arrive(letter.sender, letter.conversation, letter.sender, None, folder="sentitems", to=uncle)

    # What staff decide

    @rule(data=st.data(), twice=st.booleans())
    def a_person_decides(self, data: st.DataObject, twice: bool) -> None:
        found = sorted(self.runner.run(self.school.stored()), key=lambda one: one.graph_id or "")
        candidates = [one for one in found if self.brings_nothing_after_it(one) and one.placement in (PLACED, HELD)]
        if not candidates:
            return
        message = data.draw(st.sampled_from(candidates))
        elsewhere = [one.thread_id for one in self.written if one.thread_id != message.thread_id]
        choices: list[tuple[Any, dict[str, Any]]] = []
        if message.placement is HELD:
            choices = [(deciding.dismiss, {}), (deciding.accept, {})]
            choices += [(deciding.accept, {"into": Into(thread_id=one)}) for one in elsewhere]
        else:
            choices = [(deciding.unlink, {}), (deciding.unlink, {"for_good": True})]
            choices += [(deciding.move, {"thread_id": one}) for one in elsewhere]
        what, given = data.draw(st.sampled_from(choices))
        home = self.homes.setdefault(message.id, message.thread_id)
        act = self.decide(what, message.id, **given)
        assert not twice or self.decide(what, message.id, **given) == act
        self.acts.setdefault(message.id, []).append(act)
        self.decided[message.internet_message_id or "", home] = act.after

    @precondition(lambda self: any(self.acts.values()))
    @rule(data=st.data())
    def a_person_takes_it_back(self, data: st.DataObject) -> None:
        message_id = data.draw(st.sampled_from([id for id, acts in self.acts.items() if acts]))
        acts = self.acts[message_id]
        if len(acts) > 1:
            with pytest.raises(Conflict, match="undo that first"):
                self.decide(deciding.undo, acts[0].id)
        act = acts.pop()
        self.decide(deciding.undo, act.id)
        stored = next(one for one in self.runner.run(self.school.stored()) if one.id == message_id)
        self.decided[stored.internet_message_id or "", self.homes[message_id]] = act.before

    # What happens on the way

    @precondition(lambda self: self.unseen)
    @rule(data=st.data())
    def a_mail_is_lost_before_anybody_saw_it(self, data: st.DataObject) -> None:
        lost = self.mail.pop(data.draw(st.sampled_from(sorted(self.unseen))))
        self.unseen.discard(lost.id)
        self.school.mail.take_away(lost.mailbox, lost.folder, lost.id)

    @precondition(lambda self: self.mail)
    @rule(data=st.data())
    def a_mail_is_announced_twice(self, data: st.DataObject) -> None:
        told = self.mail[data.draw(st.sampled_from(sorted(self.mail)))]
        if (told.mailbox, told.folder) == (ADMISSIONS, "inbox"):
            for _ in range(2):
                self.runner.run(self.school.hint(told.id))

    @precondition(lambda self: self.unseen)
    @rule(data=st.data())
    def a_mail_cannot_be_read_for_a_while(self, data: st.DataObject) -> None:
        self.school.mail.poisoned[data.draw(st.sampled_from(sorted(self.unseen)))] = Unavailable(status=503)

    @rule()
    def the_pages_are_told_again(self) -> None:
        self.school.mail.say_again()

    @rule()
    def the_delta_links_die(self) -> None:
        self.school.mail.forget_tokens()

    @rule()
    def graph_is_down_for_a_moment(self) -> None:
        self.school.mail.trouble = [None, Unavailable(status=503)]

    @rule(page_size=st.sampled_from([1, 2, 50]))
    def what_is_due_is_pulled(self, page_size: int) -> None:
        self.school.mail.page_size = page_size
        self.runner.run(self.school.sweep())
        self.unseen.clear()

    @rule()
    def everything_calms_down(self) -> None:
        self.settle()

    @invariant()
    def no_student_stands_in_the_thread_of_another(self) -> None:
        for letter in getattr(self, "written", ()):
            people = {
                one.address for one in self.runner.run(self.school.store.read(threads.participants, letter.thread_id))
            }
            assert not people & ({AROHA, TANE} - {letter.student})

    @invariant()
    def whoever_got_a_letter_takes_part_in_its_thread(self) -> None:
        for letter in getattr(self, "written", ()):
            found = self.runner.run(self.school.store.read(threads.participants, letter.thread_id))
            assert letter.student in {one.address for one in found}

    # The model

    def brings_nothing_after_it(self, message: Message) -> bool:
        """Whether no other mail is placed differently because of this one: it came in the conversation of a letter,
        or its sender writes once only."""
        letters = {(one.sender, one.conversation) for one in self.written}
        mail = self.mail[message.graph_id or ""]
        if mail.sender.startswith(("aunt", "uncle")) or mail.to.startswith("uncle"):
            return False
        return (mail.mailbox, mail.conversation) in letters or mail.sender not in (AROHA, TANE)

    def decide(self, what: Any, id: str, **given: Any) -> Act:
        now = self.school.clock.now()
        act: Act = self.runner.run(self.school.store.write(what, self.school.account_id, id, **given, by=JANE, now=now))
        return act

    def settle(self) -> None:
        self.school.mail.poisoned.clear()
        self.school.mail.trouble = []
        for wait in (timedelta(minutes=15), timedelta(seconds=1), timedelta(minutes=15)):
            self.school.clock.advance(wait)
            self.runner.run(self.school.pull())
        self.unseen.clear()
        stored = [
            (one.internet_message_id, one.thread_id, one.placement) for one in self.runner.run(self.school.stored())
        ]
        assert sorted(stored) == sorted(set(self.expected()))

    def expected(self) -> list[tuple[str, str, Placement]]:
        """Of copies of one mail, one that is placed settles it; what a person has decided settles it for good."""
        placed: dict[tuple[str, str], Placement] = {}
        for mail in self.mail.values():
            place = self.place_of(mail)
            if place is not None:
                key = (mail.message_id, place[0])
                placed[key] = PLACED if PLACED in (place[1], placed.get(key)) else HELD
        by_table = {key: Place(thread_id=key[1], placement=placement) for key, placement in placed.items()}
        where = by_table | {key: place for key, place in self.decided.items() if key in by_table}
        return [(key[0], place.thread_id, place.placement) for key, place in where.items()]

    def place_of(self, mail: Mail) -> tuple[str, Placement] | None:
        """The table, in terms of what happened."""
        owner = self.owner_of(mail.mailbox, mail.conversation)
        if mail.folder == "sentitems":
            sharing = [
                one for one in self.written if one.conversation == mail.conversation and one.sender == mail.mailbox
            ]
            of_the_student = [one for one in sharing if one.student == mail.to]
            return [*of_the_student, *sharing][0].thread_id, PLACED
        named = mail.names
        if named is not None and self.knows(named, mail.sender):
            return named.thread_id, PLACED
        if named is not None:
            if owner is None:
                return named.thread_id, HELD
            return owner.thread_id, PLACED if owner.thread_id == named.thread_id else HELD
        if owner is None:
            return None
        return owner.thread_id, PLACED if self.knows(owner, mail.sender) else HELD

    def knows(self, letter: Letter, sender: str) -> bool:
        """Whether somebody takes part in a letter's thread: the student, whoever answered it in its conversation, and
        whom staff wrote to; but no other student."""
        if sender in (AROHA, TANE):
            return sender == letter.student
        begun = {(one.sender, one.conversation): one.thread_id for one in reversed(self.written)}
        return any(
            begun.get((mail.mailbox, mail.conversation)) == letter.thread_id
            for mail in self.mail.values()
            if mail.to == sender
            or (mail.sender == sender and mail.names is not None and mail.names.thread_id == letter.thread_id)
        )

    def owner_of(self, mailbox: str, conversation: str) -> Letter | None:
        """The letter whose thread a conversation belongs to: the first in it, or the one that a mail in it names."""
        letters = [one for one in self.written if (one.sender, one.conversation) == (mailbox, conversation)]
        naming = [
            mail.names
            for mail in self.mail.values()
            if (mail.mailbox, mail.conversation) == (mailbox, conversation)
            and mail.names is not None
            and self.knows(mail.names, mail.sender)
        ]
        return next(iter([*letters, *naming]), None)

    def write(self, student: str, mailbox: str, conversation: str) -> Letter:
        letter = self.runner.run(self.school.write_to(student, sender=mailbox, conversation=conversation))
        self.written.append(letter)
        return letter

    def arrive(
        self,
        mailbox: str,
        conversation: str,
        sender: str,
        names: Letter | None,
        *,
        folder: str = "inbox",
        to: str = "",
        message_id: str | None = None,
    ) -> Mail:
        id = self.new("mail")
        mail = Mail(id, mailbox, folder, conversation, sender, to, names, message_id or f"<{id}@mail.example>")
        self.school.arrive(
            id,
            at=mailbox,
            folder=folder,
            sender=sender,
            conversation=conversation,
            message_id=mail.message_id,
            answers=[names.message_id] if names else [],
            to=[to or mailbox],
            text=id if message_id is None else "the same",
        )
        self.mail[id] = mail
        self.unseen.add(id)
        return mail

    def new(self, what: str) -> str:
        self.number += 1
        return f"{what}-{self.number}"


TestGrouping = Grouping.TestCase
TestGrouping.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
