"""The sandbox as a process of its own, and the routes by which others move it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour, Effect, Sandbox, school
from gateway.sandbox.school import School
from gateway.sandbox.serve import NotLoopback, serve

from .conftest import ManualClock, at, sent, subscription_to

COMMAND = [sys.executable, "-m", "gateway.sandbox", "--port", "0", "--json"]


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_it_says_where_it_listens_and_ends_at_a_signal(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    values = json.loads(process.stdout.readline())
    assert values.keys() == {
        "url", "tenant_id", "client_id", "client_secret", "secret_expires_at", "mailboxes", "students"
    }  # fmt: skip
    with httpx.Client(base_url=values["url"], trust_env=False) as client:
        token = client.post(
            f"/{values['tenant_id']}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": values["client_id"],
                "client_secret": values["client_secret"],
                "scope": f"{values['url']}/.default",
            },
        ).json()["access_token"]
        authorization = {"Authorization": f"Bearer {token}"}
        inbox = client.get(f"/v1.0/users/{values['mailboxes'][0]}/mailFolders/inbox", headers=authorization)
        assert inbox.json()["displayName"] == "Inbox"
        for effect in Effect:
            client.post("/_sandbox/faults", json={"match": "/inbox$", "reset": True, "effect": effect})
            with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
                client.get(f"/v1.0/users/{values['mailboxes'][0]}/mailFolders/inbox", headers=authorization)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert process.stderr is not None
    assert process.stderr.read() == ""


def test_it_listens_beyond_this_machine_only_if_told_so() -> None:
    with pytest.raises(NotLoopback):
        serve("0.0.0.0")


def test_the_same_seed_makes_the_same_school(clock: ManualClock) -> None:
    one, two, other = (school.build(Sandbox(clock=clock, seed=seed)) for seed in (1, 1, 2))
    assert asdict(one) == asdict(two)
    assert one.tenant_id != other.tenant_id


async def test_the_state_and_the_ledger_can_be_read(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, pupils: School
) -> None:
    await sent(sandbox, graph, office, tag="a1")
    state = (await graph.get("/_sandbox/state")).json()
    counts = {each["address"]: each["messages"] for each in state["mailboxes"]}
    assert counts["office@school.example"]["Sent Items"] == 1
    assert state["sent"] == 1
    ledger = (await graph.get("/_sandbox/ledger")).json()["items"]
    assert ledger[0]["recipients"] == ["maia.parata@student.example"]


async def test_mail_arrives_by_an_admin_route(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    mail = {
        "mailbox": "office@school.example",
        "from": "a@b.example",
        "name": "Ana",
        "subject": "Hi",
        "text": "Kia ora",
    }
    answer = await graph.post("/_sandbox/deliver", json=mail)
    assert answer.status_code == 201
    assert (await graph.get(f"{office}/messages/{at(answer.json()['id'])}")).json()["subject"] == "Hi"


async def test_subscriptions_and_tokens_die_by_admin_routes(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    made = (await graph.post("/v1.0/subscriptions", json=subscription_to(sandbox))).json()
    told = await graph.post(f"/_sandbox/subscriptions/{made['id']}/lifecycle", json={"event": "missed"})
    gone = await graph.delete(f"/_sandbox/subscriptions/{made['id']}?notify=true")
    assert (told.status_code, gone.status_code) == (204, 204)
    link = (await graph.get(f"{office}/mailFolders/inbox/messages/delta")).json()["@odata.deltaLink"]
    expired = await graph.post("/_sandbox/expire-delta-tokens", json={"mailbox": "office@school.example"})
    assert expired.status_code == 204
    assert (await graph.get(link)).status_code == 410


async def test_behaviour_and_secrets_change_by_admin_routes(
    sandbox: Sandbox, graph: httpx.AsyncClient, pupils: School
) -> None:
    changed = await graph.patch(
        "/_sandbox/behaviour", json={"sent_copy_delay": 90, "immutable_ids_survive_send": False}
    )
    assert changed.json()["sent_copy_delay"] == 90
    assert sandbox.world.behaviour.immutable_ids_survive_send is False
    new = {"client_id": pupils.client_id, "expires_at": "2027-11-24T00:00:00Z"}
    assert (await graph.post("/_sandbox/secrets", json=new)).json()["client_secret"]


BAD: list[tuple[str, str, Any]] = [
    ("PATCH", "/behaviour", {"colour": "green"}),
    ("PATCH", "/behaviour", {"notifications": "no"}),
    ("PATCH", "/behaviour", {"mailbox_concurrency": "four"}),
    ("PATCH", "/behaviour", {"sent_copy_delay": None}),
    ("POST", "/deliver", {"mailbox": "nobody@school.example", "from": "a@b.example"}),
    ("POST", "/faults", {"match": "("}),
    ("POST", "/faults", {"pattern": "x"}),
    ("POST", "/faults", {"match": "x", "share": 2}),
    ("DELETE", "/subscriptions/none", None),
    ("POST", "/expire-delta-tokens", []),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD)
async def test_what_an_admin_route_does_not_understand_is_a_400(
    graph: httpx.AsyncClient, method: str, path: str, body: Any
) -> None:
    assert (await graph.request(method, f"/_sandbox{path}", json=body)).status_code == 400


def test_a_sandbox_at_once_waits_for_nothing() -> None:
    assert Behaviour.at_once().reply_delay.total_seconds() == 0
