from typing import Any

import pytest

from gateway.sending.choices import cancel
from gateway.sending.recognise import SentItem, letter_of, mark_bounced, recognise_sent
from storage import messages
from storage.messages import Attachment
from tests.sending.conftest import SENDER, Office, a_letter, add_mailbox


def item(**changes: Any) -> SentItem:
    values: dict[str, Any] = {"graph_id": "other", "conversation_id": "conversation-0", "internet_message_id": None}
    return SentItem(**(values | changes))


async def recognise(office: Office, seen: SentItem, mailbox_id: str | None = None) -> bool:
    return await office.store.write(
        recognise_sent, office.account_id, mailbox_id or office.mailbox_id, seen, now=office.clock.now()
    )


async def submitted(office: Office) -> str:
    message_id = await office.post()
    await office.worker.run_due()
    return message_id


@pytest.mark.parametrize("by", ["tag", "graph id", "message id"])
async def test_a_sent_copy_is_recognised_by_any_of_three_marks(office: Office, by: str) -> None:
    message_id = await submitted(office)
    letter = await office.letter(message_id)
    seen = {
        "tag": item(tag=letter.send_uid.upper()),
        "graph id": item(graph_id=letter.graph_id),
        "message id": item(internet_message_id=letter.internet_message_id),
    }[by]
    assert await recognise(office, seen)
    assert await office.state(message_id) == "sent"


async def test_a_stranger_is_not_recognised(office: Office) -> None:
    await submitted(office)
    assert not await recognise(office, item(tag="no-such-tag", internet_message_id="<x@y>"))
    assert not await recognise(office, item())


async def test_being_told_again_changes_nothing_but_brings_what_is_new_of_the_item(office: Office) -> None:
    message_id = await submitted(office)
    letter = await office.letter(message_id)
    await recognise(office, item(tag=letter.send_uid, graph_id="passing"))
    first = await office.letter(message_id)
    paper = Attachment(id="a1", name="a", content_type="x/y", size=1, is_inline=False, content_id=None)
    office.clock.advance(office.clock.now() - letter.created_at)
    assert await recognise(office, item(tag=letter.send_uid, graph_id="lasting", attachments=[paper]))
    second = await office.letter(message_id)
    message = await office.store.read(messages.get, office.account_id, message_id)
    assert (second.sent_at, second.graph_id, message.attachments) == (first.sent_at, "lasting", (paper,))
    assert (await office.told()).count("message.sent") == 1


async def test_a_draft_proves_nothing(office: Office) -> None:
    message_id = await submitted(office)
    letter = await office.letter(message_id)
    assert await recognise(office, item(tag=letter.send_uid, is_draft=True))
    assert await office.state(message_id) == "submitted"


async def test_a_copy_in_another_mailbox_is_not_the_letter(office: Office) -> None:
    message_id = await submitted(office)
    letter = await office.letter(message_id)
    other = await office.store.write(add_mailbox, office.account_id, "library@school.example", office.clock)
    seen = item(tag=letter.send_uid, internet_message_id=letter.internet_message_id)
    assert not await recognise(office, seen, other)
    assert await office.state(message_id) == "submitted"


async def test_a_cancelled_letter_that_somebody_sent_by_hand_was_sent(office: Office) -> None:
    message_id = await office.post(a_letter())
    await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())
    letter = await office.letter(message_id)
    await recognise(office, item(tag=letter.send_uid))
    assert await office.state(message_id) == "sent"


async def test_an_item_that_is_another_message_already_is_not_taken_from_it(office: Office) -> None:
    first, second = await submitted(office), await submitted(office)
    taken = (await office.letter(first)).graph_id
    uid = (await office.letter(second)).send_uid
    assert await recognise(office, item(tag=uid, graph_id=taken))
    assert await office.state(second) == "sent"
    assert (await office.letter(first)).graph_id == taken


async def test_a_report_of_non_delivery_proves_that_the_letter_left(office: Office) -> None:
    message_id = await submitted(office)
    for _ in range(2):
        letter = await office.letter(message_id)
        why = {"code": "bounced", "explanation": "No such person."}
        await office.store.write(mark_bounced, letter, why, now=office.clock.now())
    assert (await office.letter(message_id)).sent_at == office.clock.now()
    assert (await office.told()).count("message.bounced") == 1
    assert await recognise(office, item(tag=letter.send_uid))
    assert await office.state(message_id) == "bounced"


async def test_the_mailbox_of_the_letter_is_the_one_that_is_asked(office: Office) -> None:
    message_id = await submitted(office)
    found = await office.store.read(letter_of, office.account_id, office.mailbox_id, item(graph_id="item-0"))
    assert found is not None
    assert (found.message_id, office.mail.items["item-0"].user) == (message_id, f"user-{SENDER}")
