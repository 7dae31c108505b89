"""`POST /v1/threads`: what is in the mailbox already becomes a thread."""

from typing import Any

import httpx
import pytest

from gateway.graph import Throttled
from storage import threads
from storage.api_keys import Scope
from tests.fakes.mail import mail
from tests.http.scene import MAILBOX, UNPROVED, Scene
from tests.http.shape import assert_problem

USER = "u-admissions"
AROHA = "aroha@student.example"
STUDENT = {"type": "student", "id": "S1001"}


def linking(**changes: Any) -> dict[str, Any]:
    return {"mailbox": MAILBOX, "conversation_id": "C1", "objects": [STUDENT]} | changes


def a_conversation(scene: Scene, id: str = "C1", *, message_id: str = "<m1@mail.example>") -> None:
    at = scene.clock.now()
    asked = mail(f"{id}-1", sender=AROHA, at=at, conversation=id, message_id=message_id, subject="A question")
    scene.mail.put(USER, "inbox", asked)
    answered = mail(f"{id}-2", sender=MAILBOX, at=at, conversation=id, to=["whanau@student.example", AROHA])
    scene.mail.put(USER, "sentitems", answered)


@pytest.mark.parametrize(
    "named", [{"conversation_id": "C1"}, {"conversation_id": None, "internet_message_id": "<m1@mail.example>"}]
)
async def test_a_conversation_becomes_a_thread_of_those_who_are_in_it(
    scene: Scene, api: httpx.AsyncClient, named: dict[str, Any]
) -> None:
    a_conversation(scene)
    answer = await api.post("/v1/threads", json=linking(**named))
    assert answer.status_code == 201, answer.text
    thread = answer.json()
    assert answer.headers["location"] == f"/v1/threads/{thread['id']}"
    assert (thread["mailbox"], thread["conversation_id"], thread["subject"]) == (MAILBOX, "C1", "A question")
    assert [one["address"] for one in thread["participants"]] == [AROHA, "whanau@student.example"]
    assert thread["objects"] == [STUDENT]
    shown = await api.get("/v1/objects/student/S1001/threads")
    assert [one["id"] for one in shown.json()["items"]] == [thread["id"]]


async def test_asked_for_again_it_is_the_same_thread(scene: Scene, api: httpx.AsyncClient) -> None:
    a_conversation(scene)
    first = await api.post("/v1/threads", json=linking())
    again = await api.post("/v1/threads", json=linking(conversation_id=None, internet_message_id="<m1@mail.example>"))
    assert (again.status_code, again.json()) == (201, first.json())
    assert len(await scene.store.read(threads.newest, scene.account_id, limit=10)) == 1


async def test_a_conversation_that_is_another_thread_is_not_taken_from_it(scene: Scene, api: httpx.AsyncClient) -> None:
    a_conversation(scene)
    first = (await api.post("/v1/threads", json=linking())).json()
    answer = await api.post("/v1/threads", json=linking(objects=[{"type": "student", "id": "S2002"}]))
    assert_problem(answer, 409, "conflict")
    assert first["id"] in answer.json()["detail"]


@pytest.mark.parametrize(
    "named", [{"conversation_id": "C9"}, {"conversation_id": None, "internet_message_id": "<m9@mail.example>"}]
)
async def test_what_is_not_in_the_mailbox_is_not_found(
    scene: Scene, api: httpx.AsyncClient, named: dict[str, Any]
) -> None:
    a_conversation(scene)
    at = scene.clock.now()
    draft = mail("d", sender=None, at=at, conversation="C9", message_id="<m9@mail.example>", is_draft=True)
    scene.mail.put(USER, "drafts", draft)
    before = await scene.rows()
    assert_problem(await api.post("/v1/threads", json=linking(**named)), 404, "not-found")
    assert await scene.rows() == before


async def test_a_message_id_of_two_conversations_names_neither(scene: Scene, api: httpx.AsyncClient) -> None:
    a_conversation(scene)
    a_conversation(scene, "C2")
    answer = await api.post("/v1/threads", json=linking(conversation_id=None, internet_message_id="<m1@mail.example>"))
    assert_problem(answer, 422, "invalid-request")
    assert [one["pointer"] for one in answer.json()["errors"]] == ["/internet_message_id"]


@pytest.mark.parametrize(
    ("changes", "problem", "pointer"),
    [
        ({"mailbox": "nobody@school.example"}, "unknown-mailbox", "/mailbox"),
        ({"mailbox": UNPROVED}, "mailbox-not-validated", "/mailbox"),
        ({"internet_message_id": "<m1@mail.example>"}, "invalid-request", "/conversation_id"),
        ({"conversation_id": None}, "invalid-request", "/conversation_id"),
        ({"conversation_id": "two words"}, "invalid-request", "/conversation_id"),
        ({"conversation_id": None, "internet_message_id": "m1"}, "invalid-request", "/internet_message_id"),
        ({"objects": []}, "invalid-request", "/objects"),
    ],
)
async def test_what_cannot_be_taken_is_said_with_its_place(
    api: httpx.AsyncClient, changes: dict[str, Any], problem: str, pointer: str
) -> None:
    answer = await api.post("/v1/threads", json=linking(**changes))
    assert_problem(answer, 422, problem)
    assert pointer in [one["pointer"] for one in answer.json()["errors"]]


async def test_a_mail_that_cannot_be_read_now_makes_no_thread_without_its_people(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    a_conversation(scene)
    scene.mail.poisoned["C1-1"] = Throttled(status=429)
    answer = await api.post("/v1/threads", json=linking())
    assert_problem(answer, 502, "microsoft-365")
    assert await scene.store.read(threads.newest, scene.account_id, limit=10) == []


@pytest.mark.parametrize("missing", [Scope.SEND, Scope.READ])
async def test_it_takes_the_right_to_send_and_to_read(scene: Scene, missing: Scope) -> None:
    a_conversation(scene)
    async with scene.client(await scene.new_key(*(set(Scope) - {missing}))) as client:
        assert_problem(await client.post("/v1/threads", json=linking()), 403, "missing-scope")
