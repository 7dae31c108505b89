"""Search finds what a child would find by reading everything, whatever happened to the messages before."""

import itertools
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from gateway.threads.search import ask, search
from storage import identities, mailboxes, messages, placements, threads
from storage.entering import enter
from storage.messages import Direction, Placement, Recipients
from storage.threads import Address, Cursor, Object, ObjectType
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import opened
from tests.storage.scene import Scene, a_message, build

WORDS = ("kia", "ora", "fee")
OBJECTS = [Object(type=ObjectType.STUDENT, id=name) for name in ("S1", "S11", "ā/1")]
SENDERS = (
    Address(name="Aroha Ngāta", address="aroha@student.example"),
    Address(name=None, address="tane@home.example"),
)
UNLINK = "DELETE FROM thread_objects WHERE thread_id = ? AND object_id = ?"

words = st.lists(st.sampled_from(WORDS), max_size=3).map(tuple)
minutes = st.integers(0, 3)
seldom = st.sampled_from([None, None])
flags = seldom | st.booleans()


@dataclass
class Kept:
    """A message as the child remembers it."""

    id: str
    thread: "Thread"
    said: set[str]
    minute: int
    number: int
    direction: Direction
    placement: Placement


@dataclass
class Thread:
    id: str
    scene: Scene
    mailbox: str
    objects: set[Object] = field(default_factory=set)


class SearchMachine(RuleBasedStateMachine):
    made = Bundle("made")
    kept = Bundle("kept")

    @initialize()
    def open(self) -> None:
        self.tx = opened()
        self.schools = [build(self.tx, "SELMA"), build(self.tx, "Another")]
        self.second = mailboxes.add(self.tx, self.schools[0].account_id, "second@school.example", now=A_MONDAY).id
        self.messages: list[Kept] = []
        self.threads: list[Thread] = []
        self.numbers = itertools.count()

    def teardown(self) -> None:
        if hasattr(self, "tx"):
            self.tx.close()

    @rule(target=made, school=st.integers(0, 1), second=st.booleans())
    def begin_a_thread(self, school: int, second: bool) -> Thread:
        scene = self.schools[school]
        box = self.second if second and school == 0 else scene.mailbox_id
        thread_id = threads.create(self.tx, scene.account_id, box, subject="", now=A_MONDAY)
        thread = Thread(id=thread_id, scene=scene, mailbox="second" if box == self.second else "office")
        self.threads.append(thread)
        return thread

    @rule(
        target=kept,
        thread=made,
        subject=words,
        new=st.none() | words,
        plain=words,
        minute=minutes,
        sender=st.sampled_from(SENDERS),
        direction=st.sampled_from(Direction),
        placement=st.sampled_from([Placement.PLACED, *Placement]),
    )
    def keep(
        self,
        thread: Thread,
        subject: tuple[str, ...],
        new: tuple[str, ...] | None,
        plain: tuple[str, ...],
        minute: int,
        sender: Address,
        direction: Direction,
        placement: Placement,
    ) -> Kept:
        number = next(self.numbers)
        message = a_message(
            thread.scene,
            f"msg_{number}",
            thread_id=thread.id,
            subject=" ".join(subject),
            new_text=None if new is None else " ".join(new),
            sender=sender,
            recipients=Recipients(),
            direction=direction,
            placement=placement,
            message_at=A_MONDAY + timedelta(minutes=minute),
            created_by=None,
        )
        messages.insert(self.tx, message, text=" ".join(plain))
        self.summarise(thread)
        said = {*subject, *(plain if new is None else new), "aroha" if sender.name else "tane"}
        one = Kept(
            id=message.id,
            thread=thread,
            said=said,
            minute=minute,
            number=number,
            direction=direction,
            placement=placement,
        )
        self.messages.append(one)
        return one

    @rule(one=kept, placement=st.sampled_from(Placement))
    def place(self, one: Kept, placement: Placement) -> None:
        placements.place(self.tx, one.id, placement)
        one.placement = placement
        self.summarise(one.thread)

    @rule(one=kept, thread=made)
    def move(self, one: Kept, thread: Thread) -> None:
        if one.thread.scene is not thread.scene:
            return
        before, one.thread = one.thread, thread
        self.tx.execute("UPDATE messages SET thread_id = ? WHERE id = ?", (thread.id, one.id))
        self.summarise(before)
        self.summarise(thread)

    @rule(one=kept, minute=minutes)
    def leave_later(self, one: Kept, minute: int) -> None:
        at = A_MONDAY + timedelta(minutes=minute, hours=1)
        identities.identify(
            self.tx, one.id, graph_id=None, conversation_id=None, internet_message_id=None, message_at=at
        )
        if one.minute != minute + 60:  # within a minute the number stays
            one.minute, one.number = minute + 60, next(self.numbers)
        self.summarise(one.thread)

    @rule(one=consumes(kept))
    def erase(self, one: Kept) -> None:
        self.tx.execute("DELETE FROM messages WHERE id = ?", (one.id,))
        self.messages.remove(one)
        self.summarise(one.thread)

    @rule(thread=made, what=st.sampled_from(OBJECTS))
    def link(self, thread: Thread, what: Object) -> None:
        threads.link(self.tx, thread.scene.account_id, thread.id, [what])
        thread.objects.add(what)

    @rule(thread=made, what=st.sampled_from(OBJECTS))
    def unlink(self, thread: Thread, what: Object) -> None:
        self.tx.execute(UNLINK, (thread.id, what.id))
        thread.objects.discard(what)

    def summarise(self, thread: Thread) -> None:
        threads.summarise(self.tx, thread.id)

    @rule(
        school=st.integers(0, 1),
        wanted=st.lists(st.sampled_from([*WORDS, "aroha"]), max_size=2),
        unwanted=seldom | st.sampled_from(WORDS),
        since=seldom | minutes,
        until=seldom | minutes,
        mailbox=seldom | st.sampled_from(["office", "second"]),
        direction=seldom | st.sampled_from(Direction),
        unanswered=flags,
        what=seldom | st.sampled_from(OBJECTS),
        limit=st.integers(1, 3),
    )
    def ask_anything(self, **asked: Any) -> None:
        self.ask(**asked)

    @invariant()
    def the_usual_questions_are_answered(self) -> None:
        if hasattr(self, "tx"):
            self.ask(school=0, wanted=["kia"], limit=1)
            self.ask(school=0, wanted=[], direction=Direction.IN, what=OBJECTS[0], limit=2)
            self.ask(school=1, wanted=["ora"], unanswered=True, limit=2)

    def ask(
        self,
        *,
        school: int,
        wanted: list[str],
        limit: int,
        unwanted: str | None = None,
        since: int | None = None,
        until: int | None = None,
        mailbox: str | None = None,
        direction: Direction | None = None,
        unanswered: bool | None = None,
        what: Object | None = None,
    ) -> None:
        scene = self.schools[school]
        question = ask(
            " ".join([*wanted, *([] if unwanted is None else [f"-{unwanted}"])]),
            since=None if since is None else A_MONDAY + timedelta(minutes=since),
            until=None if until is None else A_MONDAY + timedelta(minutes=until),
            mailbox=None if mailbox is None else f"{mailbox}@school.example",
            direction=direction,
            unanswered=unanswered,
            what=what,
        )
        if not question.is_about_messages:
            return
        expected: dict[str, list[str]] = {}
        for one in sorted(self.messages, key=lambda one: (one.minute, one.number), reverse=True):
            thread = one.thread
            if (
                one.placement is Placement.PLACED
                and thread.scene is scene
                and one.said >= set(wanted)
                and unwanted not in one.said
                and (since is None or one.minute >= since)
                and (until is None or one.minute < until)
                and (mailbox is None or thread.mailbox == mailbox)
                and (direction is None or one.direction is direction)
                and (unanswered is None or self.is_unanswered(thread) == unanswered)
                and (what is None or what in thread.objects)
            ):
                expected.setdefault(thread.id, []).append(one.id)
        enter(self.tx)
        found: dict[str, list[str]] = {}
        before: Cursor | None = None
        while True:
            page = search(self.tx, scene.account_id, question, before, limit=limit)
            assert len(page.threads) <= limit
            assert not {one.id for one in page.threads} & found.keys()
            found |= {one.id: [match.message_id for match in one.matches] for one in page.threads}
            before = page.next
            if before is None:
                break
        assert list(found.items()) == [(thread_id, ids[:3]) for thread_id, ids in expected.items()]

    def is_unanswered(self, thread: Thread) -> bool:
        here = [one for one in self.messages if one.thread is thread and one.placement is Placement.PLACED]
        last = max(here, key=lambda one: (one.minute, one.id), default=None)
        return last is not None and last.direction is Direction.IN

    @rule()
    def commit(self) -> None:
        enter(self.tx)

    @invariant()
    def the_index_has_the_very_words_that_stand_there(self) -> None:
        if hasattr(self, "tx") and self.tx.execute("SELECT 1 FROM entering").fetchone() is None:
            self.tx.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")

    @invariant()
    def lists_by_object_are_dated_as_the_threads(self) -> None:
        if hasattr(self, "tx"):
            wrong = self.tx.execute(
                "SELECT 1 FROM thread_objects JOIN threads ON threads.id = thread_id"
                " WHERE thread_objects.last_message_at <> threads.last_message_at"
            )
            assert wrong.fetchone() is None


SearchMachine.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestSearchMachine = SearchMachine.TestCase
