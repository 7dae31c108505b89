"""Attachments: in one request, one by one, or piece by piece; resumed, and never believed unread."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.graph import UPLOAD_PIECE, BadRequest, NotFound, Throttled, Unreachable
from gateway.sending.posted import NewAttachment
from storage import attachments
from tests.sending.conftest import Office, a_letter
from tests.sending.crashing import Crashes, may_crash
from tests.sending.fake_mailbox import Fault, When

MINUTE = timedelta(minutes=1)
LOST_ANSWER = Unreachable("ReadTimeout", sent=True)
LARGE = 2 * UPLOAD_PIECE + 1000


def pdf(name: str, size: int, **changes: Any) -> NewAttachment:
    content = bytes(number % 251 for number in range(1000)) * (size // 1000 + 1)
    return NewAttachment(name=name, content_type="application/pdf", content=content[:size], **changes)


def on_the_draft(office: Office, item: str = "item-0") -> dict[str, bytes]:
    attached = office.mail.items[item].attachments
    assert len({one.name for one in attached}) == len(attached), "nothing twice"
    return {one.name: one.content for one in attached}


def as_posted(*given: NewAttachment) -> dict[str | None, bytes | None]:
    return {one.name: one.content for one in given}


async def test_attachments_that_do_not_fit_into_one_request_follow_one_by_one_and_are_read_back(
    office: Office,
) -> None:
    given = (pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000), pdf("c.pdf", 100_000))
    message_id = await office.post(a_letter(attachments=given))
    await office.worker.run_due()
    calls = [call for call, _ in office.mail.calls]
    assert calls == ["create_draft", "add_attachment", "list_attachments", "attachment_bytes", "send_draft"]
    assert on_the_draft(office) == as_posted(*given)
    assert await office.state(message_id) == "submitted"


async def test_small_ones_cost_no_call_more_than_the_letter(office: Office) -> None:
    await office.post(a_letter(attachments=(pdf("a.pdf", 1000), pdf("b.pdf", 2_000_000))))
    await office.worker.run_due()
    assert [call for call, _ in office.mail.calls] == ["create_draft", "send_draft"]


async def test_a_large_one_is_uploaded_piece_by_piece(office: Office) -> None:
    given = pdf("large.pdf", LARGE)
    message_id = await office.post(a_letter(attachments=(given,)))
    await office.worker.run_due()
    assert office.mail.called("create_upload_session") == 1
    assert office.mail.called("upload_piece") == 3
    assert on_the_draft(office) == as_posted(given)
    assert await office.state(message_id) == "submitted"


async def test_a_large_inline_image_keeps_its_content_id(office: Office) -> None:
    await office.post(a_letter(attachments=(pdf("photo.png", 4_000_000, content_id="photo"),)))
    await office.worker.run_due()
    [attached] = office.mail.items["item-0"].attachments
    assert attached.content_id == "photo"


@pytest.mark.parametrize("when", When, ids=lambda when: f"the piece {'came' if when is When.AFTER else 'was lost'}")
async def test_a_broken_piece_is_gone_on_with_and_nothing_is_attached_twice(office: Office, when: When) -> None:
    given = pdf("large.pdf", LARGE)
    office.mail.script("upload_piece", Fault(LOST_ANSWER, When.BEFORE), Fault(LOST_ANSWER, when))
    message_id = await office.post(a_letter(attachments=(given,)))
    await office.pass_time(2 * MINUTE, steps=24)
    assert on_the_draft(office) == as_posted(given)
    assert await office.state(message_id) == "sent"


async def test_the_last_piece_whose_answer_was_lost_is_found_attached(office: Office) -> None:
    given = pdf("large.pdf", UPLOAD_PIECE + 1)
    office.mail.script("upload_piece", Fault(Throttled(status=429)), Fault(LOST_ANSWER, When.AFTER))
    office.mail.faults["upload_piece"].rotate(0)
    await office.post(a_letter(attachments=(given,)))
    await office.pass_time(5 * MINUTE, steps=60)
    assert on_the_draft(office) == as_posted(given)


async def test_after_a_restart_an_upload_goes_on_where_it_was(office: Office) -> None:
    given = pdf("large.pdf", LARGE)
    message_id = await office.post(a_letter(attachments=(given,)))
    crashes = Crashes(at_step="before upload_piece", skip=1)
    office.mail.on_call = crashes.step
    async with may_crash(crashes):
        await office.worker.run_due()
    [kept] = await office.store.read(attachments.of_letter, message_id)
    assert (kept.upload_url is not None, kept.upload_offset) == (True, UPLOAD_PIECE)
    office.mail.on_call = lambda step: None
    await office.new_worker().recover()
    await office.pass_time(2 * MINUTE, steps=24)
    assert office.mail.called("create_upload_session") == 1
    assert on_the_draft(office) == as_posted(given)
    assert await office.state(message_id) == "sent"


async def test_a_session_that_has_ended_is_begun_anew(office: Office) -> None:
    given = pdf("large.pdf", LARGE)
    office.mail.script("upload_piece", Fault(LOST_ANSWER))
    message_id = await office.post(a_letter(attachments=(given,)))
    await office.worker.run_due()
    office.mail.sessions.clear()
    await office.pass_time(2 * MINUTE, steps=24)
    assert office.mail.called("create_upload_session") == 2
    assert on_the_draft(office) == as_posted(given)
    assert await office.state(message_id) == "sent"


async def test_one_that_graph_finds_too_small_for_a_session_goes_the_small_way(office: Office) -> None:
    too_small = BadRequest(status=400, code="ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")
    office.mail.script("create_upload_session", Fault(too_small))
    given = pdf("a.pdf", 3_000_001)
    message_id = await office.post(a_letter(attachments=(given,)))
    await office.worker.run_due()
    assert office.mail.called("add_attachment") == 1
    assert await office.state(message_id) == "submitted"


async def test_what_arrived_damaged_is_brought_once_more_and_then_a_person_is_asked(office: Office) -> None:
    def damage(step: str) -> None:
        if step == "before list_attachments":
            for attached in office.mail.items["item-0"].attachments:
                attached.content = attached.content[:-1] + b"?"

    office.mail.on_call = damage
    message_id = await office.post(a_letter(attachments=(pdf("large.pdf", 4_000_000),)))
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem and letter.problem["code"]) == ("needs_review", "attachment_damaged")
    assert office.mail.called("create_upload_session") == 2
    assert office.mail.called("send_draft") == 0


async def test_an_attachment_whose_answer_was_lost_is_not_attached_twice(office: Office) -> None:
    given = (pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000), pdf("c.pdf", 2_000_000))
    office.mail.script("add_attachment", Fault(LOST_ANSWER, When.AFTER))
    message_id = await office.post(a_letter(attachments=given))
    await office.pass_time(2 * MINUTE, steps=24)
    assert on_the_draft(office) == as_posted(*given)
    assert await office.state(message_id) == "sent"


async def test_two_of_one_name_are_both_there(office: Office) -> None:
    given = (pdf("same.pdf", 2_900_000), pdf("same.pdf", 2_800_000), pdf("same.pdf", 2_800_000))
    message_id = await office.post(a_letter(attachments=given))
    await office.worker.run_due()
    sizes = sorted(len(one.content) for one in office.mail.items["item-0"].attachments)
    assert sizes == [2_800_000, 2_800_000, 2_900_000]
    assert await office.state(message_id) == "submitted"


async def test_a_draft_deleted_before_it_was_complete_is_made_again(office: Office) -> None:
    def staff_delete_the_first_draft(step: str) -> None:
        if step == "before add_attachment":
            office.mail.items["item-0"].deleted = True

    office.mail.on_call = staff_delete_the_first_draft
    given = (pdf("a.pdf", 2_000_000), pdf("b.pdf", 2_000_000))
    message_id = await office.post(a_letter(attachments=given))
    await office.pass_time(2 * MINUTE, steps=24)
    letter = await office.letter(message_id)
    assert (letter.state, letter.graph_id) == ("sent", "item-1")
    assert on_the_draft(office, "item-1") == as_posted(*given)


async def test_an_upload_begun_for_a_draft_that_is_gone_is_not_gone_on_with(office: Office) -> None:
    given = pdf("large.pdf", LARGE)
    office.mail.script("upload_piece", Fault(LOST_ANSWER))
    message_id = await office.post(a_letter(attachments=(given,)))
    await office.worker.run_due()
    office.mail.items["item-0"].deleted = True
    office.mail.script("list_attachments", Fault(NotFound(status=404, code="ErrorItemNotFound")))
    await office.pass_time(2 * MINUTE, steps=24)
    assert on_the_draft(office, "item-1") == as_posted(given)
    assert on_the_draft(office) == {}
    assert await office.state(message_id) == "sent"
