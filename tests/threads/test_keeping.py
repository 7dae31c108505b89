"""What becomes of a mail: which thread it joins, that it is stored once, and what it is taken for."""

from dataclasses import replace

import pytest

from gateway.graph import (
    AttachmentInfo,
    AttachmentKind,
    Body,
    BodyType,
)
from gateway.threads import deciding
from gateway.threads.pull import GATHER
from storage import outbox, threads
from storage.audit import Actor, Via
from storage.messages import Kind, Placement
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, STRANGER, TANE, School

# Which thread


async def test_a_reply_joins_the_thread_of_its_letter(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation, answers=[letter.message_id], text="Yes please.")
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert (reply.body, reply.direction, reply.kind) == ("Yes please.", "in", "mail")
    assert await school.told() == ["reply.received"]
    thread = await school.store.read(threads.get, school.account_id, letter.thread_id)
    assert (thread.message_count, thread.unanswered, thread.preview) == (2, True, "Yes please.")


async def test_a_reply_that_lost_its_references_joins_by_its_conversation(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA.upper(), conversation=letter.conversation)
    await school.pull()
    assert [reply.graph_id for reply in await school.thread(letter.thread_id)] == ["r1"]


async def test_a_reply_with_a_new_subject_joins_and_so_does_all_that_follows_it(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation="new", answers=[letter.message_id], subject="A question")
    await school.pull()
    school.arrive("r2", sender=AROHA, conversation="new", subject="Re: A question")
    await school.sweep()
    assert [reply.graph_id for reply in await school.thread(letter.thread_id)] == ["r1", "r2"]


async def test_what_came_in_a_conversation_before_it_was_ours_is_fetched_when_it_is(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("early", sender=AROHA, conversation="new")
    school.arrive("by staff", folder="sentitems", sender=ADMISSIONS, conversation="new", to=[AROHA])
    await school.pull()
    assert await school.thread(letter.thread_id) == []
    school.arrive("late", sender=AROHA, conversation="new", answers=[letter.message_id])
    await school.sweep()
    school.clock.advance(GATHER)
    await school.pull()
    found = {reply.graph_id: reply.direction for reply in await school.thread(letter.thread_id)}
    assert found == {"early": "in", "late": "in", "by staff": "out"}


async def test_mail_beside_the_one_that_makes_their_conversation_ours_is_ours_too(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.page_size = 2
    for number in range(4):
        answers = [letter.message_id] if number == 2 else []
        school.arrive(f"r{number}", sender=AROHA, conversation="new", answers=answers)
    await school.pull()
    assert {one.graph_id for one in await school.thread(letter.thread_id)} == {"r0", "r1", "r2", "r3"}


async def test_unrelated_mail_is_counted_and_its_body_never_read(school: School) -> None:
    await school.write_to(AROHA)
    school.arrive("u1", sender=STRANGER, conversation="theirs", answers=["<other@elsewhere.example>"])
    school.arrive("u2", sender=AROHA, conversation="hers")
    await school.pull()
    assert await school.stored() == []
    assert (await school.folder()).unrelated == 2
    assert school.mail.read_whole == []


async def test_the_delta_tells_whom_mail_answers_so_nothing_is_asked_about_mail_that_is_not_ours(
    school: School,
) -> None:
    await school.write_to(AROHA)
    school.arrive("u1", sender=STRANGER, conversation="theirs", answers=["<other@elsewhere.example>"])
    school.arrive("u2", sender=AROHA, conversation="hers")
    await school.pull()
    assert school.mail.asked == []


async def test_mail_whose_headers_the_delta_does_not_tell_is_asked_for_them(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.headers_in_delta = False
    school.arrive("r1", sender=AROHA, conversation="another", answers=[letter.message_id])
    school.arrive("u1", sender=STRANGER, conversation="theirs")
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["r1"]
    assert set(school.mail.asked) == {"r1", "u1"}


@pytest.mark.parametrize(("told", "asked"), [(True, []), (False, ["r1"])], ids=["told", "not told"])
async def test_headers_that_the_delta_told_are_not_asked_for_again_and_count_all_the_same(
    school: School, told: bool, asked: list[str]
) -> None:
    letter = await school.write_to(AROHA)
    school.mail.headers_in_delta = told
    school.arrive("r1", sender=STRANGER, conversation=letter.conversation, answers=[letter.message_id])
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert reply.evidence is not None
    assert reply.evidence["reason"] == "conversation_and_references"
    assert school.mail.asked_for_headers == asked


async def test_a_stranger_in_our_conversation_is_held_for_review(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("s1", sender=STRANGER, conversation=letter.conversation)
    await school.pull()
    assert await school.thread(letter.thread_id) == []
    (held,) = await school.stored()
    assert (held.thread_id, held.placement) == (letter.thread_id, Placement.HELD)
    assert held.evidence is not None
    assert held.evidence["reason"] == "stranger_in_conversation"
    assert await school.told() == ["review.opened"]


async def test_a_stranger_who_forges_references_is_held_for_review(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("s1", sender=STRANGER, conversation="theirs", answers=[letter.message_id])
    await school.pull()
    (held,) = await school.stored()
    assert (held.thread_id, held.placement) == (letter.thread_id, Placement.HELD)
    school.arrive("s2", sender=STRANGER, conversation="theirs")
    await school.sweep()
    assert len(await school.stored()) == 1, "a held mail must not make its conversation ours"


async def test_whoever_answers_in_the_conversation_with_references_joins_and_is_marked(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("m1", sender="mother@home.example", conversation=letter.conversation, answers=[letter.message_id])
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert reply.evidence is not None
    assert reply.evidence["new_participant"] is True
    assert reply.evidence["letters"] == [letter.id]


async def test_a_letter_that_the_student_forwards_to_our_other_mailbox_joins(school: School) -> None:
    letter = await school.write_to(AROHA)
    forwarded = {"conversation": "at office", "answers": [letter.message_id], "subject": "Fwd: Your enrolment"}
    school.arrive("f1", at=OFFICE, sender=AROHA, to=[OFFICE], **forwarded)
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["f1"]


@pytest.mark.parametrize("sender", ["friend@elsewhere.example", "aroha@private.example"])
async def test_who_answers_a_forwarded_letter_or_from_another_address_is_held_until_a_person_knows_them(
    school: School, sender: str
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive(
        "f1", sender=sender, conversation="theirs", answers=[letter.message_id], subject="Fwd: Your enrolment"
    )
    await school.pull()
    (held,) = await school.stored()
    assert (held.thread_id, held.placement) == (letter.thread_id, Placement.HELD)


async def test_a_new_letter_of_the_student_that_names_none_of_ours_is_not_ours(school: School) -> None:
    await school.write_to(AROHA)
    school.arrive("n1", sender=AROHA, conversation="hers", subject="Something else")
    school.arrive("n2", sender=AROHA, conversation="hers", answers=["<forged@school.example>", "<>"])
    await school.pull()
    assert await school.stored() == []


async def test_two_students_whose_letters_share_a_conversation_stay_apart(school: School) -> None:
    first = await school.write_to(AROHA, conversation="shared")
    second = await school.write_to(TANE, conversation="shared")
    school.arrive("t1", sender=TANE, conversation="shared", answers=[second.message_id])
    school.arrive("t2", sender=TANE, conversation="shared")
    school.arrive("a1", sender=AROHA, conversation="shared", answers=[first.message_id])
    await school.pull()
    assert [one.graph_id for one in await school.thread(first.thread_id)] == ["a1"]
    assert [one.graph_id for one in await school.thread(second.thread_id)] == ["t1"]


async def test_only_letters_of_ours_are_witnesses_not_what_came_in(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation, message_id="<planted@student.example>")
    await school.pull()
    school.arrive("x1", sender=AROHA, conversation="other", answers=["<planted@student.example>"])
    await school.sweep()
    assert [one.graph_id for one in await school.stored()] == ["r1"]


@pytest.mark.parametrize("message_id", ["<>", "< >", "", "no brackets", "<two words@x>"])
async def test_an_empty_or_malformed_message_id_ties_nothing_together(school: School, message_id: str) -> None:
    first, second = await school.write_to(AROHA), await school.write_to(AROHA)
    for letter, id in ((first, "r1"), (second, "r2")):
        school.arrive(id, sender=AROHA, conversation=letter.conversation, message_id=message_id, text=id)
    await school.pull()
    assert len(await school.stored()) == 2


# Once


async def test_a_mail_that_is_told_of_again_is_stored_once(school: School) -> None:
    letter = await school.write_to(AROHA)
    item = school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.mail.put(ADMISSIONS, "inbox", replace(item, subject="as read"))
    school.mail.say_again()
    await school.sweep()
    assert len(await school.stored()) == 1
    assert await school.told() == ["reply.received"]


@pytest.mark.parametrize("first", [ADMISSIONS, OFFICE])
async def test_the_same_mail_in_two_of_our_mailboxes_is_one_message(school: School, first: str) -> None:
    letter = await school.write_to(AROHA)
    for mailbox in (first, OFFICE if first == ADMISSIONS else ADMISSIONS):
        school.arrive(
            f"in {mailbox}",
            at=mailbox,
            sender=AROHA,
            conversation=letter.conversation if mailbox == ADMISSIONS else "at office",
            answers=[letter.message_id],
            message_id="<same@student.example>",
        )
        await school.sweep()
    (reply,) = await school.thread(letter.thread_id)
    assert reply.graph_id == f"in {ADMISSIONS}"
    assert await school.told() == ["reply.received"]


@pytest.mark.parametrize("first", [ADMISSIONS, OFFICE])
async def test_a_copy_that_proves_more_places_a_mail_that_was_held(school: School, first: str) -> None:
    letter = await school.write_to(AROHA)
    for mailbox in (first, OFFICE if first == ADMISSIONS else ADMISSIONS):
        school.arrive(
            f"in {mailbox}",
            at=mailbox,
            sender="mother@home.example",
            conversation=letter.conversation if mailbox == ADMISSIONS else "at office",
            answers=[letter.message_id],
            message_id="<same@home.example>",
        )
        await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == [f"in {ADMISSIONS}"]


async def test_a_held_mail_is_not_placed_by_its_copy(school: School) -> None:
    letter = await school.write_to(AROHA)
    for mailbox in (ADMISSIONS, OFFICE):
        school.arrive(
            f"in {mailbox}",
            at=mailbox,
            sender=STRANGER,
            conversation=f"at {mailbox}",
            answers=[letter.message_id],
            message_id="<same@elsewhere.example>",
        )
        await school.sweep()
        school.arrive(f"more in {mailbox}", at=mailbox, sender=STRANGER, conversation=f"at {mailbox}")
        await school.sweep()
    assert [one.placement for one in await school.stored()] == [Placement.HELD]


@pytest.mark.parametrize("first", ["inbox", "sentitems"])
async def test_what_staff_send_to_their_own_mailbox_too_is_theirs(school: School, first: str) -> None:
    letter = await school.write_to(AROHA)
    for folder in (first, "inbox" if first == "sentitems" else "sentitems"):
        school.arrive(
            f"in {folder}",
            folder=folder,
            sender=ADMISSIONS,
            conversation=letter.conversation,
            message_id="<same@school.example>",
            to=[AROHA, ADMISSIONS],
        )
        await school.sweep()
    (written,) = await school.thread(letter.thread_id)
    assert (written.direction, written.graph_id) == ("out", "in sentitems")


@pytest.mark.parametrize("first", [(OFFICE, "sentitems"), (ADMISSIONS, "inbox")])
async def test_an_answer_between_our_own_mailboxes_is_one_that_came_in(school: School, first: tuple[str, str]) -> None:
    letter = await school.write_to(OFFICE)
    school.arrive("copy", at=OFFICE, sender=ADMISSIONS, conversation="at office", message_id=letter.message_id)
    await school.pull()
    both = [(OFFICE, "sentitems"), (ADMISSIONS, "inbox")]
    for mailbox, folder in both if first == both[0] else reversed(both):
        school.arrive(
            f"in {folder}",
            at=mailbox,
            folder=folder,
            sender=OFFICE,
            conversation="at office" if mailbox == OFFICE else letter.conversation,
            message_id="<answer@school.example>",
            to=[ADMISSIONS],
        )
        await school.sweep()
    (answer,) = await school.thread(letter.thread_id)
    assert (answer.direction, answer.graph_id) == ("in", "in inbox")
    assert (await school.told()).count("reply.received") == 1


async def test_two_mails_that_share_a_message_id_by_fault_are_both_kept(school: School) -> None:
    letter = await school.write_to(AROHA)
    for text in ("one", "two"):
        school.arrive(
            text, sender=AROHA, conversation=letter.conversation, message_id="<same@student.example>", text=text
        )
    await school.pull()
    assert [one.body for one in await school.thread(letter.thread_id)] == ["one", "two"]


async def test_one_mail_that_lies_in_a_folder_twice_is_kept_once_though_both_come_with_one_page(school: School) -> None:
    letter = await school.write_to(AROHA)
    for id in ("r1", "r2"):
        school.arrive(id, sender=AROHA, conversation=letter.conversation, message_id="<same@student.example>")
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["r1"]
    assert await school.told() == ["reply.received"]


async def test_our_letter_to_a_mailbox_of_ours_is_one_message_and_its_answer_joins(school: School) -> None:
    letter = await school.write_to(OFFICE)
    letter.seen_in_sent_items()
    school.arrive(
        "copy", at=OFFICE, sender=ADMISSIONS, conversation="at office", message_id=letter.message_id, to=[OFFICE]
    )
    await school.pull()
    assert await school.stored() == []
    for mailbox, folder in ((OFFICE, "sentitems"), (ADMISSIONS, "inbox")):
        school.arrive(
            f"answer in {folder}",
            at=mailbox,
            folder=folder,
            sender=OFFICE,
            conversation="at office" if mailbox == OFFICE else letter.conversation,
            message_id="<answer@school.example>",
        )
    await school.sweep()
    (answer,) = await school.thread(letter.thread_id)
    assert (answer.direction, answer.graph_id) == ("in", "answer in inbox")


# Sent Items


@pytest.mark.parametrize("by", ["tag", "id"])
async def test_the_sent_copy_of_a_letter_costs_no_call_beside_the_delta(school: School, by: str) -> None:
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items(**({"extended_properties": {}} if by == "id" else {"id": "another-id"}))
    await school.pull()
    assert (await school.store.read(outbox.get, school.account_id, letter.id)).state == "sent"
    assert school.mail.asked == []


async def test_our_letter_is_recognised_in_sent_items(school: School) -> None:
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items(id="another id", conversation_id="another", internet_message_id="<exchange@made.this>")
    await school.pull()
    row = await school.store.read(outbox.get, school.account_id, letter.id)
    assert (row.state, row.graph_id, row.conversation_id) == ("sent", "another id", "another")
    assert await school.stored() == []


async def test_mail_that_staff_wrote_in_outlook_joins_its_thread(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive(
        "o1", folder="sentitems", sender=ADMISSIONS, conversation=letter.conversation, to=["father@home.example"]
    )
    school.arrive("o2", folder="sentitems", sender=ADMISSIONS, conversation="private", to=[STRANGER])
    await school.pull()
    (written,) = await school.thread(letter.thread_id)
    assert (written.graph_id, written.direction) == ("o1", "out")
    assert await school.told() == ["thread.updated"]
    school.arrive("f1", sender="father@home.example", conversation=letter.conversation)
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["o1", "f1"]


async def test_a_mail_that_was_moved_lends_its_conversation_to_no_other_thread(school: School) -> None:
    """Or what staff write in the conversation afterwards would belong to two threads of one student, and wait."""
    first = await school.write_to(AROHA, conversation="shared")
    elsewhere = await school.write_to(TANE)
    school.arrive("a1", sender=AROHA, conversation="shared")
    await school.sweep()
    (reply,) = await school.thread(first.thread_id)
    now = school.clock.now()
    await school.store.write(
        deciding.move, school.account_id, reply.id, elsewhere.thread_id, by=Actor(via=Via.SYSTEM, staff="Jane"), now=now
    )
    second = await school.write_to(TANE, conversation="shared")
    school.arrive("o1", folder="sentitems", sender=ADMISSIONS, conversation="shared", to=[TANE])
    await school.sweep()
    assert [one.graph_id for one in await school.thread(second.thread_id)] == ["o1"]


async def test_mail_to_one_student_never_goes_to_another_whose_letter_shares_the_conversation(school: School) -> None:
    first = await school.write_to(AROHA, conversation="shared")
    second = await school.write_to(TANE, conversation="shared")
    school.arrive("to tane", folder="sentitems", sender=ADMISSIONS, conversation="shared", to=[TANE])
    school.arrive("to both", folder="sentitems", sender=ADMISSIONS, conversation="shared", to=[TANE, AROHA])
    await school.pull()
    assert await school.thread(first.thread_id) == []
    assert [one.graph_id for one in await school.thread(second.thread_id)] == ["to tane"]
    assert {one.graph_id: one.placement for one in await school.stored()} == {"to tane": "placed", "to both": "held"}


async def test_a_draft_is_left_alone(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("d1", sender=AROHA, conversation=letter.conversation, is_draft=True)
    await school.pull()
    assert await school.stored() == []


async def test_what_is_announced_late_or_once_more_is_not_read_again(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.mail.asked.clear()
    await school.hint("r1")
    await school.sweep()
    assert (await school.outcomes(), school.mail.asked) == (["stored"], [])


async def test_deletion_in_the_mailbox_deletes_nothing_here(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.mail.take_away(ADMISSIONS, "inbox", "r1")
    await school.hint("r1", change_type="deleted")
    await school.sweep()
    assert len(await school.thread(letter.thread_id)) == 1
    assert await school.outcomes() == ["gone"]


# What it is


async def test_an_automatic_reply_raises_no_reply_event(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive(
        "a1", sender=AROHA, conversation=letter.conversation, headers=[("auto-submitted", "auto-replied (vacation)")]
    )
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert reply.kind is Kind.AUTOMATIC
    assert await school.told() == ["reply.automatic"]


async def test_a_bounce_stands_in_the_thread_and_turns_its_letter(school: School) -> None:
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items()
    await school.pull()
    school.arrive(
        "b1",
        sender="postmaster@school.example",
        conversation=letter.conversation,
        message_class="REPORT.IPM.Note.NDR",
    )
    await school.sweep()
    (report,) = await school.thread(letter.thread_id)
    assert report.kind is Kind.BOUNCE
    assert (await school.store.read(outbox.get, school.account_id, letter.id)).state == "bounced"
    people = await school.store.read(threads.participants, letter.thread_id)
    assert [one.address for one in people] == [AROHA]


async def test_attachments_are_listed_also_when_all_are_inline(school: School) -> None:
    letter = await school.write_to(AROHA)
    body = Body(content_type=BodyType.HTML, content='<img src="cid:logo">')
    school.arrive("r1", sender=AROHA, conversation=letter.conversation, body=body)
    school.mail.attachments["r1"] = [
        AttachmentInfo(
            id="att",
            name="logo.png",
            content_type="image/png",
            size=9,
            is_inline=True,
            content_id="logo",
            kind=AttachmentKind.FILE,
        )
    ]
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert [one.name for one in reply.attachments] == ["logo.png"]
