"""Mail of our conversations that lies in no watched folder: found by asking for the conversations."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, BadRequest, CredentialRefused, Throttled
from gateway.threads.elsewhere import ALIVE, CONVERSATIONS, ELSEWHERE, SOON, Elsewhere, whose_turn
from gateway.threads.pull import Puller
from storage import Transaction, folders, mailboxes
from tests.fakes.mail import FakeMail
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, STRANGER, SWEEP, TANE, School, open_school

HOUR = timedelta(hours=1)


@pytest.fixture
def elsewhere(school: School) -> Elsewhere:
    return Elsewhere(school.store, school.mail, school.clock, interval=HOUR)


def hints_of_ours(tx: Transaction) -> list[str]:
    rows = tx.execute("SELECT message_id FROM hints WHERE change_type = ? ORDER BY id", (ELSEWHERE,))
    return [row["message_id"] for row in rows]


async def look(school: School, elsewhere: Elsewhere) -> int:
    """Another round, and the pull that follows."""
    school.clock.advance(HOUR)
    found = await elsewhere.run_due()
    await school.pull()
    return found


@pytest.mark.parametrize("folder", ["junkemail", "archive", "a folder of a rule's"])
async def test_a_reply_in_another_folder_comes_into_its_thread_and_is_told_once(
    school: School, elsewhere: Elsewhere, folder: str
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("reply", folder=folder, sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    assert await school.stored() == []
    assert [await look(school, elsewhere) for _ in range(3)] == [1, 0, 0]
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["reply"]
    assert (await school.told()).count("reply.received") == 1


async def test_a_stranger_elsewhere_in_our_conversation_is_held_as_in_the_inbox(
    school: School, elsewhere: Elsewhere
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("spam", folder="junkemail", sender=STRANGER, conversation=letter.conversation)
    await look(school, elsewhere)
    assert [one.placement for one in await school.stored()] == ["held"]


async def test_who_claims_in_junk_to_be_our_mailbox_is_not_taken_for_it(school: School, elsewhere: Elsewhere) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("forged", folder="junkemail", sender=ADMISSIONS, conversation=letter.conversation, to=[AROHA])
    await look(school, elsewhere)
    assert [(one.direction, one.placement) for one in await school.stored()] == [("in", "held")]


async def test_drafts_and_what_was_deleted_and_what_is_known_are_left_alone(
    school: School, elsewhere: Elsewhere
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("known", sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    school.arrive("draft", folder="drafts", sender=ADMISSIONS, conversation=letter.conversation, is_draft=True)
    school.arrive("deleted", folder="deleteditems", sender=AROHA, conversation=letter.conversation)
    assert await look(school, elsewhere) == 0
    assert await school.store.read(hints_of_ours) == []


async def test_a_copy_of_what_is_stored_is_read_once_a_day_at_most(school: School, elsewhere: Elsewhere) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("reply", sender=AROHA, conversation=letter.conversation, message_id="<one@mail.example>")
    await school.sweep()
    school.arrive(
        "copy", folder="archive", sender=AROHA, conversation=letter.conversation, message_id="<one@mail.example>"
    )
    assert [await look(school, elsewhere) for _ in range(3)] == [1, 0, 0]
    assert school.mail.read_whole.count("copy") == 1
    assert len(await school.stored()) == 1


async def test_what_staff_wrote_and_the_delta_never_showed_is_found_in_sent_items(
    school: School, elsewhere: Elsewhere
) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.arrive("by hand", folder="sentitems", sender=ADMISSIONS, conversation=letter.conversation, to=[AROHA])
    school.mail.folder(ADMISSIONS, "sentitems").log.remove("by hand")
    await look(school, elsewhere)
    assert [(one.graph_id, one.direction) for one in await school.stored()] == [("by hand", "out")]


async def test_a_letter_on_its_way_through_the_outbox_folder_is_not_taken_for_mail(
    school: School, elsewhere: Elsewhere
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive(
        "passing",
        folder="outbox",
        sender=ADMISSIONS,
        conversation=letter.conversation,
        message_id=letter.message_id,
        to=[AROHA],
    )
    await look(school, elsewhere)
    assert await school.stored() == []


async def test_only_conversations_that_are_alive_are_asked_for_newest_first(
    school: School, elsewhere: Elsewhere
) -> None:
    await school.write_to(AROHA, conversation="old")
    school.clock.advance(ALIVE)
    await school.write_to(AROHA, conversation="older")
    school.clock.advance(HOUR)
    await school.write_to(TANE, conversation="newer")
    await elsewhere.run_due()
    assert school.mail.searched == ["newer", "older"]


async def test_mail_from_before_a_mailbox_was_watched_comes_into_its_thread(
    school: School, elsewhere: Elsewhere
) -> None:
    early = school.arrive("early", sender=AROHA, conversation="conv")
    letter = await school.write_to(AROHA, conversation="conv")
    [inbox, _] = await school.store.read(folders.of_mailbox, school.mailbox_ids[ADMISSIONS])
    await school.store.write(folders.restart, inbox.id, school.clock.now() + HOUR)
    await school.pull()
    assert await school.stored() == []
    await look(school, elsewhere)
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == [early.id]


async def test_it_looks_once_in_an_interval(school: School, elsewhere: Elsewhere) -> None:
    await school.write_to(AROHA)
    for minutes, searches in ((0, 1), (59, 1), (1, 2)):
        school.clock.advance(timedelta(minutes=minutes))
        await elsewhere.run_due()
        assert len(school.mail.searched) == searches


async def test_a_mailbox_that_is_not_validated_is_not_asked(school: School, elsewhere: Elsewhere) -> None:
    await school.write_to(AROHA, sender=OFFICE)
    await school.store.write(mailboxes.mark_removed, school.mailbox_ids[OFFICE])
    await elsewhere.run_due()
    assert school.mail.searched == []


async def test_a_conversation_that_graph_will_not_search_keeps_none_of_the_others(
    school: School, elsewhere: Elsewhere
) -> None:
    letter = await school.write_to(AROHA, conversation="good")
    await school.write_to(AROHA, conversation="bad")
    school.arrive("reply", folder="junkemail", sender=AROHA, conversation="good")
    school.mail.unsearchable["bad"] = BadRequest(status=400, code="ErrorInvalidIdMalformed")
    await look(school, elsewhere)
    assert len(await school.thread(letter.thread_id)) == 1


@pytest.mark.parametrize("trouble", [Throttled(status=429), CredentialRefused("The secret has expired.")])
async def test_after_trouble_that_passes_it_looks_again_soon_and_keeps_what_it_found(
    school: School, elsewhere: Elsewhere, trouble: Exception
) -> None:
    for name in ("third", "second", "first"):
        await school.write_to(AROHA, conversation=name)
        school.arrive(f"in {name}", folder="junkemail", sender=AROHA, conversation=name)
    school.mail.unsearchable["third"] = trouble
    assert await look(school, elsewhere) == 0
    assert len(await school.stored()) == 2
    school.mail.unsearchable.clear()
    school.clock.advance(SOON)
    assert await elsewhere.run_due() == 1


@pytest.mark.parametrize("trouble", [AccessDenied(status=403, code="ErrorAccessDenied"), LookupError("ours")])
async def test_a_mailbox_that_we_may_not_read_or_stumble_over_does_not_keep_the_others(
    school: School, elsewhere: Elsewhere, trouble: Exception
) -> None:
    letter = await school.write_to(AROHA, sender=OFFICE)
    await school.write_to(AROHA)
    school.arrive("reply", at=OFFICE, folder="junkemail", sender=AROHA, conversation=letter.conversation)
    school.mail.closed[ADMISSIONS] = trouble
    assert await look(school, elsewhere) == 1
    school.clock.advance(SOON)
    await elsewhere.run_due()
    assert school.mail.searched == [letter.conversation]


async def test_an_account_that_is_not_connected_is_let_be(school: School) -> None:
    class Nobody(FakeMail):
        async def graph(self, account_id: str) -> FakeMail:
            raise NotConnected(account_id)

    await school.write_to(AROHA)
    assert await Elsewhere(school.store, Nobody(), school.clock, interval=HOUR).run_due() == 0


async def test_what_was_found_is_pulled_by_a_gateway_that_starts_anew(tmp_path: Path) -> None:
    async with open_school(tmp_path / "gateway.db") as school:
        letter = await school.write_to(AROHA)
        school.arrive("reply", folder="junkemail", sender=AROHA, conversation=letter.conversation)
        await Elsewhere(school.store, school.mail, school.clock, interval=HOUR).run_due()
        another = Puller(school.store, school.mail, school.clock, owner="another", sweep_interval=SWEEP)
        await another.run_due()
        assert len(await school.thread(letter.thread_id)) == 1


async def test_running_it_looks_at_every_tick_and_wakes_the_puller(school: School, elsewhere: Elsewhere) -> None:
    letter = await school.write_to(AROHA)
    tick = asyncio.Event()
    with school.store.watching("folders") as due:
        async with asyncio.timeout(10), asyncio.TaskGroup() as group:
            running = group.create_task(elsewhere.run(tick))
            for name in ("first", "second"):
                school.arrive(name, folder="junkemail", sender=AROHA, conversation=letter.conversation)
                school.clock.advance(HOUR)
                tick.set()
                await due.wait()
                due.clear()
            running.cancel()
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["first", "second"]


def test_where_all_fit_into_a_round_all_are_asked_for() -> None:
    alive = [str(number) for number in range(CONVERSATIONS)]
    assert whose_turn(alive, round_number=7) == alive


def test_where_they_are_too_many_the_newest_are_always_asked_for_and_the_others_in_turn() -> None:
    alive = [str(number) for number in range(1_050)]
    rounds = [whose_turn(alive, round_number=number) for number in range(1_000, 1_010)]
    assert all(one[:100] == alive[:100] and len(one) == len(set(one)) == 200 for one in rounds)
    assert {conversation for one in rounds for conversation in one} == set(alive)


def test_where_few_do_not_fit_none_is_asked_for_twice_in_a_round() -> None:
    alive = [str(number) for number in range(CONVERSATIONS + 1)]
    assert len(whose_turn(alive, round_number=1)) == CONVERSATIONS
