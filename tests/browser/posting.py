"""SELMA's side of a browser test: a letter to a student of the demo's school, and where that student's tab is."""

import itertools
from typing import Any

import httpx

from gateway.demo import Demo
from gateway.sandbox.school import Student

NUMBERS = itertools.count(1)


async def post(school: Demo, api: httpx.AsyncClient, student: Student, **changes: Any) -> None:
    """Post a letter about the student to the student."""
    letter = {
        "from": school.school.mailboxes[0],
        "to": [{"name": student.name, "address": student.address}],
        "subject": "Your enrolment",
        "html": "<p>Kia ora</p>",
        "objects": [{"type": "student", "id": student.student_id}],
        "created_by": "Jane Doe",
    } | changes
    answer = await api.post("/v1/messages", json=letter, headers={"idempotency-key": f"browser-{next(NUMBERS)}"})
    assert answer.status_code == 202, answer.text


def tab(school: Demo, student: Student) -> str:
    """The address of the student's Events tab."""
    return school.page(f"/objects/student/{student.student_id}/events")
