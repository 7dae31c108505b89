"""Backup, restore, compare while letters leave and replies come in: small rounds of `python -m tests.fire backups`."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path

import httpx

from gateway.backups.making import Order, make
from gateway.backups.manifest import Reason
from gateway.backups.restoring import restore
from gateway.backups.shelf import Shelf
from gateway.demo import Demo
from gateway.settings import Settings
from tests.end_to_end.conftest import api_client, running_school
from tests.fire.backup_books import compare, left_twice

ROUNDS = 2


@asynccontextmanager
async def letters_flow(school: Demo, api: httpx.AsyncClient, promised: dict[str, str]) -> AsyncIterator[asyncio.Event]:
    """One letter after the other until the block ends; the event is set after each."""
    accepted = asyncio.Event()

    async def pour(numbers: Iterator[int]) -> None:
        for number in numbers:
            letter = {
                "from": school.school.mailboxes[0],
                "to": [{"name": None, "address": school.school.students[0].address}],
                "subject": f"Letter {number}",
                "text": "Kia ora",
                "objects": [{"type": "student", "id": "S1"}],
            }
            answer = await api.post("/v1/messages", json=letter, headers={"idempotency-key": f"letter-{number}"})
            promised[f"letter-{number}"] = answer.raise_for_status().json()["id"]
            accepted.set()

    async with asyncio.TaskGroup() as group:
        pouring = group.create_task(pour(count()))
        yield accepted
        pouring.cancel()


async def test_what_is_restored_is_what_was_there_at_one_moment(tmp_path: Path) -> None:
    promised: dict[str, str] = {}
    async with running_school() as school, api_client(school) as api, letters_flow(school, api, promised) as accepted:
        clock = school.gateway.clock
        shelf = replace(Shelf.of(Settings(database=school.database)), folder=tmp_path / "backups")
        order = Order(database=school.database, shelf=shelf, recipients=(), reason=Reason.ASKED, reserve_bytes=0)
        for number in range(ROUNDS):
            while len(promised) < 10 * (number + 1):
                accepted.clear()
                await accepted.wait()
            before = dict(promised)
            made = await asyncio.to_thread(make, order, clock.now())
            place = tmp_path / str(number)
            place.mkdir()
            shutil.copy(school.database.parent / "master.key", place)
            done = await restore(made.path, Settings(database=place / "gateway.db"), clock)
            assert made.manifest is not None
            found = await asyncio.to_thread(compare, place / "gateway.db", school.database, made.manifest.rows, before)
            assert list(found.violations) == []
            assert found.compared >= len(before)
            assert done.doubted == found.doubted


def test_the_comparison_finds_what_is_missing_and_what_left_twice() -> None:
    assert list(left_twice([{"extended_properties": {"x": "1"}}, {"extended_properties": {"x": "2"}}], "x")) == []
    assert len(left_twice([{"extended_properties": {"x": "1"}}] * 2, "x")) == 1
