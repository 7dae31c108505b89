"""A backup was restored: what its rows say of the mailbox is old, so every open letter is looked for first."""

from datetime import timedelta

import pytest

from gateway.graph import Unreachable
from gateway.sending.commits import doubt_all
from storage import Transaction
from tests.sending.conftest import Office, a_letter
from tests.sending.fake_mailbox import Fault, When

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
LOST_ANSWER = Unreachable("ReadTimeout", sent=True)


async def restored(office: Office) -> int:
    """A gateway starts on a file that was put back."""
    office.new_worker("reborn")
    doubted = await office.store.write(doubt_all, now=office.clock.now())
    await office.worker.recover()
    return doubted


def as_in_the_backup(message_id: str, state: str) -> object:
    """Put the row back to what it was when the backup was made."""

    def put_back(tx: Transaction) -> None:
        tx.execute(
            """UPDATE outbox SET state = :state, attempts = 0, submits = 0, submitted_at = NULL, sent_at = NULL,
                      next_attempt_at = state_since, lease_owner = NULL, lease_ends_at = NULL
                WHERE message_id = :id""",
            {"id": message_id, "state": state},
        )
        tx.execute(
            "UPDATE messages SET graph_id = NULL, conversation_id = NULL, internet_message_id = NULL WHERE id = :id",
            {"id": message_id},
        )

    return put_back


@pytest.mark.parametrize("state", ["accepted", "drafting"])
@pytest.mark.parametrize("ids_survive", [True, False])
async def test_a_letter_that_left_after_the_backup_is_found_and_not_sent_again(
    office: Office, state: str, ids_survive: bool
) -> None:
    office.mail.ids_survive_send = ids_survive
    message_id = await office.post()
    await office.pass_time(2 * MINUTE, steps=24)
    await office.store.write(as_in_the_backup(message_id, state))  # type: ignore[arg-type]
    assert await restored(office) == 1
    assert await office.state(message_id) == "unknown"
    await office.pass_time(MINUTE, steps=6)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    assert office.mail.called("create_draft") == 1


async def test_one_whose_copy_is_late_is_waited_for(office: Office) -> None:
    office.mail.sent_copy_delay, office.mail.draft_stays_while_on_its_way = 12 * MINUTE, False
    message_id = await office.post()
    await office.worker.run_due()
    await office.store.write(as_in_the_backup(message_id, "accepted"))  # type: ignore[arg-type]
    await restored(office)
    await office.pass_time(20 * MINUTE, steps=120)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)


async def test_one_that_never_left_goes_its_way_once_that_is_certain(office: Office) -> None:
    message_id = await office.post()
    await restored(office)
    await office.pass_time(29 * MINUTE, steps=174)
    assert (await office.state(message_id), office.mail.called("create_draft")) == ("unknown", 0)
    await office.pass_time(12 * MINUTE, steps=72)
    letter = await office.letter(message_id)
    assert (letter.state, letter.restored_at, office.mail.ledger[letter.send_uid]) == ("sent", None, 1)


async def test_a_draft_that_was_made_after_the_backup_is_used_and_no_second_one_made(office: Office) -> None:
    office.mail.script("send_draft", Fault(Unreachable("ConnectError", sent=False)))
    message_id = await office.post()
    await office.worker.run_due()
    await office.store.write(as_in_the_backup(message_id, "accepted"))  # type: ignore[arg-type]
    await restored(office)
    await office.pass_time(25 * MINUTE, steps=150)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    assert office.mail.called("create_draft") == 1


async def test_a_letter_for_later_keeps_its_time(office: Office) -> None:
    message_id = await office.post(a_letter(send_at=office.clock.now() + DAY))
    await restored(office)
    await office.pass_time(HOUR, steps=360)
    assert (await office.state(message_id), office.mail.called("create_draft")) == ("accepted", 0)
    await office.pass_time(DAY, steps=24)
    assert await office.state(message_id) in ("submitted", "sent")


async def test_a_submission_that_the_backup_knew_of_keeps_its_rules(office: Office) -> None:
    office.mail.script("send_draft", Fault(LOST_ANSWER, When.AFTER))
    office.mail.sent_copy_delay, office.mail.draft_stays_while_on_its_way = 3 * HOUR, False
    message_id = await office.post()
    await office.worker.run_due()
    await restored(office)
    await office.pass_time(HOUR, steps=360)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem and letter.problem["code"]) == ("needs_review", "not_found")
    assert office.mail.called("send_draft") == 1


async def test_reads_that_fail_prove_nothing(office: Office) -> None:
    message_id = await office.post()
    await restored(office)
    office.mail.script("find_by_tag", *[Fault(LOST_ANSWER)] * 300)
    await office.pass_time(HOUR, steps=60)
    assert (await office.state(message_id), office.mail.called("create_draft")) == ("unknown", 0)


async def test_what_is_over_stays_over(office: Office) -> None:
    message_id = await office.post()
    await office.pass_time(2 * MINUTE, steps=24)
    assert await restored(office) == 0
    assert await office.state(message_id) == "sent"
