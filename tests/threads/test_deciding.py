"""What people decide about where a mail belongs: what follows from it, and how it is taken back."""

from typing import Any

import pytest

from gateway.sending.accept import accept as accept_letter
from gateway.sending.posted import NewLetter
from gateway.threads import deciding
from gateway.threads.deciding import Into
from storage import Conflict, NotFound, Transaction, accounts, audit, mailboxes, messages, placements, threads
from storage.acts import Act
from storage.audit import Actor, Via
from storage.messages import BodyType, Message, Placement
from storage.threads import Object, ObjectType
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, STRANGER, TANE, Letter, School

JANE = Actor(via=Via.SYSTEM, staff="Jane Doe")
JOHN = Actor(via=Via.SYSTEM, staff="John Roe")
TANES = Object(type=ObjectType.STUDENT, id=TANE)


class Staff:
    """People at work in a school."""

    def __init__(self, school: School) -> None:
        self.school = school

    async def held(self, letter: Letter, **fields: Any) -> str:
        """A stranger's mail that names a letter, and waits for review; its message id."""
        fields = {"sender": STRANGER, "conversation": "theirs", "answers": [letter.message_id]} | fields
        return await self.arrived(**fields)

    async def arrived(self, id: str = "s1", **fields: Any) -> str:
        self.school.arrive(id, **fields)
        await self.school.sweep()
        return next(one.id for one in await self.school.stored() if one.graph_id == id)

    async def do(self, what: Any, *given: Any, by: Actor = JANE, **more: Any) -> Act:
        now = self.school.clock.now()
        act: Act = await self.school.store.write(what, self.school.account_id, *given, by=by, now=now, **more)
        return act

    async def message(self, message_id: str) -> Message:
        return await self.school.store.read(messages.get, self.school.account_id, message_id)

    async def people(self, letter: Letter) -> set[str]:
        return {one.address for one in await self.school.store.read(threads.participants, letter.thread_id)}

    async def owner(self, conversation: str, mailbox: str = ADMISSIONS) -> str | None:
        return await self.school.store.read(threads.by_conversation, self.school.mailbox_ids[mailbox], conversation)


@pytest.fixture
def staff(school: School) -> Staff:
    return Staff(school)


async def test_an_accepted_mail_stands_in_its_thread_and_only_now_the_host_hears_of_a_reply(
    school: School, staff: Staff
) -> None:
    letter = await school.write_to(AROHA)
    held = await staff.held(letter)
    assert await school.told() == ["review.opened"]
    await staff.do(deciding.accept, held)
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["s1"]
    assert await school.told() == ["review.opened", "review.accepted", "reply.received"]
    thread = await school.store.read(threads.get, school.account_id, letter.thread_id)
    assert (thread.message_count, thread.unanswered) == (2, True)


async def test_what_follows_an_accepted_mail_joins_and_what_came_before_it_is_fetched(
    school: School, staff: Staff
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("early", sender=STRANGER, conversation="theirs")
    await school.sweep()
    held = await staff.held(letter)
    await staff.do(deciding.accept, held)
    school.arrive("late", sender=STRANGER, conversation="theirs")
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["s1", "late"]
    assert await staff.owner("theirs") == letter.thread_id


async def test_undoing_an_acceptance_leaves_nothing_of_what_it_taught(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    held = await staff.held(letter)
    act = await staff.do(deciding.accept, held)
    await staff.do(deciding.undo, act.id)
    assert (await staff.message(held)).placement is Placement.HELD
    assert (await staff.people(letter), await staff.owner("theirs")) == ({AROHA}, None)
    assert (await school.told())[-2:] == ["message.unlinked", "review.opened"]
    await staff.do(deciding.accept, held)
    assert (await school.told()).count("reply.received") == 1, "of a reply the host hears once"


async def test_undoing_keeps_what_others_bear_out(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    act = await staff.do(deciding.accept, await staff.held(letter))
    await staff.arrived("s2", sender=STRANGER, conversation="theirs")
    await staff.do(deciding.undo, act.id)
    assert await staff.people(letter) == {AROHA, STRANGER}
    assert await staff.owner("theirs") == letter.thread_id


async def test_a_mail_is_accepted_into_another_thread_whose_conversation_it_was_not(
    school: School, staff: Staff
) -> None:
    letter, other = await school.write_to(AROHA), await school.write_to(TANE)
    held = await staff.held(letter, conversation=letter.conversation, answers=[])
    act = await staff.do(deciding.accept, held, into=Into(thread_id=other.thread_id))
    assert (act.before.thread_id, act.after.thread_id) == (letter.thread_id, other.thread_id)
    assert [one.graph_id for one in await school.thread(other.thread_id)] == ["s1"]
    assert await staff.owner(letter.conversation) == letter.thread_id, "a conversation that is another's stays"
    assert (await staff.people(letter), await staff.people(other)) == ({AROHA}, {TANE, STRANGER})


async def test_a_mail_that_belongs_to_no_thread_begins_one(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    held = await staff.held(letter)
    act = await staff.do(deciding.accept, held, into=Into(objects=(TANES,)))
    assert [one.graph_id for one in await school.thread(act.after.thread_id)] == ["s1"]
    assert await school.store.read(threads.objects_of, act.after.thread_id) == [TANES]
    assert await staff.owner("theirs") == act.after.thread_id

    async def tab() -> list[str]:
        found = await school.store.read(threads.of_object, school.account_id, TANES, limit=10)
        return [one.id for one in found]

    assert await tab() == [act.after.thread_id]
    await staff.do(deciding.undo, act.id)
    assert await tab() == [], "a thread that was emptied is no longer shown"
    assert (await school.store.read(threads.get, school.account_id, act.after.thread_id)).message_count == 0


async def test_a_dismissed_mail_is_gone_until_that_is_undone(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    held = await staff.held(letter)
    act = await staff.do(deciding.dismiss, held)
    school.mail.say_again()
    await school.sweep()
    assert await school.thread(letter.thread_id) == []
    assert await school.store.read(placements.held, school.account_id, limit=10) == []
    await staff.do(deciding.undo, act.id)
    assert [one.id for one in await school.store.read(placements.held, school.account_id, limit=10)] == [held]
    assert await school.told() == ["review.opened", "review.dismissed", "review.opened"]


async def test_a_moved_mail_takes_its_sender_along_but_not_a_conversation_that_holds_more(
    school: School, staff: Staff
) -> None:
    letter, other = await school.write_to(AROHA), await school.write_to(TANE)
    mother = "mother@home.example"
    reply = await staff.arrived(sender=mother, conversation=letter.conversation, answers=[letter.message_id])
    act = await staff.do(deciding.move, reply, other.thread_id)
    assert [one.graph_id for one in await school.thread(other.thread_id)] == ["s1"]
    assert (await staff.people(letter), await staff.people(other)) == ({AROHA}, {TANE, mother})
    assert await staff.owner(letter.conversation) == letter.thread_id
    assert (await school.told())[-2:] == ["thread.updated", "message.moved"]
    await staff.do(deciding.undo, act.id)
    assert (await staff.people(letter), await staff.people(other)) == ({AROHA, mother}, {TANE})
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["s1"]


async def test_a_conversation_that_came_with_a_mail_goes_with_it(school: School, staff: Staff) -> None:
    letter, other = await school.write_to(AROHA), await school.write_to(AROHA)
    reply = await staff.arrived(sender=AROHA, conversation="new", answers=[letter.message_id])
    act = await staff.do(deciding.move, reply, other.thread_id)
    assert await staff.owner("new") == other.thread_id
    await staff.arrived("next", sender=AROHA, conversation="new")
    assert [one.graph_id for one in await school.thread(other.thread_id)] == ["s1", "next"]
    await staff.do(deciding.undo, act.id)
    assert await staff.owner("new") == other.thread_id, "something else of it is there by now"


@pytest.mark.parametrize(("for_good", "placement"), [(False, "held"), (True, "dismissed")])
async def test_a_mail_that_is_taken_out_of_its_thread_brings_nothing_after_it(
    school: School, staff: Staff, for_good: bool, placement: str
) -> None:
    letter = await school.write_to(AROHA)
    mother = "mother@home.example"
    reply = await staff.arrived(sender=mother, conversation=letter.conversation, answers=[letter.message_id])
    act = await staff.do(deciding.unlink, reply, for_good=for_good)
    assert (await staff.message(reply)).placement == placement
    assert (await school.thread(letter.thread_id), await staff.people(letter)) == ([], {AROHA})
    school.mail.say_again()
    await school.sweep()
    assert await school.thread(letter.thread_id) == []
    await staff.do(deciding.undo, act.id)
    assert (await staff.message(reply)).placement is Placement.PLACED
    assert await staff.people(letter) == {AROHA, mother}


# Copies, and two students


@pytest.mark.parametrize("decision", ["moved", "taken out", "dismissed"])
async def test_a_copy_that_comes_later_does_not_overrule_a_person(school: School, staff: Staff, decision: str) -> None:
    letter, other = await school.write_to(AROHA), await school.write_to(AROHA)
    copy = {"sender": AROHA, "answers": [letter.message_id], "message_id": "<same@student.example>"}
    reply = await staff.arrived(at=OFFICE, conversation="at office", **copy)
    if decision == "moved":
        await staff.do(deciding.move, reply, other.thread_id)
    else:
        await staff.do(deciding.unlink, reply, for_good=decision == "dismissed")
    before = await staff.message(reply)
    school.arrive("copy", conversation=letter.conversation, **copy)
    await school.sweep()
    (stored,) = await school.stored()
    assert (stored.id, stored.thread_id, stored.placement) == (reply, before.thread_id, before.placement)


@pytest.mark.parametrize("undone", [False, True])
async def test_what_staff_sent_themselves_and_somebody_dismissed_is_not_placed_by_its_sent_copy(
    school: School, staff: Staff, undone: bool
) -> None:
    letter = await school.write_to(AROHA)
    copy = {"sender": ADMISSIONS, "conversation": letter.conversation, "message_id": "<same@school.example>"}
    held = await staff.arrived(to=[ADMISSIONS], **copy)
    act = await staff.do(deciding.dismiss, held)
    if undone:
        await staff.do(deciding.undo, act.id)
    before = (await staff.message(held)).placement
    school.arrive("sent", folder="sentitems", to=[AROHA, STRANGER], **copy)
    await school.sweep()
    assert [(one.id, one.placement) for one in await school.stored()] == [(held, before)]
    assert await staff.people(letter) == {AROHA}


async def test_a_second_student_in_cc_answers_but_takes_no_part(school: School, staff: Staff) -> None:
    letter, theirs = await school.write_to(AROHA), await school.write_to(TANE)
    await staff.arrived("cc", sender=AROHA, conversation=letter.conversation, answers=[letter.message_id], to=[TANE])
    assert await staff.people(letter) == {AROHA}
    await staff.arrived("all", sender=TANE, conversation=letter.conversation, answers=[letter.message_id])
    await staff.arrived("own", sender=TANE, conversation=theirs.conversation)
    await staff.arrived("later", sender=TANE, conversation=letter.conversation)
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["cc", "all"]
    assert [one.graph_id for one in await school.thread(theirs.thread_id)] == ["own"]
    assert (await staff.people(letter), await staff.people(theirs)) == ({AROHA}, {TANE})
    waiting = await school.store.read(placements.held, school.account_id, limit=10)
    assert [one.graph_id for one in waiting] == ["later"]
    await staff.do(deciding.accept, waiting[0].id)
    assert await staff.people(letter) == {AROHA}, "nor does a person's word merge two students"


async def test_a_second_student_whom_staff_copy_in_from_outlook_takes_no_part(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    await school.write_to(TANE)
    await staff.arrived(
        folder="sentitems", sender=ADMISSIONS, conversation=letter.conversation, to=[AROHA, TANE, "uncle@home.example"]
    )
    assert await staff.people(letter) == {AROHA, "uncle@home.example"}


async def test_a_mail_copied_into_two_students_conversations_stands_in_both_and_merges_nothing(
    school: School, staff: Staff
) -> None:
    first, second = await school.write_to(AROHA), await school.write_to(TANE, sender=OFFICE)
    copy = {"sender": STRANGER, "message_id": "<same@elsewhere.example>"}
    await staff.arrived("in first", conversation=first.conversation, answers=[first.message_id], **copy)
    await staff.arrived("in second", at=OFFICE, conversation=second.conversation, answers=[second.message_id], **copy)
    for letter, graph_id in ((first, "in first"), (second, "in second")):
        assert [one.graph_id for one in await school.thread(letter.thread_id)] == [graph_id]


async def test_a_mail_that_answers_letters_to_two_students_waits_for_a_person(school: School, staff: Staff) -> None:
    first, second = await school.write_to(AROHA), await school.write_to(TANE)
    await staff.arrived(sender=AROHA, conversation="new", answers=[first.message_id, second.message_id])
    (held,) = await school.store.read(placements.held, school.account_id, limit=10)
    assert held.evidence is not None
    assert held.evidence["reason"] == "witnesses_disagree"
    assert await staff.owner("new") is None


# Two people at once


async def test_of_two_people_the_first_decides_and_asking_again_is_no_second_act(school: School, staff: Staff) -> None:
    held = await staff.held(await school.write_to(AROHA))
    act = await staff.do(deciding.accept, held)
    assert await staff.do(deciding.accept, held) == act
    for what in (deciding.accept, deciding.dismiss):
        with pytest.raises(Conflict, match=r"^Jane Doe accepted it already\.$"):
            await staff.do(what, held, by=JOHN)
    assert len(await school.store.read(audit.newest, school.account_id, limit=10)) == 1
    undone = await staff.do(deciding.undo, act.id)
    assert await staff.do(deciding.undo, act.id) == undone
    with pytest.raises(Conflict, match=r"^Jane Doe has undone it already\.$"):
        await staff.do(deciding.undo, act.id, by=JOHN)


async def test_an_act_is_not_undone_under_another_that_came_after_it(school: School, staff: Staff) -> None:
    letter, other = await school.write_to(AROHA), await school.write_to(AROHA)
    held = await staff.held(letter)
    accepted = await staff.do(deciding.accept, held)
    moved = await staff.do(deciding.move, held, other.thread_id, by=JOHN)
    with pytest.raises(Conflict, match=r"^John Roe moved it to another thread since: undo that first\.$"):
        await staff.do(deciding.undo, accepted.id)
    await staff.do(deciding.undo, moved.id)
    await staff.do(deciding.undo, accepted.id)
    assert (await staff.message(held)).placement is Placement.HELD


async def test_what_was_answered_since_is_not_undone(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    held = await staff.held(letter)
    act = await staff.do(deciding.accept, held)
    answer = NewLetter(
        sender=ADMISSIONS,
        to=(),
        subject="",
        body_type=BodyType.TEXT,
        body="Thank you",
        objects=(),
        in_reply_to=held,
    )
    await school.store.write(accept_letter, school.account_id, answer, idempotency_key=None, now=school.clock.now())
    with pytest.raises(Conflict, match="answered since"):
        await staff.do(deciding.undo, act.id)


async def test_only_what_can_be_decided_is(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    reply = await staff.arrived(sender=AROHA, conversation=letter.conversation)
    with pytest.raises(Conflict, match="does not wait for review"):
        await staff.do(deciding.accept, reply)
    with pytest.raises(Conflict, match="stands in that thread already"):
        await staff.do(deciding.move, reply, letter.thread_id)
    with pytest.raises(Conflict, match="A letter of SELMA’s stays in its thread"):
        await staff.do(deciding.move, letter.id, letter.thread_id)
    with pytest.raises(NotFound):
        await staff.do(deciding.move, reply, "thr_none")
    held = await staff.held(letter, id="s2")
    with pytest.raises(Conflict, match="waits for review: accept or dismiss it"):
        await staff.do(deciding.unlink, held)


async def test_another_accounts_threads_and_mail_are_not_there(school: School, staff: Staff) -> None:
    held = await staff.held(await school.write_to(AROHA))
    elsewhere = await school.store.write(_another_school, now=school.clock.now())
    with pytest.raises(NotFound):
        await staff.do(deciding.accept, held, into=Into(thread_id=elsewhere[1]))
    act = await staff.do(deciding.dismiss, held)
    for what, id in ((deciding.accept, held), (deciding.undo, act.id)):
        with pytest.raises(NotFound):
            await school.store.write(what, elsewhere[0], id, by=JANE, now=school.clock.now())


def _another_school(tx: Transaction, *, now: Any) -> tuple[str, str]:
    account = accounts.add(tx, "Another school", now=now)
    mailbox = mailboxes.add(tx, account.id, ADMISSIONS, now=now)
    return account.id, threads.create(tx, account.id, mailbox.id, subject="Theirs", now=now)


# Seen too early


async def test_mail_that_was_seen_before_its_sender_was_known_joins_when_they_are(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    mother = "mother@home.example"
    await staff.arrived("first", sender=mother, conversation=letter.conversation)
    dismissed = await staff.arrived("no", sender=mother, conversation=letter.conversation)
    await staff.do(deciding.dismiss, dismissed)
    assert await school.thread(letter.thread_id) == []
    await staff.arrived("second", sender=mother, conversation=letter.conversation, answers=[letter.message_id])
    found = await school.thread(letter.thread_id)
    assert [one.graph_id for one in found] == ["first", "second"]
    assert found[0].evidence is not None
    assert (found[0].evidence["reason"], found[0].evidence["sender_is_participant"]) == ("conversation", True)
    assert (await school.told()).count("reply.received") == 2


async def test_an_answer_to_what_staff_wrote_in_outlook_may_be_seen_first(school: School, staff: Staff) -> None:
    letter = await school.write_to(AROHA)
    uncle = "uncle@home.example"
    await staff.arrived("answer", sender=uncle, conversation=letter.conversation)
    school.arrive("written", folder="sentitems", sender=ADMISSIONS, conversation=letter.conversation, to=[uncle])
    await school.sweep()
    assert {one.graph_id for one in await school.thread(letter.thread_id)} == {"answer", "written"}
    assert "reply.received" in await school.told()
