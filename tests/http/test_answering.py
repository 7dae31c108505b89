"""Answers: posted as letters that name a message, or into a thread; and what people decide of a letter."""

from typing import Any

import httpx
import pytest

from gateway.sending import machine
from gateway.sending.errors import Outcome, Pause, Verdict
from gateway.sending.reasons import problem
from gateway.sending.recognise import SentItem, recognise_sent
from gateway.sending.record import write_down
from storage import Transaction, mailboxes, outbox
from tests.http.scene import MAILBOX, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem


async def a_sent_letter(scene: Scene, api: httpx.AsyncClient) -> dict[str, Any]:
    """A letter that was seen in Sent Items."""
    accepted: dict[str, Any] = (await api.post("/v1/messages", json=a_letter())).json()

    def see(tx: Transaction) -> None:
        letter = outbox.get(tx, scene.account_id, accepted["id"])
        box = mailboxes.get_by_address(tx, scene.account_id, MAILBOX)
        item = SentItem(
            graph_id="AAMk1", conversation_id="AAQk1", internet_message_id="<1@school.example>", tag=letter.send_uid
        )
        assert recognise_sent(tx, scene.account_id, box.id, item, now=scene.clock.now())

    await scene.store.write(see)
    return accepted


async def test_an_answer_needs_neither_subject_nor_recipient_nor_object(scene: Scene, api: httpx.AsyncClient) -> None:
    first = await a_sent_letter(scene, api)
    answer = a_letter(in_reply_to=first["id"], subject=..., to=..., objects=...)
    accepted = await api.post("/v1/messages", json=answer)
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["thread_id"] == first["thread_id"]
    shown = (await api.get(accepted.headers["location"])).json()
    assert shown["subject"] == "RE: Your enrolment"
    assert shown["to"] == [{"name": "Aroha Ngata", "address": "aroha@student.example"}]
    assert shown["in_reply_to"] == first["id"]


async def test_without_a_message_to_answer_all_three_are_needed(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages", json=a_letter(subject=..., to=..., objects=...))
    assert_bad_values(answer, "/subject", "/to", "/objects")


async def test_a_message_that_cannot_be_answered_is_said_with_its_place(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages", json=a_letter(in_reply_to="msg_gone"))
    assert assert_problem(answer, 422, "unknown-original")["errors"][0]["pointer"] == "/in_reply_to"


async def test_an_answer_in_a_thread_goes_from_its_mailbox_to_its_latest_message(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    first = await a_sent_letter(scene, api)
    reply = {"html": "<p>Ngā mihi</p>", "created_by": "Jane Doe"}
    accepted = await api.post(f"/v1/threads/{first['thread_id']}/replies", json=reply)
    assert accepted.status_code == 202, accepted.text
    shown = (await api.get(accepted.headers["location"])).json()
    assert (shown["in_reply_to"], shown["thread_id"]) == (first["id"], first["thread_id"])
    assert shown["from"]["address"] == MAILBOX


async def test_a_key_makes_an_answer_single_too(scene: Scene, api: httpx.AsyncClient) -> None:
    first = await a_sent_letter(scene, api)
    url, key = f"/v1/threads/{first['thread_id']}/replies", {"idempotency-key": "k"}
    answers = [await api.post(url, json={"text": "Kia ora"}, headers=key) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[0].json()["note"] is None


async def test_a_thread_whose_letter_has_not_left_cannot_be_answered(api: httpx.AsyncClient) -> None:
    first = (await api.post("/v1/messages", json=a_letter())).json()
    answer = await api.post(f"/v1/threads/{first['thread_id']}/replies", json={"text": "Kia ora"})
    assert_problem(answer, 409, "conflict")


async def test_a_thread_that_is_not_there_cannot_be_answered(api: httpx.AsyncClient) -> None:
    assert_problem(await api.post("/v1/threads/thr_gone/replies", json={"text": "Kia ora"}), 404, "not-found")


class TestHeaders:
    async def test_they_come_back_as_they_were_given(self, api: httpx.AsyncClient) -> None:
        given = [{"name": "x-selma-run", "value": "7"}, {"name": "X-Auto-Response-Suppress", "value": "OOF, AutoReply"}]
        accepted = await api.post("/v1/messages", json=a_letter(headers=given))
        [shown] = (await api.get("/v1/messages")).json()["items"]
        assert (accepted.status_code, shown["headers"]) == (202, given)

    @pytest.mark.parametrize(
        ("header", "field"),
        [
            ({"name": "Reply-To", "value": "x@y.example"}, "name"),
            ({"name": "x-", "value": "7"}, "name"),
            ({"name": "x-run\r\nBcc", "value": "7"}, "name"),
            ({"name": "x-run:", "value": "7"}, "name"),
            ({"name": "x-run", "value": "7\r\nBcc: x@y.example"}, "value"),
            ({"name": "x-run", "value": "Ngā mihi"}, "value"),
            ({"name": "x-run", "value": ""}, "value"),
            ({"name": "x-run", "value": "x" * 901}, "value"),
        ],
    )
    async def test_what_is_none_of_the_senders_own_is_refused(
        self, api: httpx.AsyncClient, header: dict[str, str], field: str
    ) -> None:
        assert_bad_values(await api.post("/v1/messages", json=a_letter(headers=[header])), f"/headers/0/{field}")

    async def test_there_are_five_at_most_and_none_twice(self, api: httpx.AsyncClient) -> None:
        six = [{"name": f"x-{number}", "value": "7"} for number in range(6)]
        assert_bad_values(await api.post("/v1/messages", json=a_letter(headers=six)), "/headers")
        twice = [{"name": "x-run", "value": "7"}, {"name": "X-Run", "value": "8"}]
        assert_bad_values(await api.post("/v1/messages", json=a_letter(headers=twice)), "/headers/1/name")


class TestChoices:
    async def in_doubt(self, scene: Scene, api: httpx.AsyncClient) -> str:
        """A letter that a person has to decide about; its address."""
        accepted = await api.post("/v1/messages", json=a_letter())

        def doubt(tx: Transaction) -> None:
            letter = outbox.get(tx, scene.account_id, accepted.json()["id"])
            now = scene.clock.now()
            drafting = write_down(tx, letter, machine.begin(letter, now), now)
            verdict = Verdict(
                outcome=Outcome.ASK, problem=problem("not_understood"), after=now - now, pause=Pause.LETTER
            )
            write_down(tx, drafting, machine.draft_failed(drafting, verdict, now), now)

        await scene.store.write(doubt)
        assert (await api.get(accepted.headers["location"])).json()["status"] == "needs_review"
        return accepted.headers["location"]

    async def test_a_person_may_have_it_sent_anew(self, scene: Scene, api: httpx.AsyncClient) -> None:
        place = await self.in_doubt(scene, api)
        assert (await api.post(f"{place}/retry")).json()["status"] == "queued"

    async def test_or_leave_it(self, scene: Scene, api: httpx.AsyncClient) -> None:
        place = await self.in_doubt(scene, api)
        assert (await api.post(f"{place}/close")).json()["status"] == "cancelled"
        assert_problem(await api.post(f"{place}/close"), 409, "conflict")

    async def test_only_a_letter_in_doubt_can_be_closed(self, api: httpx.AsyncClient) -> None:
        accepted = await api.post("/v1/messages", json=a_letter())
        assert_problem(await api.post(f"{accepted.headers['location']}/close"), 409, "conflict")
