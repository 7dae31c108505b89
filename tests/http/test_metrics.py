"""`/metrics`: an account in numbers, for whoever watches it by night."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.sending import budget
from gateway.sending.choices import cancel_batch
from storage import Transaction, accounts, mailboxes, outbox, round_trips
from storage.api_keys import Scope
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNPROVED, Scene, a_letter
from tests.http.shape import assert_problem
from tests.http.test_batches import a_batch
from tests.http.test_completeness import furnish, miss

MINUTE = timedelta(minutes=1)


async def scraped(scene: Scene, key: str) -> list[Sample]:
    async with scene.client(key) as prometheus:
        answer = await prometheus.get("/metrics")
    assert answer.status_code == 200, answer.text
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def numbers(samples: list[Sample], name: str) -> Mapping[str, float]:
    """The values of a metric, by its label."""
    found = [one for one in samples if one.name == f"selma_gateway_{name}"]
    assert found, name
    return {"".join(one.labels.values()): one.value for one in found}


@pytest.fixture
async def key(scene: Scene) -> str:
    return await scene.new_key(Scope.METRICS)


def _leaves(tx: Transaction, message_id: str, scene: Scene) -> None:
    letter = outbox.find(tx, message_id)
    assert letter is not None
    budget.spend(tx, letter, scene.services.settings.rules.allowance, scene.clock.now())


def _ends(tx: Transaction, message_id: str, state: str, now: datetime) -> None:
    letter = outbox.find(tx, message_id)
    assert letter is not None
    ended: dict[str, Any] = {"state": state, "next_attempt_at": None, "problem": {"code": "x", "explanation": "X."}}
    outbox.save(tx, replace(letter, **ended))


async def test_a_quiet_outbox_is_all_noughts_but_what_may_be_sent(scene: Scene, key: str) -> None:
    samples = await scraped(scene, key)
    assert set(numbers(samples, "letters").values()) == {0}
    assert numbers(samples, "letters_waiting") == {MAILBOX: 0, UNPROVED: 0}
    assert numbers(samples, "letters_left_this_minute") == {MAILBOX: 30}
    assert numbers(samples, "recipients_left_today") == {MAILBOX: 10_000}
    assert numbers(samples, "mailbox_paused") == {MAILBOX: 0, UNPROVED: 0}
    for name in ("letters_held", "outbox_paused", "batches_open", "oldest_due_letter_seconds"):
        assert numbers(samples, name) == {"": 0}


async def test_letters_are_counted_by_status_and_by_mailbox(scene: Scene, api: httpx.AsyncClient, key: str) -> None:
    ids = [(await api.post("/v1/messages", json=a_letter())).json()["id"] for _ in range(4)]
    await scene.store.write(_ends, ids[0], "failed", scene.clock.now())
    await scene.store.write(_ends, ids[1], "needs_review", scene.clock.now())
    samples = await scraped(scene, key)
    by_status = numbers(samples, "letters")
    assert (by_status["queued"], by_status["failed"], by_status["needs_review"]) == (2, 1, 1)
    assert set(by_status) == {
        "queued", "sending", "submitted", "sent", "bounced", "failed", "needs_review", "cancelled"
    }  # fmt: skip
    assert numbers(samples, "letters_waiting")[MAILBOX] == 2


async def test_what_has_left_is_taken_from_the_budget(scene: Scene, api: httpx.AsyncClient, key: str) -> None:
    people = [{"name": None, "address": f"s{number}@student.example"} for number in range(3)]
    posted = await api.post("/v1/messages", json=a_letter(to=people))
    await scene.store.write(_leaves, posted.json()["id"], scene)
    samples = await scraped(scene, key)
    assert numbers(samples, "letters_left_this_minute") == {MAILBOX: 29}
    assert numbers(samples, "recipients_left_today") == {MAILBOX: 9_997}


async def test_pauses_are_said_until_they_are_over(scene: Scene, key: str) -> None:
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    await scene.store.write(mailboxes.pause, mailbox.id, scene.clock.now() + MINUTE)
    await scene.store.write(accounts.pause_outbox, scene.account_id, scene.clock.now() + MINUTE)
    samples = await scraped(scene, key)
    assert numbers(samples, "mailbox_paused") == {MAILBOX: 1, UNPROVED: 0}
    assert numbers(samples, "outbox_paused") == {"": 1}
    scene.clock.advance(MINUTE)
    samples = await scraped(scene, key)
    assert numbers(samples, "mailbox_paused")[MAILBOX] == 0
    assert numbers(samples, "outbox_paused") == {"": 0}


async def test_a_batch_is_open_until_none_of_it_is_to_leave(scene: Scene, api: httpx.AsyncClient, key: str) -> None:
    posted = (await api.post("/v1/batches", json=a_batch())).json()
    assert numbers(await scraped(scene, key), "batches_open") == {"": 1}
    await scene.store.write(cancel_batch, scene.account_id, posted["id"], now=scene.clock.now())
    assert numbers(await scraped(scene, key), "batches_open") == {"": 0}


async def test_the_age_of_what_waits_longest_counts_from_when_it_was_due(
    scene: Scene, api: httpx.AsyncClient, key: str
) -> None:
    await api.post("/v1/messages", json=a_letter(send_at="2026-03-02T09:10:00Z"))
    scene.clock.advance(5 * MINUTE)
    assert numbers(await scraped(scene, key), "oldest_due_letter_seconds") == {"": 0}
    scene.clock.advance(6 * MINUTE)
    assert numbers(await scraped(scene, key), "oldest_due_letter_seconds") == {"": 60}


async def test_what_the_process_uses_is_among_it(scene: Scene, key: str) -> None:
    names = {one.name for one in await scraped(scene, key)}
    assert {"process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds"} <= names


async def test_another_accounts_numbers_are_not_among_it(scene: Scene, api: httpx.AsyncClient) -> None:
    await api.post("/v1/messages", json=a_letter())
    await api.post("/v1/batches", json=a_batch())
    key = await scene.new_key(Scope.METRICS, account_id=await scene.new_account("Other school"))
    samples = await scraped(scene, key)
    assert set(numbers(samples, "letters").values()) == {0}
    assert numbers(samples, "letters_waiting")[MAILBOX] == 0
    assert numbers(samples, "batches_open") == numbers(samples, "oldest_due_letter_seconds") == {"": 0}


async def test_it_is_plain_text_of_the_format_that_every_prometheus_reads(scene: Scene, key: str) -> None:
    async with scene.client(key) as prometheus:
        answer = await prometheus.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    for line in answer.text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ", "selma_gateway_", "process_"))


async def test_two_gateways_in_one_process_do_not_get_in_each_others_way(scene: Scene, key: str) -> None:
    assert numbers(await scraped(scene.with_settings(), key), "batches_open") == {"": 0}


@pytest.mark.parametrize("scope", [scope for scope in Scope if scope is not Scope.METRICS])
async def test_a_key_of_another_scope_sees_none_of_it(scene: Scene, scope: Scope) -> None:
    async with scene.client(await scene.new_key(scope)) as client:
        assert "metrics" in assert_problem(await client.get("/metrics"), 403, "missing-scope")["detail"]


async def test_without_a_key_there_is_nothing_to_see(scene: Scene) -> None:
    async with scene.client(key="") as nobody:
        assert_problem(await nobody.get("/metrics"), 401, "not-authenticated")


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/batches", "/v1/threads", "/v1/account", "/v1/events"])
async def test_a_key_for_metrics_sees_no_mail(scene: Scene, key: str, path: str) -> None:
    async with scene.client(key) as prometheus:
        assert_problem(await prometheus.get(path), 403, "missing-scope")


async def test_what_came_unannounced_and_what_is_missing_are_numbers_too(scene: Scene, key: str) -> None:
    before = await scraped(scene, key)
    assert not [one for one in before if one.name == "selma_gateway_mail_missing"], "nothing is known yet"
    await scene.store.write(furnish, scene)
    await scene.store.write(miss, scene)
    samples = await scraped(scene, key)
    assert numbers(samples, "mail_unannounced_total") == {MAILBOX: 3}
    assert numbers(samples, "mail_missing") == {MAILBOX: 1}
    assert numbers(samples, "delivery_gaps_open") == {MAILBOX: 1}


async def test_how_long_the_credential_is_good_and_whether_mailboxes_come_back_are_numbers(
    scene: Scene, api: httpx.AsyncClient, key: str
) -> None:
    account = {
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "client_secret": "Qx8~value",
        "secret_expires_at": "2026-03-20",
    }
    assert (await api.put("/v1/account", json=account)).status_code == 200
    await api.post(f"/v1/mailboxes/{MAILBOX}/round-trip", json={})
    samples = await scraped(scene, key)
    assert numbers(samples, "credential_days_left") == {"": 18}
    assert not [one for one in samples if one.name == "selma_gateway_mailbox_healthy"]
    await scene.store.write(_comes_back, scene)
    samples = await scraped(scene, key)
    assert numbers(samples, "mailbox_healthy") == {MAILBOX: 1}
    assert numbers(samples, "round_trip_seconds") == {MAILBOX: 4}


def _comes_back(tx: Transaction, scene: Scene) -> None:
    [trip] = round_trips.under_way(tx)
    at = scene.clock.now() + timedelta(seconds=4)
    round_trips.arrived(tx, trip.thread_id, graph_id="AAMk", now=at)
    seen = {"drafted_at": at, "submitted_at": at, "sent_at": at, "notified_at": at, "ended_at": at}
    round_trips.save(tx, replace(trip, state=round_trips.State.PASSED, **seen))
