"""The drafts of letters that will not leave are taken away, whenever they were made, and nothing else is."""

from datetime import timedelta

from gateway.graph import BadRequest, Unavailable
from gateway.sending.choices import cancel, retry
from gateway.sending.machine import TIDY_AFTER
from gateway.sending.rules import Allowance
from storage import outbox
from tests.sending.conftest import Office, a_letter
from tests.sending.fake_mailbox import Fault, When

MINUTE = timedelta(minutes=1)


async def a_waiting_draft(office: Office) -> str:
    """A letter whose draft is in the mailbox and waits for the budget."""
    office.new_worker(allowance=Allowance(letters_per_minute=1))
    await office.post()
    await office.post()
    await office.worker.run_due()
    [draft] = office.mail.drafts()
    letter = await office.store.read(outbox.by_send_uid, office.account_id, draft.tag)
    assert letter is not None
    return letter.message_id


async def cancelled(office: Office, message_id: str) -> str:
    await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())
    return message_id


async def test_the_draft_of_a_cancelled_letter_goes_and_nobody_can_send_it_by_hand(office: Office) -> None:
    await cancelled(office, await a_waiting_draft(office))
    assert await office.tidier.run_due() == 0, "one that was being made just then may come yet"
    office.clock.advance(TIDY_AFTER)
    assert await office.tidier.run_due() == 1
    assert office.mail.drafts() == []
    assert await office.tidier.run_due() == 0


async def test_one_that_somebody_sent_by_hand_meanwhile_was_sent(office: Office) -> None:
    message_id = await cancelled(office, await a_waiting_draft(office))
    [draft] = office.mail.drafts()
    draft.sent_at = draft.seen_in_sent_at = office.clock.now()
    office.clock.advance(TIDY_AFTER)
    await office.tidier.run_due()
    assert await office.state(message_id) == "sent"


async def test_a_draft_whose_making_nobody_noticed_goes_too(office: Office) -> None:
    office.mail.script("create_draft", Fault(BadRequest(status=400, code="ErrorInvalidRecipients"), When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    assert (await office.state(message_id), len(office.mail.drafts())) == ("failed", 1)
    office.clock.advance(TIDY_AFTER)
    await office.tidier.run_due()
    assert office.mail.drafts() == []


async def test_a_mailbox_that_cannot_be_read_is_asked_again_for_a_day(office: Office) -> None:
    await cancelled(office, await a_waiting_draft(office))
    office.mail.script("find_by_tag", Fault(Unavailable(status=503)))
    office.clock.advance(TIDY_AFTER)
    assert await office.tidier.run_due() == 1
    assert len(office.mail.drafts()) == 1
    office.clock.advance(MINUTE)
    assert await office.tidier.run_due() == 1
    assert office.mail.drafts() == []


async def test_a_failed_letter_that_is_tried_again_keeps_the_draft_it_makes(office: Office) -> None:
    office.mail.script("create_draft", Fault(BadRequest(status=400, code="ErrorInvalidRecipients"), When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    await office.store.write(retry, office.account_id, message_id, now=office.clock.now())
    office.clock.advance(TIDY_AFTER)
    assert await office.tidier.run_due() == 0
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"
    assert office.mail.called("create_draft") == 1


async def test_a_letter_that_nothing_was_tried_of_has_left_nothing_behind(office: Office) -> None:
    message_id = await office.post(a_letter(send_at=office.clock.now() + MINUTE))
    await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())
    office.clock.advance(TIDY_AFTER)
    assert (await office.tidier.run_due(), office.mail.calls) == (0, [])
