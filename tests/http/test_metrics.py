"""`/metrics`: an account in numbers, for whoever watches it by night."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.backups.keeper import Standing
from gateway.http.metrics import GROUPS
from gateway.http.metrics.families import RECOUNT_AFTER, Ended, Scrape
from gateway.sending import budget
from gateway.sending.choices import cancel_batch
from storage import (
    StorageUnavailable,
    Store,
    Transaction,
    accounts,
    api_keys,
    deliveries,
    events,
    folders,
    hints,
    mailboxes,
    outbox,
    round_trips,
    subscriptions,
    webhooks,
)
from storage.api_keys import Scope
from storage.folders import Folder, WellKnown
from storage.hints import NewHint
from storage.subscriptions import SubscriptionState
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNPROVED, Scene, a_letter
from tests.http.shape import assert_problem
from tests.http.test_batches import a_batch
from tests.http.test_completeness import furnish, miss

MINUTE = timedelta(minutes=1)
INBOX = f"inbox{MAILBOX}"  # labels in the order of their names


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


async def test_how_old_the_newest_backup_is_and_whether_one_failed_are_numbers(scene: Scene, key: str) -> None:
    assert not [one for one in await scraped(scene, key) if "backup" in one.name], "where none are wanted"
    standing = Standing(wanted=True, newest_at=scene.clock.now() - timedelta(hours=3), failure="The disk is full.")
    scene = replace(scene, services=replace(scene.services, backups=lambda: standing))
    samples = await scraped(scene, key)
    assert numbers(samples, "backup_age_seconds") == {"": 3 * 3600}
    assert numbers(samples, "backup_failed") == {"": 1}


def _comes_back(tx: Transaction, scene: Scene) -> None:
    [trip] = round_trips.under_way(tx)
    at = scene.clock.now() + timedelta(seconds=4)
    round_trips.arrived(tx, trip.thread_id, graph_id="AAMk", now=at)
    seen = {"drafted_at": at, "submitted_at": at, "sent_at": at, "notified_at": at, "ended_at": at}
    round_trips.save(tx, replace(trip, state=round_trips.State.PASSED, **seen))


def _inbox(tx: Transaction, scene: Scene) -> Folder:
    box = mailboxes.get_by_address(tx, scene.account_id, MAILBOX)
    now = scene.clock.now()
    folders.watch(tx, scene.account_id, box.id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now)
    return folders.of_mailbox(tx, box.id)[0]


def _pulled(tx: Transaction, folder: Folder, now: datetime) -> None:
    [claimed] = folders.claim_due(tx, owner="us", now=now, lease_ends_at=now + MINUTE, limit=1)
    folders.pulled(tx, claimed, owner="us", next_pull_at=now + 10 * MINUTE, now=now)


def _told(tx: Transaction, folder: Folder, message_id: str, now: datetime) -> None:
    hint = NewHint(account_id=folder.account_id, folder_id=folder.id, change_type="created", message_id=message_id)
    hints.insert(tx, [hint], now=now)


async def test_how_fresh_a_folder_is_and_how_old_the_oldest_thing_that_graph_told_of_it(scene: Scene, key: str) -> None:
    folder = await scene.store.write(_inbox, scene)

    samples = await scraped(scene, key)
    assert numbers(samples, "hints_open") == numbers(samples, "oldest_open_hint_seconds") == {INBOX: 0}
    assert not [one for one in samples if one.name == "selma_gateway_folder_pull_age_seconds"], "it never was pulled"
    await scene.store.write(_pulled, folder, scene.clock.now())
    for message_id in ("AAMk1", "AAMk2"):
        await scene.store.write(_told, folder, message_id, scene.clock.now())
        scene.clock.advance(MINUTE)
    samples = await scraped(scene, key)
    assert numbers(samples, "hints_open") == {INBOX: 2}
    assert numbers(samples, "oldest_open_hint_seconds") == {INBOX: 120}
    assert numbers(samples, "folder_pull_age_seconds") == {INBOX: 120}
    assert numbers(samples, "folder_pull_failures") == {INBOX: 0}


async def test_a_round_that_takes_several_pulls_is_as_old_as_its_begin(scene: Scene, key: str) -> None:
    folder, began_at = await scene.store.write(_inbox, scene), scene.clock.now()
    await scene.store.write(folders.advance, folder.id, "next", unrelated=0, round_began_at=began_at)
    scene.clock.advance(30 * MINUTE)
    await scene.store.write(_pulled, folder, scene.clock.now())
    assert numbers(await scraped(scene, key), "folder_pull_age_seconds") == {INBOX: 1800}
    await scene.store.write(folders.advance, folder.id, "delta", unrelated=0)
    assert numbers(await scraped(scene, key), "folder_pull_age_seconds") == {INBOX: 0}


def _subscribed(tx: Transaction, scene: Scene, folder: Folder, ends_at: datetime) -> None:
    begun = subscriptions.add(
        tx,
        account_id=folder.account_id,
        mailbox_id=folder.mailbox_id,
        folder_id=folder.id,
        client_state_digest=b"d" * 32,
        notification_url="https://mail.school.example/graph/notifications",
        next_step_at=scene.clock.now(),
        now=scene.clock.now(),
    )
    live = replace(begun, state=SubscriptionState.LIVE, subscription_id="sub-1", expiration_date_time=ends_at)
    subscriptions.save(tx, live)


async def test_how_long_graph_will_go_on_telling_of_a_folder(scene: Scene, key: str) -> None:
    folder = await scene.store.write(_inbox, scene)
    assert "selma_gateway_subscription_left_seconds" not in {one.name for one in await scraped(scene, key)}
    public = scene.with_settings(public_url="https://mail.school.example")
    assert numbers(await scraped(public, key), "subscription_left_seconds") == {INBOX: 0}
    await scene.store.write(_subscribed, scene, folder, scene.clock.now() + 60 * MINUTE)
    scene.clock.advance(MINUTE)
    assert numbers(await scraped(public, key), "subscription_left_seconds") == {INBOX: 59 * 60}
    scene.clock.advance(90 * MINUTE)
    assert numbers(await scraped(public, key), "subscription_left_seconds") == {INBOX: 0}


async def test_how_far_each_webhook_is_behind(scene: Scene, api: httpx.AsyncClient, key: str) -> None:
    hook = (await api.post("/v1/webhooks", json={"url": "https://selma.example/", "types": ["reply.received"]})).json()
    await scene.store.write(events.record, scene.account_id, "message.sent", now=scene.clock.now())
    scene.clock.advance(MINUTE)
    assert numbers(await scraped(scene, key), "webhook_lag_seconds") == {hook["id"]: 0}, "it is not told of this"
    await scene.store.write(events.record, scene.account_id, "reply.received", now=scene.clock.now())
    scene.clock.advance(MINUTE)
    assert numbers(await scraped(scene, key), "webhook_lag_seconds") == {hook["id"]: 60}, "it is not even taken up"
    told = (await scene.store.read(events.after, scene.account_id, 0, limit=100))[-1]
    await scene.store.write(deliveries.insert, hook["id"], [told], now=scene.clock.now())
    await scene.store.write(webhooks.take_up, hook["id"], told.seq)
    await scene.store.write(webhooks.failed, hook["id"], failures=3)
    scene.clock.advance(MINUTE)
    samples = await scraped(scene, key)
    assert numbers(samples, "webhook_lag_seconds") == {hook["id"]: 60}
    assert numbers(samples, "webhook_deliveries_waiting") == {hook["id"]: 1}
    assert numbers(samples, "webhook_failures") == {hook["id"]: 3}
    assert numbers(samples, "webhook_disabled") == {hook["id"]: 0}
    await scene.store.write(webhooks.disable, hook["id"], "It answered 410: it is gone.")
    assert numbers(await scraped(scene, key), "webhook_disabled") == {hook["id"]: 1}


async def test_letters_that_have_come_to_an_end_are_counted_now_and_then(
    scene: Scene, api: httpx.AsyncClient, key: str
) -> None:
    message_id = (await api.post("/v1/messages", json=a_letter())).json()["id"]
    assert numbers(await scraped(scene, key), "letters")["queued"] == 1
    assert (await api.post(f"/v1/messages/{message_id}/cancel")).status_code == 200
    soon = numbers(await scraped(scene, key), "letters")
    assert (soon["queued"], soon["cancelled"]) == (0, 0)
    scene.clock.advance(RECOUNT_AFTER)
    assert numbers(await scraped(scene, key), "letters")["cancelled"] == 1


async def test_the_files_their_disk_and_the_release_are_among_it(scene: Scene, key: str) -> None:
    samples = await scraped(scene, key)
    assert numbers(samples, "database_bytes")[""] == scene.store.files[0].stat().st_size
    assert numbers(samples, "database_log_bytes")[""] > 0
    assert 0 < numbers(samples, "filesystem_free_bytes")[""] <= numbers(samples, "filesystem_size_bytes")[""]
    assert numbers(samples, "store_writes_queued") == {"": 0}
    [build] = [one for one in samples if one.name == "selma_gateway_build_info"]
    assert set(build.labels) == {"version", "schema", "sqlite"}


class Unreadable:
    """A store of which nothing can be read, when it is told to."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.write, self.files, self.queued = store.write, store.files, store.queued
        self.is_away = False
        self.breaks_at: Callable[..., Any] | None = None

    async def read(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.is_away or self.breaks_at in (work, *args):
            raise StorageUnavailable("The disk is away.")
        return await self._store.read(work, *args, **kwargs)

    glance = read


async def test_while_the_store_cannot_be_read_who_was_let_in_lately_sees_what_is_in_memory(
    scene: Scene, key: str
) -> None:
    store = Unreadable(scene.store)
    down = replace(scene, services=replace(scene.services, store=cast("Store", store)))
    others = await scene.new_key(Scope.READ)
    assert numbers(await scraped(down, key), "store_readable") == {"": 1}
    store.is_away = True
    samples = await scraped(down, key)
    names = {one.name for one in samples}
    assert numbers(samples, "store_readable") == {"": 0}
    assert {"selma_gateway_notification_answer_seconds_count", "selma_gateway_store_commit_seconds_count"} <= names
    assert "selma_gateway_letters" not in names
    for unknown in (others, await scene.new_key(Scope.METRICS), key + "x"):
        async with down.client(unknown) as client:
            assert_problem(await client.get("/metrics"), 503, "unavailable")
    scene.clock.advance(timedelta(hours=1))
    async with down.client(key) as client:
        assert_problem(await client.get("/metrics"), 503, "unavailable")


async def test_a_key_that_was_revoked_is_not_remembered(scene: Scene, key: str) -> None:
    store = Unreadable(scene.store)
    down = replace(scene, services=replace(scene.services, store=cast("Store", store)))
    await scraped(down, key)
    known = await scene.store.read(api_keys.find, key)
    assert known is not None
    await scene.store.write(api_keys.revoke, scene.account_id, known.id, now=scene.clock.now())
    async with down.client(key) as client:
        assert_problem(await client.get("/metrics"), 401, "not-authenticated")
        store.is_away = True
        assert_problem(await client.get("/metrics"), 503, "unavailable")


async def test_a_store_that_goes_away_in_the_middle_leaves_nothing_that_is_half(scene: Scene, key: str) -> None:
    store = Unreadable(scene.store)
    store.breaks_at = GROUPS[-1]
    samples = await scraped(replace(scene, services=replace(scene.services, store=cast("Store", store))), key)
    assert numbers(samples, "store_readable") == {"": 0}
    assert "selma_gateway_letters" not in {one.name for one in samples}


# As ANALYZE finds a school with a million messages, in which nearly all letters have been sent.
STATISTICS = """
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('outbox', 'outbox_by_state', '550000 550000 550000 1'), ('outbox', 'outbox_newest', '550000 550000 1'),
    ('outbox', 'sqlite_autoindex_outbox_1', '550000 1'), ('messages', 'sqlite_autoindex_messages_1', '1000000 1'),
    ('messages', 'messages_of_thread', '1000000 5 1 1'), ('events', 'events_of_account', '1000000 1000000 1'),
    ('deliveries', 'sqlite_autoindex_deliveries_1', '1000000 50000 1'), ('hints', 'hints_open', '1000000 5000 1')
"""
LARGE = ("outbox", "messages", "threads", "conversations", "events", "deliveries", "hints", "attachments", "audit")


async def test_no_question_of_a_scrape_goes_over_a_large_table(scene: Scene, api: httpx.AsyncClient) -> None:
    await api.post("/v1/messages", json=a_letter())
    await api.post("/v1/webhooks", json={"url": "https://selma.example/"})
    await scene.store.write(furnish, scene)

    def plans(tx: Transaction) -> list[tuple[str, str]]:
        for statement in ("ANALYZE", STATISTICS, "ANALYZE sqlite_schema"):
            tx.execute(statement)
        asked: list[str] = []
        tx.set_trace_callback(asked.append)
        for group in GROUPS:
            list(group(tx, scrape))
        tx.set_trace_callback(None)
        assert len(asked) > 20
        return [
            (step["detail"], question)
            for question in asked
            if question.lstrip().upper().startswith("SELECT")
            for step in tx.execute(f"EXPLAIN QUERY PLAN {question}")
        ]

    scrape = Scrape(
        account_id=scene.account_id,
        allowance=scene.services.settings.rules.allowance,
        limits=scene.services.settings.limits,
        is_notified=True,
        ended=Ended(),
        now=scene.clock.now(),
    )
    for step, question in await scene.store.write(plans):
        assert not step.startswith(tuple(f"SCAN {table}" for table in LARGE)), question
