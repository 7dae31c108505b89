import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import cast

import pytest

from gateway.sending.posted import NewAttachment
from gateway.sending.worker import OutboxWorker
from storage import Store, Transaction, attachments, claims
from tests.sending.conftest import Office, a_letter
from tests.sending.crashing import Crashes, CrashingStore, may_crash

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LARGE = bytes(number % 251 for number in range(1000)) * 5000


def around(*steps: str) -> list[str]:
    return [f"{when} {step}" for step in steps for when in ("before", "after")]


BEGIN = around("commit claim")
LEAVE = around("commit intend", "send_draft", "commit submitted")
LEAVE_AT_ONCE = around("commit drafted_and_intended", "send_draft", "commit submitted")
PROVE = around("find_by_tag", "commit seen_sent")
PROVED_ATTACHED = around("list_attachments", "attachment_bytes")
JOURNEYS: Mapping[str, list[str]] = {
    "a letter": [*BEGIN, *around("create_draft"), *LEAVE_AT_ONCE, *PROVE],
    "a letter with attachments that do not fit into one request": [
        *BEGIN,
        *around("create_draft", "commit drafted", "add_attachment"),
        *PROVED_ATTACHED,
        *LEAVE,
        *PROVE,
    ],
    "a letter with a large attachment": [
        *BEGIN,
        *around("create_draft", "commit drafted", "create_upload_session", "commit uploaded"),
        *around("upload_piece", "commit uploaded") * 2,
        *PROVED_ATTACHED,
        *LEAVE,
        *PROVE,
    ],
    "an answer": [*BEGIN, *around("create_reply", "update_message"), *LEAVE_AT_ONCE, *PROVE],
}


def numbered(steps: Sequence[str]) -> list[tuple[str, int]]:
    """Each step with how often it was passed by before."""
    return [(step, list(steps[:position]).count(step)) for position, step in enumerate(steps)]


EVERY_STEP = [(journey, *one) for journey, steps in JOURNEYS.items() for one in numbered(steps)]


async def posted(office: Office, journey: str) -> str:
    """Post what goes on this journey; the message's id."""
    match journey:
        case "a letter":
            return await office.post()
        case "an answer":
            return await office.post(a_letter(in_reply_to=await office.received()))
        case "a letter with a large attachment":
            contents = [LARGE]
        case _:
            contents = [b"a" * 2_000_000, b"b" * 2_000_000]
    return await office.post(
        a_letter(
            attachments=tuple(
                NewAttachment(name=f"{number}.pdf", content_type="application/pdf", content=content)
                for number, content in enumerate(contents)
            )
        )
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


@pytest.mark.parametrize("journey", JOURNEYS)
async def test_these_are_all_the_steps_of_a_journey(office: Office, journey: str) -> None:
    crashes = Crashes()
    await posted(office, journey)
    await live(office, mortal(office, crashes), 2)
    idle = {"before commit claim", "after commit claim"}
    assert [step for step in crashes.reached if step not in idle] == [
        step for step in JOURNEYS[journey] if step not in idle
    ]


@pytest.mark.parametrize(("journey", "step", "skip"), EVERY_STEP)
async def test_a_crash_at_any_step_loses_nothing_and_doubles_nothing(
    office: Office, journey: str, step: str, skip: int
) -> None:
    message_id = await posted(office, journey)
    crashes = Crashes(at_step=step, skip=skip)
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 2)
    assert crashes.dead
    await live(office, await reborn(office), 20)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    sent = office.mail.items[letter.graph_id or ""]
    given = await office.store.read(attachments.of_letter, message_id)
    assert sorted(hashlib.sha256(one.content).digest() for one in sent.attachments) == sorted(
        one.sha256 for one in given
    )
    assert [item.tag for item in office.mail.drafts() if item.tag] == []


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
        taken = claims.claim_due(tx, owner="else", now=now, lease_ends_at=now + timedelta(hours=1), limit=1)
        assert [letter.message_id for letter in taken] == [message_id]

    class Overtaken(CrashingStore):
        async def write(self, work, *args, **kwargs):
            if work.__name__ == "drafted_and_intended":
                await office.store.write(somebody_else_claims)
            return await super().write(work, *args, **kwargs)

    store = cast("Store", Overtaken(office.store, Crashes()))
    await OutboxWorker(store, office.mail, office.clock, owner="slow").run_due()
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("drafting", 0)


async def test_recovery_frees_letters_at_once_instead_of_waiting_for_their_leases(office: Office) -> None:
    message_id = await office.post()
    crashes = Crashes(at_step="before create_draft")
    async with may_crash(crashes):
        await live(office, mortal(office, crashes), 0)
    await (await reborn(office)).run_due()
    assert await office.state(message_id) == "submitted"
