"""One record's Events page in a frame of SELMA's: what a link opens, what it does not, and when it ends."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest

from gateway.http.pages.sessions import sign_ticket
from storage import api_keys, feeds
from storage.api_keys import Scope
from storage.messages import Direction
from storage.threads import Object, ObjectType
from tests.http.listening import listening, until_asleep
from tests.http.scene import Scene
from tests.http.shape import assert_bad_values, assert_problem
from tests.pages.desk import TAB, Desk, letter, reply, thread_of
from tests.pages.test_replying import SCRIPT, written_in

SELMA = "https://selma.school.example"
STUDENT = {"type": "student", "id": "S1001"}
OTHER = Object(type=ObjectType.STUDENT, id="S2")


@pytest.fixture
async def embedding(scene: Scene) -> Scene:
    return scene.with_settings(embed_hosts=(SELMA, "https://test.selma.example"), public_url="http://gateway.test")


@pytest.fixture
async def frame(embedding: Scene) -> AsyncIterator[Desk]:
    """A browser that keeps no cookies of ours and has nothing but the link."""
    async with embedding.client(key="") as browser:
        yield Desk(embedding, browser)


async def link(scene: Scene, key: str | None = None, **changes: Any) -> httpx.Response:
    async with scene.client(key) as selma:
        return await selma.post("/v1/embed-links", json={"object": STUDENT, "staff": "Jane Doe"} | changes)


async def path_to(scene: Scene, **changes: Any) -> str:
    answer = await link(scene, **changes)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["url"]).removeprefix("http://gateway.test")


async def test_a_link_opens_the_page_without_any_cookie(frame: Desk, embedding: Scene) -> None:
    await reply(embedding, await letter(embedding))
    page = await frame.open(await path_to(embedding))
    assert page.status_code == 200
    assert "<h1>Student S1001</h1>" in page.text
    assert "Kia ora</div>" in page.text
    assert "set-cookie" not in page.headers


async def test_the_page_has_no_way_out_of_the_record(frame: Desk, embedding: Scene) -> None:
    await letter(embedding)
    page = (await frame.open(await path_to(embedding))).text
    leads = re.findall(r'(?:href|action)="(/[^"]*)"', page)
    assert leads
    assert [one for one in leads if not one.startswith(("/embed/", "/static/"))] == []
    assert "Sign out" not in page


async def test_only_the_hosts_that_were_named_may_frame_it(frame: Desk, embedding: Scene) -> None:
    page = await frame.open(await path_to(embedding))
    policy = page.headers["content-security-policy"]
    assert policy.endswith(f"frame-ancestors {SELMA} https://test.selma.example")
    assert "x-frame-options" not in page.headers
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


async def test_pages_of_those_who_are_signed_in_may_still_not_be_framed(embedding: Scene) -> None:
    async with embedding.client(key="") as browser:
        desk = Desk(embedding, browser)
        await desk.sign_in()
        policy = (await desk.open(TAB)).headers["content-security-policy"]
        assert policy.endswith("frame-ancestors 'none'")


async def test_where_no_host_may_frame_it_the_answer_says_so(scene: Scene) -> None:
    answer = (await link(scene)).json()
    assert answer["embed_hosts"] == []
    assert "GATEWAY_EMBED_HOSTS" in answer["note"]
    async with scene.client(key="") as browser:
        page = await browser.get("/embed/" + answer["url"].partition("/embed/")[2])
    assert page.status_code == 200
    assert page.headers["content-security-policy"].endswith("frame-ancestors 'none'")


async def test_the_answer_says_until_when_the_link_can_be_opened(embedding: Scene) -> None:
    answer = (await link(embedding, expires_in=90)).json()
    assert answer["expires_at"] == "2026-03-02T09:01:30Z"
    assert (answer["embed_hosts"], answer["note"]) == ([SELMA, "https://test.selma.example"], None)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"expires_in": 29}, "/expires_in"),
        ({"expires_in": 43_201}, "/expires_in"),
        ({"staff": " "}, "/staff"),
        ({"staff": "a\nb"}, "/staff"),
        ({"object": {"type": "teacher", "id": "1"}}, "/object/type"),
        ({"object": {"type": "student", "id": ""}}, "/object/id"),
        ({"settings": True}, "/settings"),
    ],
)
async def test_a_link_is_for_a_record_a_person_and_a_while(
    embedding: Scene, change: dict[str, Any], pointer: str
) -> None:
    assert_bad_values(await link(embedding, **change), pointer)


async def test_a_link_can_do_no_more_than_the_key_that_made_it(embedding: Scene) -> None:
    reader = await embedding.new_key(Scope.READ)
    assert (await link(embedding, reader)).status_code == 201
    assert_problem(await link(embedding, reader, can_reply=True), 403, "missing-scope")


async def test_threads_of_other_records_are_not_there(frame: Desk, embedding: Scene) -> None:
    theirs = await letter(embedding, objects=(OTHER,))
    await reply(embedding, theirs, graph_id="AAMk2")
    thread, path = await thread_of(embedding, theirs), await path_to(embedding, can_reply=True)
    assert "Your enrolment" not in (await frame.open(path)).text
    assert (await frame.open(f"{path}/threads/{thread}")).status_code == 404
    assert (await frame.open(f"{path}/threads/{thread}/part")).status_code == 404
    fields = {"key": "k" * 20, "original": theirs, "text": "Kia ora", "letter": theirs}
    for act in ("replies", "cancel", "read", "unread"):
        assert (await frame.send(f"{path}/threads/{thread}/{act}", **fields)).status_code == 404


async def test_a_link_opens_nothing_else_of_the_gateway(frame: Desk, embedding: Scene) -> None:
    path = await path_to(embedding)
    token = path.split("/")[2]
    for other in ("/settings", TAB, "/objects"):
        assert (await frame.browser.get(other, headers={"cookie": f"selma_session={token}"})).status_code == 303
    assert (await frame.open(f"/sign-in?ticket={token}")).status_code == 401
    async with embedding.client(token) as api:
        assert (await api.get("/v1/threads")).status_code == 401


async def test_other_signed_things_open_no_frame(frame: Desk, embedding: Scene) -> None:
    key_id = await frame.sign_in()
    ticket = sign_ticket(embedding.services.session_key, key_id, now=embedding.clock.now())
    session = frame.browser.cookies["selma_session"]
    for token in (ticket, session, "x", "a.b.c"):
        assert (await frame.open(f"/embed/{token}/events")).status_code == 410


async def test_a_reply_is_sent_in_the_name_that_selma_gave(frame: Desk, embedding: Scene) -> None:
    sent = await letter(embedding)
    await reply(embedding, sent, graph_id="AAMk2")
    thread = await thread_of(embedding, sent)
    page = (await frame.open(await path_to(embedding, can_reply=True))).text
    assert 'name="staff"' not in page
    base = re.findall(r'data-base="([^"]+)"', page)[0]
    fields = {**written_in(page), "text": "Kia ora", "staff": "Somebody Else"}
    assert (await frame.send(f"{base}/threads/{thread}/replies", SCRIPT, **fields)).status_code == 200
    out = [one for one in await embedding.store.read(feeds.of_thread, thread) if one.direction is Direction.OUT]
    assert [one.created_by for one in out] == ["Jane Doe", "Jane Doe"]


async def test_without_leave_to_reply_there_is_no_form_and_none_is_taken(frame: Desk, embedding: Scene) -> None:
    sent = await letter(embedding)
    await reply(embedding, sent, graph_id="AAMk2")
    path = await path_to(embedding)
    assert "<textarea" not in (await frame.open(path)).text
    said = await frame.send(f"{path}/threads/{await thread_of(embedding, sent)}/replies", text="Kia ora")
    assert said.status_code == 403
    assert said.headers["content-security-policy"].endswith(f"{SELMA} https://test.selma.example")


async def test_what_was_read_in_the_frame_is_read_by_the_person_whom_it_was_made_for(
    frame: Desk, embedding: Scene
) -> None:
    await reply(embedding, await letter(embedding))
    assert "1 unread" in (await frame.open(await path_to(embedding))).text
    assert "1 unread" not in (await frame.open(await path_to(embedding, staff="jane  doe"))).text
    assert "1 unread" in (await frame.open(await path_to(embedding, staff="Tom Ariki"))).text


class TestHowLong:
    async def test_a_link_is_over_when_it_says_and_tells_so_within_the_frame(
        self, frame: Desk, embedding: Scene
    ) -> None:
        path = await path_to(embedding, expires_in=60)
        embedding.clock.advance(timedelta(seconds=60))
        page = await frame.open(path)
        assert page.status_code == 410
        assert "Reload the page of SELMA around it" in page.text
        assert page.headers["content-security-policy"].endswith(f"{SELMA} https://test.selma.example")
        assert 'href="/"' not in page.text

    async def test_an_open_page_goes_on_by_renewing_itself_and_ends_after_twelve_hours(
        self, frame: Desk, embedding: Scene
    ) -> None:
        base, began = await path_to(embedding, expires_in=60), embedding.clock.now()
        while True:
            answer = await frame.browser.post(f"{base}/renew", data={"form_token": ""})
            if answer.status_code != 200:
                break
            told = answer.json()
            base = told["base"]
            assert 0 < told["good_for_s"] <= 1800
            assert (await frame.open(base)).status_code == 200
            embedding.clock.advance(timedelta(seconds=max(told["good_for_s"] / 2, 1)))
        assert answer.status_code == 410
        lived = embedding.clock.now() - began
        assert timedelta(hours=11, minutes=59) < lived <= timedelta(hours=12, seconds=1)

    async def test_a_link_given_for_longer_is_not_cut_short_by_its_page(self, frame: Desk, embedding: Scene) -> None:
        path = await path_to(embedding, expires_in=7200)
        assert (await frame.browser.post(f"{path}/renew", data={"form_token": ""})).json()["good_for_s"] == 7200

    async def test_revoking_the_key_ends_every_page_and_stream_that_came_of_it(
        self, frame: Desk, embedding: Scene
    ) -> None:
        value = await embedding.new_key(Scope.READ)
        key = await embedding.store.read(api_keys.find, value)
        assert key is not None
        path = str((await link(embedding, value)).json()["url"]).removeprefix("http://gateway.test")
        async with listening(embedding.app, f"{path}/stream") as stream:
            await stream.next()
            await until_asleep(embedding.clock)
            await embedding.store.write(api_keys.revoke, embedding.account_id, key.id, now=embedding.clock.now())
            embedding.clock.advance(timedelta(seconds=15))
            await stream.over.wait()
        assert (await frame.open(path)).status_code == 410


async def test_a_frame_hears_of_its_record_and_of_no_other(embedding: Scene) -> None:
    path = await path_to(embedding)
    async with listening(embedding.app, f"{path}/stream") as stream:
        await stream.next()
        await until_asleep(embedding.clock)
        await letter(embedding, objects=(OTHER,))
        ours = await letter(embedding)
        told = orjson.loads((await stream.next_event())["data"])
        assert told["thread_id"] == await thread_of(embedding, ours)
