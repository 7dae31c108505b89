"""Letters that answer a mail: in its thread, by Graph's own reply draft, from the mailbox it came to."""

from datetime import timedelta

import pytest

from gateway.graph import NotFound
from gateway.sending.answering import latest_to_answer
from gateway.sending.draft import TAG
from gateway.sending.posted import NewAttachment, UnknownOriginal
from storage import Conflict, messages, outbox, threads
from storage.messages import Direction, Placement, Recipients
from storage.threads import Address
from tests.sending.conftest import SENDER, STUDENT, Office, a_letter, add_mailbox
from tests.sending.fake_mailbox import Fault

MINUTE = timedelta(minutes=1)
AROHA = Address(name="Aroha Ngata", address="aroha@student.example")


async def test_an_answer_is_graphs_own_reply_draft_with_our_tag_in_three_calls(office: Office) -> None:
    message_id = await office.post(a_letter(in_reply_to=await office.received(), to=(), subject=None))
    await office.worker.run_due()
    assert [call for call, _ in office.mail.calls] == ["create_reply", "update_message", "send_draft"]
    letter = await office.letter(message_id)
    draft = office.mail.items[letter.graph_id or ""]
    assert (draft.answers, draft.tag) == ("item-0", letter.send_uid)
    assert draft.payload["body"]["content"] == "<p>Kia ora <b>Aroha</b></p>"
    assert draft.payload["subject"] == "RE: A question"
    assert letter.state == "submitted"


async def test_it_stands_in_the_thread_and_on_the_tabs_of_what_it_answers(office: Office) -> None:
    original = await office.received()
    message_id = await office.post(a_letter(in_reply_to=original, objects=(), subject=None, to=()))
    answered = await office.store.read(messages.get, office.account_id, original)
    letter = await office.letter(message_id)
    assert letter.thread_id == answered.thread_id
    assert await office.store.read(threads.objects_of, letter.thread_id) == [STUDENT]
    await office.worker.run_due()
    conversation = (await office.letter(message_id)).conversation_id
    assert conversation == answered.conversation_id


async def test_it_goes_to_whoever_wrote_or_to_where_they_want_answers(office: Office) -> None:
    parents = Address(name=None, address="parents@home.example")
    wrote = await office.received()
    elsewhere = await office.received(recipients=Recipients(reply_to=(parents,)))
    for original, recipient in ((wrote, AROHA), (elsewhere, parents)):
        message_id = await office.post(a_letter(in_reply_to=original, to=(), subject=None))
        message = await office.store.read(messages.get, office.account_id, message_id)
        assert (message.recipients.to, message.subject) == ((recipient,), "RE: A question")


async def test_an_answer_to_a_letter_of_ours_goes_to_its_recipients_and_not_to_us(office: Office) -> None:
    first = await office.post()
    await office.pass_time(2 * MINUTE, steps=24)
    assert await office.state(first) == "sent"
    message_id = await office.post(a_letter(in_reply_to=first, to=(), subject=None))
    await office.pass_time(MINUTE, steps=6)
    draft = office.mail.items[(await office.letter(message_id)).graph_id or ""]
    [recipient] = draft.payload["toRecipients"]
    assert recipient["emailAddress"]["address"] == "aroha@student.example"


async def test_recipients_and_a_subject_of_its_own_count_more(office: Office) -> None:
    tama = Address(name="Tama", address="tama@home.example")
    answer = a_letter(in_reply_to=await office.received(), to=(tama,), subject="Your place")
    message_id = await office.post(answer)
    await office.worker.run_due()
    draft = office.mail.items[(await office.letter(message_id)).graph_id or ""]
    assert draft.payload["subject"] == "Your place"
    assert draft.payload["toRecipients"] == [{"emailAddress": {"name": "Tama", "address": "tama@home.example"}}]


async def test_headers_are_given_when_the_draft_is_made_for_later_is_too_late(office: Office) -> None:
    answer = a_letter(in_reply_to=await office.received(), headers=(("x-selma-run", "7"),))
    message_id = await office.post(answer)
    await office.worker.run_due()
    draft = office.mail.items[(await office.letter(message_id)).graph_id or ""]
    assert {"name": "x-selma-run", "value": "7"} in draft.payload["internetMessageHeaders"]


async def test_attachments_follow_once_the_draft_is_there(office: Office) -> None:
    given = NewAttachment(name="a.pdf", content_type="application/pdf", content=b"pdf")
    message_id = await office.post(a_letter(in_reply_to=await office.received(), attachments=(given,)))
    await office.worker.run_due()
    [attached] = office.mail.items[(await office.letter(message_id)).graph_id or ""].attachments
    assert attached.content == b"pdf"


@pytest.mark.parametrize("takes_the_tag", [True, False])
async def test_a_reply_draft_whose_change_failed_is_changed_and_not_sent_as_it_was(
    office: Office, takes_the_tag: bool
) -> None:
    office.mail.reply_drafts_take_the_tag = takes_the_tag
    office.mail.script("update_message", Fault(NotFound(status=404, code="ErrorItemNotFound")))
    message_id = await office.post(a_letter(in_reply_to=await office.received()))
    await office.pass_time(2 * MINUTE, steps=24)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    assert office.mail.items[letter.graph_id or ""].payload["body"]["content"] == "<p>Kia ora <b>Aroha</b></p>"
    assert office.mail.called("create_reply") == (1 if takes_the_tag else 2)
    marks = office.mail.items[letter.graph_id or ""].payload["singleValueExtendedProperties"]
    assert marks == [{"id": TAG, "value": letter.send_uid}]


async def test_a_mail_that_was_deleted_meanwhile_cannot_be_answered_and_that_is_said(office: Office) -> None:
    message_id = await office.post(a_letter(in_reply_to=await office.received()))
    office.mail.items["item-0"].deleted = True
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem and letter.problem["code"]) == ("failed", "original_gone")


class TestWhatCannotBeAnswered:
    async def refused(self, office: Office, message_id: str, **changes: object) -> str:
        with pytest.raises(UnknownOriginal) as refusal:
            await office.post(a_letter(in_reply_to=message_id, **changes))
        return str(refusal.value)

    async def test_a_message_that_is_not_there(self, office: Office) -> None:
        assert await self.refused(office, "msg_nowhere") == "There is no such message."

    async def test_a_message_that_waits_for_review_looks_the_same(self, office: Office) -> None:
        held = await office.received(placement=Placement.HELD)
        assert await self.refused(office, held) == "There is no such message."

    async def test_a_letter_that_has_not_left(self, office: Office) -> None:
        assert "not been seen in Sent Items yet" in await self.refused(office, await office.post())

    async def test_a_mail_in_another_mailbox(self, office: Office) -> None:
        await office.store.write(add_mailbox, office.account_id, "library@school.example", office.clock)
        said = await self.refused(office, await office.received(), sender="library@school.example")
        assert said == f"This message is in the mailbox {SENDER}: answer it from there."

    async def test_a_mail_without_a_sender_if_nobody_else_is_named(self, office: Office) -> None:
        assert "Name a recipient" in await self.refused(office, await office.received(sender=None), to=())

    async def test_a_letter_of_ours_that_went_to_blind_copies_alone(self, office: Office) -> None:
        first = await office.post(a_letter(to=(), bcc=(AROHA,)))
        await office.pass_time(2 * MINUTE, steps=24)
        assert "Name a recipient" in await self.refused(office, first, to=())


class TestTheLatestToAnswer:
    async def test_is_what_came_in_last(self, office: Office) -> None:
        first = await office.post()
        await office.pass_time(2 * MINUTE, steps=24)
        thread_id = (await office.letter(first)).thread_id
        later = office.clock.now() + MINUTE
        came = await office.received(thread_id=thread_id, message_at=later)
        await office.received(
            thread_id=thread_id, message_at=later + MINUTE, direction=Direction.OUT
        )  # staff wrote in Outlook
        assert await office.store.read(latest_to_answer, office.account_id, thread_id) == (SENDER, came)

    async def test_is_our_own_letter_while_nobody_has_answered(self, office: Office) -> None:
        first = await office.post()
        await office.pass_time(2 * MINUTE, steps=24)
        letter = await office.store.read(outbox.get, office.account_id, first)
        assert await office.store.read(latest_to_answer, office.account_id, letter.thread_id) == (SENDER, first)

    async def test_is_not_there_before_the_first_letter_has_left(self, office: Office) -> None:
        letter = await office.letter(await office.post())
        with pytest.raises(Conflict, match="Nothing in this thread can be answered yet"):
            await office.store.read(latest_to_answer, office.account_id, letter.thread_id)
