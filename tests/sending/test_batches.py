"""Many letters at once: taken all or none, overtaken by single ones, followed to their end."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.graph import BadRequest
from gateway.sending.accept import AcceptedBatch, accept_batch, done_by
from gateway.sending.choices import cancel_batch, retry
from gateway.sending.posted import InBatch, KeyReused, NewLetter, UnknownMailbox
from gateway.sending.rules import Allowance
from storage import Transaction, batches, claims, events
from tests.sending.conftest import Office, a_letter, add_mailbox
from tests.sending.fake_mailbox import Fault

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FAST = Allowance(letters_per_minute=1000)


async def posted(office: Office, letters: list[NewLetter], **changes: Any) -> AcceptedBatch:
    given: dict[str, Any] = {"name": "Offers", "created_by": "Jane Doe", "idempotency_key": None}
    return await office.store.write(
        accept_batch, office.account_id, letters, **(given | changes), now=office.clock.now()
    )


async def told(office: Office) -> list[tuple[str, dict[str, Any]]]:
    found = await office.store.read(events.after, office.account_id, 0, limit=1000)
    return [(one.type, one.data) for one in found if one.type.startswith("batch.")]


def count(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM outbox").fetchone()[0])


async def test_every_letter_has_its_own_draft_tag_and_thread(office: Office) -> None:
    office.new_worker(allowance=FAST)
    batch = await posted(office, [a_letter(subject=f"Offer {number}") for number in range(20)])
    await office.pass_time(SECOND)
    ids = await office.store.read(batches.letters_of, batch.batch_id)
    letters = [await office.letter(message_id) for message_id in ids]
    assert [office.mail.items[one.graph_id or ""].payload["subject"] for one in letters] == [
        f"Offer {number}" for number in range(20)
    ]
    assert len({one.thread_id for one in letters}) == len({one.send_uid for one in letters}) == 20
    assert set(office.mail.ledger.values()) == {1}


async def test_its_letters_leave_in_the_order_in_which_they_were_posted(office: Office) -> None:
    office.new_worker(allowance=FAST, per_mailbox=1)
    subjects = [f"Offer {number}" for number in range(20)]
    await posted(office, [a_letter(subject=subject) for subject in subjects])
    office.clock.advance(MINUTE)
    await office.worker.run_due()
    assert [item.payload["subject"] for item in office.mail.items.values()] == subjects


async def test_one_that_cannot_be_taken_keeps_all_out_and_is_named(office: Office) -> None:
    bad = a_letter(sender="nobody@school.example")
    with pytest.raises(InBatch) as refusal:
        await posted(office, [a_letter(), a_letter(), bad])
    assert refusal.value.position == 2
    assert isinstance(refusal.value.__cause__, UnknownMailbox)
    assert await office.store.read(count) == 0
    assert await told(office) == []


async def test_the_same_key_and_letters_are_the_same_batch(office: Office) -> None:
    letters = [a_letter(), a_letter(subject="Another")]
    first = await posted(office, letters, idempotency_key="k")
    again = await posted(office, letters, idempotency_key="k")
    assert (again.batch_id, first.repeated, again.repeated) == (first.batch_id, False, True)
    assert await office.store.read(count) == 2


async def test_a_key_is_for_one_thing_only(office: Office) -> None:
    await office.post(key="of a letter")
    await posted(office, [a_letter()], idempotency_key="of a batch")
    with pytest.raises(KeyReused):
        await posted(office, [a_letter()], idempotency_key="of a letter")
    with pytest.raises(KeyReused):
        await office.post(a_letter(subject="Another"), key="of a batch")
    with pytest.raises(KeyReused):
        await posted(office, [a_letter(), a_letter()], idempotency_key="of a batch")


async def test_a_batch_of_one_letter_is_not_that_letter(office: Office) -> None:
    await posted(office, [a_letter()], idempotency_key="k")
    with pytest.raises(KeyReused):
        await office.post(key="k")


async def test_a_single_letter_overtakes_a_batch(office: Office) -> None:
    await posted(office, [a_letter() for _ in range(100)])
    await office.pass_time(SECOND)
    assert office.mail.called("send_draft") == 30
    office.clock.advance(MINUTE / 2)
    single = await office.post()
    await office.pass_time(MINUTE)
    assert await office.state(single) in ("submitted", "sent")


async def test_every_mailbox_has_its_turn(office: Office) -> None:
    await office.store.write(add_mailbox, office.account_id, "library@school.example", office.clock)
    await posted(office, [a_letter() for _ in range(50)])
    office.clock.advance(MINUTE)
    await posted(office, [a_letter(sender="library@school.example") for _ in range(3)])

    def claimed(tx: Transaction) -> set[str]:
        now = office.clock.now()
        taken = claims.claim_due(tx, owner="me", now=now, lease_ends_at=now + MINUTE, limit=4, per_mailbox=3)
        return {letter.mailbox_id for letter in taken}

    assert len(await office.store.write(claimed)) == 2


async def test_selma_hears_of_every_tenth_and_of_the_end(office: Office) -> None:
    office.new_worker(allowance=FAST)
    batch = await posted(office, [a_letter() for _ in range(20)])
    await office.pass_time(3 * MINUTE, steps=36)
    heard = await told(office)
    assert [kind for kind, _ in heard] == ["batch.accepted", *["batch.progress"] * 9, "batch.finished"]
    assert [data["percent"] for _, data in heard] == list(range(0, 101, 10))
    assert heard[-1][1] == {"batch_id": batch.batch_id, "percent": 100, "letters": {"sent": 20}}


async def test_a_letter_that_failed_and_is_tried_again_reopens_it(office: Office) -> None:
    office.mail.script("create_draft", Fault(BadRequest(status=400, code="ErrorInvalidRecipients")))
    batch = await posted(office, [a_letter()])
    await office.worker.run_due()
    [message_id] = await office.store.read(batches.letters_of, batch.batch_id)
    assert (await told(office))[-1] == (
        "batch.finished",
        {"batch_id": batch.batch_id, "percent": 100, "letters": {"failed": 1}},
    )
    await office.store.write(retry, office.account_id, message_id, now=office.clock.now())
    assert await office.store.read(batches.open_letters, batch.batch_id) == 1
    await office.pass_time(3 * MINUTE, steps=36)
    assert (await told(office))[-1][1]["letters"] == {"sent": 1}


async def test_what_has_not_left_can_be_cancelled_with_one_word(office: Office) -> None:
    batch = await posted(office, [a_letter() for _ in range(40)])
    await office.pass_time(SECOND)
    cancelled = await office.store.write(cancel_batch, office.account_id, batch.batch_id, now=office.clock.now())
    assert cancelled == 10
    await office.pass_time(3 * MINUTE, steps=36)
    assert (await told(office))[-1][1]["letters"] == {"sent": 30, "cancelled": 10}
    assert office.mail.called("send_draft") == 30


async def test_it_is_forecast_from_what_the_mailboxes_may_send(office: Office) -> None:
    await office.store.write(add_mailbox, office.account_id, "library@school.example", office.clock)
    letters = [a_letter() for _ in range(90)] + [a_letter(sender="library@school.example") for _ in range(30)]
    batch = await posted(office, letters)
    kept = await office.store.read(batches.get, office.account_id, batch.batch_id)
    assert kept.done_by == office.clock.now() + 2 * MINUTE
    await office.worker.run_due()
    await office.pass_time(2 * MINUTE, steps=24)
    left = await office.store.read(done_by, batch.batch_id, Allowance(), office.clock.now())
    assert left <= office.clock.now() + 2 * MINUTE
    await office.pass_time(4 * MINUTE, steps=48)
    assert await office.store.read(batches.open_letters, batch.batch_id) == 0


async def test_another_accounts_batch_is_not_there(office: Office) -> None:
    batch = await posted(office, [a_letter()])
    with pytest.raises(Exception, match="There is no such batch"):
        await office.store.write(cancel_batch, "acc_other", batch.batch_id, now=office.clock.now())
