"""A conversation that is linked brings its history by the ordinary pull."""

from datetime import timedelta

import pytest

from gateway.threads.linking import Linking
from storage import events, folders
from storage.threads import Object, ObjectType
from tests.threads.conftest import ADMISSIONS, AROHA, STRANGER, TANE, School

STUDENT = Object(type=ObjectType.STUDENT, id="S1001")


@pytest.fixture
def linking(school: School) -> Linking:
    return Linking(school.store, school.mail, school.clock)


async def test_all_its_mail_is_stored_also_what_came_long_before_and_what_lies_elsewhere(
    school: School, linking: Linking
) -> None:
    school.arrive("r1", sender=AROHA, conversation="theirs")
    school.arrive("junk", sender=AROHA, conversation="theirs", folder="junkemail")
    school.arrive("s1", sender=ADMISSIONS, conversation="theirs", folder="sentitems", to=[AROHA, TANE])
    school.arrive("bin", sender=AROHA, conversation="theirs", folder="deleteditems")
    school.arrive("u1", sender=STRANGER, conversation="another")
    await school.pull()
    assert await school.stored() == []
    school.clock.advance(timedelta(days=60))
    thread_id = await linking.link(school.account_id, ADMISSIONS, [STUDENT], conversation_id="theirs")
    await school.pull()
    assert {one.graph_id for one in await school.thread(thread_id)} == {"r1", "s1", "junk"}


async def test_what_comes_into_it_from_now_on_is_ours_and_a_stranger_in_it_is_still_held(
    school: School, linking: Linking
) -> None:
    school.arrive("r1", sender=AROHA, conversation="theirs")
    await school.pull()
    thread_id = await linking.link(school.account_id, ADMISSIONS, [STUDENT], conversation_id="theirs")
    school.arrive("r2", sender=AROHA, conversation="theirs")
    school.arrive("r3", sender=STRANGER, conversation="theirs")
    await school.sweep()
    assert {one.graph_id for one in await school.thread(thread_id)} == {"r1", "r2"}
    assert {one.graph_id: one.placement.value for one in await school.stored()}["r3"] == "held"


async def test_selma_is_told_and_nothing_of_the_mail_is_in_it(school: School, linking: Linking) -> None:
    school.arrive("r1", sender=AROHA, conversation="theirs")
    thread_id = await linking.link(school.account_id, ADMISSIONS, [STUDENT], conversation_id="theirs")
    found = await school.store.read(events.after, school.account_id, 0, limit=100)
    (told,) = [one for one in found if one.type == "thread.linked"]
    assert (told.thread_id, told.data) == (thread_id, {"mails": 1})


async def test_a_folder_with_history_to_fetch_is_due_at_once(school: School, linking: Linking) -> None:
    school.arrive("r1", sender=AROHA, conversation="theirs")
    await school.pull()
    with school.store.watching("folders") as due:
        await linking.link(school.account_id, ADMISSIONS, [STUDENT], conversation_id="theirs")
        assert due.is_set()
    assert (await school.folder()).next_pull_at <= school.clock.now()
    assert await school.store.read(folders.next_due, now=school.clock.now()) is not None
