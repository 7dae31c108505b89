"""Disks that are full, and disks that fail: 503 while it lasts, nothing acknowledged that is not kept, no restart."""

import hashlib
import itertools
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from subscriptions.addresses import NOTIFICATIONS
from tests.end_to_end.conftest import Site
from tests.end_to_end.processes import Process, a_letter, started
from tests.end_to_end.small_disk import SmallDisk, small_disk
from tests.end_to_end.strace import strace
from tests.fire.books import remains_of, rows_of

MIB = 1024 * 1024
CLIENT_STATE = "told to nobody but this test"
RECOVERS_WITHIN_S = 10
PARAGRAPH = "Kia ora, this is a long letter. " * 32
HEAVY = PARAGRAPH * 96  # about 100 KB
MOST_LETTERS = 400


class Host:
    """SELMA, counting. `kept` is what it was promised."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._client = httpx.Client(base_url=site.url, headers=site.headers, timeout=30, trust_env=False)
        self._numbers = itertools.count()
        self.kept: list[str] = []

    def post(self, text: str) -> httpx.Response:
        """Another letter."""
        answer = self._client.post("/v1/messages", json=a_letter(next(self._numbers), self._site.microsoft, text=text))
        if answer.status_code == 202:
            self.kept.append(answer.json()["id"])
        return answer

    def post_until_refused(self, text: str) -> httpx.Response:
        """Letters, until one is not accepted; that answer."""
        for _ in range(MOST_LETTERS):
            if (answer := self.post(text)).status_code != 202:
                return answer
        raise AssertionError(f"{MOST_LETTERS} letters were accepted")

    def post_until_accepted(self, gateway: Process) -> float:
        """A letter, as often as it is refused, with the pauses that are asked for; how many seconds that took."""
        began = time.perf_counter()
        while (answer := self.post(PARAGRAPH)).status_code != 202:
            assert_unavailable(answer)
            gateway.lives_until(time.perf_counter() + float(answer.headers["retry-after"]))
        return time.perf_counter() - began

    def wait_until_all_are_sent(self) -> None:
        """Follow the events until what was promised stands in Sent Items."""
        left = set(self.kept)
        with self._client.stream("GET", "/v1/events/stream", headers={"last-event-id": "0"}, timeout=60) as events:
            for line in events.iter_lines():
                if '"message.sent"' in line:
                    left -= {one for one in left if one in line}
                if not left:
                    return
        raise AssertionError("the stream of events ended")

    def get(self, path: str) -> httpx.Response:
        """What is at this address."""
        return self._client.get(path)

    def notify(self, subscription_id: str) -> httpx.Response:
        """At Graph's door: a notification that is right in every respect."""
        item = {
            "subscriptionId": subscription_id,
            "clientState": CLIENT_STATE,
            "tenantId": self._site.microsoft.tenant_id,
            "changeType": "created",
            "resource": "Users/u/Messages/m",
            "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": "m"},
        }
        return self._client.post(NOTIFICATIONS, json={"value": [item]})

    def close(self) -> None:
        """No more letters."""
        self._client.close()


def assert_unavailable(answer: httpx.Response, kind: str = "unavailable") -> None:
    """503, as a problem, with the time to come back."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json()["type"] == f"/problems/{kind}"


@pytest.fixture
def host(site: Site) -> Iterator[Host]:
    client = Host(site)
    yield client
    client.close()


def known_subscription(site: Site) -> str:
    """A live subscription whose `clientState` the test knows: only its digest is kept, and so can be set."""
    with started(site.env) as gateway:
        gateway.log_line("subscribed")
    with closing(sqlite3.connect(site.database)) as file, file:
        [subscription_id] = file.execute(
            "UPDATE subscriptions SET client_state_digest = ? WHERE id ="
            " (SELECT id FROM subscriptions WHERE state = 'live' LIMIT 1) RETURNING subscription_id",
            [hashlib.sha256(CLIENT_STATE.encode()).digest()],
        ).fetchone()
    return str(subscription_id)


def moved(site: Site, disk: SmallDisk) -> dict[str, Any]:
    """The gateway's files are on this disk; the environment that says so."""
    shutil.copytree(site.database.parent, disk.outside, dirs_exist_ok=True, ignore=lambda *_: [disk.folder.name])
    return site.env | {"GATEWAY_DATABASE": str(disk.folder / site.database.name)}


def test_a_full_disk_is_a_503_and_room_is_all_the_gateway_needs(site: Site, host: Host, tmp_path: Path) -> None:
    subscription_id = known_subscription(site)
    with small_disk(tmp_path / "small", size_bytes=8 * MIB) as disk:
        env = moved(site, disk) | {"GATEWAY_FREE_SPACE": "0"}
        disk.fill(3 * MIB)
        with started(env, under=disk.under) as gateway:
            assert host.notify(subscription_id).status_code == 202

            assert_unavailable(host.post_until_refused(HEAVY))
            assert_unavailable(host.post(HEAVY))
            assert host.notify(subscription_id).status_code == 503
            assert host.get("/healthz").status_code == 200
            kept = list(host.kept)
            assert kept
            assert {row.message_id for row in rows_of(disk.outside / "gateway.db")} == set(kept)

            disk.make_room()
            assert host.post_until_accepted(gateway) <= RECOVERS_WITHIN_S
            assert host.notify(subscription_id).status_code == 202
            host.wait_until_all_are_sent()
        assert gateway.cries() == []
        assert remains_of(disk.outside / "gateway.db").integrity == "ok"
        with started(env | {"GATEWAY_FREE_SPACE": str(8 * MIB)}, under=disk.under):
            assert_unavailable(host.post(PARAGRAPH), "disk-nearly-full")
            assert host.notify(subscription_id).status_code == 202  # what must go on has its room
            assert host.get("/v1/messages").status_code == 200
            assert "are wanted: no letters" in host.get("/readyz").text
        assert {row.message_id for row in rows_of(disk.outside / "gateway.db")} == set(host.kept)


def test_a_disk_that_fails_to_flush_is_a_503_and_all_is_well_when_it_works_again(
    site: Site, host: Host, tmp_path: Path
) -> None:
    failing = strace(tmp_path / "trace", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=60..79")
    with started(site.env, under=failing) as gateway:
        assert_unavailable(host.post_until_refused(PARAGRAPH))
        assert host.post_until_accepted(gateway) <= RECOVERS_WITHIN_S
        assert host.post(PARAGRAPH).status_code == 202
        host.wait_until_all_are_sent()
    assert gateway.cries() == []
    assert remains_of(site.database).integrity == "ok"
    assert {row.message_id for row in rows_of(site.database)} == set(host.kept)
