"""One letter, and one reply, followed through everything that happens to them: one trace each, and ids in every line.

A whole gateway and a whole sandbox on one clock; the spans go where OpenTelemetry's own tests look for them.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from opentelemetry.sdk.trace import ReadableSpan

from gateway.demo import make_key
from gateway.http.pages.live import live
from gateway.http.services import Services
from gateway.logs import JsonFormatter
from storage import Transaction
from storage.threads import Object, ObjectType
from tests.fire.one_clock import Site, site
from tests.tracing.collector import spans_kept

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
REQUEST = "selma-request-77"
A_MOMENT = timedelta(seconds=10)
WORDS = ("Arohanui", "pohutukawa", "student.example", "school.example", "S-4711", "offer.pdf")


@asynccontextmanager
async def selma(at: Site) -> AsyncIterator[httpx.AsyncClient]:
    """With a key of all scopes, and a trace of its own."""
    _, value = await make_key(at.gateway)
    headers = {"authorization": f"Bearer {value}", "traceparent": TRACEPARENT, "x-request-id": REQUEST}
    transport = httpx.ASGITransport(at.gateway.app)
    async with httpx.AsyncClient(transport=transport, base_url="https://gateway.example", headers=headers) as client:
        yield client


def a_letter(at: Site, **more: Any) -> dict[str, Any]:
    return {
        "from": at.school.mailboxes[0],
        "to": [{"name": "Arohanui", "address": at.school.students[0].address}],
        "subject": "pohutukawa for Arohanui",
        "text": "pohutukawa",
        "objects": [{"type": "student", "id": "S-4711"}],
        **more,
    }


def named(spans: tuple[ReadableSpan, ...], name: str) -> list[ReadableSpan]:
    return [one for one in spans if one.name == name]


def trace_of(span: ReadableSpan) -> str:
    return f"{span.get_span_context().trace_id:032x}"


def lines_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [orjson.loads(text) for text in caplog.text.splitlines() if text.startswith("{")]


def silent(at: Site) -> None:
    for person in at.school.students:
        at.sandbox.world.correspondents.change(person.address, is_silent=True)


def events_of(tx: Transaction) -> dict[str, str | None]:
    return {row["type"]: row["traceparent"] for row in tx.execute("SELECT type, traceparent FROM events")}


async def test_a_letter_is_one_trace_from_selmas_post_to_its_sent_copy_through_a_restart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.DEBUG, logger="gateway")
    with spans_kept() as recorded:
        async with site(tmp_path, seed=7) as at:
            silent(at)
            await at.step(A_MOMENT)  # subscribed
            async with selma(at) as client:
                kept = await client.post("/v1/files", params={"name": "offer.pdf"}, content=b"pohutukawa" * 400_000)
                accepted = await client.post(
                    "/v1/messages", json=a_letter(at, attachments=[{"file": kept.json()["id"]}])
                )
            assert accepted.status_code == 202, accepted.text
            assert accepted.headers["x-request-id"] == REQUEST
            await at.stop()  # between accepting and drafting
            await at.start()
            await at.step(A_MOMENT, dies_after=8)  # and once Graph has the letter, before its answer is read
            for _ in range(40):
                await at.step(A_MOMENT)
            told = await at.gateway.store.read(events_of)
            left = len(at.sandbox.world.ledger)
        spans = recorded.get_finished_spans()
    message_id = accepted.json()["id"]
    assert at.deaths == 1
    assert left == 1
    for name in ("accept", "draft", "upload", "submit", "reconcile", "seen in Sent"):
        assert {trace_of(one) for one in named(spans, name)} == {TRACE}, name
    graph = [one for one in spans if one.name.startswith("graph ") and trace_of(one) == TRACE]
    assert {"POST", "PUT"} <= {str((one.attributes or {})["http.request.method"]) for one in graph}
    for one in graph:
        assert str((one.attributes or {})["graph.client_request_id"]).replace("-", "").startswith(TRACE[-12:])
    assert {TRACE in (told[event] or "") for event in ("message.accepted", "message.sent")} == {True}
    whole = "".join(one.to_json() for one in spans)
    assert [word for word in WORDS if word in whole] == []

    lines = [line for line in lines_of(caplog) if line.get("message_id") == message_id]
    assert {"letter accepted", "graph call", "letter found sent"} <= {line["event"] for line in lines}
    assert {(line["trace_id"], line["request_id"]) for line in lines} == {(TRACE, REQUEST)}


async def test_a_reply_is_one_trace_from_graphs_post_to_the_page_that_shows_it(tmp_path: Path) -> None:
    with spans_kept() as kept:
        async with site(tmp_path, seed=8) as at:
            silent(at)
            async with selma(at) as client:
                await client.post("/v1/messages", json=a_letter(at))
            for _ in range(3):
                await at.step(A_MOMENT)
            box = at.sandbox.world.mailbox(at.school.mailboxes[0])
            [copy] = box.messages(box.well_known("sentitems").id)
            assert {trace_of(one) for one in named(kept.get_finished_spans(), "seen in Sent")} == {TRACE}
            told = await at.gateway.store.read(events_of)
            assert TRACE in (told["message.sent"] or ""), "seen by a pull, which has a trace of its own"
            kept.clear()
            at.sandbox.world.reply_to(copy, "pohutukawa", from_=at.school.students[0].address)
            await at.sandbox.settle()
            at.sandbox.world.reply_to(copy, "pohutukawa again", from_=at.school.students[0].address)
            await at.step(A_MOMENT)
            await shown_live(at)
        spans = kept.get_finished_spans()
    notified = [trace_of(one) for one in named(spans, "notification")]
    assert len(notified) == 2
    [pull] = [one for one in named(spans, "pull") if (one.attributes or {})["notifications"]]
    assert trace_of(pull) == notified[0]
    assert [f"{link.context.trace_id:032x}" for link in pull.links] == notified[1:], "one pull served both"
    for name in ("fetch", "store", "live update"):
        assert notified[0] in {trace_of(one) for one in named(spans, name)}, name
    whole = "".join(one.to_json() for one in spans)
    assert [word for word in WORDS if word in whole] == []


async def shown_live(at: Site) -> None:
    """Somebody has an Events page open."""
    gone = False

    async def allowed() -> bool:
        nonlocal gone
        was, gone = gone, True
        return not was

    built = at.gateway
    services: Any = type("Few", (), {"store": built.store, "stopping": built.stopping, "clock": built.clock})
    student = Object(type=ObjectType.STUDENT, id="S-4711")
    async for _ in live(cast_services(services), at.account_id, student, after=0, allowed=allowed):
        pass


def cast_services(few: Any) -> Services:
    return few  # type: ignore[no-any-return]


async def test_hostile_ids_are_neither_gone_on_with_nor_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.DEBUG, logger="gateway")
    hostile = {"x-request-id": "x\x1b[31m" + "aroha@student.example" * 9, "traceparent": f"00-{TRACE}-evil-01"}
    async with site(tmp_path, seed=9) as at, selma(at) as client:
        answer = await client.get("/v1/account", headers=hostile)
        refused = await client.post("/v1/messages", json={}, headers=hostile)
        door = await client.post("/graph/notifications", content=b"{}", headers={"traceparent": TRACEPARENT})
    assert len(answer.headers["x-request-id"]) == 32
    assert refused.json()["instance"] == refused.headers["x-request-id"]
    assert door.status_code == 400
    answered = [line for line in lines_of(caplog) if line["event"] == "answered"]
    assert [line["route"] for line in answered] == ["/v1/account", "/v1/messages", "/graph/notifications"]
    assert answered[0]["request_id"] == answer.headers["x-request-id"]
    assert TRACE not in {line["trace_id"] for line in answered}, "whoever knocks at Graph's door is not known yet"
    assert "aroha" not in caplog.text
