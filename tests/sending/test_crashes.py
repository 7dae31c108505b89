from datetime import timedelta
from typing import cast

import pytest

from gateway.sending.worker import OutboxWorker
from storage import Store, Transaction, outbox
from storage.outbox import LetterAttachment
from tests.sending.conftest import Office, a_letter
from tests.sending.crashing import Crashes, CrashingStore, may_crash

MINUTE = timedelta(minutes=1)
STEPS = [
    "before commit claim",
    "after commit claim",
    "before create_draft",
    "after create_draft",
    "before commit drafted",
    "after commit drafted",
    "before add_attachment",
    "after add_attachment",
    "before commit intend",
    "after commit intend",
    "before send_draft",
    "after send_draft",
    "before commit submitted",
    "after commit submitted",
    "before find_by_tag",
    "after find_by_tag",
    "before commit seen_sent",
    "after commit seen_sent",
]
FILES = tuple(
    LetterAttachment(name=name, content_type="application/pdf", content_id=None, content=b"x" * 2_000_000)
    for name in ("a.pdf", "b.pdf")
)


def mortal(office: Office, crashes: Crashes) -> OutboxWorker:
    office.mail.on_call = crashes.step
    return OutboxWorker(cast("Store", CrashingStore(office.store, crashes)), office.mail, office.clock, owner="mortal")


async def live(office: Office, worker: OutboxWorker, minutes: int) -> None:
    await worker.run_due()
    for _ in range(minutes * 6):
        office.clock.advance(MINUTE / 6)
        await worker.run_due()


async def reborn(office: Office) -> OutboxWorker:
    office.mail.on_call = lambda step: None
    worker = office.new_worker("reborn")
    await worker.recover()
    return worker


async def test_these_are_all_the_steps_of_a_letter(office: Office) -> None:
    crashes = Crashes()
    await office.post(a_letter(attachments=FILES))
    await live(office, mortal(office, crashes), 2)
    idle = {"before commit claim", "after commit claim"}
    assert [step for step in crashes.reached if step not in idle] == [step for step in STEPS if step not in idle]


@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(office: Office, step: str) -> None:
    message_id = await office.post(a_letter(attachments=FILES))
    crashes = Crashes(at_step=step)
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 2)
    assert crashes.dead
    await live(office, await reborn(office), 20)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    sent = office.mail.items[letter.graph_id or ""]
    assert sorted(sent.attachments) == ["a.pdf", "b.pdf"]
    assert office.mail.drafts() == []


async def test_after_a_crash_in_the_middle_of_a_submission_the_letter_is_looked_for_first(office: Office) -> None:
    message_id = await office.post()
    crashes = Crashes(at_step="after send_draft")
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 0)
    assert await office.state(message_id) == "submitting"
    worker = await reborn(office)
    assert await office.state(message_id) == "unknown"
    office.clock.advance(timedelta(seconds=5))
    await worker.run_due()
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("sent", 1)


async def test_without_a_recovery_a_lost_lease_comes_to_the_same(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    message_id = await office.post()
    crashes = Crashes(at_step="after send_draft")
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 0)
    office.mail.on_call = lambda step: None
    survivor = office.new_worker("survivor")
    await live(office, survivor, 14)
    assert await office.state(message_id) == "submitting"
    await live(office, survivor, 3)
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("sent", 1)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_whoever_lost_the_lease_can_no_longer_submit(office: Office) -> None:
    message_id = await office.post()

    def somebody_else_claims(tx: Transaction) -> None:
        now = office.clock.now() + timedelta(hours=1)
        taken = outbox.claim_due(tx, owner="else", now=now, lease_ends_at=now + timedelta(hours=1), limit=1)
        assert [letter.message_id for letter in taken] == [message_id]

    class Overtaken(CrashingStore):
        async def write(self, work, *args, **kwargs):
            if work.__name__ == "intend":
                await office.store.write(somebody_else_claims)
            return await super().write(work, *args, **kwargs)

    store = cast("Store", Overtaken(office.store, Crashes()))
    await OutboxWorker(store, office.mail, office.clock, owner="slow").run_due()
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("drafted", 0)


async def test_recovery_frees_letters_at_once_instead_of_waiting_for_their_leases(office: Office) -> None:
    message_id = await office.post()
    crashes = Crashes(at_step="before create_draft")
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 0)
    await (await reborn(office)).run_due()
    assert await office.state(message_id) == "submitted"
