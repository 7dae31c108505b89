"""The console, by somebody without script: what stands there, and what its buttons do, once and twice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

import storage
from gateway.console import acts
from gateway.readiness import Part
from gateway.sending import machine
from gateway.sending.machine import UNSENT, State
from gateway.sending.reasons import problem
from gateway.setup.account import AccountConfiguration
from gateway.setup.report import Report
from gateway.threads.completeness import CHORE
from storage import (
    Transaction,
    accounts,
    audit,
    chores,
    deliveries,
    events,
    folders,
    hints,
    mailboxes,
    outbox,
    round_trips,
    webhooks,
)
from storage.accounts import TokenState
from storage.api_keys import Scope
from storage.deliveries import Attempt, DeliveryState
from storage.folders import WellKnown
from storage.hints import NewHint
from storage.outbox import Letter
from storage.webhooks import WebhookState
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNWELL, Scene
from tests.pages.desk import Desk, letter
from tests.storage.test_disk_full import fill

PAGE = "/settings/console"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
REFUSED = {"code": "secret_expired", "aadsts": 7000222, "explanation": "It has expired.", "cure": "Add a new one."}


async def connect(scene: Scene, *, secret_expires_at: datetime | None = None) -> None:
    configuration = AccountConfiguration(
        tenant_id=TENANT,
        client_id=CLIENT,
        client_secret="Zx9~correct-horse-battery-staple-0123456789",
        secret_expires_at=secret_expires_at,
        cloud="global",
        time_zone="Pacific/Auckland",
    )
    await scene.setup.configure_account(scene.account_id, configuration)


async def mailbox_id(scene: Scene) -> str:
    return (await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)).id


async def write(scene: Scene, work: Callable[[Transaction], Any]) -> Any:
    return await scene.store.write(work)


async def letter_of(scene: Scene, message_id: str) -> Letter:
    return await scene.store.read(outbox.get, scene.account_id, message_id)


async def put_off(scene: Scene, message_id: str, reason: str, **changes: Any) -> datetime:
    """It met this reason, and waits for an hour."""
    at = scene.clock.now() + HOUR

    def change(tx: Transaction) -> None:
        found = outbox.get(tx, scene.account_id, message_id)
        outbox.save(tx, replace(found, next_attempt_at=at, problem=problem(reason), **changes))

    await scene.store.write(change)
    return at


async def pause(scene: Scene) -> None:
    await scene.store.write(mailboxes.pause, await mailbox_id(scene), scene.clock.now() + HOUR)


async def acts_logged(scene: Scene) -> list[tuple[str, dict[str, Any]]]:
    found = await scene.store.read(audit.newest, scene.account_id, limit=100)
    return [(one.act, dict(one.targets)) for one in found]


async def test_before_the_first_letter_nothing_is_stuck_and_figures_have_their_time(desk: Desk, scene: Scene) -> None:
    page = (await desk.open(PAGE)).text
    assert "Nothing is stuck" in page
    assert "This account is not connected to Microsoft 365 yet." in page
    assert '<a href="/settings/console" aria-current="page">Console</a>' in page
    await connect(scene)
    page = (await desk.open(PAGE)).text
    assert "Times are in Pacific/Auckland." in page
    assert '<time datetime="2026-03-02T09:00:00Z" title="Monday, 2 March 2026">22:00:00</time>' in page


async def test_with_an_expired_credential_the_page_says_so_and_leads_to_the_cure(desk: Desk, scene: Scene) -> None:
    await connect(scene, secret_expires_at=scene.clock.now() + DAY)
    scene.clock.advance(2 * DAY)
    await desk.sign_in()
    await scene.store.write(
        accounts.record_token, scene.account_id, TokenState.REFUSED, problem=REFUSED, now=scene.clock.now()
    )
    page = (await desk.open(PAGE)).text
    assert "Stuck: Letters out, Credential." in page
    assert "It has expired. Add a new one." in page
    assert '<a class="button small" href="/settings#account">Renew the credential</a>' in page


async def test_with_microsoft_365_down_the_page_comes_and_so_does_the_check_of_the_connection(
    desk: Desk, scene: Scene
) -> None:
    await connect(scene)
    await scene.store.write(accounts.pause_outbox, scene.account_id, scene.clock.now() + MINUTE)
    scene.setup.report = Report(checks=(UNWELL,))
    await desk.open(PAGE)
    answer = await desk.send(f"{PAGE}/check")
    assert answer.status_code == 200
    assert "Grant Mail.ReadWrite." in desk.text
    assert "Letters out" in desk.text


async def test_with_a_full_disk_the_page_comes_and_says_that_it_is_full(desk: Desk, scene: Scene) -> None:
    await connect(scene)
    await letter(scene)
    full = "The database cannot be written: the disk is full."
    scene.readiness.parts = (Part(name="store", ok=False, detail=full),)
    await scene.store.write(fill)
    for path in (PAGE, f"{PAGE}/streams"):
        page = (await desk.open(path)).text
        assert desk.page.status_code == 200
        assert f"{full} Make room on its disk" in page
    async with scene.client() as api:
        answer = (await api.get("/v1/status")).json()
    assert answer["verdict"] == "stuck"
    assert [one["name"] for one in answer["streams"] if one["verdict"] == "stuck"] == ["database"]


async def test_programs_read_the_same_and_a_disk_that_does_not_answer_keeps_nobody(scene: Scene) -> None:
    class Hanging:
        async def readiness(self) -> Any:
            raise TimeoutError

    await connect(scene)
    key = await scene.new_key(Scope.SETTINGS)
    async with scene.client(key) as api:
        said = (await api.get("/v1/status")).json()
    assert said["verdict"] == "flowing"
    [found] = [one for one in said["streams"] if one["name"] == "round_trips"]
    assert found["actions"][0]["act"] == "mailboxes/round-trip"
    scene.services = replace(scene.services, readiness=Hanging())
    scene.__post_init__()
    async with scene.client(key) as api:
        said = (await api.get("/v1/status")).json()
    assert said["sentence"] == "Stuck: Database."
    assert "did not answer within 2 seconds" in str(said["streams"])


async def test_a_paused_mailbox_goes_on_and_what_waited_is_tried_at_once(desk: Desk, scene: Scene) -> None:
    await connect(scene)
    waits, machine_like, scheduled = await letter(scene), await letter(scene), await letter(scene)
    await put_off(scene, waits, "mailbox", state=State.DRAFTING)
    held_until = await put_off(scene, machine_like, "loop", state=State.DRAFTED)
    later = await put_off(scene, scheduled, "mailbox")
    await write(scene, lambda tx: tx.execute("UPDATE outbox SET send_at = ? WHERE message_id = ?", (later, scheduled)))
    await pause(scene)
    assert f"{MAILBOX} is paused. Microsoft 365 cannot serve this mailbox now" in (await desk.open(PAGE)).text
    for _ in range(2):
        await desk.send(f"{PAGE}/mailboxes/resume", id=await mailbox_id(scene))
        assert "Resumed: what waits is tried now." in desk.text
    assert "is paused" not in desk.text
    assert (await letter_of(scene, waits)).next_attempt_at == scene.clock.now()
    assert (await letter_of(scene, waits)).state == State.DRAFTING
    assert (await letter_of(scene, machine_like)).next_attempt_at == held_until
    assert (await letter_of(scene, scheduled)).next_attempt_at == later
    resumed = [one for one in await acts_logged(scene) if one[0] == "mailbox.resume"]
    assert resumed == [("mailbox.resume", {"mailbox_id": await mailbox_id(scene)})] * 2


async def test_nobody_can_hurry_microsoft_365_nor_the_mailbox_of_another_account(desk: Desk, scene: Scene) -> None:
    await connect(scene)
    waits = await letter(scene)
    until = await put_off(scene, waits, "throttled")
    await pause(scene)
    await desk.open(PAGE)
    assert "mailboxes/resume" not in desk.text
    await desk.send(f"{PAGE}/mailboxes/resume", id=await mailbox_id(scene))
    assert (await letter_of(scene, waits)).next_attempt_at == until
    assert "is paused" in desk.text
    other = await scene.new_account("Another school")
    theirs = await scene.store.read(mailboxes.get_by_address, other, MAILBOX)
    for act in (acts.resume_mailbox, acts.pull, acts.look_again):
        with pytest.raises(storage.NotFound):
            await scene.store.write(act, scene.account_id, theirs.id, now=scene.clock.now())


async def test_the_outbox_goes_on_but_no_button_touches_a_letter_that_may_have_left(desk: Desk, scene: Scene) -> None:
    """Whether it left is found out by reading, at its own times; none of the acts moves it or its tag."""
    await connect(scene)
    waits = await letter(scene)
    await put_off(scene, waits, "no_token")
    uncertain = [await letter(scene) for _ in range(3)]
    for message_id, state in zip(uncertain, ("submitting", "unknown", "submitted"), strict=True):
        await put_off(scene, message_id, "mailbox", state=state, submits=1)
    before = [await letter_of(scene, one) for one in uncertain]
    await write(scene, lambda tx: accounts.pause_outbox(tx, scene.account_id, scene.clock.now() + HOUR))
    assert "Stuck: Letters out" in (await desk.open(PAGE)).text
    await desk.send(f"{PAGE}/outbox/resume")
    assert "Stuck" not in desk.text
    assert (await letter_of(scene, waits)).next_attempt_at == scene.clock.now()
    for act in ("mailboxes/resume", "mailboxes/pull", "mailboxes/again"):
        await desk.send(f"{PAGE}/{act}", id=await mailbox_id(scene))
    assert [await letter_of(scene, one) for one in uncertain] == before
    assert not set(UNSENT) & {machine.State(one.state) for one in before}


async def test_a_mailbox_is_read_now_and_stubborn_mail_is_looked_at_again(desk: Desk, scene: Scene) -> None:
    await connect(scene)
    box, now = await mailbox_id(scene), scene.clock.now()

    def watch(tx: Transaction) -> str:
        folders.watch(tx, scene.account_id, box, WellKnown.INBOX, folder_id="f", since=now, now=now)
        [folder] = folders.of_mailbox(tx, box)
        [claimed] = folders.claim_due(tx, owner="me", now=now, lease_ends_at=now + MINUTE, limit=1)
        folders.pull_failed(tx, claimed, owner="me", problem="It is not found.", next_pull_at=now + HOUR)
        tx.execute("UPDATE folders SET failures = 5")
        hint = NewHint(account_id=scene.account_id, folder_id=folder.id, change_type="created", message_id="AAMk")
        hints.insert_for_later(tx, hint, retry_at=now, now=now - HOUR)
        [kept] = hints.open_hints(tx, folder.id)
        hints.postpone(tx, kept, now + HOUR)
        return folder.id

    folder_id = await scene.store.write(watch)
    page = (await desk.open(PAGE)).text
    assert "Stuck: Replies in" in page
    assert f"{MAILBOX}: It is not found." in page
    assert "1 mail could not be taken in" in page
    for _ in range(2):
        await desk.send(f"{PAGE}/mailboxes/pull", id=box)
        await desk.send(f"{PAGE}/mailboxes/again", id=box)
    folder = await scene.store.read(folders.get, folder_id)
    [hint] = await scene.store.read(hints.open_hints, folder_id)
    assert (folder.next_pull_at, hint.retry_at) == (now, now)


async def test_a_webhook_that_is_down_is_tried_and_refused_events_are_delivered_again(desk: Desk, scene: Scene) -> None:
    made = await scene.services.webhooks.add(
        scene.account_id, url="https://selma.school.example/hook?token=abc", description=None, types=()
    )
    hook_id, now = made.webhook.id, scene.clock.now()

    def trouble(tx: Transaction) -> list[int]:
        for _ in range(3):
            events.record(tx, scene.account_id, "message.sent", now=now)
        found = events.after(tx, scene.account_id, 0, limit=9)
        deliveries.insert(tx, hook_id, found, now=now)
        refused = Attempt(status=400, took_ms=5, problem="It answered 400.", at=now)
        for event in found[:2]:
            deliveries.failed(tx, deliveries.get(tx, hook_id, event.seq), refused)
        webhooks.go_down(tx, hook_id, failures=9, problem="It answered 500.", next_probe_at=now + HOUR)
        return [event.seq for event in found[:2]]

    seqs = await scene.store.write(trouble)
    page = (await desk.open(PAGE)).text
    assert "selma.school.example does not take events. It answered 500." in page
    assert "would not take 2 events" in page
    assert "token=abc" not in page
    for _ in range(2):
        await desk.send(f"{PAGE}/webhooks/enable", id=hook_id)
        await desk.send(f"{PAGE}/webhooks/redeliver", id=hook_id)
    assert "SELMA takes events as they happen." in desk.text
    found = await scene.store.read(webhooks.get, scene.account_id, hook_id)
    assert found.state is WebhookState.LIVE
    for seq in seqs:
        assert (await scene.store.read(deliveries.get, hook_id, seq)).state is DeliveryState.WAITING


async def test_a_round_trip_is_started_once_and_the_rest_is_looked_at_now(desk: Desk, scene: Scene) -> None:
    await connect(scene)
    assert "No mailbox has written to itself yet." in (await desk.open(PAGE)).text
    for _ in range(3):
        await desk.send(f"{PAGE}/mailboxes/round-trip", id=await mailbox_id(scene))
    assert "1 letter under way." in desk.text
    assert len(await scene.store.read(round_trips.under_way)) == 1
    await scene.store.write(chores.done, scene.account_id, CHORE, next_at=scene.clock.now() + DAY)
    await desk.open(PAGE)
    await desk.send(f"{PAGE}/completeness")
    assert await scene.store.read(chores.due_at, scene.account_id, CHORE) == scene.clock.now()
    await desk.send(f"{PAGE}/subscriptions/repair")
    assert await scene.store.read(chores.due_at, scene.account_id, "subscriptions") == scene.clock.now()
    logged = {act for act, _ in await acts_logged(scene)}
    assert {"completeness.check", "subscriptions.repair"} <= logged
