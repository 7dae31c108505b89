"""The outbox under fire: letters, faults before and after their effect, crashes at any step, and time.

Whatever happens, no send_uid leaves twice, states follow the arrows, no row is in two hands, and every row comes to
an end that tells the truth.
"""

import asyncio
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, BadRequest, Throttled, Unavailable, Unreachable
from gateway.sending.accept import accept, cancel, close, retry
from gateway.sending.commits import LEASE
from gateway.sending.machine import FINISHED, TRANSITIONS, State
from gateway.sending.recognise import SentItem, mark_bounced, recognise_sent
from gateway.sending.worker import OutboxWorker
from storage import Conflict, Store, Transaction, accounts, open_store, outbox
from storage.outbox import Letter, LetterAttachment
from tests.fakes.clock import FakeClock
from tests.sending.conftest import SENDER, a_letter, add_mailbox
from tests.sending.crashing import Crashes, CrashingStore, may_crash
from tests.sending.fake_mailbox import FakeMailboxes, Fault, When

OTHER = "library@school.example"
BIG = tuple(
    LetterAttachment(name=name, content_type="text/plain", content_id=None, content=b"x" * 1_800_000)
    for name in ("a.txt", "b.txt")
)
ERRORS = (
    Unreachable("ReadTimeout", sent=True),
    Throttled(status=429, retry_after=timedelta(seconds=20)),
    Unavailable(status=503),
    AccessDenied(status=403, code="ErrorAccessDenied"),
    BadRequest(status=400, code="ErrorInvalidRecipients"),
)
REFUSED = Fault(Unreachable("ConnectError", sent=False), When.BEFORE)
FAULTS = st.sampled_from([REFUSED, *(Fault(error, when) for when in (When.AFTER, When.BEFORE) for error in ERRORS)])
CALLS = st.sampled_from(["create_draft", "send_draft", "send_draft", "find_by_tag", "get_message", "add_attachment"])

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


def all_letters(tx: Transaction, account_id: str) -> list[Letter]:
    ids = [row["message_id"] for row in tx.execute("SELECT message_id FROM outbox ORDER BY message_id").fetchall()]
    return [outbox.get(tx, account_id, message_id) for message_id in ids]


class OutboxMachine(RuleBasedStateMachine):
    letters = Bundle("letters")

    @initialize(delay=st.sampled_from([0, 30, 120, 600]))
    def begin(self, delay: int) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.mail = FakeMailboxes(self.clock, sent_copy_delay=timedelta(seconds=delay))
        self.posted: list[str] = []
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        path = Path(self.folder.name) / "gateway.db"
        self.store: Store = await self.stack.enter_async_context(open_store(path, readers=1))
        account = await self.store.write(accounts.add, "school", now=self.clock.now())
        self.account_id = account.id
        self.mailbox_ids = [
            await self.store.write(add_mailbox, account.id, address, self.clock) for address in (SENDER, OTHER)
        ]
        await self.store.write(watch)
        self._start()

    def _start(self) -> None:
        """A process begins."""
        self.crashes = Crashes()
        self.mail.on_call = self.crashes.step
        store = cast("Store", CrashingStore(self.store, self.crashes))
        self.worker = OutboxWorker(store, self.mail, self.clock, owner=f"process {id(self.crashes)}", concurrency=4)

    def write(self, work: Any, *args: Any, **kwargs: Any) -> Any:
        return self.runner.run(self.store.write(work, *args, **kwargs))

    @rule(target=letters, sender=st.sampled_from([SENDER, OTHER]), big=st.booleans(), later=st.integers(0, 2))
    def post(self, sender: str, big: bool, later: int) -> str:
        letter = a_letter(
            sender=sender,
            attachments=BIG if big else (),
            send_at=self.clock.now() + later * timedelta(minutes=5),
        )
        accepted = self.write(accept, self.account_id, letter, idempotency_key=None, now=self.clock.now())
        self.posted.append(accepted.message_id)
        return str(accepted.message_id)

    @rule(target=letters, sender=st.sampled_from([SENDER, OTHER]), faults=st.lists(FAULTS, min_size=1, max_size=1))
    def post_and_see_the_submission_go_wrong(self, sender: str, faults: list[Fault]) -> str:
        message_id = self.post(sender, big=False, later=0)
        self.mail.script("send_draft", *faults)
        self.runner.run(self.worker.run_due())
        self.mail.faults["send_draft"].clear()
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
        self.mail.sent_copy_delay = timedelta(seconds=delay) * (12 if hidden else 1)
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
        while (due := self.write(outbox.next_due)) is not None and due <= until:
            self.clock.advance(max(due - self.clock.now(), timedelta(0)))
            self.runner.run(self.worker.run_due())
        self.clock.advance(until - self.clock.now())

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

    @rule(message_id=consumes(letters))
    def cancel(self, message_id: str) -> None:
        try:
            self.write(cancel, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state not in ("accepted", "drafting", "drafted")

    @rule(message_id=letters)
    def a_person_retries(self, message_id: str) -> None:
        try:
            self.write(retry, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state not in ("failed", "needs_review")

    @rule(message_id=letters)
    def a_person_closes(self, message_id: str) -> None:
        try:
            self.write(close, self.account_id, message_id, now=self.clock.now())
        except Conflict:
            assert self.letter(message_id).state != "needs_review"

    @rule(message_id=letters)
    def a_report_of_non_delivery_comes(self, message_id: str) -> None:
        letter = self.letter(message_id)
        if self.mail.ledger[letter.send_uid]:
            why = {"code": "bounced", "explanation": "There is nobody of that name."}
            self.write(mark_bounced, letter, why, now=self.clock.now())

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
            assert State(after) in TRANSITIONS[State(before)], (before, after)

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
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def _calm_down(self) -> None:
        self.mail.faults.clear()
        self.mail.not_connected = None
        self._start()
        self.runner.run(self.worker.recover())
        began = self.clock.now()
        while (due := self.write(outbox.next_due)) is not None:
            self.clock.advance(max(due - self.clock.now(), timedelta(0)))
            assert self.clock.now() - began < timedelta(hours=4), "every letter comes to an end in bounded time"
            self.runner.run(self.worker.run_due())

    def _everything_has_come_to_a_true_end(self) -> None:
        letters = self.write(all_letters, self.account_id)
        assert [letter.message_id for letter in letters] == sorted(self.posted)
        assert {State(letter.state) for letter in letters} <= FINISHED
        self.clock.advance(timedelta(hours=3))
        self.sent_items_are_pulled()
        for letter in self.write(all_letters, self.account_id):
            assert (letter.state in ("sent", "bounced")) == (self.mail.ledger[letter.send_uid] == 1), letter.state
        kept = Counter(item.tag for item in self.mail.items.values() if not item.deleted)
        assert set(kept.values()) <= {1}, "no stray drafts"
        self.nothing_leaves_twice()
        self.states_follow_the_arrows()
        self.no_letter_is_in_two_hands()


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
