"""The page of the review tray, by somebody without script."""

import re
from datetime import timedelta
from typing import Any

import pytest

from storage import messages, threads
from storage.api_keys import Scope
from storage.messages import Placement
from storage.threads import Address, Object, ObjectType
from tests.http.scene import Scene
from tests.pages.desk import STUDENT, Desk, letter, reply, thread_of

PAGE = "/reviews"
STRANGER = Address(name="A stranger", address="stranger@elsewhere.example")
EVIDENCE = {"reason": "stranger_in_conversation", "sender_is_participant": False}
HOSTILE = '"><script>alert(1)</script>'


async def held(scene: Scene, answered: str, **changes: Any) -> str:
    return await reply(
        scene, answered, **({"placement": Placement.HELD, "sender": STRANGER, "evidence": EVIDENCE} | changes)
    )


async def placement(scene: Scene, message_id: str) -> tuple[str, str]:
    message = await scene.store.read(messages.get, scene.account_id, message_id)
    return message.placement, message.thread_id


async def test_an_empty_tray_says_so(desk: Desk) -> None:
    page = (await desk.open(PAGE)).text
    assert "Nothing waits for review" in page
    assert '<a href="/reviews" aria-current="page">Review</a>' in page


async def test_what_waits_is_shown_with_the_reason_and_where_it_may_belong(desk: Desk, scene: Scene) -> None:
    posted = await letter(scene)
    await held(scene, posted, new_text="May I come, too?\nhttps://school.example/x", body="quoted and all")
    page = (await desk.open(PAGE)).text
    for words in (
        "A stranger",
        "stranger@elsewhere.example",
        "its sender does not take part in the thread",
        "May I come, too?",
        "student S1001",
        f'href="/objects/student/S1001/events/threads/{await thread_of(scene, posted)}"',
    ):
        assert words in page
    assert "quoted and all" not in page


async def test_nothing_that_a_stranger_wrote_is_markup(desk: Desk, scene: Scene) -> None:
    sender = Address(name=HOSTILE, address="x@elsewhere.example")
    posted = await letter(scene, subject=f"S {HOSTILE}")
    await held(scene, posted, subject=HOSTILE, body=HOSTILE, sender=sender)
    page = (await desk.open(PAGE)).text
    assert "<script>" not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5


async def test_accepting_says_who_and_where_and_is_taken_back(desk: Desk, scene: Scene) -> None:
    posted = await letter(scene)
    message_id = await held(scene, posted)
    thread_id = await thread_of(scene, posted)
    await desk.open(PAGE)
    await desk.send("/reviews/accept", id=message_id, by="Jane Doe")
    assert await placement(scene, message_id) == (Placement.PLACED, thread_id)
    assert "was accepted and stands in the thread" in desk.text
    assert "You decide as" in desk.text
    act_id = re.findall(r'action="/reviews/undo">.*?name="id" value="(act_\w+)"', desk.text)[0]
    await desk.send("/reviews/undo", id=act_id, by="Jane Doe")
    assert await placement(scene, message_id) == (Placement.HELD, thread_id)
    assert "is where it was" in desk.text
    assert "undone by" in desk.text
    scene.clock.advance(timedelta(hours=1))
    later = (await desk.open(f"{PAGE}?act={act_id}")).text
    assert "You decide as" not in later, "whoever opens that page later says who they are"


async def test_it_is_accepted_into_another_thread_of_the_record_or_into_a_new_one(desk: Desk, scene: Scene) -> None:
    posted, other = await letter(scene), await letter(scene, subject="Your timetable")
    await letter(scene, subject="Somebody else’s", objects=(Object(type=ObjectType.STUDENT, id="S2"),))
    first, second = await held(scene, posted), await held(scene, posted, subject="A new matter")
    page = (await desk.open(PAGE)).text
    other_thread = await thread_of(scene, other)
    assert f'<option value="{other_thread}">Your timetable' in page
    assert "Somebody else" not in page.split("<option", 1)[1].split("</select>")[0]
    await desk.send("/reviews/accept", id=first, thread=other_thread, by="Jane Doe")
    assert await placement(scene, first) == (Placement.PLACED, other_thread)
    await desk.send("/reviews/accept", id=second, thread="new", by="Jane Doe")
    _, new_thread = await placement(scene, second)
    assert await scene.store.read(threads.objects_of, new_thread) == [STUDENT]
    assert (await scene.store.read(threads.get, scene.account_id, new_thread)).subject == "A new matter"


async def test_a_dismissed_message_is_gone_from_the_tray_of_its_record(desk: Desk, scene: Scene) -> None:
    message_id = await held(scene, await letter(scene))
    await held(scene, await letter(scene, objects=(Object(type=ObjectType.CLASS, id="A/1 b"),)), subject="Other")
    page = (await desk.open(f"{PAGE}?type=student&id=S1001")).text
    assert (page.count('class="card review"'), "Other" in page) == (1, False)
    await desk.send("/reviews/dismiss", id=message_id, by="Jane Doe", type="student", of="S1001")
    assert str(desk.page.url).split("?")[1].startswith("type=student&id=S1001&act=act_")
    assert "was dismissed" in desk.text
    assert "Nothing waits for review" in desk.text
    assert 'class="card review"' in (await desk.open(f"{PAGE}?type=class&id=A/1 b")).text
    for wrong in ("type=pupil&id=1", "type=student", "id=S1"):
        assert (await desk.open(f"{PAGE}?{wrong}")).status_code == 404


async def test_who_comes_second_is_told_who_was_first(desk: Desk, scene: Scene) -> None:
    message_id = await held(scene, await letter(scene))
    await desk.open(PAGE)
    page = desk.page
    await desk.send("/reviews/accept", id=message_id, by="Jane Doe")
    desk.page = page
    answer = await desk.send("/reviews/dismiss", id=message_id, by="John Roe")
    assert answer.status_code == 409
    assert "Jane Doe accepted it already." in answer.text


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "Jane\x00Doe"])
async def test_nobody_decides_without_a_name(desk: Desk, scene: Scene, name: str) -> None:
    message_id = await held(scene, await letter(scene))
    await desk.open(PAGE)
    answer = await desk.send("/reviews/accept", id=message_id, by=name)
    assert (answer.status_code, "enter your name" in answer.text) == (422, True)
    assert (await placement(scene, message_id))[0] == Placement.HELD


async def test_a_key_that_reads_sees_the_tray_and_decides_nothing(stranger: Desk, scene: Scene) -> None:
    message_id = await held(scene, await letter(scene))
    await stranger.sign_in(Scope.READ)
    page = (await stranger.open(PAGE)).text
    assert "Your key reads only" in page
    assert 'action="/reviews/' not in page
    assert (await stranger.send("/reviews/dismiss", id=message_id, by="Jane Doe")).status_code == 403
    assert (await placement(scene, message_id))[0] == Placement.HELD
    await stranger.sign_in(Scope.SETTINGS)
    assert (await stranger.open(PAGE)).status_code == 403


async def test_another_accounts_tray_is_its_own(desk: Desk, scene: Scene) -> None:
    message_id = await held(scene, await letter(scene))
    await desk.sign_in(account_id=await scene.new_account("Another school"))
    assert "Nothing waits for review" in (await desk.open(PAGE)).text
    assert (await desk.send("/reviews/accept", id=message_id, by="Jane Doe")).status_code in (403, 404)
    assert (await placement(scene, message_id))[0] == Placement.HELD


async def test_a_long_tray_is_turned_page_by_page(desk: Desk, scene: Scene) -> None:
    posted = await letter(scene)
    for number in range(21):
        await held(scene, posted, subject=f"Mail {number}", graph_id=f"g{number}")
    first = (await desk.open(PAGE)).text
    assert first.count('class="card review"') == 20
    older = re.search(r'href="(/reviews\?before=[^"]+)"', first)
    assert older is not None
    second = (await desk.open(older[1].replace("&amp;", "&"))).text
    assert (second.count('class="card review"'), "Mail 0" in second) == (1, True)
