"""The same mail, in any order, seen once or often, with parents lost on the way, makes the same threads."""

from dataclasses import dataclass
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, multiple, precondition, rule

from gateway.graph import Unavailable
from storage import threads
from storage.messages import Placement
from tests.machines.school import SchoolMachine
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, TANE, Letter

STUDENTS = st.sampled_from([AROHA, TANE])
PLACED, HELD = Placement.PLACED, Placement.HELD


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

    letters = Bundle("letters")
    replies = Bundle("replies")

    def begin(self) -> None:
        self.written: list[Letter] = []
        self.mail: dict[str, Mail] = {}
        self.unseen: set[str] = set()
        self.number = 0

    # What people do

    @rule(target=letters, student=STUDENTS, mailbox=st.sampled_from([ADMISSIONS, OFFICE]))
    def the_school_writes(self, student: str, mailbox: str) -> Letter:
        return self.write(student, mailbox, self.new("conversation"))

    @rule(target=letters, student=STUDENTS, other=letters)
    def the_school_writes_and_exchange_throws_two_letters_together(self, student: str, other: Letter) -> object:
        sharing = [one for one in self.written if one.conversation == other.conversation]
        if len(sharing) > 1:
            return multiple()
        return self.write(student, other.sender, other.conversation)

    @rule(target=replies, letter=letters, in_conversation=st.booleans(), with_references=st.booleans())
    def the_student_answers(self, letter: Letter, in_conversation: bool, with_references: bool) -> Mail:
        conversation = letter.conversation if in_conversation else self.new("conversation")
        return self.arrive(letter.sender, conversation, letter.student, letter if with_references else None)

    @rule(letter=letters, naming=st.permutations([True, False, False]), at_leisure=st.booleans())
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

    @rule(letter=letters, known=st.booleans())
    def somebody_answers_to_both_our_mailboxes(self, letter: Letter, known: bool) -> None:
        sender = letter.student if known else f"{self.new('relative')}@home.example"
        message_id = f"<{self.new('copy')}@student.example>"
        for mailbox in (ADMISSIONS, OFFICE):
            here = mailbox == letter.sender
            conversation = letter.conversation if here else self.new("conversation")
            self.arrive(mailbox, conversation, sender, letter, message_id=message_id)

    @rule(letter=letters, in_conversation=st.booleans(), with_references=st.booleans())
    def a_stranger_writes(self, letter: Letter, in_conversation: bool, with_references: bool) -> None:
        conversation = letter.conversation if in_conversation else self.new("conversation")
        stranger = f"{self.new('stranger')}@elsewhere.example"
        self.arrive(letter.sender, conversation, stranger, letter if with_references else None)

    @rule(letter=letters)
    def staff_write_in_outlook(self, letter: Letter) -> None:
        self.arrive(letter.sender, letter.conversation, letter.sender, None, folder="sentitems", to=letter.student)

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

    # The model

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
        """Of copies of one mail, one that is placed settles it."""
        placed: dict[tuple[str, str], Placement] = {}
        for mail in self.mail.values():
            place = self.place_of(mail)
            if place is not None:
                key = (mail.message_id, place[0])
                placed[key] = PLACED if PLACED in (place[1], placed.get(key)) else HELD
        return [(message_id, thread_id, placement) for (message_id, thread_id), placement in placed.items()]

    def place_of(self, mail: Mail) -> tuple[str, Placement] | None:
        """The table, in terms of what happened."""
        owner = self.owner_of(mail.mailbox, mail.conversation)
        if mail.folder == "sentitems":
            sharing = [
                one for one in self.written if one.conversation == mail.conversation and one.sender == mail.mailbox
            ]
            of_the_student = [one for one in sharing if one.student == mail.to]
            return of_the_student[0].thread_id, PLACED
        named = mail.names
        if named is not None and mail.sender == named.student:
            return named.thread_id, PLACED
        if named is not None:
            if owner is None:
                return named.thread_id, HELD
            return owner.thread_id, PLACED if owner.thread_id == named.thread_id else HELD
        if owner is None:
            return None
        return owner.thread_id, PLACED if mail.sender == owner.student else HELD

    def owner_of(self, mailbox: str, conversation: str) -> Letter | None:
        """The letter whose thread a conversation belongs to: the first in it, or the one that a mail in it names."""
        letters = [one for one in self.written if (one.sender, one.conversation) == (mailbox, conversation)]
        naming = [
            mail.names
            for mail in self.mail.values()
            if (mail.mailbox, mail.conversation) == (mailbox, conversation)
            and mail.names is not None
            and mail.sender == mail.names.student
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
