"""What Microsoft 365 has of our conversations, against what is here."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from gateway.connections import NotConnected
from gateway.graph import GraphError, Message, Unavailable
from gateway.threads.completeness import (
    CHORE,
    EVERY,
    SETTLED_AFTER,
    CompletenessCheck,
    check_soon,
    is_due,
    next_night,
)
from storage import Transaction, chores, completeness, events
from storage.completeness import Check, Missing
from tests.threads.conftest import ADMISSIONS, AROHA, OFFICE, STRANGER, School


@pytest.fixture
def check(school: School) -> CompletenessCheck:
    return CompletenessCheck(school.store, school.mail, school.clock)


async def of(school: School, mailbox: str = ADMISSIONS) -> Check:
    return await school.store.read(completeness.of_mailbox, school.mailbox_ids[mailbox])


async def missing(school: School) -> list[Missing]:
    return await school.store.read(completeness.missing, school.mailbox_ids[ADMISSIONS], limit=10)


async def told_of(school: School, event: str) -> list[dict[str, object]]:
    found = await school.store.read(events.after, school.account_id, 0, limit=100)
    return [one.data for one in found if one.type == event]


async def check_again(school: School, check: CompletenessCheck) -> Check:
    await school.store.write(check_soon, school.account_id, school.clock.now())
    await check.run_due()
    return await of(school)


async def lose(school: School, graph_id: str) -> None:
    """As if it had never been heard of: the delta is past it."""

    def work(tx: Transaction) -> None:
        tx.execute("DELETE FROM messages WHERE graph_id = :id", {"id": graph_id})

    await school.store.write(work)


async def test_where_all_is_here_nothing_is_missing_since_the_first_check(
    school: School, check: CompletenessCheck
) -> None:
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items()
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.clock.advance(SETTLED_AFTER)
    first = school.clock.now()
    assert await check.run_due() == 1
    school.clock.advance(EVERY)
    assert await check.run_due() == 1
    found = await of(school)
    assert (found.complete_since, found.checked_at) == (first, school.clock.now())
    assert (found.compared, found.missing) == (2, 0)


async def test_what_is_missing_is_told_and_then_brought_by_the_ordinary_pull(
    school: School, check: CompletenessCheck
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    await lose(school, "r1")
    school.clock.advance(SETTLED_AFTER)
    await check.run_due()
    found = await of(school)
    assert (found.compared, found.missing, found.complete_since) == (1, 1, None)
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["r1"]
    found = await check_again(school, check)
    assert (found.missing, found.complete_since) == (0, school.clock.now())


async def test_which_mails_are_missing_is_told_until_they_have_come(school: School, check: CompletenessCheck) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    came_at = school.clock.now()
    await school.pull()
    await lose(school, "r1")
    school.clock.advance(SETTLED_AFTER)
    first = school.clock.now()
    await check.run_due()
    school.clock.advance(timedelta(hours=1))
    await check_again(school, check)
    (told,) = await missing(school)
    assert (told.graph_id, told.came_at, told.missing_since) == ("r1", came_at, first)
    assert told.folder_id == (await school.folder()).id
    assert [data["missing"] for data in await told_of(school, "completeness.missing")] == [1, 1]
    await school.pull()
    assert await missing(school) == []


async def test_how_far_a_check_is_can_be_seen_while_it_runs(school: School, check: CompletenessCheck) -> None:
    for number in range(25):
        await school.write_to(f"student{number}@student.example", conversation=f"c{number:02}")
    seen: list[tuple[int | None, int | None]] = []
    find = school.mail.find_by_conversation

    async def look(user: str, conversation_id: str) -> list[Message]:
        if conversation_id in ("c00", "c24"):
            now = await of(school)
            seen.append((now.conversations_done, now.conversations))
        return await find(user, conversation_id)

    school.mail.find_by_conversation = look  # type: ignore[method-assign]
    await school.store.write(check_soon, school.account_id, school.clock.now())
    assert await school.store.read(is_due, school.account_id, school.clock.now())
    await check.run_due()
    assert seen == [(0, 25), (20, 25)]
    found = await of(school)
    assert (found.conversations_done, found.conversations) == (None, None)
    assert not await school.store.read(is_due, school.account_id, school.clock.now())


async def test_the_same_missing_mail_gets_one_hint(school: School, check: CompletenessCheck) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    await lose(school, "r1")
    school.clock.advance(SETTLED_AFTER)
    for _ in range(3):
        await check_again(school, check)
    assert await school.outcomes() == [None]


async def test_drafts_strangers_mail_other_folders_and_what_has_just_come_are_not_compared(
    school: School, check: CompletenessCheck
) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.arrive("old", sender=AROHA, conversation=letter.conversation, folder="archive")
    school.arrive("draft", sender=ADMISSIONS, conversation=letter.conversation, folder="sentitems", is_draft=True)
    school.arrive("theirs", sender=STRANGER, conversation="theirs")
    school.clock.advance(SETTLED_AFTER)
    school.arrive("new", sender=AROHA, conversation=letter.conversation)
    await check.run_due()
    assert (await of(school)).compared == 0


async def test_every_conversation_is_asked_for_however_many_there_are(school: School, check: CompletenessCheck) -> None:
    for number in range(45):
        letter = await school.write_to(f"student{number}@student.example")
        school.arrive(f"r{number}", sender=letter.student, conversation=letter.conversation)
    await school.pull()
    school.clock.advance(SETTLED_AFTER)
    await check.run_due()
    assert (await of(school)).compared == 45


async def test_what_has_been_quiet_for_long_is_not_asked_for(school: School, check: CompletenessCheck) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.clock.advance(timedelta(days=91))
    await check.run_due()
    assert (await of(school)).compared == 0


class Broken:
    """Microsoft 365 on a bad day, for one of two mailboxes."""

    def __init__(self, school: School, trouble: Exception) -> None:
        self.school = school
        self.trouble = trouble

    async def graph(self, account_id: str) -> "Broken":
        return self

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]:
        if user == ADMISSIONS:
            raise self.trouble
        return await self.school.mail.find_by_conversation(user, conversation_id)


@pytest.mark.parametrize("trouble", [Unavailable(status=503), NotConnected("Not connected."), ZeroDivisionError()])
async def test_a_check_that_breaks_off_claims_nothing_and_is_made_again_in_an_hour(
    school: School, trouble: GraphError
) -> None:
    await school.write_to(AROHA)
    await school.write_to(AROHA, sender=OFFICE)
    check = CompletenessCheck(school.store, Broken(school, trouble), school.clock)  # type: ignore[arg-type]
    await check.run_due()
    broken, well = await of(school), await of(school, OFFICE)
    assert (broken.checked_at, broken.complete_since) == (None, None)
    assert broken.problem
    assert (well.missing, well.problem) == (0, None)
    due_at = await school.store.read(chores.due_at, school.account_id, CHORE)
    assert due_at == school.clock.now() + timedelta(hours=1)


async def test_the_loop_wakes_for_a_person(school: School) -> None:
    mail = Asked(school)
    await school.write_to(AROHA)
    check = CompletenessCheck(school.store, mail, school.clock)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        loop = group.create_task(check.run(asyncio.Event()))
        for _ in range(2):
            await mail.asked.wait()
            mail.asked.clear()
            while await school.store.read(chores.due, CHORE, school.clock.now()):
                pass
            await school.store.write(check_soon, school.account_id, school.clock.now())
        await mail.asked.wait()
        loop.cancel()


class Asked:
    """Rings when a conversation is asked for."""

    def __init__(self, school: School) -> None:
        self.school = school
        self.asked = asyncio.Event()

    async def graph(self, account_id: str) -> "Asked":
        return self

    async def find_by_conversation(self, user: str, conversation_id: str) -> list[Message]:
        self.asked.set()
        return await self.school.mail.find_by_conversation(user, conversation_id)


@pytest.mark.parametrize(
    ("now", "zone", "due"),
    [
        ("2026-03-02T09:00", "UTC", "2026-03-03T03:00"),
        ("2026-03-02T01:00", "UTC", "2026-03-02T03:00"),
        ("2026-03-02T02:30", "UTC", "2026-03-03T03:00"),
        ("2026-03-02T09:00", "Pacific/Auckland", "2026-03-02T14:00"),
    ],
)
def test_the_check_is_made_at_three_in_the_schools_night(now: str, zone: str, due: str) -> None:
    assert next_night(datetime.fromisoformat(now).replace(tzinfo=UTC), zone) == datetime.fromisoformat(due).replace(
        tzinfo=UTC
    )
