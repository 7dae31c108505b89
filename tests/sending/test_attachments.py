from datetime import timedelta

from gateway.graph import Unreachable
from storage.outbox import LetterAttachment
from tests.sending.conftest import Office, a_letter
from tests.sending.fake_mailbox import Fault, When

MINUTE = timedelta(minutes=1)
LOST_ANSWER = Unreachable("ReadTimeout", sent=True)


def pdf(name: str, size: int) -> LetterAttachment:
    return LetterAttachment(name=name, content_type="application/pdf", content_id=None, content=b"x" * size)


async def test_attachments_that_do_not_fit_into_one_request_follow_one_by_one(office: Office) -> None:
    files = (pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000), pdf("c.pdf", 100_000))
    message_id = await office.post(a_letter(attachments=files))
    await office.worker.run_due()
    assert [call for call, _ in office.mail.calls] == ["create_draft", "add_attachment", "send_draft"]
    assert sorted(office.mail.items["item-0"].attachments) == ["a.pdf", "b.pdf", "c.pdf"]
    assert await office.state(message_id) == "submitted"


async def test_an_attachment_whose_answer_was_lost_is_not_attached_twice(office: Office) -> None:
    files = (pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000), pdf("c.pdf", 2_000_000))
    office.mail.script("add_attachment", Fault(LOST_ANSWER, When.AFTER))
    message_id = await office.post(a_letter(attachments=files))
    await office.pass_time(2 * MINUTE, steps=24)
    assert sorted(office.mail.items["item-0"].attachments) == ["a.pdf", "b.pdf", "c.pdf"]
    assert await office.state(message_id) == "sent"


async def test_a_draft_deleted_before_it_was_complete_is_made_again(office: Office) -> None:
    def staff_delete_the_first_draft(step: str) -> None:
        if step == "before add_attachment":
            office.mail.items["item-0"].deleted = True

    office.mail.on_call = staff_delete_the_first_draft
    message_id = await office.post(a_letter(attachments=(pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000))))
    await office.pass_time(2 * MINUTE, steps=24)
    letter = await office.letter(message_id)
    assert (letter.state, letter.graph_id) == ("sent", "item-1")
    assert sorted(office.mail.items["item-1"].attachments) == ["a.pdf", "b.pdf"]
