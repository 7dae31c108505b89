"""`/v1/account`, `/v1/mailboxes`, `/v1/subscriptions`."""

from typing import Any

import httpx
import pytest

from gateway.setup.report import Report
from storage import Transaction, credentials, folders, mailboxes, round_trips, subscriptions, validations
from storage.folders import WellKnown
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNPROVED, UNWELL, WELL, Scene
from tests.http.shape import assert_bad_values, assert_problem

SECRET = "Qx8~canary-secret-value.7Hn"
ACCOUNT = {
    "tenant_id": TENANT,
    "client_id": CLIENT,
    "client_secret": SECRET,
    "secret_expires_at": "2026-12-31",
    "cloud": "global",
    "time_zone": "Pacific/Auckland",
}


async def test_an_account_is_configured_and_its_secret_never_comes_back(scene: Scene, api: httpx.AsyncClient) -> None:
    answer = await api.put("/v1/account", json=ACCOUNT)
    shown = answer.json()
    assert answer.status_code == 200
    assert shown == (await api.get("/v1/account")).json()
    assert (shown["tenant_id"], shown["client_id"], shown["cloud"]) == (TENANT, CLIENT, "global")
    assert shown["secret_hint"] == SECRET[:3]
    assert shown["secret_expires_at"] == "2026-12-30T11:00:00Z"  # when the day begins in Auckland
    assert shown["secret_days_left"] == 304
    assert SECRET not in answer.text
    stored = await scene.store.read(credentials.active, scene.account_id)
    assert stored is not None
    assert stored.open(scene.setup.key) == SECRET


async def test_the_stored_secret_stays_when_none_is_given(scene: Scene, api: httpx.AsyncClient) -> None:
    await api.put("/v1/account", json=ACCOUNT)
    change = {name: value for name, value in ACCOUNT.items() if not name.startswith(("client_secret", "secret"))}
    answer = await api.put("/v1/account", json=change | {"time_zone": "Pacific/Chatham"})
    assert (answer.json()["time_zone"], answer.json()["secret_hint"]) == ("Pacific/Chatham", SECRET[:3])


async def test_an_account_without_any_secret_asks_for_one(scene: Scene, api: httpx.AsyncClient) -> None:
    answer = await api.put("/v1/account", json=ACCOUNT | {"client_secret": None})
    assert "Certificates & secrets" in assert_bad_values(answer, "/client_secret")["/client_secret"]


@pytest.mark.parametrize(
    ("changes", "pointers"),
    [
        ({"tenant_id": "my school"}, ["/tenant_id"]),
        ({"tenant_id": "common"}, ["/tenant_id"]),
        ({"client_id": "12345"}, ["/client_id"]),
        ({"client_secret": CLIENT}, ["/client_secret"]),
        ({"client_secret": "two words"}, ["/client_secret"]),
        ({"client_secret": 7}, ["/client_secret"]),
        ({"secret_expires_at": "next year"}, ["/secret_expires_at"]),
        ({"secret_expires_at": "2026-02-30"}, ["/secret_expires_at"]),
        ({"secret_expires_at": "2020-01-01"}, ["/secret_expires_at"]),
        ({"cloud": "moon"}, ["/cloud"]),
        ({"time_zone": "Auckland"}, ["/time_zone"]),
        ({"time_zone": "../../etc/passwd"}, ["/time_zone"]),
        ({"secret": "x"}, ["/secret"]),
        ({"tenant_id": 1, "client_id": None, "time_zone": "x"}, ["/tenant_id", "/client_id", "/time_zone"]),
    ],
)
async def test_bad_account_settings_are_named_and_nothing_is_stored(
    scene: Scene, api: httpx.AsyncClient, changes: dict[str, Any], pointers: list[str]
) -> None:
    before = await scene.rows()
    answer = await api.put("/v1/account", json=ACCOUNT | changes)
    assert_bad_values(answer, *pointers)
    assert SECRET not in answer.text
    assert await scene.rows() == before
    assert (await api.get("/v1/account")).json()["tenant_id"] is None


async def test_a_check_tells_what_was_tried_and_found(scene: Scene, api: httpx.AsyncClient) -> None:
    scene.setup.report = Report(checks=(WELL, UNWELL))
    answer = await api.post("/v1/account/check")
    assert answer.json() == {
        "ok": False,
        "checks": [
            {"name": "token", "verdict": "ok", "tried": WELL.tried, "found": WELL.found, "cure": None},
            {"name": "mail", "verdict": "fail", "tried": UNWELL.tried, "found": UNWELL.found, "cure": UNWELL.cure},
        ],
    }


async def test_a_check_takes_an_empty_object_and_nothing_else(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/account/check", json={})).status_code == 200
    assert_bad_values(await api.post("/v1/account/check", json={"deep": True}), "/deep")


async def test_a_mailbox_is_added_validated_and_removed(api: httpx.AsyncClient) -> None:
    added = await api.post("/v1/mailboxes", json={"address": "o'brien+desk@school.example"})
    location = added.headers["location"]
    assert (added.status_code, added.json()["state"]) == (201, "added")
    assert (await api.get(location)).json() == added.json()
    validated = (await api.post(f"{location}/validate")).json()
    assert (validated["ok"], validated["mailbox"]["state"]) == (True, "validated")
    assert validated["mailbox"]["validated_at"] == "2026-03-02T09:00:00Z"
    listed = (await api.get("/v1/mailboxes")).json()
    assert [one["address"] for one in listed["items"]] == [MAILBOX, UNPROVED, "o'brien+desk@school.example"]
    removed = await api.delete(location)
    assert (removed.status_code, removed.content) == (204, b"")
    assert_problem(await api.get(location), 404, "not-found")


async def test_many_mailboxes_are_asked_for_at_once_and_followed(scene: Scene, api: httpx.AsyncClient) -> None:
    asked = await api.post("/v1/mailboxes/validate", json={"addresses": [MAILBOX, "new@school.example"]})
    assert (asked.status_code, asked.json()["finished"]) == (202, False)
    first, _ = await scene.store.read(validations.to_do, limit=9)
    check = {"name": "user", "verdict": "ok", "tried": "Looked.", "found": "There.", "cure": None}
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    await scene.store.write(
        validations.done,
        first,
        validations.Outcome.VALIDATED,
        checks=[check],
        mailbox_id=mailbox.id,
        now=scene.clock.now(),
    )
    found = (await api.get(asked.headers["location"])).json()
    assert (found["done"], found["total"], found["finished"]) == (1, 2, False)
    assert found["items"] == [
        {"address": MAILBOX, "mailbox": MAILBOX, "outcome": "validated", "checks": [check]},
        {"address": "new@school.example", "mailbox": None, "outcome": None, "checks": []},
    ]
    assert_problem(await api.get("/v1/mailboxes/validations/val_of_nobody"), 404, "not-found")
    assert_bad_values(await api.post("/v1/mailboxes/validate", json={"addresses": []}), "/addresses")


async def test_a_round_trip_is_begun_and_followed(scene: Scene, api: httpx.AsyncClient) -> None:
    assert_problem(await api.get(f"/v1/mailboxes/{MAILBOX}/round-trip"), 404, "not-found")
    begun = await api.post(f"/v1/mailboxes/{MAILBOX}/round-trip", json={})
    assert (begun.status_code, begun.json()["state"], begun.json()["to"]) == (202, "under_way", None)
    found = (await api.get(begun.headers["location"])).json()
    assert found == begun.json()
    assert [step["name"] for step in found["steps"]] == list(round_trips.STEPS)
    assert [step["at"] for step in found["steps"]] == ["2026-03-02T09:00:00Z", *[None] * 6]
    assert (await api.get(f"/v1/mailboxes/{MAILBOX}/round-trips")).json()["items"] == [found]
    assert (await api.get("/v1/threads?q=round")).json()["items"] == []
    refused = await api.post(f"/v1/mailboxes/{UNPROVED}/round-trip", json={})
    assert_problem(refused, 422, "mailbox-not-validated")


async def test_wishes_stay_when_they_are_not_given(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/account")).json()["self_test"] is True
    wished = ACCOUNT | {"alert_address": "it@school.example", "self_test": False}
    saved = (await api.put("/v1/account", json=wished)).json()
    assert (saved["alert_address"], saved["self_test"]) == ("it@school.example", False)
    again = (await api.put("/v1/account", json=ACCOUNT)).json()
    assert (again["alert_address"], again["self_test"]) == ("it@school.example", False)
    assert (await api.put("/v1/account", json=ACCOUNT | {"alert_address": None})).json()["alert_address"] is None
    assert_bad_values(await api.put("/v1/account", json=ACCOUNT | {"alert_address": "it"}), "/alert_address")


async def test_a_warning_is_put_off_with_a_reason_and_said_again(scene: Scene, api: httpx.AsyncClient) -> None:
    assert_problem(await api.post("/v1/account/snooze", json={"reason": "x"}), 409, "conflict")
    ends = {"secret_expires_at": "2026-03-20"}
    assert (await api.put("/v1/account", json=ACCOUNT | ends)).status_code == 200
    put_off = await api.post("/v1/account/snooze", json={"reason": "It is ordered.", "by": "Jane Doe"})
    assert put_off.status_code == 200
    assert (await api.get("/v1/account")).json()["snooze"] == put_off.json()
    assert (put_off.json()["by"], put_off.json()["until"]) == ("Jane Doe", "2026-03-05T11:00:00Z")
    assert_bad_values(await api.post("/v1/account/snooze", json={"reason": " "}), "/reason")
    assert (await api.delete("/v1/account/snooze?by=Jane%20Doe")).status_code == 204
    assert (await api.get("/v1/account")).json()["snooze"] is None


async def test_an_alias_shows_the_mailbox_that_it_leads_to_and_sends_nothing(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    alias = "enrolments@school.example"
    await scene.store.write(mailboxes.add_alias, scene.account_id, alias, of=mailbox.id, now=scene.clock.now())
    shown = (await api.get(f"/v1/mailboxes/{alias}")).json()
    assert (shown["address"], shown["aliases"]) == (MAILBOX, [alias])
    letter = {"from": alias, "to": [{"address": "a@b.example"}], "subject": "x", "text": "y"}
    letter |= {"objects": [{"type": "student", "id": "S1"}]}
    refused = await api.post("/v1/messages", json=letter, headers={"idempotency-key": "k"})
    assert refused.status_code == 422
    assert f"Post the letter from {MAILBOX}" in refused.text


async def test_a_mailbox_is_added_once_in_whatever_case(scene: Scene, api: httpx.AsyncClient) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/mailboxes", json={"address": MAILBOX.upper()})
    assert_problem(answer, 409, "already-exists")
    assert await scene.rows() == before


@pytest.mark.parametrize("body", [{}, {"address": "x"}, {"address": None}, {"address": f"{MAILBOX}\r\n"}])
async def test_what_is_no_address_is_no_mailbox(scene: Scene, api: httpx.AsyncClient, body: dict[str, Any]) -> None:
    before = await scene.rows()
    assert_bad_values(await api.post("/v1/mailboxes", json=body), "/address")
    assert await scene.rows() == before


@pytest.mark.parametrize(
    ("method", "suffix"), [("GET", ""), ("DELETE", ""), ("POST", "/validate"), ("POST", "/test-message")]
)
async def test_an_unknown_mailbox_is_not_found(api: httpx.AsyncClient, method: str, suffix: str) -> None:
    answer = await api.request(method, f"/v1/mailboxes/nobody@school.example{suffix}", json=None)
    if suffix == "/test-message":
        answer = await api.post(f"/v1/mailboxes/nobody@school.example{suffix}", json={"to": "a@b.example"})
    assert_problem(answer, 404, "not-found")


async def test_a_test_message_is_a_letter_that_can_be_followed(api: httpx.AsyncClient) -> None:
    for body, recipient in (({"to": "a@b.example"}, "a@b.example"), ({}, MAILBOX)):
        answer = await api.post(f"/v1/mailboxes/{MAILBOX}/test-message", json=body)
        assert (answer.status_code, answer.json()["status"]) == (202, "queued")
        shown = (await api.get(answer.headers["location"])).json()
        assert [one["address"] for one in shown["to"]] == [recipient]


async def test_a_test_message_from_a_mailbox_that_is_not_proved_is_refused(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    before = await scene.rows()
    answer = await api.post(f"/v1/mailboxes/{UNPROVED}/test-message", json={"to": "a@b.example"})
    assert_problem(answer, 422, "mailbox-not-validated")
    assert_bad_values(await api.post(f"/v1/mailboxes/{MAILBOX}/test-message", json={"to": "x"}), "/to")
    assert await scene.rows() == before


def _watch(tx: Transaction, account_id: str, scene: Scene) -> None:
    now = scene.clock.now()
    mailbox = mailboxes.get_by_address(tx, account_id, MAILBOX)
    folders.watch(tx, account_id, mailbox.id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now)
    [folder] = folders.of_mailbox(tx, mailbox.id)
    subscriptions.add(
        tx,
        account_id=account_id,
        mailbox_id=mailbox.id,
        folder_id=folder.id,
        client_state_digest=b"d" * 32,
        notification_url="https://mail.school.example/graph/notifications",
        next_step_at=now,
        now=now,
    )


async def test_watching_is_shown_without_what_graph_must_keep_secret(scene: Scene, api: httpx.AsyncClient) -> None:
    await scene.store.write(_watch, scene.account_id, scene)
    shown = (await api.get("/v1/subscriptions")).json()
    [subscription] = shown["items"]
    assert (subscription["mailbox"], subscription["folder"], subscription["state"]) == (MAILBOX, "inbox", "creating")
    assert not {"client_state", "client_state_digest", "notification_url"} & set(subscription)
    assert [(one["mailbox"], one["folder"]) for one in shown["folders"]] == [(MAILBOX, "inbox")]


async def test_a_gateway_without_a_public_address_says_that_it_only_sweeps(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    assert "GATEWAY_PUBLIC_URL" in (await api.get("/v1/subscriptions")).json()["sweeping_only"]
    public = scene.with_settings(public_url="https://mail.school.example")
    async with public.client() as client:
        assert (await client.get("/v1/subscriptions")).json()["sweeping_only"] is None
