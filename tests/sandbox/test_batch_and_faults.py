"""Several requests in one, and trouble by appointment."""

import base64
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest

from gateway.sandbox import Effect, Fault, Sandbox
from gateway.sandbox.faults import accepted_with_retry_after, lost_answer, throttling
from gateway.sandbox.school import School

from .conftest import ManualClock, at, draft_of, letter

INBOX = "/users/office@school.example/mailFolders/inbox"


def get(number: int, url: str = INBOX, **more: Any) -> dict[str, Any]:
    return {"id": str(number), "method": "GET", "url": url, **more}


async def batch(graph: httpx.AsyncClient, *requests: dict[str, Any]) -> dict[str, dict[str, Any]]:
    answer = await graph.post("/v1.0/$batch", json={"requests": list(requests)})
    assert answer.status_code == 200, answer.text
    return {each["id"]: each for each in answer.json()["responses"]}


async def test_each_item_of_a_batch_is_answered_for_itself(graph: httpx.AsyncClient) -> None:
    answers = await batch(graph, get(1), get(2, "users/nobody@school.example"), get(3, "/nothing"))
    assert {id: answer["status"] for id, answer in answers.items()} == {"1": 200, "2": 404, "3": 400}
    assert answers["2"]["body"]["error"]["code"] == "Request_ResourceNotFound"


async def test_answers_come_in_another_order(graph: httpx.AsyncClient) -> None:
    orders = set()
    for _ in range(5):
        answer = await graph.post("/v1.0/$batch", json={"requests": [get(number) for number in range(8)]})
        orders.add(tuple(each["id"] for each in answer.json()["responses"]))
    assert len(orders) > 1


async def test_items_have_headers_of_their_own_and_inherit_none(
    graph: httpx.AsyncClient, sandbox: Sandbox, pupils: School
) -> None:
    message = sandbox.world.deliver("office@school.example", from_="a@b.example", subject="Hello")
    url = f"/users/office@school.example/messages/{at(message.id)}"
    immutable = {"Prefer": 'IdType="ImmutableId"'}
    outer = await graph.post("/v1.0/$batch", json={"requests": [get(1, url)]}, headers=immutable)
    assert outer.json()["responses"][0]["body"]["id"] == message.id
    assert (await batch(graph, get(1, url, headers=immutable)))["1"]["body"]["id"] == message.immutable_id


async def test_bytes_in_a_batch_are_base64(graph: httpx.AsyncClient, sandbox: Sandbox, pupils: School) -> None:
    message = sandbox.world.deliver("office@school.example", from_="a@b.example", subject="Hello")
    answer = (await batch(graph, get(1, f"/users/office@school.example/messages/{at(message.id)}/$value")))["1"]
    assert b"Subject: Hello" in base64.b64decode(answer["body"])


async def test_what_depends_on_a_failure_fails(graph: httpx.AsyncClient) -> None:
    answers = await batch(graph, get(1, "/nothing"), get(2, dependsOn=["1"]))
    assert answers["2"]["status"] == 424


BAD_BATCHES = [
    [],
    [get(number) for number in range(21)],
    [get(1), get(1)],
    [get(1, dependsOn=["2"])],
    [get(1, dependsOn=["2"]), get(2, dependsOn=["1"])],
    [get(1), get(2), get(3, dependsOn=["1"])],
    [{"id": "1", "method": "POST", "url": "/users/office@school.example/messages", "body": letter()}],
]


@pytest.mark.parametrize("requests", BAD_BATCHES, ids=range(len(BAD_BATCHES)))
async def test_a_batch_is_refused(graph: httpx.AsyncClient, requests: list[dict[str, Any]]) -> None:
    assert (await graph.post("/v1.0/$batch", json={"requests": requests})).status_code == 400


async def test_throttling_strikes_as_often_as_it_was_told_also_within_a_batch(
    sandbox: Sandbox, graph: httpx.AsyncClient
) -> None:
    sandbox.faults.add(throttling("^GET .*/inbox$", times=2, retry_after="7"))
    answer = await graph.get(f"/v1.0{INBOX}")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert answer.json()["error"]["code"] == "ApplicationThrottled"
    inner = (await batch(graph, get(1)))["1"]
    assert (inner["status"], inner["headers"]["Retry-After"]) == (429, "7")
    assert (await graph.get(f"/v1.0{INBOX}")).status_code == 200


async def test_a_lost_answer_comes_after_the_act(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    sandbox.faults.add(lost_answer())
    draft = await draft_of(graph, office)
    assert (await graph.post(f"{office}/messages/{at(draft['id'])}/send")).status_code == 504
    await sandbox.settle()
    assert [entry.internet_message_id for entry in sandbox.world.ledger] == [draft["internetMessageId"]]


async def test_a_fault_before_the_act_prevents_it(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    sandbox.faults.add(Fault(match="/send$", status=503, headers={"Retry-After": "2"}))
    draft = await draft_of(graph, office)
    path = f"{office}/messages/{at(draft['id'])}/send"
    assert (await graph.post(path)).status_code == 503
    await sandbox.settle()
    assert sandbox.world.ledger == []
    assert (await graph.post(path)).status_code == 202


async def test_202_may_carry_retry_after(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    sandbox.faults.add(accepted_with_retry_after())
    draft = await draft_of(graph, office)
    answer = await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert (answer.status_code, answer.headers["retry-after"]) == (202, "5")


async def test_retry_after_comes_as_a_date_too(sandbox: Sandbox, graph: httpx.AsyncClient, clock: ManualClock) -> None:
    sandbox.faults.add(throttling(retry_after="5", form="date"))
    answer = await graph.get(f"/v1.0{INBOX}")
    assert parsedate_to_datetime(answer.headers["retry-after"]) == clock.now() + timedelta(seconds=5)


async def test_a_share_of_the_requests_is_struck_and_the_same_ones_each_time(
    sandbox: Sandbox, graph: httpx.AsyncClient
) -> None:
    async def struck(seed: int) -> list[bool]:
        sandbox.faults.clear()
        sandbox.faults.add(Fault(match="/inbox$", times=None, share=0.3, seed=seed, status=503))
        return [(await graph.get(f"/v1.0{INBOX}")).status_code == 503 for _ in range(100)]

    first, again, other = await struck(1), await struck(1), await struck(2)
    assert first == again != other
    assert 15 <= first.count(True) <= 45


async def test_a_share_strikes_no_oftener_than_it_was_told(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault(match="/inbox$", times=2, share=0.5, status=503))
    statuses = [(await graph.get(f"/v1.0{INBOX}")).status_code for _ in range(40)]
    assert statuses.count(503) == 2


async def test_each_rule_tells_how_often_it_matched_and_struck(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    for rule in ({"match": "/inbox$", "times": 2, "status": 503}, {"match": "/inbox$", "status": 500}):
        assert (await graph.post("/_sandbox/faults", json=rule)).status_code == 204
    for _ in range(3):
        await graph.get(f"/v1.0{INBOX}")
    told = (await graph.get("/_sandbox/faults")).json()
    assert told["rules"] == [
        {"match": "/inbox$", "matched": 3, "struck": 2},
        {"match": "/inbox$", "matched": 3, "struck": 0},
    ]
    assert told["struck"] == [f"GET /v1.0{INBOX}"] * 2


@pytest.mark.parametrize("effect", list(Effect))
async def test_a_connection_breaks_off_before_the_act_or_after_it(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, effect: Effect
) -> None:
    sandbox.faults.add(Fault(match="/send$", reset=True, effect=effect))
    draft = await draft_of(graph, office)
    with pytest.raises(httpx.RemoteProtocolError):
        await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    await sandbox.settle()
    assert len(sandbox.world.ledger) == (1 if effect is Effect.AFTER else 0)


async def test_a_fault_passes_over_the_first_ones(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    sandbox.faults.add(Fault(match="/inbox$", skip=1, times=1, status=500))
    statuses = [(await graph.get(f"/v1.0{INBOX}")).status_code for _ in range(3)]
    assert statuses == [200, 500, 200]


async def test_the_token_endpoint_can_be_struck_too(
    sandbox: Sandbox, anyone: httpx.AsyncClient, pupils: School
) -> None:
    sandbox.faults.add(Fault(match="/token$", status=503, code="temporarily_unavailable"))
    answer = await anyone.post(f"/{pupils.tenant_id}/oauth2/v2.0/token", data={})
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


async def test_an_answer_can_be_late(sandbox: Sandbox, graph: httpx.AsyncClient, clock: ManualClock) -> None:
    sandbox.faults.add(Fault(match="/inbox$", delay=timedelta(seconds=0), status=None))
    assert (await graph.get(f"/v1.0{INBOX}")).status_code == 200
    assert sandbox.faults.struck == [f"GET /v1.0{INBOX}"]
