"""`/v1/messages/{id}/attachments`: listed, streamed, never run."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.types import Message as Event

from gateway.graph import AccessDenied, OverBudget, Throttled, TokenError, TokenErrorKind, Unavailable, Unreachable
from gateway.threads.attachments import GoneFromMailbox, KeptElsewhere
from storage.messages import Attachment, Placement
from tests.http.scene import Scene, a_letter
from tests.http.shape import assert_problem
from tests.http.test_threads import post, reply

LETTER = {"attachments": [{"name": "offer.pdf", "content_type": "application/pdf", "content": "JVBERi0="}]}


def holds(scene: Scene, message_id: str, chunks: list[bytes], **changes: Any) -> None:
    fields = {"name": "form.pdf", "content_type": "application/pdf", "size": 9, "is_inline": False, "content_id": None}
    scene.attachments.holds[(message_id, "a-1")] = (Attachment(**({"id": "a-1"} | fields | changes)), chunks)


async def test_a_letters_attachments_are_listed_with_an_id_each(api: httpx.AsyncClient) -> None:
    posted = (await api.post("/v1/messages", json=a_letter(**LETTER))).json()
    listed = await api.get(f"/v1/messages/{posted['id']}/attachments")
    (one,) = listed.json()["items"]
    assert (one["id"], one["name"], one["content_type"], one["size"]) == ("part-0", "offer.pdf", "application/pdf", 5)
    assert (one["kind"], one["is_inline"]) == ("file", False)
    shown = (await api.get(f"/v1/messages/{posted['id']}")).json()
    assert shown["attachments"] == listed.json()["items"]


async def test_a_held_mails_attachments_are_not_listed(scene: Scene, api: httpx.AsyncClient) -> None:
    held = await reply(scene, await post(scene, api), Placement.HELD)
    assert_problem(await api.get(f"/v1/messages/{held}/attachments"), 404, "not-found")


async def test_an_attachment_is_saved_and_never_shown(scene: Scene, api: httpx.AsyncClient) -> None:
    holds(scene, "m", [b"%PDF", b"-1.7", b"..."], name="Ngā mihi.pdf")
    answer = await api.get("/v1/messages/m/attachments/a-1")
    assert answer.content == b"%PDF-1.7..."
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"] == (
        "attachment; filename=\"Ng_ mihi.pdf\"; filename*=UTF-8''Ng%C4%81%20mihi.pdf"
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert scene.attachments.closed == 1


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml"])
async def test_what_a_browser_could_run_is_bytes(scene: Scene, api: httpx.AsyncClient, kind: str) -> None:
    holds(scene, "m", [b"<script>alert(1)</script>"], name="page.html", content_type=kind)
    answer = await api.get("/v1/messages/m/attachments/a-1")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == 'attachment; filename="page.html"'


async def test_an_attached_mail_is_saved_as_one(scene: Scene, api: httpx.AsyncClient) -> None:
    holds(scene, "m", [b"Received: from x\r\n"], name="Fwd: plan", content_type="", kind="item")
    answer = await api.get("/v1/messages/m/attachments/a-1")
    assert answer.headers["content-disposition"] == 'attachment; filename="Fwd_ plan.eml"'


@pytest.mark.parametrize(
    ("trouble", "seconds"),
    [
        (Throttled(status=429, retry_after=timedelta(seconds=90)), "90"),
        (OverBudget("busy", retry_after=timedelta(seconds=0.2)), "1"),
        (Unreachable("ConnectError", sent=False), "10"),
        (Unavailable(status=503), "10"),
        (TokenError(kind=TokenErrorKind.TRANSIENT), "10"),
    ],
    ids=["throttled", "over budget", "unreachable", "unavailable", "no token now"],
)
async def test_passing_trouble_says_when_to_try_again(
    scene: Scene, api: httpx.AsyncClient, trouble: Exception, seconds: str
) -> None:
    scene.attachments.fails = trouble
    answer = await api.get("/v1/messages/m/attachments/a-1")
    assert_problem(answer, 503, "microsoft-365-busy")
    assert answer.headers["retry-after"] == seconds


@pytest.mark.parametrize(
    ("trouble", "status", "name"),
    [
        (GoneFromMailbox(), 404, "gone-from-mailbox"),
        (KeptElsewhere(), 409, "kept-elsewhere"),
        (AccessDenied(status=403), 502, "microsoft-365"),
        (TokenError(kind=TokenErrorKind.SECRET_EXPIRED), 502, "microsoft-365"),
    ],
)
async def test_lasting_trouble_says_what_it_is(
    scene: Scene, api: httpx.AsyncClient, trouble: Exception, status: int, name: str
) -> None:
    scene.attachments.fails = trouble
    assert_problem(await api.get("/v1/messages/m/attachments/a-1"), status, name)


async def test_asking_for_the_head_reads_nothing_more(scene: Scene, api: httpx.AsyncClient) -> None:
    holds(scene, "m", [b"first", b"second"])
    answer = await api.head("/v1/messages/m/attachments/a-1")
    assert (answer.status_code, answer.content) == (200, b"")
    assert scene.attachments.closed == 1


async def test_a_mailbox_that_breaks_off_never_looks_like_the_end(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    holds(scene, "m", [b"first", b"second"])
    scene.attachments.breaks = Unreachable("ReadError", sent=True)
    came = await listened(scene, hangs_up_after=None)
    assert [event.get("body") for event in came[1:]] == [b"first", b"second"]
    assert came[-1]["more_body"] is True
    assert "unforeseen" not in caplog.text
    assert scene.attachments.closed == 1


async def test_a_client_that_hangs_up_stops_the_reading(scene: Scene) -> None:
    holds(scene, "m", [b"%d" % number for number in range(1000)])
    came = await listened(scene, hangs_up_after=3)
    assert len(came) < 1000
    assert scene.attachments.closed == 1


async def listened(scene: Scene, *, hangs_up_after: int | None) -> list[Event]:
    """What a server would get to send, until its client is gone."""
    came: list[Event] = []
    gone = asyncio.Event()

    async def receive() -> Event:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(event: Event) -> None:
        came.append(event)
        if hangs_up_after is not None and len(came) > hangs_up_after:
            gone.set()
        await asyncio.sleep(0)

    await scene.app(
        {
            "type": "http",
            "method": "GET",
            "path": "/v1/messages/m/attachments/a-1",
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {scene.key}".encode())],
        },
        receive,
        send,
    )
    return came
