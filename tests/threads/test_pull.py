"""What a pull makes of the mail in the watched folders."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.connections import NotConnected
from gateway.graph import (
    AttachmentInfo,
    AttachmentKind,
    BadRequest,
    Body,
    BodyType,
    ForeignUrl,
    Gone,
    Throttled,
    Unavailable,
    UnexpectedAnswer,
)
from gateway.threads.pull import Puller
from storage import Transaction, folders, messages, outbox, threads
from storage.folders import WellKnown
from storage.messages import Kind, Placement
from tests.fakes.mail import FakeMail
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, STRANGER, SWEEP, TANE, School

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
    found = {reply.graph_id: reply.direction for reply in await school.thread(letter.thread_id)}
    assert found == {"early": "in", "late": "in", "by staff": "out"}


async def test_unrelated_mail_is_counted_and_its_body_never_read(school: School) -> None:
    await school.write_to(AROHA)
    school.arrive("u1", sender=STRANGER, conversation="theirs", answers=["<other@elsewhere.example>"])
    school.arrive("u2", sender=AROHA, conversation="hers")
    await school.pull()
    assert await school.stored() == []
    assert (await school.folder()).unrelated == 2
    assert school.mail.read_whole == []


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


async def test_the_same_mail_in_two_of_our_mailboxes_is_one_message(school: School) -> None:
    letter = await school.write_to(AROHA)
    for mailbox, id in ((ADMISSIONS, "in admissions"), (OFFICE, "in office")):
        school.arrive(
            id,
            at=mailbox,
            sender=AROHA,
            conversation=letter.conversation if mailbox == ADMISSIONS else "at office",
            answers=[letter.message_id],
            message_id="<same@student.example>",
        )
    await school.pull()
    (reply,) = await school.thread(letter.thread_id)
    assert reply.mailbox_id == school.mailbox_ids[ADMISSIONS]
    assert (await school.told()).count("reply.received") == 1 or reply.graph_id == "in admissions"


async def test_two_mails_that_share_a_message_id_by_fault_are_both_kept(school: School) -> None:
    letter = await school.write_to(AROHA)
    for text in ("one", "two"):
        school.arrive(
            text, sender=AROHA, conversation=letter.conversation, message_id="<same@student.example>", text=text
        )
    await school.pull()
    assert [one.body for one in await school.thread(letter.thread_id)] == ["one", "two"]


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


# Hints


async def test_hints_are_closed_by_what_the_delta_shows(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.arrive("u1", sender=STRANGER, conversation="theirs")
    for graph_id in ("r1", "r1", "u1"):
        await school.hint(graph_id)
    await school.pull()
    assert await school.outcomes() == ["stored", "stored", "not_ours"]


async def test_a_hint_that_overtook_its_mail_waits_for_it(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.hidden.add("r1")
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.hint("r1")
    await school.pull()
    assert await school.outcomes() == [None]
    school.mail.hidden.clear()  # the delta has passed it over for good
    school.clock.advance(timedelta(seconds=2))
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 1
    assert await school.outcomes() == ["stored"]


async def test_a_hint_whose_mail_never_shows_up_is_closed_after_a_while(school: School) -> None:
    await school.hint("never there")
    pulls = 0
    for _ in range(301):
        pulls += await school.pull()
        school.clock.advance(timedelta(seconds=1))
    await school.sweep()
    assert await school.outcomes() == ["gone"]
    assert pulls < 20, "the waits must grow"


async def test_a_hint_of_a_deletion_is_believed_when_the_mail_is_not_there(school: School) -> None:
    await school.hint("gone", change_type="deleted")
    await school.pull()
    assert await school.outcomes() == ["gone"]


async def test_a_hint_that_comes_while_its_folder_is_pulled_makes_it_due_again(school: School) -> None:
    letter = await school.write_to(AROHA)
    claimed = await school.store.write(
        folders.claim_due,
        owner="this one",
        now=school.clock.now(),
        lease_ends_at=school.clock.now() + timedelta(minutes=5),
        limit=10,
    )
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.hint("r1")
    for folder in claimed:
        await school.store.write(
            folders.pulled,
            folder,
            owner="this one",
            next_pull_at=school.clock.now() + SWEEP,
            now=school.clock.now(),
        )
    assert await school.pull() == 1
    assert len(await school.thread(letter.thread_id)) == 1


async def test_a_folder_in_another_pullers_hands_is_left_alone(school: School) -> None:
    await school.store.write(
        folders.claim_due,
        owner="another one",
        now=school.clock.now(),
        lease_ends_at=school.clock.now() + timedelta(minutes=5),
        limit=10,
    )
    assert await school.pull() == 0
    school.clock.advance(timedelta(minutes=5))
    assert await school.pull() == 4


# Trouble


async def test_a_dead_delta_link_starts_the_folder_again_without_doubles(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.mail.forget_tokens()
    school.arrive("r2", sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["r1", "r2"]
    assert (await school.folder()).problem is None


@pytest.mark.parametrize("error", [ForeignUrl(), BadRequest(status=400), Gone(status=410)])
async def test_a_link_that_cannot_be_followed_starts_the_folder_again(school: School, error: Exception) -> None:
    await school.pull()
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.mail.trouble = [error]
    await school.hint("r1")
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 1


async def test_the_window_of_a_folder_begun_again_reaches_back_beyond_its_last_pull(school: School) -> None:
    since = (await school.folder()).watch_since
    await school.pull()
    school.clock.advance(timedelta(days=3))
    await school.pull()
    last_pull = school.clock.now()
    school.clock.advance(timedelta(days=3))
    school.mail.forget_tokens()
    await school.pull()
    assert (await school.folder()).watch_since == last_pull - timedelta(days=1) > since


async def test_pages_are_kept_one_by_one(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.page_size = 2
    for number in range(5):
        school.arrive(f"r{number}", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 5


async def test_after_an_interrupted_round_the_next_pull_goes_on_from_the_last_page(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.mail.page_size = 2
    for number in range(5):
        school.arrive(f"r{number}", sender=AROHA, conversation=letter.conversation)
    school.mail.trouble = [None, Unavailable(status=503)]
    await school.hint("r0")
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 2
    asked_before = school.mail.deltas
    school.clock.advance(timedelta(seconds=10))
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 5
    assert school.mail.deltas == asked_before + 2


@pytest.mark.parametrize(
    "error", [UnexpectedAnswer("a list where an object should be"), Unavailable(status=500), BadRequest(status=400)]
)
async def test_one_mail_that_cannot_be_read_keeps_no_other_and_is_tried_again(
    school: School, error: UnexpectedAnswer
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("bad", sender=AROHA, conversation=letter.conversation)
    school.arrive("good", sender=AROHA, conversation=letter.conversation)
    school.mail.poisoned["bad"] = error
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["good"]
    assert await school.pull() == 0, "it must wait"
    school.mail.poisoned.clear()
    await school.sweep()
    assert {one.graph_id for one in await school.thread(letter.thread_id)} == {"good", "bad"}
    assert (await school.folder()).failures == 0


async def test_an_item_of_a_page_that_is_not_understood_is_read_by_its_id(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("odd", sender=AROHA, conversation=letter.conversation)
    school.mail.unreadable = ["odd"]
    await school.pull()
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["odd"]


async def test_a_mail_that_cannot_be_stored_keeps_no_other(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("bad", sender=AROHA, conversation=letter.conversation, text="half a pair \ud800")
    school.arrive("good", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["good"]
    assert await school.outcomes() == [None]


async def test_failures_wait_longer_each_time_and_say_plainly_what_is_wrong(school: School) -> None:
    waits = []
    for _ in range(8):
        school.mail.trouble = [Unavailable(status=503, code="serviceNotAvailable")] * 4
        assert await school.pull() == 4
        folder = await school.folder()
        waits.append((folder.next_pull_at - school.clock.now()).total_seconds())
        school.clock.advance(folder.next_pull_at - school.clock.now())
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert folder.problem == "Microsoft 365 cannot read this folder now. (code serviceNotAvailable)"
    await school.pull()
    assert (await school.folder()).failures == 0


async def test_graph_is_not_asked_before_the_time_it_named(school: School) -> None:
    school.mail.trouble = [Throttled(status=429, retry_after=timedelta(minutes=25))] * 4
    await school.pull()
    school.clock.advance(timedelta(minutes=24))
    assert await school.pull() == 0
    school.clock.advance(timedelta(minutes=1))
    assert await school.pull() == 4


class NobodyIsConnected:
    async def graph(self, account_id: str) -> FakeMail:
        raise NotConnected(account_id)


async def test_an_account_that_is_not_connected_says_so_on_its_folders(school: School) -> None:
    puller = Puller(school.store, NobodyIsConnected(), school.clock, owner="this one", sweep_interval=SWEEP)
    assert await puller.run_due() == 4
    assert "not connected" in ((await school.folder()).problem or "")


# For ever


def folders_in_hand(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM folders WHERE lease_owner IS NOT NULL").fetchone()[0])


async def test_the_loop_wakes_for_a_hint_for_its_tick_and_for_the_time(school: School) -> None:
    letter = await school.write_to(AROHA)
    tick = asyncio.Event()
    with school.store.watching("events") as told:
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(school.puller.run(tick))
            school.arrive("r1", sender=AROHA, conversation=letter.conversation)
            await school.hint("r1")
            await told.wait()
            told.clear()
            while await school.store.read(folders_in_hand) or school.clock.sleepers == 0:
                pass
            school.arrive("r2", sender=AROHA, conversation=letter.conversation)
            school.clock.advance(SWEEP)
            await told.wait()
            loop.cancel()
    assert len(await school.thread(letter.thread_id)) == 2


async def test_the_sent_folder_is_pulled_like_the_inbox(school: School) -> None:
    await school.pull()
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items()
    await school.hint(letter.graph_id, folder=WellKnown.SENT_ITEMS)
    await school.pull()
    assert await school.outcomes() == ["stored"]
    stored = await school.store.read(messages.get, school.account_id, letter.id)
    assert stored.status == "sent"
