"""What an app may do in one mailbox, what a mailbox may send, and what happens beyond."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour, Fault, Sandbox
from gateway.sandbox.changes import ChangeType
from gateway.sandbox.limits import Limit, Window
from gateway.sandbox.mailbox import Event
from gateway.sandbox.school import School

from .conftest import ManualClock, at, draft_of, letter, sent, token_for

OFFICE = "office@school.example"
ADMISSIONS = "/v1.0/users/admissions@school.example"
SLOW = replace(Behaviour.at_once(), latency=timedelta(seconds=1))
Act = Callable[[], Awaitable[httpx.Response]]


def limited(sandbox: Sandbox, **limits: Any) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), **limits)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def is_sent_copy(event: Event) -> bool:
    sent_items = event.mailbox.well_known("sentitems").id
    return event.change_type is ChangeType.CREATED and event.folder_id == sent_items


async def together(clock: ManualClock, *acts: Act, sleeping: int) -> list[httpx.Response]:
    """The answers to calls that begin together; time passes as soon as so many of them are in flight."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_answer(act)) for act in acts]
        await clock.asleep(sleeping)
        clock.advance(timedelta(seconds=1))
    return [task.result() for task in tasks]


async def _answer(act: Act) -> httpx.Response:
    return await act()


async def test_a_fifth_call_in_flight_is_refused(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    draft = await draft_of(graph, office)
    sandbox.world.behaviour = SLOW
    acts: list[Act] = [
        lambda: graph.get(f"{office}/messages"),
        lambda: graph.get(f"{office}/mailFolders/inbox/messages/delta"),
        lambda: graph.post(f"{office}/messages", json=letter()),
        lambda: graph.post(f"{office}/messages/{at(draft['id'])}/send"),
        lambda: graph.get(f"{office}/messages"),
    ]
    answers = await together(clock, *acts, sleeping=4)
    assert [answer.status_code for answer in answers[:4]] == [200, 200, 201, 202]
    assert code(answers[4]) == (429, "ApplicationThrottled")
    assert answers[4].headers["retry-after"] == "1"
    assert sandbox.world.limits.busiest == {OFFICE: 5}
    assert sandbox.world.limits.refused[Limit.CONCURRENCY] == 1
    assert (await together(clock, acts[0], sleeping=1))[0].status_code == 200


async def test_calls_in_other_mailboxes_and_to_the_directory_do_not_count(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.world.behaviour = SLOW
    acts: list[Act] = [lambda: graph.get(f"{office}/mailFolders/inbox")] * 4
    acts += [lambda: graph.get(f"{ADMISSIONS}/mailFolders/inbox"), lambda: graph.get(office)]
    answers = await together(clock, *acts, sleeping=6)
    assert {answer.status_code for answer in answers} == {200}


async def test_a_call_that_a_fault_holds_up_is_in_flight(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.faults.add(Fault(match="/inbox$", times=4, delay=timedelta(seconds=1)))
    acts: list[Act] = [lambda: graph.get(f"{office}/mailFolders/inbox")] * 5
    answers = await together(clock, *acts, sleeping=4)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 200, 429]


async def test_of_a_batch_four_items_run_together_and_each_counts(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.world.behaviour = SLOW
    items = [{"id": str(n), "method": "GET", "url": f"/users/{OFFICE}/mailFolders/inbox"} for n in range(6)]

    async def batch() -> list[int]:
        answer = await graph.post("/v1.0/$batch", json={"requests": items})
        return [each["status"] for each in answer.json()["responses"]]

    async with asyncio.TaskGroup() as group:
        task = group.create_task(batch())
        for sleeping in (4, 2):
            await clock.asleep(sleeping)
            clock.advance(timedelta(seconds=1))
    assert task.result() == [200] * 6
    assert sandbox.world.limits.busiest == {OFFICE: 4}


async def test_beside_another_call_one_item_of_a_batch_is_refused(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.world.behaviour = SLOW
    items = [{"id": str(n), "method": "GET", "url": f"/users/{OFFICE}/mailFolders/inbox"} for n in range(4)]
    acts: list[Act] = [
        lambda: graph.get(f"{office}/mailFolders/inbox"),
        lambda: graph.post("/v1.0/$batch", json={"requests": items}),
    ]
    _, batch = await together(clock, *acts, sleeping=4)
    inner = batch.json()["responses"]
    assert sorted(each["status"] for each in inner) == [200, 200, 200, 429]
    assert [each["headers"]["Retry-After"] for each in inner if each["status"] == 429] == ["1"]


async def test_too_many_requests_in_ten_minutes_are_told_when_to_come_back(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    limited(sandbox, requests_per_10_minutes=3)
    for _ in range(3):
        assert (await graph.get(f"{office}/mailFolders/inbox")).status_code == 200
        clock.advance(timedelta(minutes=1))
    refused = await graph.get(f"{office}/mailFolders/inbox")
    assert code(refused) == (429, "TooManyRequests")
    assert (await graph.get(f"{ADMISSIONS}/mailFolders/inbox")).status_code == 200
    clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert (await graph.get(f"{office}/mailFolders/inbox")).status_code == 200
    assert sandbox.world.limits.refused[Limit.REQUESTS] == 1


async def test_bytes_count_whether_they_come_through_graph_or_by_an_upload_url(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    limited(sandbox, upload_bytes_per_5_minutes=4_000_000)
    size = 3 * 1024 * 1024
    draft = await draft_of(graph, office)
    path = f"{office}/messages/{at(draft['id'])}/attachments/createUploadSession"
    item = {"AttachmentItem": {"attachmentType": "file", "name": "plan.pdf", "size": size}}
    url = (await graph.post(path, json=item)).json()["uploadUrl"]
    whole = {"Content-Range": f"bytes 0-{size - 1}/{size}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as bare:
        assert (await bare.put(url, content=b"a" * size, headers=whole)).status_code == 201
    refused = await graph.post(f"{office}/messages", json=letter(subject="x" * 900_000))
    assert code(refused) == (429, "TooManyRequests")
    assert (await graph.get(f"{office}/mailFolders/inbox")).status_code == 200
    clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
    assert (await graph.post(f"{office}/messages", json=letter(subject="x" * 900_000))).status_code == 201


async def test_an_upload_url_refuses_too_many_bytes_and_takes_the_same_piece_later(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    limited(sandbox, upload_bytes_per_5_minutes=3_500_000)
    size = 4 * 1024 * 1024
    draft = await draft_of(graph, office)
    path = f"{office}/messages/{at(draft['id'])}/attachments/createUploadSession"
    item = {"AttachmentItem": {"attachmentType": "file", "name": "plan.pdf", "size": size}}
    url = (await graph.post(path, json=item)).json()["uploadUrl"]
    half = size // 2
    pieces = [(0, half - 1), (half, size - 1)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as bare:
        first, refused = [
            await bare.put(url, content=b"a" * half, headers={"Content-Range": f"bytes {a}-{b}/{size}"})
            for a, b in pieces
        ]
        clock.advance(timedelta(seconds=int(refused.headers["retry-after"])))
        last = {"Content-Range": f"bytes {half}-{size - 1}/{size}"}
        again = await bare.put(url, content=b"a" * half, headers=last)
    assert [first.status_code, refused.status_code, again.status_code] == [200, 429, 201]


async def test_letters_beyond_a_minutes_worth_leave_in_the_minutes_after(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    limited(sandbox, letters_per_minute=2)
    began, copies = clock.now(), asyncio.Queue[Event]()
    sandbox.world.listeners.append(lambda event: copies.put_nowait(event) if is_sent_copy(event) else None)
    for number in range(5):
        assert (
            await graph.post(f"{office}/sendMail", json={"message": letter(subject=f"{number}")})
        ).status_code == 202
    for left in (2, 2):
        for _ in range(left):
            await copies.get()
        clock.advance(timedelta(minutes=1))
    await sandbox.settle()
    assert [(entry.sent_at - began) // timedelta(minutes=1) for entry in sandbox.world.ledger] == [0, 0, 1, 1, 2]
    assert sandbox.world.limits.carried_over == 3


async def test_over_the_recipients_of_a_day_a_letter_comes_back_to_its_sender(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock, pupils: School
) -> None:
    limited(sandbox, recipients_per_day=1)
    await sent(sandbox, graph, office)
    refused = await sent(sandbox, graph, office, subject="One too many")
    assert [entry.subject for entry in sandbox.world.ledger] == ["Your enrolment"]
    mailbox = sandbox.world.mailbox(OFFICE)
    report = list(mailbox.messages(mailbox.well_known("inbox").id))[-1]
    assert (report.subject, report.in_reply_to) == ("Undeliverable: One too many", refused["internetMessageId"])
    assert report.mime is not None
    assert b"Status: 5.1.90" in report.mime
    assert len(list(mailbox.messages(mailbox.well_known("sentitems").id))) == 2
    clock.advance(timedelta(days=1))
    graph.headers["Authorization"] = f"Bearer {await token_for(graph, pupils)}"
    await sent(sandbox, graph, office, subject="Another day")
    assert sandbox.world.ledger[-1].subject == "Another day"


async def test_the_report_names_every_recipient_of_the_letter(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, pupils: School
) -> None:
    limited(sandbox, recipients_per_day=1)
    people = [{"emailAddress": {"address": student.address}} for student in pupils.students[:2]]
    await graph.post(f"{office}/sendMail", json={"message": {**letter(), "toRecipients": people}})
    await sandbox.settle()
    mailbox = sandbox.world.mailbox(OFFICE)
    report = list(mailbox.messages(mailbox.well_known("inbox").id))[-1]
    assert report.mime is not None
    assert report.mime.count(b"Final-Recipient: rfc822;") == report.mime.count(b"Status: 5.1.90") == 2


async def test_the_limits_are_told_and_changed_from_outside(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    path = "/v1.0/users/office@school.example/mailFolders/inbox"
    changed = await graph.patch("/_sandbox/behaviour", json={"requests_per_10_minutes": 1, "mailbox_concurrency": None})
    assert changed.json()["mailbox_concurrency"] is None
    assert [(await graph.get(path)).status_code for _ in range(2)] == [200, 429]
    assert (await graph.get("/_sandbox/state")).json()["limits"] == {
        "busiest": {OFFICE: 1},
        "refused": {"concurrency": 0, "requests": 1, "upload": 0, "recipients": 0},
        "carried_over": 0,
    }


@pytest.mark.parametrize(
    ("behaviour", "kept"),
    [
        (Behaviour(), {4, 10_000, 150_000_000, 30}),
        (Behaviour.at_once(), {4, None}),
        (Behaviour.unlimited(), {None}),
    ],
    ids=["as Microsoft", "at once", "unlimited"],
)
def test_which_limits_are_kept(behaviour: Behaviour, kept: set[int | None]) -> None:
    assert {
        behaviour.mailbox_concurrency,
        behaviour.requests_per_10_minutes,
        behaviour.upload_bytes_per_5_minutes,
        behaviour.letters_per_minute,
        behaviour.recipients_per_day,
    } == kept


def test_a_window_keeps_no_more_than_its_seconds(clock: ManualClock) -> None:
    window = Window(timedelta(minutes=1))
    for _ in range(10_000):
        clock.advance(timedelta(milliseconds=100))
        window.has_room(1, 700, clock.now())
        window.use(1, clock.now())
    assert not window.has_room(100, 600, clock.now())
    assert timedelta(0) < window.wait(100, 600, clock.now()) <= timedelta(seconds=11)
    assert window.wait(1_000, 600, clock.now()) == timedelta(minutes=1)
