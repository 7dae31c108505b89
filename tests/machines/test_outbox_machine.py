"""The outbox under fire: letters of every kind, faults before and after their effect, crashes at any step, restored
backups, and time.

Whatever happens, an acknowledged letter has a row, no send_uid leaves twice, states follow the arrows, no row is in two
hands, no more leaves in a minute than may, and every row comes to an end that tells the truth.
"""

import asyncio
import shutil
import sqlite3
import tempfile
from collections import Counter
from contextlib import AsyncExitStack, closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, BadRequest, Throttled, Unavailable, Unreachable
from gateway.sending.accept import accept, accept_batch
from gateway.sending.choices import cancel, close, retry
from gateway.sending.commits import LEASE, doubt_all
from gateway.sending.loops import IN_A_ROW, WITHIN
from gateway.sending.machine import FINISHED, REVIEW_AFTER, TIDY_AFTER, TRANSITIONS, State
from gateway.sending.posted import NewAttachment, UnknownOriginal
from gateway.sending.recognise import SentItem, mark_bounced, recognise_sent
from gateway.sending.rules import Allowance
from gateway.sending.tidy import Tidier
from gateway.sending.worker import SHORTEST_WAIT, OutboxWorker
from storage import Conflict, Store, Transaction, accounts, answerers, batches, claims, messages, open_store, outbox
from storage.outbox import Letter
from storage.transaction import moment
from tests.fakes.clock import FakeClock
from tests.sending.conftest import SENDER, a_letter, a_mail_came, add_mailbox
from tests.sending.crashing import Crashes, CrashingStore, may_crash
from tests.sending.fake_mailbox import FakeMailboxes, Fault, When
from tests.sending.test_crashes import JOURNEYS

OTHER = "library@school.example"
STUDENT = "aroha@student.example"
BIG = tuple(
    NewAttachment(name=name, content_type="text/plain", content_id=None, content=b"x" * 1_800_000)
    for name in ("a.txt", "b.txt")
)
LARGE = (NewAttachment(name="c.bin", content_type="application/octet-stream", content=b"x" * 4_000_000),)
# Drawn by name: hypothesis writes down what it draws from, over and over.
ATTACHED: Final = {"nothing": (), "big ones": BIG, "a large one": LARGE}
LONG_HIDDEN: Final = timedelta(hours=2)
ALLOWANCE = Allowance(letters_per_minute=4, recipients_per_day=1000, letters_to_a_machine=2)
ERRORS = (
    Unreachable("ReadTimeout", sent=True),
    Throttled(status=429, retry_after=timedelta(seconds=20)),
    Unavailable(status=503),
    AccessDenied(status=403, code="ErrorAccessDenied"),
    BadRequest(status=400, code="ErrorInvalidRecipients"),
)
REFUSED = Fault(Unreachable("ConnectError", sent=False), When.BEFORE)
FAULTS = st.sampled_from([REFUSED, *(Fault(error, when) for when in (When.AFTER, When.BEFORE) for error in ERRORS)])
CALLS = st.sampled_from(
    [
        "create_draft",
        "create_reply",
        "update_message",
        "send_draft",
        "send_draft",
        "find_by_tag",
        "get_message",
        "add_attachment",
        "create_upload_session",
        "upload_piece",
        "list_attachments",
        "delete_message",
    ]
)

LEASE_US = LEASE // timedelta(microseconds=1)
WATCH = (
    "CREATE TEMP TABLE moves (message_id TEXT, before TEXT, after TEXT)",
    "CREATE TEMP TABLE stolen (message_id TEXT)",
    """CREATE TEMP TRIGGER moved AFTER UPDATE OF state ON main.outbox WHEN OLD.state <> NEW.state
       BEGIN INSERT INTO moves VALUES (NEW.message_id, OLD.state, NEW.state); END""",
    f"""CREATE TEMP TRIGGER claimed AFTER UPDATE OF attempts ON main.outbox
        WHEN NEW.attempts > OLD.attempts AND OLD.lease_ends_at > NEW.lease_ends_at - {LEASE_US}
        BEGIN INSERT INTO stolen VALUES (NEW.message_id); END""",
)


def watch(tx: Transaction) -> None:
    for statement in WATCH:
        tx.execute(statement)


def moves(tx: Transaction) -> set[tuple[str, str]]:
    return {(row["before"], row["after"]) for row in tx.execute("SELECT DISTINCT before, after FROM moves")}


def stolen(tx: Transaction) -> list[str]:
    return [row["message_id"] for row in tx.execute("SELECT message_id FROM stolen")]


def letter_ids(tx: Transaction) -> list[str]:
    return [row["message_id"] for row in tx.execute("SELECT message_id FROM outbox ORDER BY message_id").fetchall()]


def all_letters(tx: Transaction, account_id: str) -> list[Letter]:
    return [outbox.get(tx, account_id, message_id) for message_id in letter_ids(tx)]


def held(tx: Transaction) -> list[tuple[str, datetime]]:
    """The letters that are held, by state and by when they are looked at again."""
    rows = tx.execute(
        "SELECT state, next_attempt_at FROM outbox WHERE json_extract(problem, '$.code') = 'loop' AND state = 'drafted'"
    )
    return [(row["state"], moment(row["next_attempt_at"])) for row in rows]


class Reached:
    """What all examples together have come to."""

    steps: ClassVar[set[str]] = set()
    states: ClassVar[set[str]] = set()
    held: ClassVar[set[str]] = set()


class OutboxMachine(RuleBasedStateMachine):
    letters = Bundle("letters")

    @initialize(delay=st.sampled_from([0, 30, 120, 600]))
    def begin(self, delay: int) -> None:
        self.runner = asyncio.Runner()
        self.opened = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.mail = FakeMailboxes(self.clock, sent_copy_delay=timedelta(seconds=delay))
        self.posted: list[str] = []
        self.backup: tuple[Path, list[str]] | None = None
        self.was_hidden_for_long = False
        self.steps, self.states = set[str](), set[str]()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        await self._open()
        account = await self.store.write(accounts.add, "school", now=self.clock.now())
        self.account_id = account.id
        self.mailbox_ids = [
            await self.store.write(add_mailbox, account.id, address, self.clock) for address in (SENDER, OTHER)
        ]
        self._start()

    async def _open(self) -> None:
        path = Path(self.folder.name) / "gateway.db"
        self.store: Store = await self.opened.enter_async_context(open_store(path, readers=1))
        await self.store.write(watch)

    def _start(self) -> None:
        """A process begins."""
        self.steps |= set(self.crashes.reached) if hasattr(self, "crashes") else set()
        self.crashes = Crashes()
        self.mail.on_call = self.crashes.step
        store = cast("Store", CrashingStore(self.store, self.crashes))
        owner = f"process {id(self.crashes)}"
        self.worker = OutboxWorker(store, self.mail, self.clock, owner=owner, allowance=ALLOWANCE, concurrency=4)
        self.tidier = Tidier(store, self.mail, self.clock)

    def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(self.store.write(work, *args, **kwargs))

    @rule(
        target=letters,
        sender=st.sampled_from([SENDER, OTHER]),
        attached=st.sampled_from(["nothing", "nothing", "big ones", "a large one"]),
        later=st.integers(0, 2),
    )
    def post(self, sender: str, attached: str, later: int) -> str:
        letter = a_letter(
            sender=sender,
            attachments=ATTACHED[attached],
            send_at=self.clock.now() + later * timedelta(minutes=5),
        )
        accepted = self.write(accept, self.account_id, letter, idempotency_key=None, now=self.clock.now())
        self.posted.append(accepted.message_id)
        return str(accepted.message_id)

    @rule(original=letters, attached=st.sampled_from(["nothing", "nothing", "a large one"]))
    def post_an_answer(self, original: str, attached: str) -> None:
        """It joins no bundle: whether it can be answered is a matter of threads' luck, and hypothesis wants none."""
        if original not in self.posted:
            return
        message = self.runner.run(self.store.read(messages.get, self.account_id, original))
        sender = (SENDER, OTHER)[self.mailbox_ids.index(message.mailbox_id)]
        answer = a_letter(sender=sender, in_reply_to=original, subject=None, attachments=ATTACHED[attached])
        try:
            accepted = self.write(accept, self.account_id, answer, idempotency_key=None, now=self.clock.now())
        except UnknownOriginal:
            assert message.status not in ("sent", "bounced")
        else:
            self.posted.append(accepted.message_id)

    @rule(target=letters, sender=st.sampled_from([SENDER, OTHER]))
    def answer_what_came_in(self, sender: str) -> str:
        mailbox_id, now = self.mailbox_ids[(SENDER, OTHER).index(sender)], self.clock.now()
        item = self.mail.arrives(f"user-{sender}", subject="A question")
        original = self.write(a_mail_came, self.account_id, mailbox_id, item, now=now)
        answer = a_letter(sender=sender, in_reply_to=original, subject=None, to=())
        accepted = self.write(accept, self.account_id, answer, idempotency_key=None, now=now)
        self.posted.append(accepted.message_id)
        return str(accepted.message_id)

    @rule(sender=st.sampled_from([SENDER, OTHER]), count=st.integers(1, 6))
    def post_a_batch(self, sender: str, count: int) -> None:
        accepted = self.write(
            accept_batch,
            self.account_id,
            [a_letter(sender=sender)] * count,
            name=None,
            created_by=None,
            idempotency_key=None,
            now=self.clock.now(),
        )
        self.posted += self.write(batches.letters_of, accepted.batch_id)

    @precondition(lambda self: not self.was_hidden_for_long)
    @rule(waiting=st.sampled_from([SENDER, OTHER, None]))
    def a_backup_is_made(self, waiting: str | None) -> None:
        """With a letter in it that has not left, perhaps."""
        if waiting is not None:
            self.post(waiting, attached="nothing", later=0)
        path = Path(self.folder.name) / "backup.db"
        path.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(path)) as copy,
            closing(sqlite3.connect(Path(self.folder.name) / "gateway.db")) as db,
        ):
            db.backup(copy)
        self.backup = (path, list(self.posted))

    @precondition(lambda self: self.backup is not None)
    @rule(minutes=st.sampled_from([0, 3, 3]))
    def the_backup_is_restored(self, minutes: int) -> None:
        """After some more work. Letters that came after it are not known any more, the others are looked for first."""
        self.the_worker_is_punctual(minutes * 60)
        assert self.backup is not None
        path, self.posted = self.backup[0], list(self.backup[1])
        self.runner.run(self.opened.aclose())
        for file in Path(self.folder.name).glob("gateway.db*"):
            file.unlink()
        shutil.copy(path, Path(self.folder.name) / "gateway.db")
        self.runner.run(self._open())
        self._start()
        self.mail.left.clear()  # what had been spent since the backup is forgotten with the rest
        self.write(doubt_all, now=self.clock.now())
        self.runner.run(self.worker.recover())

    @rule(target=letters, sender=st.sampled_from([SENDER, OTHER]), faults=st.lists(FAULTS, min_size=1, max_size=1))
    def post_and_see_the_submission_go_wrong(self, sender: str, faults: list[Fault]) -> str:
        message_id = self.post(sender, attached="nothing", later=0)
        self.mail.script("send_draft", *faults)
        self.runner.run(self.worker.run_due())
        self.mail.faults["send_draft"].clear()
        return message_id

    @precondition(lambda self: self.backup is None)
    @rule(target=letters, sender=st.sampled_from([SENDER, OTHER]))
    def post_and_see_it_vanish(self, sender: str) -> str:
        """Graph's answer is lost, and the letter is nowhere to be seen for hours."""
        self.mail.sent_copy_delay, self.mail.draft_stays_while_on_its_way = LONG_HIDDEN, False
        self.was_hidden_for_long = True
        message_id = self.post_and_see_the_submission_go_wrong(sender, [Fault(ERRORS[0], When.AFTER)])
        self.the_worker_is_punctual(int(1.5 * REVIEW_AFTER.total_seconds()))
        return message_id

    @rule(call=CALLS, faults=st.lists(FAULTS, min_size=1, max_size=3))
    def trouble_is_coming(self, call: str, faults: list[Fault]) -> None:
        self.mail.script(call, *faults)

    @rule(
        delay=st.sampled_from([0, 30, 120, 600]),
        hidden=st.booleans(),
        ids_survive=st.booleans(),
        connected=st.sampled_from([True, True, False]),
    )
    def microsoft_changes(self, delay: int, hidden: bool, ids_survive: bool, connected: bool) -> None:
        """What was handed over before a backup was restored is believed to be seen within half an hour."""
        longest = LONG_HIDDEN if self.backup is None else REVIEW_AFTER / 2
        self.mail.sent_copy_delay = min(timedelta(seconds=delay) * (12 if hidden else 1), longest)
        self.was_hidden_for_long |= self.mail.sent_copy_delay > REVIEW_AFTER / 2
        self.mail.draft_stays_while_on_its_way = not hidden
        self.mail.ids_survive_send = ids_survive
        self.mail.not_connected = None if connected else NotConnected(self.account_id)

    @rule(seconds=st.sampled_from([0, 1, 5, 30, 60, 300, 900, 1800, 90_000]))
    def the_worker_is_late(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))
        self.runner.run(self.worker.run_due())

    @rule(seconds=st.sampled_from([60, 300, 900, 1800]))
    def the_worker_is_punctual(self, seconds: int) -> None:
        until = self.clock.now() + timedelta(seconds=seconds)
        while (due := self.write(claims.next_due)) is not None and due <= until:
            self.clock.advance(max(due - self.clock.now(), SHORTEST_WAIT))
            self.runner.run(self.worker.run_due())
        self.clock.advance(max(until - self.clock.now(), timedelta(0)))

    @rule(steps=st.integers(1, 25), wait=st.sampled_from([0, 5, 600]), recovers=st.booleans())
    def crash(self, steps: int, wait: int, recovers: bool) -> None:
        """Die after so many steps of work, if there is that much; a new process begins, perhaps before any recovery."""
        self.crashes.after_steps = len(self.crashes.reached) + steps
        self.clock.advance(timedelta(seconds=wait))
        self.runner.run(self._work_until_death())
        self._start()
        if recovers:
            self.runner.run(self.worker.recover())

    async def _work_until_death(self) -> None:
        async with may_crash(self.crashes):
            await self.worker.run_due()
            await self.tidier.run_due()

    @rule()
    def drafts_are_tidied(self) -> None:
        self.runner.run(self.tidier.run_due())

    @rule(message_id=consumes(letters))
    def cancel(self, message_id: str) -> None:
        if message_id not in self.posted:
            return
        try:
            self.write(cancel, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state not in ("accepted", "drafting", "drafted")

    @rule(message_id=letters)
    def a_person_retries(self, message_id: str) -> None:
        if message_id not in self.posted:
            return
        try:
            self.write(retry, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state not in ("failed", "needs_review")

    @rule(message_id=letters)
    def a_person_closes(self, message_id: str) -> None:
        if message_id not in self.posted:
            return
        try:
            self.write(close, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state != "needs_review"

    @rule(message_id=letters)
    def a_report_of_non_delivery_comes(self, message_id: str) -> None:
        if message_id not in self.posted:
            return
        letter = self.letter(message_id)
        if self.mail.ledger[letter.send_uid]:
            why = {"code": "bounced", "explanation": "There is nobody of that name."}
            self.write(mark_bounced, letter, why, now=self.clock.now())

    @rule(times=st.integers(1, IN_A_ROW), in_person=st.sampled_from([False, False, True]))
    def the_student_answers(self, times: int, in_person: bool) -> None:
        """By machine, so that letters are held, until in person."""
        if in_person:
            self.write(answerers.answered_in_person, self.account_id, STUDENT)
        else:
            for _ in range(times):
                self.write(answerers.answered_by_machine, self.account_id, STUDENT, now=self.clock.now())

    @rule()
    def sent_items_are_pulled(self) -> None:
        for item in self.mail.in_sent():
            seen = SentItem(
                graph_id=item.id,
                conversation_id=item.conversation_id,
                internet_message_id=item.internet_message_id,
                tag=item.tag,
                sent_at=item.sent_at,
            )
            address = item.user.removeprefix("user-")
            mailbox_id = self.mailbox_ids[(SENDER, OTHER).index(address)]
            self.write(recognise_sent, self.account_id, mailbox_id, seen, now=self.clock.now())

    def letter(self, message_id: str) -> Letter:
        found: Letter = self.runner.run(self.store.read(outbox.get, self.account_id, message_id))
        return found

    @invariant()
    def nothing_leaves_twice(self) -> None:
        assert all(count == 1 for count in self.mail.ledger.values()), self.mail.ledger

    @invariant()
    def states_follow_the_arrows(self) -> None:
        for before, after in self.write(moves):
            self.states |= {before, after}
            assert State(after) in TRANSITIONS[State(before)], (before, after)

    @invariant()
    def what_is_held_is_a_draft_that_is_looked_at_within_the_hour(self) -> None:
        for state, next_attempt_at in self.write(held):
            Reached.held.add(state)
            assert next_attempt_at <= self.clock.now() + WITHIN

    @invariant()
    def an_acknowledged_letter_has_a_row(self) -> None:
        assert self.write(letter_ids) == sorted(self.posted)

    @invariant()
    def no_more_leaves_in_a_minute_than_may(self) -> None:
        for user, begin in self.mail.left:
            within = [at for who, at in self.mail.left if who == user and begin <= at < begin + timedelta(minutes=1)]
            assert len(within) <= ALLOWANCE.letters_per_minute

    @invariant()
    def no_letter_is_in_two_hands(self) -> None:
        assert self.write(stolen) == []

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self._calm_down()
            self._everything_has_come_to_a_true_end()
        finally:
            Reached.steps |= set(self.crashes.reached) | self.steps
            Reached.states |= self.states
            self.runner.run(self.opened.aclose())
            self.runner.close()
            self.folder.cleanup()

    def _calm_down(self) -> None:
        self.mail.faults.clear()
        self.mail.not_connected = None
        self._start()
        self.runner.run(self.worker.recover())
        self.write(answerers.answered_in_person, self.account_id, STUDENT)
        began = self.clock.now()
        while (due := self.write(claims.next_due)) is not None:
            self.clock.advance(max(due - self.clock.now(), SHORTEST_WAIT))
            assert self.clock.now() - began < timedelta(hours=4), "every letter comes to an end in bounded time"
            self.runner.run(self.worker.run_due())
        self.clock.advance(TIDY_AFTER)
        while self.runner.run(self.tidier.run_due()):
            self.clock.advance(timedelta(minutes=1))

    def _everything_has_come_to_a_true_end(self) -> None:
        letters = self.write(all_letters, self.account_id)
        assert [letter.message_id for letter in letters] == sorted(self.posted)
        assert {State(letter.state) for letter in letters} <= FINISHED
        self.clock.advance(timedelta(hours=3))
        self.sent_items_are_pulled()
        for letter in self.write(all_letters, self.account_id):
            assert (letter.state in ("sent", "bounced")) == (self.mail.ledger[letter.send_uid] == 1), letter.state
        kept = Counter(item.tag for item in self.mail.items.values() if not item.deleted and item.tag)
        for letter in self.write(all_letters, self.account_id):
            unsent = letter.state in ("failed", "cancelled") and letter.submits == 0
            assert kept[letter.send_uid] <= (0 if unsent else 1), f"no stray drafts of a letter that is {letter.state}"
        self.nothing_leaves_twice()
        self.states_follow_the_arrows()
        self.no_letter_is_in_two_hands()


# A timeout that strikes within an example looks like a fault of it, which hypothesis would then set out to shrink.
UNHURRIED: Final = pytest.mark.timeout(600)
LIMITS = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = LIMITS
TestOutbox.pytestmark = [UNHURRIED]


@UNHURRIED
def test_every_step_and_every_state_is_reached() -> None:
    """Else what holds at every step would be proved of some only. These examples are always the same."""
    always_the_same = settings(LIMITS, derandomize=True, max_examples=50, database=None)
    run_state_machine_as_test(OutboxMachine, settings=always_the_same)  # type: ignore[no-untyped-call]
    assert {step for journey in JOURNEYS.values() for step in journey} - Reached.steps == set()
    assert {state.value for state in State} - Reached.states == set()
    assert Reached.held == {"drafted"}
