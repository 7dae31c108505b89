"""What would fill the disk is refused before it is full, and all else goes on."""

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.pace import Pace
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.settings import Settings
from gateway.space import Space
from storage import Store
from storage.api_keys import Scope
from tests.fakes.clock import FakeClock
from tests.http.scene import Scene, a_letter
from tests.http.shape import assert_problem
from tests.http.test_batches import a_batch
from tests.http.test_metrics import numbers, scraped
from tests.http.test_privacy import ORDER, a_cancelled_letter

SECOND = timedelta(seconds=1)


class Disk:
    """`free` bytes; counts how often it was looked at. None cannot be told."""

    def __init__(self, free: int | None) -> None:
        self.free = free
        self.looks = 0

    def look(self, folder: Path) -> int:
        self.looks += 1
        if self.free is None:
            raise OSError("no such disk")
        return self.free


def space_on(disk: Disk, clock: FakeClock, wanted: int = 1000) -> Space:
    return Space(clock, Path("data"), wanted=wanted, look=disk.look)


def test_the_disk_is_looked_at_once_a_second_however_many_ask() -> None:
    disk, clock = Disk(5000), FakeClock()
    space = space_on(disk, clock)
    for _ in range(100):
        space.check()
    assert disk.looks == 1
    clock.advance(SECOND)
    space.check()
    clock.advance(timedelta(hours=-2))
    space.check()
    assert disk.looks == 3


def test_what_was_refused_is_taken_again_only_with_a_tenth_more_and_each_change_is_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    disk, clock = Disk(1000), FakeClock()
    space = space_on(disk, clock)
    seen = []
    with caplog.at_level(logging.INFO, "gateway.space"):
        for free in (1000, 999, 998, 1000, 1099, 1100, 1000, 999):
            disk.free = free
            clock.advance(SECOND)
            seen.append(space.room().is_low)
    assert seen == [False, True, True, True, True, False, False, True]
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "the disk is nearly full",
        "there is room on the disk again",
        "the disk is nearly full",
    ]


def test_a_disk_that_cannot_be_looked_at_and_a_limit_of_nought_refuse_nothing() -> None:
    clock = FakeClock()
    assert space_on(Disk(None), clock).refusal() is None
    assert space_on(Disk(0), clock, wanted=0).refusal() is None
    assert Space().refusal() is None


def test_as_much_is_wanted_as_one_and_a_half_of_the_largest_request() -> None:
    assert Settings().wanted_free_space == 225_000_000
    assert Settings(largest_attachment=1000, largest_request=4000).wanted_free_space == 6000
    assert Settings(free_space=0).wanted_free_space == 0


async def test_new_letters_are_refused_with_what_is_free_and_what_is_wanted_and_old_answers_are_given_again(
    scene: Scene,
    clock: FakeClock,
) -> None:
    disk = Disk(5000)
    low = replace(scene, services=replace(scene.services, space=space_on(disk, clock)))
    key = {"idempotency-key": "k"}
    async with low.client() as api:
        before = await api.post("/v1/messages", json=a_letter(), headers=key)
        batch = await api.post("/v1/batches", json=a_batch(), headers={"idempotency-key": "b"})
        file = await api.post("/v1/files?name=a", content=b"x")
        assert (before.status_code, batch.status_code, file.status_code) == (202, 202, 201)

        disk.free = 900
        clock.advance(SECOND)
        rows = await scene.rows()
        for answer in (
            await api.post("/v1/messages", json=a_letter()),
            await api.post("/v1/messages", json=a_letter(), headers={"idempotency-key": "new"}),
            await api.post("/v1/batches", json=a_batch(), headers={"idempotency-key": "new"}),
            await api.post("/v1/files?name=a", content=b"x"),
            await api.get("/v1/objects/student/S1001/export"),
        ):
            told = assert_problem(answer, 503, "disk-nearly-full")["detail"]
            assert "900 bytes are free" in told
            assert "1,000 bytes are wanted" in told
        assert {name: count for name, count in (await scene.rows()).items() if count != rows[name]} == {}

        again = await api.post("/v1/messages", json=a_letter(), headers=key)
        assert (again.status_code, again.json()) == (202, before.json())
        repeated = await api.post("/v1/batches", json=a_batch(), headers={"idempotency-key": "b"})
        assert (repeated.status_code, repeated.json()) == (202, batch.json())

        disk.free = 1100
        clock.advance(SECOND)
        assert (await api.post("/v1/messages", json=a_letter())).status_code == 202


async def test_all_else_goes_on_and_it_is_said_where_one_looks(scene: Scene, clock: FakeClock, store: Store) -> None:
    space = space_on(Disk(900), clock)
    low = replace(scene, services=replace(scene.services, space=space))
    async with scene.client() as api:
        await a_cancelled_letter(api)
    async with low.client() as api:
        assert (await api.get("/v1/messages")).status_code == 200
        assert (await api.post("/graph/notifications", json={"value": []})).status_code == 202
        assert (await api.post("/v1/mailboxes", json={"address": "another@school.example"})).status_code == 201
        assert (await api.post("/v1/erasures", json=ORDER)).status_code == 200
        assert (await api.get("/healthz")).status_code == 200
    gauges = await scraped(low, await scene.new_key(Scope.METRICS))
    assert [numbers(gauges, f"disk_{name}")[""] for name in ("wanted_bytes", "low")] == [1000, 1]

    parts = {
        one.name: one for one in (await Health(store, clock, Pace(), space=space, pulse=Pulse()).readiness()).parts
    }
    assert not parts["disk"].ok
    assert "900 bytes are free" in parts["disk"].detail
