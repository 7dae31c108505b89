"""Keys as they are sent, and methods: who may do what on which route is in `test_matrix`."""

from typing import Any

import httpx
import pytest

from gateway.http.app import OPERATIONS
from gateway.http.routing import Operation
from storage import api_keys
from storage.api_keys import Scope
from tests.http.scene import MAILBOX, Scene, a_letter
from tests.http.shape import assert_problem

PATH_VALUES = {
    "{id}": "msg_019cadc69a80d0f2e760bb7a3845",
    "{id:path}": "S1001",
    "{object_id:path}": "S1001",
    "{type}": "student",
    "{attachment_id:path}": "part-0",
    "{address}": MAILBOX,
    "{event_id}": "1",
}

every_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: f"{one.method} {one.path}")


def url_of(operation: Operation[Any]) -> str:
    path = operation.path
    for part, value in PATH_VALUES.items():
        path = path.replace(part, value)
    assert "{" not in path, "a new kind of path needs a value here"
    return path


def test_every_operation_is_versioned_and_needs_one_of_the_scopes() -> None:
    assert len({(one.method, one.path) for one in OPERATIONS}) == len(OPERATIONS) > 15
    for operation in OPERATIONS:
        assert operation.path.startswith("/v1/")
        assert operation.scope in Scope


def test_reading_never_needs_more_than_reading() -> None:
    for operation in OPERATIONS:
        assert (operation.scope is Scope.SEND) <= (operation.method != "GET")


@every_operation
async def test_every_operation_answers_other_methods_with_those_it_has(
    api: httpx.AsyncClient, operation: Operation[Any]
) -> None:
    answer = await api.request("PATCH", url_of(operation))
    assert_problem(answer, 405, "method-not-allowed")
    assert operation.method in answer.headers["allow"].split(", ")


@pytest.mark.parametrize(
    "header",
    ["Bearer", "Bearer ", "Basic c2VsbWE6", "selma_x", "Bearer selma_unknown", "Bearer " + "x" * 300, "Bearer \xe9"],
)
async def test_what_is_no_live_key_is_refused(scene: Scene, header: str) -> None:
    async with scene.client(key="") as client:
        answer = await client.get("/v1/account", headers={"authorization": header.encode("latin-1")})
    assert_problem(answer, 401, "not-authenticated")


async def test_two_keys_at_once_are_refused(scene: Scene, api: httpx.AsyncClient) -> None:
    headers = httpx.Headers([("authorization", f"Bearer {scene.key}"), ("authorization", f"Bearer {scene.key}")])
    async with scene.client(key="") as client:
        assert_problem(await client.get("/v1/account", headers=headers), 401, "not-authenticated")


async def test_a_revoked_key_is_refused_from_that_moment(scene: Scene) -> None:
    key = await scene.new_key(Scope.READ)
    async with scene.client(key) as client:
        assert (await client.get("/v1/messages")).status_code == 200
        found = await scene.store.read(api_keys.find, key)
        assert found is not None
        await scene.store.write(api_keys.revoke, scene.account_id, found.id, now=scene.clock.now())
        assert_problem(await client.get("/v1/messages"), 401, "not-authenticated")


async def test_an_idempotency_key_is_its_accounts_own(scene: Scene, api: httpx.AsyncClient) -> None:
    other = await scene.new_key(*Scope, account_id=await scene.new_account("Another school"))
    headers = {"idempotency-key": "1"}
    ours = await api.post("/v1/messages", json=a_letter(), headers=headers)
    async with scene.client(other) as stranger:
        theirs = await stranger.post("/v1/messages", json=a_letter(subject="Theirs"), headers=headers)
    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert ours.json()["id"] != theirs.json()["id"]
