"""Letters go out, replies come in, threads are right, and nothing else is kept."""

import itertools
from base64 import b64encode
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.demo import Demo
from storage import Transaction
from tests.end_to_end.conftest import api_client, quick, running_school, until

LETTERS = 200
MARK = "wharenui-7719"  # in every unrelated mail, and nowhere else


def counts(tx: Transaction) -> dict[str, int]:
    """Letters by state, and mail that came in."""
    letters = {row["state"]: row["n"] for row in tx.execute("SELECT state, count(*) AS n FROM outbox GROUP BY state")}
    (replies,) = tx.execute("SELECT count(*) FROM messages WHERE direction = 'in'").fetchone()
    return letters | {"replies": replies}


def a_letter(number: int, mailbox: str, student: Any) -> dict[str, Any]:
    return {
        "from": mailbox,
        "to": [{"name": student.name, "address": student.address}],
        "subject": f"Letter {number}",
        "html": f"<p>Kia ora, this is letter <b>{number}</b>.</p>",
        "objects": [{"type": "student", "id": student.student_id}, {"type": "enrolment", "id": f"E{number}"}],
        "created_by": "Jane Doe",
    }


async def test_200_letters_to_6_students_from_3_mailboxes_are_each_answered_in_their_own_thread(
    school: Demo, api: httpx.AsyncClient
) -> None:
    for number, mailbox in zip(range(30), itertools.cycle(school.school.mailboxes), strict=False):
        school.sandbox.world.deliver(
            mailbox, from_=f"stranger-{MARK}@elsewhere.example", subject=f"{MARK} {number}", html=f"<p>{MARK}</p>"
        )
    posted = {}
    people = itertools.cycle(itertools.product(school.school.mailboxes, school.school.students))
    for number, (mailbox, student) in zip(range(LETTERS), people, strict=False):
        answer = await api.post(
            "/v1/messages",
            json=a_letter(number, mailbox, student),
            headers={"idempotency-key": f"letter-{number}"},
        )
        assert answer.status_code == 202, answer.text
        posted[answer.json()["thread_id"]] = (number, mailbox, student)
    assert len(posted) == LETTERS

    await until(school, lambda tx: counts(tx) == {"sent": LETTERS, "replies": LETTERS})

    for thread_id, (number, mailbox, student) in posted.items():
        thread = (await api.get(f"/v1/threads/{thread_id}")).json()
        letter, reply = thread["messages"]
        assert thread["mailbox"] == mailbox
        assert thread["unanswered"] is True
        assert (letter["direction"], letter["status"], letter["subject"]) == ("out", "sent", f"Letter {number}")
        assert letter["created_by"] == "Jane Doe"
        assert (reply["direction"], reply["from"]["address"]) == ("in", student.address)
        assert f"Letter {number}" in reply["subject"]
    await nothing_unrelated_is_kept(school)
    assert sent_once(school)


async def nothing_unrelated_is_kept(school: Demo) -> None:
    """Search every file of the store, as bytes, for what strangers wrote."""
    await until(school, lambda tx: bool(tx.execute("SELECT sum(unrelated) >= 30 FROM folders").fetchone()[0]))
    folder = school.database.parent
    for file in folder.iterdir():
        assert MARK.encode() not in file.read_bytes(), file.name
    assert any(b"Jane Doe" in file.read_bytes() for file in folder.iterdir())  # the search can find something


def sent_once(school: Demo) -> bool:
    subjects = [sent.subject for sent in school.sandbox.world.ledger if sent.subject.startswith("Letter ")]
    return len(subjects) == len(set(subjects)) == LETTERS


async def test_attachments_copies_and_reply_to_reach_the_recipient(school: Demo, api: httpx.AsyncClient) -> None:
    student, copied, hidden = school.school.students[1:4]
    letter = a_letter(1, school.school.mailboxes[0], student) | {
        "cc": [{"name": 'Tāne, "the" Registrar', "address": copied.address}],
        "bcc": [{"name": None, "address": hidden.address}],
        "reply_to": [{"name": "Front desk", "address": "desk@school.example"}],
        "attachments": [
            {
                "name": "offer – ā.pdf",
                "content_type": "application/pdf",
                "content": b64encode(b"%PDF-1.7 offer").decode(),
                "content_id": None,
            }
        ],
        "importance": "high",
    }
    answer = await api.post("/v1/messages", json=letter, headers={"idempotency-key": "with attachment"})
    assert answer.status_code == 202, answer.text

    await until(school, lambda tx: counts(tx).get("sent") == 1)

    [sent] = school.sandbox.world.ledger
    assert set(sent.recipients) == {student.address, copied.address, hidden.address}
    shown = (await api.get(answer.headers["location"])).json()
    assert [one["name"] for one in shown["attachments"]] == ["offer – ā.pdf"]


async def test_a_letter_to_nobody_turns_bounced_and_says_why(school: Demo, api: httpx.AsyncClient) -> None:
    letter = a_letter(1, school.school.mailboxes[0], school.school.students[0])
    letter["to"] = [{"name": None, "address": "nobody@elsewhere.example"}]
    answer = await api.post("/v1/messages", json=letter)

    await until(school, lambda tx: counts(tx).get("bounced") == 1)

    shown = (await api.get(answer.headers["location"])).json()
    assert shown["status"] == "bounced"
    assert shown["problem"]["explanation"] == "There is no such address."
    assert [one["address"] for one in shown["problem"]["recipients"]] == ["nobody@elsewhere.example"]


async def test_the_same_key_and_body_is_one_letter_however_often_it_is_posted(
    school: Demo, api: httpx.AsyncClient
) -> None:
    letter = a_letter(1, school.school.mailboxes[0], school.school.students[0])
    answers = [
        (await api.post("/v1/messages", json=letter, headers={"idempotency-key": "again"})).json()["id"]
        for _ in range(5)
    ]
    assert len(set(answers)) == 1

    await until(school, lambda tx: counts(tx) == {"sent": 1, "replies": 1})

    assert len(school.sandbox.world.ledger) == 1
    other = await api.post("/v1/messages", json=letter | {"subject": "x"}, headers={"idempotency-key": "again"})
    assert other.status_code == 422


@pytest.mark.parametrize("keeps_id", [True, False])
async def test_a_letter_is_recognised_in_sent_whether_or_not_its_id_survives_the_send(keeps_id: bool) -> None:
    behaviour = replace(quick(), immutable_ids_survive_send=keeps_id)
    async with running_school(behaviour) as school, api_client(school) as api:
        letter = a_letter(1, school.school.mailboxes[0], school.school.students[0])
        await api.post("/v1/messages", json=letter, headers={"idempotency-key": "x"})
        await until(school, lambda tx: counts(tx) == {"sent": 1, "replies": 1})
        assert len(school.sandbox.world.ledger) == 1
