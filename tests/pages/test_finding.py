"""Searching a record's letters and replies on its Events tab."""

import re
from urllib.parse import urlencode

from storage.messages import Placement
from storage.threads import Object, ObjectType
from tests.http.scene import Scene
from tests.pages.desk import TAB, Desk, letter, reply, thread_of


def found(page: str) -> list[str]:
    """The subjects, in order."""
    return re.findall(r"<h2 [^>]*><a [^>]*>([^<]*)</a>", page)


async def test_the_words_are_marked_where_they_are_and_lead_to_their_message(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene, subject="Fees for 2027", body="<p>Please pay by Friday.</p>")
    await letter(scene, subject="Timetable")
    page = (await desk.open(f"{TAB}/search?q=friday")).text
    assert found(page) == ["Fees for 2027"]
    assert "pay by <mark>Friday</mark>" in page
    assert f'href="{TAB}/threads/{await thread_of(scene, sent)}#{sent}"' in page
    assert 'value="friday"' in page


async def test_another_records_letters_are_not_found(desk: Desk, scene: Scene) -> None:
    await letter(scene, subject="Fees", objects=(Object(type=ObjectType.STUDENT, id="S2002"),))
    assert "Nothing found" in (await desk.open(f"{TAB}/search?q=fees")).text


async def test_only_those_that_wait_for_an_answer(desk: Desk, scene: Scene) -> None:
    answered = await letter(scene, subject="First")
    await letter(scene, subject="Second")
    await reply(scene, answered)
    assert found((await desk.open(f"{TAB}/search?unanswered=1")).text) == ["First"]
    assert found((await desk.open(f"{TAB}/search?q=kia&unanswered=1")).text) == ["First"]


async def test_without_words_there_is_only_the_form(desk: Desk, scene: Scene) -> None:
    await letter(scene)
    page = (await desk.open(f"{TAB}/search")).text
    assert found(page) == []
    assert 'role="search"' in page


async def test_whatever_is_asked_is_no_markup(desk: Desk, scene: Scene) -> None:
    await letter(scene, subject="<b>Fees</b> & more")
    for words in ('"><script>alert(1)</script>', "<b>fees", '"', "\ue001", "*"):
        page = (await desk.open(f"{TAB}/search?{urlencode({'q': words})}")).text
        assert "<script>alert" not in page
        assert "<b>Fees" not in page


async def test_the_next_page_goes_on_where_this_one_ended(desk: Desk, scene: Scene) -> None:
    for number in range(22):
        await letter(scene, subject=f"Letter {number}")
    first = (await desk.open(f"{TAB}/search?q=letter")).text
    [older] = re.findall(r'<a href="([^"]*)" rel="next">Older</a>', first)
    second = (await desk.open(older.replace("&amp;", "&"))).text
    assert len(found(first)) == 20
    assert sorted(found(first) + found(second)) == sorted(f"Letter {number}" for number in range(22))
    assert "Newest</a>" in second


async def test_what_is_held_for_review_is_not_found_and_the_tab_leads_to_the_tray(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent, placement=Placement.HELD)
    assert '<a href="/reviews?type=student&amp;id=S1001">Review</a>' in (await desk.open(TAB)).text
