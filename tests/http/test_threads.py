"""`/v1/threads` and `/v1/objects`: reading the correspondence."""

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from storage import Transaction, messages, threads
from storage.ids import new_id
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address
from tests.http.scene import MAILBOX, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem

AROHA = Address(name="Aroha Ngata", address="aroha@student.example")


def _reply(tx: Transaction, scene: Scene, thread_id: str, placement: Placement) -> str:
    thread = threads.get(tx, scene.account_id, thread_id)
    now = scene.clock.now()
    message = Message(
        id=new_id("msg", now),
        account_id=scene.account_id,
        mailbox_id=thread.mailbox_id,
        thread_id=thread_id,
        direction=Direction.IN,
        kind=Kind.MAIL,
        placement=placement,
        graph_id=f"AAMk-{thread_id}-{placement}",
        conversation_id="AAQk",
        internet_message_id="<1@student.example>",
        subject="Re: Your enrolment",
        sender=AROHA,
        recipients=Recipients(to=(Address(name=None, address=MAILBOX),)),
        body_type=BodyType.HTML,
        body="<p>Thank you</p><script>alert(1)</script>",
        preview="Thank you",
        attachments=(),
        evidence={"conversation": True},
        created_by=None,
        message_at=now,
        created_at=now,
    )
    messages.insert(tx, message)
    threads.summarise(tx, thread_id)
    return message.id


async def post(scene: Scene, api: httpx.AsyncClient, **changes: Any) -> str:
    """A letter, a second after whatever came before; its thread."""
    scene.clock.advance(timedelta(seconds=1))
    answer = await api.post("/v1/messages", json=a_letter(**changes))
    assert answer.status_code == 202, answer.text
    thread_id: str = answer.json()["thread_id"]
    return thread_id


async def reply(scene: Scene, thread_id: str, placement: Placement = Placement.PLACED) -> str:
    scene.clock.advance(timedelta(seconds=1))
    return await scene.store.write(_reply, scene, thread_id, placement)


async def whole_list(api: httpx.AsyncClient, path: str, limit: int, **query: str) -> list[dict[str, Any]]:
    """All items of a list, page by page."""
    found: list[dict[str, Any]] = []
    after: dict[str, str] = {}
    while True:
        page = (await api.get(path, params={"limit": str(limit)} | query | after)).json()
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        after = {"after": page["next"]}


async def test_a_thread_shows_letter_and_reply_in_order(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    await reply(scene, thread_id)
    thread = (await api.get(f"/v1/threads/{thread_id}")).json()
    letter, answer = thread["messages"]
    assert (thread["mailbox"], thread["message_count"], thread["unanswered"]) == (MAILBOX, 2, True)
    assert thread["participants"] == [{"name": AROHA.name, "address": AROHA.address}]
    assert (letter["direction"], letter["status"], letter["created_by"]) == ("out", "queued", "Jane Doe")
    assert (answer["direction"], answer["from"]) == ("in", {"name": AROHA.name, "address": AROHA.address})
    assert answer["received_at"] == "2026-03-02T09:00:02Z"
    assert "script" not in answer["html"]


async def test_a_reply_is_shown_by_itself_too(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    shown = (await api.get(f"/v1/messages/{await reply(scene, thread_id)}")).json()
    assert (shown["direction"], shown["thread_id"], shown["status"]) == ("in", thread_id, None)
    assert (shown["importance"], shown["metadata"]) == (None, None)


async def test_what_is_held_for_review_is_nowhere_to_be_seen(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    held = await reply(scene, thread_id, Placement.HELD)
    assert_problem(await api.get(f"/v1/messages/{held}"), 404, "not-found")
    assert len((await api.get(f"/v1/threads/{thread_id}")).json()["messages"]) == 1
    assert len((await api.get("/v1/objects/student/S1001/events")).json()["items"]) == 1


async def test_threads_are_listed_newest_first_page_by_page(scene: Scene, api: httpx.AsyncClient) -> None:
    posted = [await post(scene, api, subject=f"Letter {number}") for number in range(5)]
    await reply(scene, posted[1])
    expected = [posted[1], posted[4], posted[3], posted[2], posted[0]]
    assert [one["id"] for one in await whole_list(api, "/v1/threads", 2)] == expected
    assert [one["id"] for one in await whole_list(api, "/v1/objects/student/S1001/threads", 3)] == expected
    assert (await api.get("/v1/threads?limit=5")).json()["next"] is None


async def test_an_objects_events_are_one_list_over_its_threads(scene: Scene, api: httpx.AsyncClient) -> None:
    first, second = await post(scene, api, subject="One"), await post(scene, api, subject="Two")
    await reply(scene, first)
    entries = await whole_list(api, "/v1/objects/enrolment/E77/events", 2)
    assert [(one["thread_id"], one["direction"]) for one in entries] == [(first, "in"), (second, "out"), (first, "out")]
    assert (entries[0]["body"], entries[0]["from"]["address"]) == ("<p>Thank you</p>", AROHA.address)


@pytest.mark.parametrize("object_id", ["2026/S1/77", "a b", "ā", "x/threads", "%2F", "E 1?x=y#z"])
async def test_an_object_is_found_by_any_id_that_was_taken(
    scene: Scene, api: httpx.AsyncClient, object_id: str
) -> None:
    thread_id = await post(scene, api, objects=[{"type": "class", "id": object_id}])
    for list_name, name in (("threads", "id"), ("events", "thread_id")):
        page = await api.get(f"/v1/objects/class/{quote(object_id, safe='')}/{list_name}")
        assert [one[name] for one in page.json()["items"]] == [thread_id]


async def test_an_object_that_no_letter_is_about_has_an_empty_list(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/objects/student/S9/threads")).json() == {"items": [], "next": None}
    assert (await api.get("/v1/objects/student/S9/events")).json() == {"items": [], "next": None}


async def test_an_object_of_an_unknown_type_is_named(api: httpx.AsyncClient) -> None:
    for name in ("threads", "events"):
        assert_bad_values(await api.get(f"/v1/objects/pupil/S1/{name}"), "/type", where="path")


@pytest.mark.parametrize("after", ["x", "", "WzFd", "WyJ4IiwieCJd", "bnVsbA", "WzFlOTksIngiXQ", "x" * 501, "*", "ā"])
@pytest.mark.parametrize("path", ["/v1/threads", "/v1/messages", "/v1/objects/student/S1001/events"])
async def test_a_cursor_that_no_page_gave_is_refused(api: httpx.AsyncClient, path: str, after: str) -> None:
    assert_bad_values(await api.get(path, params={"after": after}), "/after", where="query")


@pytest.mark.parametrize(("query", "name"), [("limit=0", "limit"), ("limit=101", "limit"), ("page=2", "page")])
async def test_a_bad_page_is_named(api: httpx.AsyncClient, query: str, name: str) -> None:
    assert_bad_values(await api.get(f"/v1/threads?{query}"), f"/{name}", where="query")
