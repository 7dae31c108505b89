"""`/v1/completeness`."""

from datetime import timedelta

import httpx
import pytest

from gateway.threads.completeness import CHORE
from storage import Transaction, chores, completeness, folders, gaps, mailboxes
from storage.api_keys import Scope
from storage.completeness import NewMissing
from storage.folders import WellKnown
from storage.gaps import Reason
from tests.http.scene import MAILBOX, Scene


def furnish(tx: Transaction, scene: Scene) -> None:
    now = scene.clock.now()
    mailbox_id = mailboxes.get_by_address(tx, scene.account_id, MAILBOX).id
    folders.watch(tx, scene.account_id, mailbox_id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now)
    (inbox,) = folders.of_mailbox(tx, mailbox_id)
    folders.count_unannounced(tx, inbox.id, 3)
    gaps.begin(tx, inbox.id, Reason.PULL_FAILING, now)
    completeness.checked(tx, mailbox_id, compared=120, missing=0, now=now)


def miss(tx: Transaction, scene: Scene) -> None:
    now = scene.clock.now()
    mailbox_id = mailboxes.get_by_address(tx, scene.account_id, MAILBOX).id
    (inbox,) = folders.of_mailbox(tx, mailbox_id)
    lost = NewMissing(graph_id="AAMkLost", folder_id=inbox.id, came_at=now - timedelta(hours=1))
    completeness.checked(tx, mailbox_id, compared=120, missing=1, which=[lost], now=now)
    completeness.under_way(tx, mailbox_id, done=20, conversations=45)


async def test_each_validated_mailbox_says_since_when_nothing_is_missing(scene: Scene, api: httpx.AsyncClient) -> None:
    await scene.store.write(furnish, scene)
    answer = await api.get("/v1/completeness")
    assert answer.status_code == 200
    (shown,) = answer.json()["items"]
    assert shown == {
        "mailbox": MAILBOX,
        "complete_since": "2026-03-02T09:00:00Z",
        "checked_at": "2026-03-02T09:00:00Z",
        "compared": 120,
        "missing": 0,
        "problem": None,
        "unannounced": 3,
        "gaps": [
            {
                "folder": "inbox",
                "reason": "pull_failing",
                "began_at": "2026-03-02T09:00:00Z",
                "ended_at": None,
                "unannounced": 0,
            }
        ],
        "missing_mail": [],
        "checking": False,
        "conversations_done": None,
        "conversations": None,
    }


async def test_which_mails_are_missing_is_said_by_id_and_folder(scene: Scene, api: httpx.AsyncClient) -> None:
    await scene.store.write(furnish, scene)
    await scene.store.write(miss, scene)
    (shown,) = (await api.get("/v1/completeness")).json()["items"]
    assert shown["missing"] == 1
    assert shown["missing_mail"] == [
        {
            "graph_id": "AAMkLost",
            "folder": "inbox",
            "came_at": "2026-03-02T08:00:00Z",
            "missing_since": "2026-03-02T09:00:00Z",
        }
    ]
    assert (shown["checking"], shown["conversations_done"], shown["conversations"]) == (True, 20, 45)


async def test_before_the_first_check_nothing_is_claimed(api: httpx.AsyncClient) -> None:
    (shown,) = (await api.get("/v1/completeness")).json()["items"]
    assert (shown["complete_since"], shown["missing"], shown["gaps"]) == (None, None, [])


async def test_nothing_of_another_account_is_shown(scene: Scene) -> None:
    await scene.store.write(furnish, scene)
    other = await scene.new_account("Another school")
    async with scene.client(await scene.new_key(Scope.READ, account_id=other)) as client:
        (shown,) = (await client.get("/v1/completeness")).json()["items"]
    assert shown["checked_at"] is None


async def test_a_check_that_is_asked_for_is_due_at_once_and_wakes_its_loop(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    later = scene.clock.now() + timedelta(hours=9)
    await scene.store.write(chores.done, scene.account_id, CHORE, next_at=later)
    with scene.store.watching("completeness") as asked:
        answer = await api.post("/v1/completeness/check")
        assert asked.is_set()
    assert answer.status_code == 202
    assert [(one["mailbox"], one["checking"]) for one in answer.json()["items"]] == [(MAILBOX, True)]
    assert await scene.store.read(chores.due_at, scene.account_id, CHORE) == scene.clock.now()


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [("GET", "/v1/completeness", Scope.READ), ("POST", "/v1/completeness/check", Scope.SETTINGS)],
)
async def test_each_needs_its_scope(scene: Scene, method: str, path: str, scope: Scope) -> None:
    async with scene.client(await scene.new_key(*(set(Scope) - {scope}))) as client:
        assert (await client.request(method, path)).status_code == 403
