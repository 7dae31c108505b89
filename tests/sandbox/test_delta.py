"""Delta queries: each change once per round, in order, until the tokens die."""

from typing import Any

import httpx
import pytest

from gateway.sandbox import Sandbox

from .conftest import TAG, at, draft_of

OFFICE = "office@school.example"


async def walk(graph: httpx.AsyncClient, url: str, **params: Any) -> tuple[list[dict[str, Any]], str]:
    """All items of a round, and the link to the next."""
    items: list[dict[str, Any]] = []
    body = (await graph.get(url, **params)).json()
    while "@odata.nextLink" in body:
        items += body["value"]
        body = (await graph.get(body["@odata.nextLink"])).json()
    return items + body["value"], body["@odata.deltaLink"]


@pytest.fixture
def inbox(office: str) -> str:
    return f"{office}/mailFolders('inbox')/messages/delta"


async def test_a_first_round_pages_the_whole_folder(sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str) -> None:
    for number in range(25):
        sandbox.world.deliver(OFFICE, from_="a@b.example", subject=f"Mail {number}")
    page = (await graph.get(inbox, headers={"Prefer": "odata.maxpagesize=4"})).json()
    assert len(page["value"]) == 4
    items, _ = await walk(graph, inbox)
    assert len({item["id"] for item in items}) == len(items) == 26


async def test_each_item_that_changed_comes_once_per_round_in_the_order_of_the_changes(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str
) -> None:
    old = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Old")
    _, link = await walk(graph, inbox)
    new = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="New")
    mailbox = sandbox.world.mailbox(OFFICE)
    for is_read in (True, False, True):
        mailbox.update(old, is_read=is_read)
    items, link = await walk(graph, link)
    assert [item["id"] for item in items] == [new.id, old.id]
    assert (await walk(graph, link))[0] == []


async def test_what_changes_during_a_round_comes_in_the_next(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str
) -> None:
    first = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="First")
    page = (await graph.get(f"{inbox}?$top=1")).json()
    sandbox.world.mailbox(OFFICE).update(first, is_read=True)
    late = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Late")
    rest, link = await walk(graph, page["@odata.nextLink"])
    assert rest == []
    assert [item["id"] for item in (await walk(graph, link))[0]] == [first.id, late.id]


async def test_what_left_the_folder_is_removed_by_the_id_it_had(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str
) -> None:
    message = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Moving")
    _, link = await walk(graph, inbox)
    before = message.id
    sandbox.world.mailbox(OFFICE).move(message, sandbox.world.mailbox(OFFICE).well_known("archive").id)
    expected = {"@odata.type": "#microsoft.graph.message", "@removed": {"reason": "deleted"}}
    assert (await walk(graph, link))[0] == [{**expected, "id": before}]
    immutable = {"headers": {"Prefer": 'IdType="ImmutableId"'}}
    assert (await walk(graph, link, **immutable))[0] == [{**expected, "id": message.immutable_id}]


async def test_options_are_given_once_and_live_in_the_links(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    url = f"{office}/mailFolders/drafts/messages/delta"
    expand = f"singleValueExtendedProperties($filter=id eq '{TAG}')"
    _, link = await walk(graph, url, params={"$select": "subject", "$expand": expand})
    await draft_of(graph, office, tag="a1")
    (item,), _ = await walk(graph, link)
    assert item["singleValueExtendedProperties"] == [{"id": TAG, "value": "a1"}]
    assert item.keys() == {"@odata.type", "@odata.etag", "id", "subject", "singleValueExtendedProperties"}


@pytest.mark.parametrize(("kind", "subjects"), [("created", ["New"]), ("updated", ["Old"])])
async def test_only_the_wanted_kind_of_change_comes(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str, kind: str, subjects: list[str]
) -> None:
    old = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Old")
    _, link = await walk(graph, f"{inbox}?changeType={kind}&$select=subject")
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="New")
    sandbox.world.mailbox(OFFICE).update(old, is_read=True)
    assert [item["subject"] for item in (await walk(graph, link))[0]] == subjects


async def test_expired_tokens_are_answered_with_410_and_an_empty_one(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str
) -> None:
    _, link = await walk(graph, inbox)
    sandbox.world.expire_delta_tokens(OFFICE)
    answer = await graph.get(link)
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "SyncStateNotFound")
    assert answer.headers["location"].endswith("$deltatoken=")
    again = await graph.get(answer.headers["location"])
    assert len(again.json()["value"]) == 1


REFUSED = [
    {"$filter": "isRead eq false"},
    {"$filter": "receivedDateTime lt 2026-01-01T00:00:00Z"},
    {"$orderby": "subject"},
    {"$search": '"jacket"'},
    {"$skip": "3"},
    {"$deltatoken": "latest"},
    {"$deltatoken": "nonsense"},
    {"changeType": "moved"},
]


@pytest.mark.parametrize("params", REFUSED, ids=str)
async def test_other_options_are_refused(graph: httpx.AsyncClient, inbox: str, params: dict[str, str]) -> None:
    assert (await graph.get(inbox, params=params)).status_code == 400


async def test_a_filter_by_time_leaves_out_what_came_before(
    sandbox: Sandbox, graph: httpx.AsyncClient, inbox: str
) -> None:
    future = {"$filter": "receivedDateTime ge 2026-11-24T02:00:01Z"}
    assert (await walk(graph, inbox, params=future))[0] == []


async def test_there_is_no_delta_over_the_whole_mailbox(graph: httpx.AsyncClient, office: str) -> None:
    assert (await graph.get(f"{office}/messages/delta")).status_code == 400


async def test_a_token_of_one_folder_is_none_of_another(graph: httpx.AsyncClient, office: str, inbox: str) -> None:
    _, link = await walk(graph, inbox)
    token = link.partition("$deltatoken=")[2]
    other = await graph.get(f"{office}/mailFolders/{at('sentitems')}/messages/delta?$deltatoken={token}")
    assert other.status_code == 410
