"""The role × route × object matrix: every operation, asked by everybody who might ask."""

import re
from collections.abc import Sequence
from datetime import timedelta
from io import BytesIO
from ipaddress import ip_network
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from gateway.http.app import OPERATIONS
from gateway.http.problem_types import TYPES
from gateway.http.routing import Operation
from storage import Transaction, api_keys, mailboxes
from storage.api_keys import Scope
from tests.http.listening import listening
from tests.http.matrix import (
    BY_NAME,
    MATRIX,
    NAMED_ELSEWHERE,
    OTHER_MAILBOX,
    Entry,
    Stage,
    absent,
    key_of,
    other_mailbox,
    request_for,
    set_stage,
)
from tests.http.scene import Scene

NAMING = [(BY_NAME[name], entry) for name, entry in (*MATRIX.items(), *NAMED_ELSEWHERE) if entry.names is not None]
STREAM = "GET /v1/events/stream"


@pytest.fixture
async def stage(scene: Scene) -> Stage:
    """What there is to ask about."""
    return await set_stage(scene)


async def held_to(scene: Scene, *, scopes: Sequence[Scope] = tuple(Scope), **limits: Any) -> str:
    value = api_keys.new_value()
    given = {"name": "SELMA", "scopes": frozenset(scopes), "value": value, "now": scene.clock.now()} | limits
    await scene.store.write(api_keys.create, scene.account_id, **given)
    return value


async def of_the_other_mailbox(scene: Scene) -> str:
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, await other_mailbox(scene))
    return await held_to(scene, scopes=[Scope.SEND, Scope.READ], mailbox_ids=[mailbox.id])


def in_short(answer: httpx.Response) -> str:
    """Its status, and the problem if it is one."""
    name = answer.json()["type"].rpartition("/")[2] if answer.status_code >= 400 else ""
    assert not name or TYPES[name].status == answer.status_code
    return f"{answer.status_code} {name}".strip()


def alike(answer: httpx.Response, named: str) -> tuple[int, str, dict[str, str]]:
    """All that a caller can see of it, but for what it named and how many requests are left."""
    headers = {
        name: value.replace(named, "…")
        for name, value in answer.headers.items()
        if name not in ("ratelimit", "content-length")
    }
    return answer.status_code, re.sub(r"[\w.-]+@[\w.-]+", "@", text_of(answer).replace(named, "…")), headers


def text_of(answer: httpx.Response) -> str:
    """All that can be read in it, packed or not."""
    if answer.headers.get("content-type") != "application/zip":
        return answer.text
    with ZipFile(BytesIO(answer.content)) as packed:
        text = "\n".join(f"{name}\n{packed.read(name).decode()}" for name in packed.namelist())
    return re.sub(r'"seq": \d+', "", text)  # of the record that this very export makes in the log


def is_empty(answer: httpx.Response, stage: Stage) -> bool:
    """Whether a list, or an export, has nothing of the stage in it."""
    if answer.headers["content-type"] != "application/zip":
        return answer.json()["items"] == []
    return not any(value in text_of(answer) for name, value in stage.items() if name != "student" and len(value) > 5)


def test_every_operation_has_an_entry() -> None:
    assert {key_of(operation) for operation in OPERATIONS} == set(MATRIX)
    for operation in OPERATIONS:
        entry = MATRIX[key_of(operation)]
        assert (entry.names is not None) == ("{" in operation.path), operation.path
        assert entry.names is not None or entry.limited is not None, operation.path


async def everybody_hears(scene: Scene, stage: Stage, key: str, **how: Any) -> dict[str, str]:
    """What each operation answers to this key, in short; nothing is changed by it."""
    before = await scene.rows()
    heard = {}
    transport = httpx.ASGITransport(scene.app, raise_app_exceptions=False, **how)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=headers) as client:
        for operation in OPERATIONS:
            asked = request_for(operation, MATRIX[key_of(operation)], stage)
            heard[key_of(operation)] = in_short(await client.request(**asked))
    assert await scene.rows() == before
    return heard


async def test_without_a_key_nobody_hears_anything(scene: Scene, stage: Stage) -> None:
    assert set((await everybody_hears(scene, stage, "")).values()) == {"401 not-authenticated"}


async def test_nor_with_one_that_is_over(scene: Scene, stage: Stage) -> None:
    key = await held_to(scene, expires_at=scene.clock.now() + timedelta(seconds=1))
    scene.clock.advance(timedelta(seconds=1))
    assert set((await everybody_hears(scene, stage, key)).values()) == {"401 not-authenticated"}


async def test_nor_with_one_from_a_wrong_address(scene: Scene, stage: Stage) -> None:
    key = await held_to(scene, networks=[ip_network("198.51.100.0/24")])
    heard = await everybody_hears(scene, stage, key, client=("203.0.113.9", 4711))
    assert set(heard.values()) == {"403 address-not-allowed"}


async def test_nor_with_one_of_other_scopes(scene: Scene, stage: Stage) -> None:
    for scope in Scope:
        key = await held_to(scene, scopes=[other for other in Scope if other is not scope])
        before = await scene.rows()
        async with scene.client(key) as client:
            for operation in (one for one in OPERATIONS if one.scope is scope):
                answer = await client.request(**request_for(operation, MATRIX[key_of(operation)], stage))
                assert in_short(answer) == "403 missing-scope", key_of(operation)
                assert f'scope="{scope}"' in answer.headers["www-authenticate"]
        assert await scene.rows() == before


async def test_who_may_is_answered(scene: Scene) -> None:
    heard: dict[str, int] = {}
    async with scene.client() as client:
        for number, (name, entry) in enumerate((*MATRIX.items(), *NAMED_ELSEWHERE)):
            if name == STREAM:
                async with listening(scene.app, "/v1/events/stream", authorization=f"Bearer {scene.key}") as stream:
                    await stream.next()
                    heard[name] = stream.status
                continue
            stage = await set_stage(scene, number)
            answer = await client.request(**request_for(BY_NAME[name], entry, stage))
            heard[f"{name} {entry.names if (name, entry) in NAMED_ELSEWHERE else ''}".strip()] = answer.status_code
    expected = {name: entry.good for name, entry in MATRIX.items()}
    expected |= {f"{name} {entry.names}": entry.good for name, entry in NAMED_ELSEWHERE}
    assert heard == expected


class Statements:
    """What the store is asked, by counting the statements that SQLite runs."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._run: list[str] = []

    async def listen(self) -> None:
        def trace(tx: Transaction) -> None:
            tx.set_trace_callback(self._run.append)

        await self._scene.store.write(trace)
        await self._scene.store.read(trace)

    def taken(self) -> int:
        """How many since the last time."""
        count = len(self._run)
        self._run.clear()
        return count


@pytest.fixture
async def statements(scene: Scene) -> Statements:
    found = Statements(scene)
    await found.listen()
    return found


async def theirs_and_missing(
    client: httpx.AsyncClient, statements: Statements, operation: Operation[Any], entry: Entry, stage: Stage
) -> tuple[httpx.Response, httpx.Response]:
    """The answers to what is somebody else's and to what is not at all; both cost the store the same."""
    assert entry.names is not None
    statements.taken()
    theirs = await client.request(**request_for(operation, entry, stage))
    first = statements.taken()
    nothing = absent(stage, entry.names)
    missing = await client.request(**request_for(operation, entry, nothing))
    assert statements.taken() == first, key_of(operation)
    assert alike(theirs, stage[entry.names]) == alike(missing, nothing[entry.names]), key_of(operation)
    return theirs, missing


async def test_another_accounts_things_and_missing_ones_are_the_same(
    scene: Scene, stage: Stage, statements: Statements
) -> None:
    other = await scene.new_key(*Scope, account_id=await scene.new_account("Another school"))
    before = await scene.rows()
    async with scene.client(other, **{"x-request-id": "same"}) as stranger:
        for operation, entry in NAMING:
            theirs, _ = await theirs_and_missing(stranger, statements, operation, entry, stage)
            assert theirs.status_code == entry.absent, key_of(operation)
            if theirs.status_code == 200:
                assert is_empty(theirs, stage), key_of(operation)
        for operation in OPERATIONS:
            entry = MATRIX[key_of(operation)]
            if operation.method == "GET" and entry.names is None and key_of(operation) != STREAM:
                shown = (await stranger.get(operation.path)).text
                told = [value for value in stage.values() if len(value) > 5 and value in shown]
                assert told == [], key_of(operation)
    own = {"audit": before["audit"]}  # what they read, in the log of their own account
    assert {**await scene.rows(), **own} == before


async def test_to_a_key_of_one_mailbox_things_of_another_are_as_missing_ones(
    scene: Scene, stage: Stage, statements: Statements
) -> None:
    key = await of_the_other_mailbox(scene)
    before = await scene.rows()
    async with scene.client(key, **{"x-request-id": "same"}) as client:
        for operation, entry in NAMING:
            if entry.limited is None:
                theirs, _ = await theirs_and_missing(client, statements, operation, entry, stage)
                assert theirs.status_code == entry.absent, key_of(operation)
                if theirs.status_code == 200:
                    assert theirs.json()["items"] == []
    assert await scene.rows() == before


async def test_to_a_key_of_one_mailbox_the_account_has_no_other(scene: Scene, stage: Stage) -> None:
    key = await of_the_other_mailbox(scene)
    async with scene.client(key) as client:
        for name, entry in (*MATRIX.items(), *NAMED_ELSEWHERE):
            if entry.limited is None:
                continue
            answer = await client.request(**request_for(BY_NAME[name], entry, stage))
            assert answer.status_code == entry.limited, name
            items = answer.json().get("items", []) if entry.limited == 200 else []
            assert items == [] or [one["mailbox"] for one in items] == [OTHER_MAILBOX], name
