"""`/v1/reviews`, `/v1/acts`, a thread's objects and `/v1/audit`: what people decide, and what is kept of it."""

import asyncio
from typing import Any

import httpx
import pytest

from storage.api_keys import Scope
from storage.messages import Placement
from storage.threads import Address
from tests.http.scene import MAILBOX, Scene
from tests.http.shape import assert_bad_values, assert_problem
from tests.http.test_threads import post, whole_list
from tests.pages.desk import reply as arrive

STRANGER = Address(name="A stranger", address="stranger@elsewhere.example")
BY = {"by": "Jane Doe"}
EVIDENCE = {"reason": "stranger_with_references", "sender_is_participant": False, "letters": []}


async def letter_of(api: httpx.AsyncClient, thread_id: str) -> str:
    shown: dict[str, Any] = (await api.get(f"/v1/threads/{thread_id}")).json()
    return str(shown["messages"][0]["id"])


async def held(scene: Scene, api: httpx.AsyncClient, thread_id: str, **changes: Any) -> str:
    """A stranger's mail waits for review."""
    fields = {"placement": Placement.HELD, "sender": STRANGER, "evidence": EVIDENCE, "conversation_id": "theirs"}
    return await arrive(scene, await letter_of(api, thread_id), **(fields | changes))


async def told(api: httpx.AsyncClient) -> list[tuple[str, str]]:
    """Type and thread of what happened beside letters being accepted and mail that the test itself put there."""
    items = (await api.get("/v1/events?limit=1000")).json()["items"]
    return [(one["type"], one["thread_id"]) for one in items if one["type"] != "message.accepted"]


async def test_the_tray_shows_what_it_takes_to_decide(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    message_id = await held(scene, api, thread_id, body="x" * 9000, new_text="Is that so? " + "y" * 9000)
    (review,) = (await api.get("/v1/reviews")).json()["items"]
    assert (review["id"], review["reason"]) == (message_id, "stranger_with_references")
    assert review["explanation"].startswith("It names a letter of this thread, but came in another conversation")
    assert review["explanation"] == review["evidence"]["explanation"]
    assert (review["from"], review["mailbox"]) == ({"name": STRANGER.name, "address": STRANGER.address}, MAILBOX)
    assert review["text"].startswith("Is that so?")
    assert (len(review["text"]), review["text_is_cut"]) == (4000, True)
    assert review["thread"]["id"] == thread_id
    assert {one["type"] for one in review["thread"]["objects"]} == {"student", "enrolment"}


async def test_the_tray_is_read_page_by_page_and_by_record(scene: Scene, api: httpx.AsyncClient) -> None:
    mine = await post(scene, api)
    other = await post(scene, api, objects=[{"type": "student", "id": "S2"}])
    waiting = [await held(scene, api, thread_id) for thread_id in (mine, other, mine)]
    assert [one["id"] for one in await whole_list(api, "/v1/reviews", 2)] == list(reversed(waiting))
    of_one = (await api.get("/v1/reviews?type=student&id=S2")).json()["items"]
    assert [one["id"] for one in of_one] == [waiting[1]]
    assert_bad_values(await api.get("/v1/reviews?type=student"), "/id", where="query")


async def test_an_accepted_message_is_shown_with_who_accepted_it(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    message_id = await held(scene, api, thread_id)
    answer = await api.post(f"/v1/reviews/{message_id}/accept", json=BY)
    assert answer.status_code == 200, answer.text
    act = answer.json()
    assert (act["kind"], act["thread_id"], act["placement"], act["by"]) == ("accept", thread_id, "placed", "Jane Doe")
    shown = (await api.get(f"/v1/messages/{message_id}")).json()
    assert shown["evidence"]["decision"]["by"] == "Jane Doe"
    assert shown["evidence"]["explanation"].endswith("Jane Doe accepted it into this thread.")
    assert (await told(api))[-2:] == [("review.accepted", thread_id), ("reply.received", thread_id)]
    assert (await api.get("/v1/reviews")).json()["items"] == []


async def test_each_decision_can_be_asked_for_again_and_taken_back(scene: Scene, api: httpx.AsyncClient) -> None:
    mine, other = await post(scene, api), await post(scene, api)
    message_id = await held(scene, api, mine)
    for path, body in (
        (f"/v1/reviews/{message_id}/dismiss", BY),
        (f"/v1/reviews/{message_id}/accept", BY | {"objects": [{"type": "contact", "id": "C1"}]}),
        (f"/v1/reviews/{message_id}/accept", BY | {"thread_id": other}),
    ):
        done = await api.post(path, json=body)
        assert (done.status_code, (await api.post(path, json=body)).content) == (200, done.content)
        undo = f"/v1/acts/{done.json()['id']}/undo"
        undone = await api.post(undo, json=BY)
        assert (undone.json()["undone_by"], (await api.post(undo, json=BY)).content) == ("Jane Doe", undone.content)
        assert [one["id"] for one in (await api.get("/v1/reviews")).json()["items"]] == [message_id]
    await api.post(f"/v1/reviews/{message_id}/accept", json=BY)
    moved = await api.post(f"/v1/messages/{message_id}/move", json=BY | {"thread_id": other})
    assert (moved.json()["from_thread_id"], moved.json()["thread_id"]) == (mine, other)
    taken_out = await api.post(f"/v1/messages/{message_id}/unlink", json=BY | {"dismiss": True})
    assert taken_out.json()["placement"] == "dismissed"
    assert_problem(await api.get(f"/v1/messages/{message_id}"), 404, "not-found")
    assert_problem(await api.post(f"/v1/acts/{moved.json()['id']}/undo", json=BY), 409, "conflict")


async def test_of_two_who_decide_at_once_one_gets_a_sentence(scene: Scene, api: httpx.AsyncClient) -> None:
    message_id = await held(scene, api, await post(scene, api))
    answers = await asyncio.gather(
        api.post(f"/v1/reviews/{message_id}/accept", json={"by": "Jane Doe"}),
        api.post(f"/v1/reviews/{message_id}/dismiss", json={"by": "John Roe"}),
    )
    loser = next(one for one in answers if one.status_code != 200)
    assert sorted(one.status_code for one in answers) == [200, 409]
    assert assert_problem(loser, 409, "conflict")["detail"] in (
        "Jane Doe accepted it already.",
        "John Roe dismissed it already.",
    )


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({}, ["/by"]),
        ({"by": " "}, ["/by"]),
        ({"by": "Jane", "thread_id": "thr_1", "objects": [{"type": "student", "id": "S1"}]}, ["/objects"]),
        ({"by": "Jane", "objects": [{"type": "pupil", "id": "S1"}]}, ["/objects/0/type"]),
    ],
)
async def test_a_decision_is_a_persons_and_has_one_place(
    api: httpx.AsyncClient, body: dict[str, Any], pointers: list[str]
) -> None:
    assert_bad_values(await api.post("/v1/reviews/msg_1/accept", json=body), *pointers)


async def test_nobody_decides_about_another_accounts_mail(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    message_id = await held(scene, api, thread_id)
    act = (await api.post(f"/v1/reviews/{message_id}/accept", json=BY)).json()
    other = await scene.new_key(*Scope, account_id=await scene.new_account("Another school"))
    tried = {
        "/v1/reviews/{}/dismiss": (message_id, BY),
        "/v1/messages/{}/unlink": (message_id, BY),
        "/v1/messages/{}/move": (message_id, BY | {"thread_id": thread_id}),
        "/v1/acts/{}/undo": (act["id"], BY),
        "/v1/threads/{}/objects": (thread_id, {"type": "student", "id": "S2"}),
    }
    async with scene.client(other, **{"x-request-id": "same"}) as stranger:
        for path, (theirs, body) in tried.items():
            answers = [await stranger.post(path.format(one), json=body) for one in (theirs, "none")]
            assert answers[0].status_code == 404
            assert answers[0].content == answers[1].content
        assert (await stranger.delete(f"/v1/threads/{thread_id}/objects/student/S1001")).status_code == 404
        assert (await stranger.get("/v1/reviews")).json()["items"] == []
        assert [one["act"] for one in (await stranger.get("/v1/audit")).json()["items"]] == ["review.list"]
    found = (await api.get("/v1/audit")).json()["items"]
    assert [one["act"] for one in found if one["act"] in DECISIONS] == ["review.accept"]


# Objects


async def test_a_thread_is_shown_with_every_record_that_it_is_linked_to(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    path = f"/v1/threads/{thread_id}/objects"
    for _ in range(2):
        linked = await api.post(path, json={"type": "contact", "id": "C/1", "by": "Jane Doe"})
        assert len(linked.json()["objects"]) == 3
    for tab in ("enrolment/E77", "student/S1001", "contact/C%2F1"):
        assert [one["id"] for one in (await api.get(f"/v1/objects/{tab}/threads")).json()["items"]] == [thread_id]
        (entry,) = (await api.get(f"/v1/objects/{tab}/events")).json()["items"]
        assert (entry["thread_id"], entry["kind"], entry["subject"]) == (thread_id, "mail", "Your enrolment")
        assert (entry["body"], entry["created_by"]) == ("<p>Kia ora</p>", "Jane Doe")
    for _ in range(2):
        assert (await api.delete(f"{path}/contact/C%2F1?by=Jane")).status_code == 204
    assert (await api.get("/v1/objects/contact/C%2F1/threads")).json()["items"] == []
    assert [one for one in await told(api) if one[0].startswith("thread.")] == [
        ("thread.linked", thread_id),
        ("thread.unlinked", thread_id),
    ]


async def test_the_last_record_of_a_thread_stays(scene: Scene, api: httpx.AsyncClient) -> None:
    path = f"/v1/threads/{await post(scene, api)}/objects"
    assert (await api.delete(f"{path}/student/S1001")).status_code == 204
    problem = assert_problem(await api.delete(f"{path}/enrolment/E77"), 409, "conflict")
    assert "Link the thread to another one first" in problem["detail"]
    assert_bad_values(await api.delete(f"{path}/pupil/S1"), "/type", where="path")


# The audit log: what else is in it has a file of its own

DECISIONS = {f"review.{one}" for one in ("accept", "accept.undo", "dismiss")} | {
    f"{one}" for one in ("message.move", "message.unlink", "thread.link", "thread.unlink")
}


async def test_every_decision_is_audited_without_a_word_of_mail(scene: Scene, api: httpx.AsyncClient) -> None:
    mine, other = await post(scene, api), await post(scene, api)
    message_id = await held(scene, api, mine)
    act = (await api.post(f"/v1/reviews/{message_id}/accept", json=BY)).json()
    await api.post(f"/v1/acts/{act['id']}/undo", json={"by": "John Roe"})
    await api.post(f"/v1/reviews/{message_id}/accept", json=BY)
    await api.post(f"/v1/messages/{message_id}/move", json=BY | {"thread_id": other})
    await api.post(f"/v1/messages/{message_id}/unlink", json=BY)
    await api.post(f"/v1/reviews/{message_id}/dismiss", json=BY)
    await api.post(f"/v1/threads/{mine}/objects", json={"type": "student", "id": "S2"} | BY)
    await api.delete(f"/v1/threads/{mine}/objects/student/S2?by=Jane Doe")
    found = [one for one in await whole_list(api, "/v1/audit", 3) if one["act"] in DECISIONS]
    assert [one["act"] for one in reversed(found)] == [
        "review.accept",
        "review.accept.undo",
        "review.accept",
        "message.move",
        "message.unlink",
        "review.dismiss",
        "thread.link",
        "thread.unlink",
    ]
    first = found[-1]
    assert (first["via"], first["key_name"], first["by"], first["address"]) == ("api", "SELMA", "Jane Doe", "127.0.0.1")
    assert first["targets"]["message_id"] == message_id
    assert all(STRANGER.address not in str(one) and "enrolment" not in str(one["targets"].values()) for one in found)
    by_john = (await api.get("/v1/audit", params={"by": "John Roe"})).json()["items"]
    assert [one["act"] for one in by_john] == ["review.accept.undo"]
    assert len((await api.get("/v1/audit", params={"target": message_id})).json()["items"]) == 6


async def test_what_was_refused_leaves_no_record(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api)
    assert_problem(await api.post(f"/v1/reviews/{await letter_of(api, thread_id)}/accept", json=BY), 409, "conflict")
    assert not {one["act"] for one in (await api.get("/v1/audit")).json()["items"]} & DECISIONS


async def test_a_cursor_of_another_list_is_refused(scene: Scene, api: httpx.AsyncClient) -> None:
    for _ in range(2):
        await post(scene, api)
    other = (await api.get("/v1/threads?limit=1")).json()["next"]
    assert_bad_values(await api.get("/v1/audit", params={"after": other}), "/after", where="query")
