"""Subscriptions: the handshake, their life, and what is told."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour, Sandbox
from gateway.sandbox.school import School

from .conftest import ManualClock, Receiver, at, draft_of, subscription_to

OFFICE = "office@school.example"
SUBSCRIPTIONS = "/v1.0/subscriptions"


async def subscribe(sandbox: Sandbox, graph: httpx.AsyncClient, folder: str = "inbox", **fields: Any) -> str:
    answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox, folder, **fields))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_both_urls_shake_hands_before_the_subscription_exists(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver
) -> None:
    await subscribe(sandbox, graph)
    assert receiver.handshakes == ["/graph/notifications", "/graph/lifecycle"]


BAD_HANDSHAKES = [
    ({"handshake_status": 404}, "must respond with 200 OK"),
    ({"handshake_status": 202}, "must respond with 200 OK"),
    ({"echo": "nonsense"}, "must exactly match"),
    ({"handshake_type": "text/html"}, "must exactly match"),
]


@pytest.mark.parametrize(("habits", "text"), BAD_HANDSHAKES)
async def test_a_bad_handshake_leaves_no_subscription(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver, habits: dict[str, Any], text: str
) -> None:
    for name, value in habits.items():
        setattr(receiver, name, value)
    answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ValidationError")
    assert text in answer.json()["error"]["message"]
    assert (await graph.get(SUBSCRIPTIONS)).json()["value"] == []


REFUSED = [
    ({"expirationDateTime": "2026-12-01T01:50:01Z"}, 400, "ExtensionError"),
    ({"expirationDateTime": "2026-11-24T01:59:00Z"}, 400, "InvalidRequest"),
    ({"expirationDateTime": "tomorrow"}, 400, "RequestBodyRead"),
    ({"resource": "users/office@school.example/mailFolders('Sent Items')/messages"}, 400, "ExtensionError"),
    ({"resource": "https://graph.microsoft.com/v1.0/users/office@school.example/messages"}, 400, "ExtensionError"),
    ({"resource": "users/nobody@school.example/messages"}, 404, "ExtensionError"),
    ({"resource": "me/messages"}, 401, "NoPermissionsInAccessToken"),
    ({"changeType": "created,moved"}, 400, "InvalidRequest"),
    ({"clientState": "x" * 129}, 400, "InvalidRequest"),
    ({"notificationUrl": "http://gateway.example/graph"}, 400, "InvalidRequest"),
    ({"notificationUrl": None}, 400, "InvalidRequest"),
    ({"colour": "green"}, 400, "RequestBodyRead"),
]


@pytest.mark.parametrize(("fields", "status", "code"), REFUSED, ids=[str(r[0])[:60] for r in REFUSED])
async def test_a_subscription_is_refused_for(
    sandbox: Sandbox, graph: httpx.AsyncClient, fields: dict[str, Any], status: int, code: str
) -> None:
    answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox, **fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


async def test_10070_minutes_are_granted_and_less_than_45_are_raised(
    sandbox: Sandbox, graph: httpx.AsyncClient, clock: ManualClock
) -> None:
    for folder, asked, granted in (("inbox", 10_070, 10_070), ("sentitems", 5, 45)):
        until = (clock.now() + timedelta(minutes=asked)).isoformat()
        answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox, folder, expirationDateTime=until))
        ends = datetime.fromisoformat(answer.json()["expirationDateTime"][:26] + "+00:00")
        assert ends == clock.now() + timedelta(minutes=granted)


async def test_plain_http_is_good_for_this_machine_only(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    await subscribe(sandbox, graph, notificationUrl="http://127.0.0.1:8080/graph/notifications")


async def test_a_second_one_for_the_same_is_a_conflict(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    first = await subscribe(sandbox, graph)
    answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox))
    assert (answer.status_code, first in answer.json()["error"]["message"]) == (409, True)


async def test_some_tenants_want_mail_read_beside_mail_read_write(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    strict = replace(Behaviour.at_once(), subscription_permissions=frozenset({"Mail.Read"}))
    sandbox.world.behaviour = strict
    answer = await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ExtensionError")


async def test_a_subscription_ends_by_the_clock_unless_it_is_renewed(
    sandbox: Sandbox, graph: httpx.AsyncClient, clock: ManualClock, pupils: School
) -> None:
    lasting = replace(Behaviour.at_once(), token_lifetime=timedelta(days=30))
    sandbox.world.behaviour = lasting
    graph.headers["Authorization"] = "Bearer " + sandbox.entra.token(
        pupils.tenant_id,
        {"grant_type": "client_credentials", "client_id": pupils.client_id, "client_secret": pupils.client_secret,
         "scope": "https://graph.microsoft.com/.default"}, "", "https://graph.microsoft.com",
    )["access_token"]  # fmt: skip
    path = f"{SUBSCRIPTIONS}/{await subscribe(sandbox, graph)}"
    clock.advance(timedelta(days=2))
    later = (clock.now() + timedelta(days=6)).isoformat()
    assert (await graph.patch(path, json={"expirationDateTime": later})).status_code == 200
    clock.advance(timedelta(days=5))
    assert (await graph.post(f"{path}/reauthorize")).status_code == 204
    clock.advance(timedelta(days=1))
    for answer in (
        await graph.get(path),
        await graph.patch(path, json={"expirationDateTime": later}),
        await graph.delete(path),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ResourceNotFound")


async def test_a_list_comes_by_pages_and_hides_the_client_state(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), subscription_page_size=2)
    ids = [await subscribe(sandbox, graph, folder) for folder in ("inbox", "sentitems", "archive")]
    first = (await graph.get(SUBSCRIPTIONS)).json()
    second = (await graph.get(first["@odata.nextLink"])).json()
    assert [each["id"] for each in first["value"] + second["value"]] == ids
    assert {each["clientState"] for each in first["value"]} == {None}
    assert (await graph.get(f"{SUBSCRIPTIONS}?$top=5")).status_code == 400


async def test_arrival_change_and_leaving_are_told_for_the_folder_they_happen_in(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, receiver: Receiver
) -> None:
    subscription = await subscribe(sandbox, graph)
    arrived = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Hello")
    first_id = arrived.id
    await draft_of(graph, office)
    await graph.patch(f"{office}/messages/{at(first_id)}", json={"isRead": True})
    await graph.delete(f"{office}/messages/{at(first_id)}")
    await sandbox.settle()
    told = [(item["changeType"], item["resourceData"]["id"]) for item in receiver.notifications]
    assert told == [("created", first_id), ("updated", first_id), ("deleted", first_id)]
    assert {(i["subscriptionId"], i["clientState"]) for i in receiver.notifications} == {(subscription, "a secret")}


async def test_only_the_wanted_changes_are_told_in_the_wanted_kind_of_id(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver
) -> None:
    immutable = {"Prefer": 'IdType="ImmutableId"'}
    body = subscription_to(sandbox, changeType="created")
    assert (await graph.post(SUBSCRIPTIONS, json=body, headers=immutable)).status_code == 201
    arrived = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Hello")
    sandbox.world.mailbox(OFFICE).update(arrived, is_read=True)
    await sandbox.settle()
    assert [item["resourceData"]["id"] for item in receiver.notifications] == [arrived.immutable_id]


async def test_what_gathers_for_a_url_comes_in_one_request(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver
) -> None:
    await subscribe(sandbox, graph)
    for number in range(150):
        sandbox.world.deliver(OFFICE, from_="a@b.example", subject=f"Mail {number}")
    await sandbox.settle()
    assert [len(body["value"]) for body in receiver.requests] == [100, 50]


async def test_a_refused_notification_comes_again_after_growing_waits_and_then_no_more(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver, clock: ManualClock
) -> None:
    waits = (timedelta(seconds=1), timedelta(seconds=5))
    sandbox.world.behaviour = replace(Behaviour.at_once(), notification_retry_delays=waits)
    await subscribe(sandbox, graph)
    receiver.answers = [503, 500]
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Hello")
    await sandbox.settle()
    assert (len(receiver.requests), len(receiver.notifications)) == (1, 0)
    clock.advance(timedelta(seconds=1))
    await sandbox.settle()
    assert (len(receiver.requests), len(receiver.notifications)) == (2, 0)
    clock.advance(timedelta(seconds=5))
    await sandbox.settle()
    assert (len(receiver.requests), len(receiver.notifications)) == (3, 1)
    receiver.answers = [503, 503, 503]
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Lost")
    for wait in (timedelta(0), *waits, timedelta(hours=4)):
        clock.advance(wait)
        await sandbox.settle()
    assert (len(receiver.requests), sandbox.notifier.lost) == (6, 1)


async def test_a_filter_on_an_extended_property_is_taken_and_tells_nothing(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver
) -> None:
    condition = "singleValueExtendedProperties/any(ep: ep/id eq 'String 0x001A' and ep/value eq 'IPM.Note')"
    body = subscription_to(sandbox)
    await subscribe(sandbox, graph, resource=f"{body['resource']}?$filter={condition}")
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Hello")
    await sandbox.settle()
    assert receiver.notifications == []


async def test_a_subscription_vanishes_without_a_word_or_with_one(
    sandbox: Sandbox, graph: httpx.AsyncClient, receiver: Receiver
) -> None:
    sandbox.world.remove_subscription(await subscribe(sandbox, graph))
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Unheard")
    await sandbox.settle()
    assert receiver.notifications == []
    sandbox.revoke_subscription(await subscribe(sandbox, graph))
    await sandbox.settle()
    assert [item["lifecycleEvent"] for item in receiver.notifications] == ["subscriptionRemoved"]
