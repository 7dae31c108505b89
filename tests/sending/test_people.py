"""What people may do with a letter: cancel it, try it again, send it anew, leave it."""

import asyncio
from datetime import timedelta

from gateway.graph import BadRequest
from gateway.sending.choices import cancel, close, retry
from gateway.sending.recognise import SentItem, recognise_sent
from tests.sending.conftest import Office
from tests.sending.fake_mailbox import Fault, When

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


async def test_a_failed_letter_that_is_retried_is_the_same_sending(office: Office) -> None:
    office.mail.script("create_draft", Fault(BadRequest(status=400, code="ErrorInvalidRecipients"), When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    before = await office.letter(message_id)
    await office.store.write(retry, office.account_id, message_id, now=office.clock.now())
    await office.worker.run_due()
    after = await office.letter(message_id)
    assert (after.state, after.send_uid, office.mail.called("create_draft")) == ("submitted", before.send_uid, 1)


async def in_review(office: Office) -> str:
    office.mail.sent_copy_delay = 10 * HOUR
    message_id = await office.post()
    await office.pass_time(HOUR, steps=720)
    assert await office.state(message_id) == "needs_review"
    return message_id


async def test_a_late_find_heals_a_letter_that_needs_review(office: Office) -> None:
    message_id = await in_review(office)
    office.clock.advance(10 * HOUR)
    item = office.mail.in_sent()[0]
    seen = SentItem(graph_id=item.id, conversation_id=None, internet_message_id=None, tag=item.tag.upper())
    ours = await office.store.write(recognise_sent, office.account_id, office.mailbox_id, seen, now=office.clock.now())
    assert ours is not None
    assert await office.state(message_id) == "sent"


async def test_a_letter_sent_anew_by_a_person_is_another_sending(office: Office) -> None:
    message_id = await in_review(office)
    before = await office.letter(message_id)
    office.mail.sent_copy_delay = timedelta(0)
    await office.store.write(retry, office.account_id, message_id, now=office.clock.now())
    await office.pass_time(2 * MINUTE, steps=2)
    after = await office.letter(message_id)
    assert (after.state, after.graph_id, after.send_uid != before.send_uid) == ("sent", "item-1", True)
    assert office.mail.ledger == {before.send_uid: 1, after.send_uid: 1}


async def test_a_person_can_close_a_letter_that_needs_review(office: Office) -> None:
    message_id = await in_review(office)
    await office.store.write(close, office.account_id, message_id, now=office.clock.now())
    assert await office.state(message_id) == "cancelled"


async def test_a_letter_cancelled_while_its_draft_is_made_is_not_sent_and_leaves_no_draft(office: Office) -> None:
    message_id = await office.post()
    office.mail.gate = asyncio.Event()
    asked = office.mail.event_when(lambda: bool(office.mail.calls))
    async with asyncio.TaskGroup() as group:
        group.create_task(office.worker.run_due())
        await asked.wait()
        await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())
        office.mail.gate.set()
    await office.tidier.run_due()
    assert (await office.state(message_id), office.mail.drafts()) == ("cancelled", [])
    assert office.mail.called("send_draft") == 0
