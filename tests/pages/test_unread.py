"""What is new to whom, on the page."""

import re

import pytest

from storage.messages import Direction
from tests.http.scene import Scene
from tests.pages.desk import TAB, Desk, letter, reply, thread_of


async def named(desk: Desk, name: str = "Jane Doe") -> None:
    await desk.open(TAB)
    await desk.send(f"{TAB}/name", staff=name)


def unread(page: str) -> dict[str, int]:
    """How many messages each thread says are unread, by its subject."""
    threads = re.findall(r'<h2 [^>]*>([^<]*)</h2>\s*(?:<span class="chip new">(\d+) unread)?', page)
    return {subject: int(number or 0) for subject, number in threads}


async def test_what_is_new_is_marked_until_the_page_was_opened(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await named(desk)
    await reply(scene, sent)
    await reply(scene, sent)
    page = (await desk.open(TAB)).text
    assert unread(page) == {"Your enrolment": 2}
    assert page.index("Kia ora</div>") < page.index('class="new-line"') < page.index("Thank you</div>")
    assert unread((await desk.open(TAB)).text) == {"Your enrolment": 0}
    assert 'class="new-line"' not in desk.text


async def test_a_thread_that_stays_closed_stays_unread(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene, subject="First")
    await reply(scene, sent)
    await letter(scene, subject="Second")
    await named(desk)
    assert unread((await desk.open(TAB)).text) == {"Second": 0, "First": 1}
    await desk.open(f"{TAB}/threads/{await thread_of(scene, sent)}")
    assert unread((await desk.open(TAB)).text) == {"Second": 0, "First": 0}


async def test_the_part_that_the_script_fetches_and_a_mere_look_mark_nothing(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await named(desk)
    await reply(scene, sent)
    await desk.open(f"{TAB}/threads/{await thread_of(scene, sent)}/part")
    await desk.browser.head(TAB)
    assert unread((await desk.open(TAB)).text) == {"Your enrolment": 1}


async def test_two_members_of_staff_read_each_for_themselves(desk: Desk, scene: Scene) -> None:
    await reply(scene, await letter(scene))
    await named(desk, "Jane Doe")
    await named(desk, "Tom Ariki")
    assert "You are <b>Tom Ariki</b>" in desk.text
    assert unread(desk.text) == {"Your enrolment": 1}


async def test_a_thread_put_aside_stays_closed_until_it_is_opened_on_purpose(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent)
    thread = await thread_of(scene, sent)
    await named(desk)
    await desk.send(f"{TAB}/threads/{thread}/unread")
    for _ in range(2):
        page = (await desk.open(TAB)).text
        assert unread(page) == {"Your enrolment": 1}
        assert "Thank you</div>" not in page
    await desk.open(f"{TAB}/threads/{thread}")
    assert "Thank you</div>" in (await desk.open(TAB)).text


async def test_the_script_marks_as_far_as_its_page_showed(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene, subject="First")
    await reply(scene, sent)
    await letter(scene, subject="Second")
    await named(desk)
    thread = await thread_of(scene, sent)
    part = (await desk.open(f"{TAB}/threads/{thread}/part")).text
    seq = re.findall(r'data-seq="(\d+)"', part)[0]
    await reply(scene, sent)
    said = await desk.send(f"{TAB}/threads/{thread}/read", {"accept": "application/json"}, seq=seq)
    assert said.status_code == 204
    assert unread((await desk.open(f"{TAB}/threads/{thread}")).text)["First"] == 1


async def test_without_a_name_nothing_is_marked(desk: Desk, scene: Scene) -> None:
    await reply(scene, await letter(scene))
    page = (await desk.open(TAB)).text
    assert "unread" not in page.replace("data-", "")
    thread = re.findall(r'<article class="thread[^"]*" id="([^"]+)"', page)[0]
    assert (await desk.send(f"{TAB}/threads/{thread}/unread")).status_code == 409


@pytest.mark.parametrize("name", ["", " ", "x" * 201, "a\x07b"])
async def test_a_name_is_one_that_can_be_shown(desk: Desk, scene: Scene, name: str) -> None:
    await desk.open(TAB)
    assert (await desk.send(f"{TAB}/name", staff=name)).status_code == 422


async def test_all_threads_of_a_page_can_be_opened_at_once(desk: Desk, scene: Scene) -> None:
    for number in range(3):
        await letter(scene, subject=f"Letter {number}", body=f"<p>body {number}</p>")
    page = (await desk.open(f"{TAB}?open=all")).text
    assert [number for number in range(3) if f"<div>body {number}</div>" in page] == [0, 1, 2]


async def test_new_messages_of_a_long_thread_are_not_folded(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    for _ in range(3):
        await reply(scene, sent)
    await named(desk)
    await desk.open(TAB)
    for _ in range(6):
        await reply(scene, sent)
    page = (await desk.open(TAB)).text
    folds = re.findall(r'<article class="message.*?<details( open)?>', page, re.DOTALL)
    assert folds == [""] * 4 + [" open"] * 6


async def test_mail_of_ours_is_never_new(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent, direction=Direction.OUT)
    await named(desk)
    assert unread(desk.text) == {"Your enrolment": 0}
