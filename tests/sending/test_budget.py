"""What a mailbox may send, kept before Microsoft 365 has to hold it back."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.sending import budget
from gateway.sending.budget import LETTERS, RECIPIENTS, Window
from gateway.sending.posted import NewLetter
from gateway.sending.rules import Allowance
from storage import mailboxes, spending
from storage.spending import Bucket, bucket_of
from storage.threads import Address
from storage.transaction import Transaction
from tests.fakes.clock import A_MONDAY as NOW
from tests.sending.conftest import Office, a_letter, add_mailbox
from tests.storage.fresh import a_database
from tests.storage.scene import Scene, build, post

SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def to_so_many(recipients: int) -> NewLetter:
    return a_letter(to=tuple(Address(name=None, address=f"s{n}@student.example") for n in range(recipients)))


async def test_thirty_letters_leave_in_a_minute_and_the_next_one_after_it(office: Office) -> None:
    for _ in range(31):
        await office.post()
    await office.worker.run_due()
    assert office.mail.called("send_draft") == 30
    mailbox = await office.store.read(mailboxes.get, office.mailbox_id)
    assert mailbox.next_letter_at == office.clock.now() + 61 * SECOND
    await office.pass_time(60 * SECOND, steps=60)
    assert office.mail.called("send_draft") == 30
    await office.pass_time(SECOND)
    assert office.mail.called("send_draft") == 31


async def test_the_budget_outlives_a_restart(office: Office) -> None:
    for _ in range(31):
        await office.post()
    await office.worker.run_due()
    await office.new_worker("reborn").recover()
    await office.worker.run_due()
    assert office.mail.called("send_draft") == 30
    await office.pass_time(61 * SECOND, steps=61)
    assert office.mail.called("send_draft") == 31


async def test_one_mailbox_that_has_spent_its_budget_keeps_no_other(office: Office) -> None:
    await office.store.write(add_mailbox, office.account_id, "library@school.example", office.clock)
    for _ in range(40):
        await office.post()
    other = await office.post(a_letter(sender="library@school.example"))
    await office.worker.run_due()
    assert await office.state(other) == "submitted"


async def test_letters_that_left_are_looked_for_though_the_budget_is_spent(office: Office) -> None:
    office.new_worker(allowance=Allowance(letters_per_minute=1))
    first = await office.post()
    await office.worker.run_due()
    second = await office.post()
    office.clock.advance(MINUTE)
    await office.worker.run_due()
    assert await office.state(first) == "sent"
    assert await office.state(second) in ("accepted", "drafted")


async def test_recipients_of_a_day_are_counted_too(office: Office) -> None:
    office.new_worker(allowance=Allowance(recipients_per_day=10))
    first = await office.post(to_so_many(6))
    await office.worker.run_due()
    second = await office.post(to_so_many(6))
    await office.worker.run_due()
    assert [await office.state(one) for one in (first, second)] == ["submitted", "drafted"]
    waiting = await office.letter(second)
    assert waiting.problem is not None
    assert waiting.problem["code"] == "budget"
    await office.pass_time(DAY - MINUTE)
    assert await office.state(second) == "drafted"
    await office.pass_time(12 * MINUTE, steps=12)
    assert await office.state(second) == "sent"


async def test_a_small_letter_overtakes_a_large_one_that_must_wait(office: Office) -> None:
    office.new_worker(allowance=Allowance(recipients_per_day=10))
    for size, state in ((6, "submitted"), (6, "drafted"), (2, "submitted")):
        message_id = await office.post(to_so_many(size))
        await office.worker.run_due()
        assert await office.state(message_id) == state


async def test_a_letter_to_more_people_than_a_day_has_leaves_alone(office: Office) -> None:
    office.new_worker(allowance=Allowance(recipients_per_day=10))
    message_id = await office.post(to_so_many(20))
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"


@given(
    st.sampled_from([LETTERS, RECIPIENTS]),
    st.integers(1, 40),
    st.lists(st.tuples(st.floats(0, 2, allow_nan=False), st.integers(1, 10)), max_size=40),
)
def test_in_no_window_is_more_spent_than_allowed(window: Window, allowed: int, wishes: list[tuple[float, int]]) -> None:
    """Whoever waits as long as he is told, and then spends, never has spent too much in any window."""
    now, spent, log = NOW, dict[datetime, int](), list[tuple[datetime, int]]()
    for pause, amount in wishes:
        wanted = min(amount, allowed)
        now += window.length * pause / 10
        counting = [at for at in sorted(spent) if at > now - window.length - window.bucket]
        buckets = [Bucket(begins_at=at, amount=spent[at]) for at in counting]
        now = max(now, window.free_at(buckets, allowed, wanted, now))
        bucket = bucket_of(now, window.bucket)
        spent[bucket] = spent.get(bucket, 0) + wanted
        log.append((now, wanted))
    for begin, _ in log:
        in_window = [amount for at, amount in log if begin <= at < begin + window.length]
        assert sum(in_window) <= allowed


class TestForecast:
    @pytest.fixture
    def tx(self) -> Iterator[Transaction]:
        with a_database() as tx:
            yield tx

    @pytest.fixture
    def scene(self, tx: Transaction) -> Scene:
        return build(tx)

    def done_by(self, tx: Transaction, scene: Scene, **allowance: int) -> timedelta:
        return budget.done_by(tx, scene.mailbox_id, Allowance(**allowance), NOW) - NOW

    def test_an_empty_queue_is_done(self, tx: Transaction, scene: Scene) -> None:
        assert self.done_by(tx, scene) == timedelta(0)

    def test_what_fits_into_this_minute_is_done_at_once(self, tx: Transaction, scene: Scene) -> None:
        for number in range(30):
            post(tx, scene, f"msg_{number}")
        assert self.done_by(tx, scene) == timedelta(0)

    def test_more_takes_minutes(self, tx: Transaction, scene: Scene) -> None:
        for number in range(100):
            post(tx, scene, f"msg_{number}")
        assert self.done_by(tx, scene) == 3 * MINUTE

    def test_more_recipients_than_a_day_has_takes_days(self, tx: Transaction, scene: Scene) -> None:
        for number in range(100):
            post(tx, scene, f"msg_{number}", recipients=10)
        assert self.done_by(tx, scene, recipients_per_day=300) >= 3 * DAY
        assert self.done_by(tx, scene, recipients_per_day=1000) < DAY

    def test_what_was_spent_already_counts(self, tx: Transaction, scene: Scene) -> None:
        spending.spend(tx, scene.mailbox_id, LETTERS.kind, 30, width=LETTERS.bucket, now=NOW)
        post(tx, scene, "msg_1")
        assert MINUTE < self.done_by(tx, scene) <= 3 * MINUTE

    def test_a_letter_for_later_is_not_done_before(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene, "msg_1", due=NOW + DAY)
        assert self.done_by(tx, scene) == DAY

    def test_a_clock_that_ran_ahead_does_not_keep_letters(self, tx: Transaction, scene: Scene) -> None:
        for number in range(30):
            spending.spend(tx, scene.mailbox_id, LETTERS.kind, 1, width=LETTERS.bucket, now=NOW + DAY + number * SECOND)
        assert budget.may_leave_at(tx, scene.mailbox_id, 1, Allowance(), NOW) == NOW

    def test_it_says_what_is_left(self, tx: Transaction, scene: Scene) -> None:
        for kind, window, amount in ((LETTERS.kind, LETTERS, 7), (RECIPIENTS.kind, RECIPIENTS, 70)):
            spending.spend(tx, scene.mailbox_id, kind, amount, width=window.bucket, now=NOW)
        left = budget.left(tx, scene.mailbox_id, Allowance(), NOW)
        assert (left.letters, left.recipients, left.next_letter_at) == (23, 9930, NOW)
