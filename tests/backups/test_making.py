"""A backup is whole or not at all, shows one moment, and opens without us."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyrage
import pytest

from gateway.backups.checking import verify
from gateway.backups.errors import Interrupted, NoRoom, NotMade, UnderWay
from gateway.backups.making import RESERVE, Order, make
from gateway.backups.manifest import Reason
from gateway.backups.packing import unpack
from gateway.backups.scratch import clear_away, folder_beside
from gateway.backups.shelf import look_at
from gateway.clock import SystemClock
from storage import copies, events, open_store
from tests.backups.scene import House, something_happens
from tests.end_to_end.small_disk import small_disk


def rows(database: Path, table: str) -> int:
    with closing(sqlite3.connect(database)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_backup_tells_what_is_in_it_and_is_the_owners_alone(house: House) -> None:
    made = house.back_up()
    assert made.path.name == "gateway-20260302T090000Z-asked.db.zst"
    assert made.path.stat().st_mode & 0o777 == made.path.with_name(made.path.name + ".json").stat().st_mode & 0o777
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert house.shelf.folder.stat().st_mode & 0o777 == 0o700
    assert made.manifest is not None
    assert made.manifest.rows["outbox"] == 3
    assert made.manifest.schema_version == copies.schema_version(house.database)
    assert look_at(made.path) == made
    assert verify(made.path, house.settings).opened
    assert house.leftovers() == set()
    assert house.back_up().path.name == "gateway-20260302T090000Z-asked-2.db.zst", "two of the same second"


def test_the_tool_of_zstandard_opens_it_without_us(house: House, tmp_path: Path) -> None:
    opened = tmp_path / "opened.db"
    subprocess.run(["zstd", "-q", "-d", str(house.back_up().path), "-o", str(opened)], check=True)
    assert rows(opened, "outbox") == 3


def test_an_encrypted_one_opens_with_age_alone_and_says_nothing_before(
    house: House, identity: pyrage.x25519.Identity, tmp_path: Path
) -> None:
    house.more["backup_recipients"] = (str(identity.to_public()),)
    made = house.back_up()
    assert made.path.name.endswith(".db.zst.age")
    assert b"SQLite" not in made.path.read_bytes()
    assert b"schema_version" not in made.path.read_bytes()
    plain = tmp_path / "plain.db.zst"
    pyrage.decrypt_file(str(made.path), str(plain), [identity])
    with (tmp_path / "opened.db").open("wb") as into:
        manifest, _ = unpack(plain, into, (), lambda done: None)
    assert manifest == made.manifest
    assert rows(tmp_path / "opened.db", "outbox") == 3


async def test_writers_do_not_wait_for_it_and_it_shows_the_moment_it_began(house: House) -> None:
    """A commit between any two of its steps neither makes it begin again nor comes into it."""
    loop = asyncio.get_running_loop()
    async with open_store(house.database) as store:
        before, steps = await store.read(events.newest), 0

        def meanwhile(what: str, done: int, total: int) -> None:
            nonlocal steps
            if what == "copying":
                asyncio.run_coroutine_threadsafe(something_happens(store, house.clock), loop).result(timeout=30)
                steps += 1

        made = await asyncio.to_thread(make, house.order(), house.clock.now(), meanwhile)
        assert await store.read(events.newest) == before + steps
    assert steps > 0
    assert made.manifest is not None
    assert made.manifest.rows["events"] == before


def test_only_one_is_made_at_a_time(house: House) -> None:
    def another(what: str, done: int, total: int) -> None:
        with pytest.raises(UnderWay, match="just now"):
            house.back_up()
        clear_away(house.database)  # and a gateway that starts meanwhile leaves it alone

    assert verify(house.back_up(watch=another).path, house.settings).opened


@pytest.mark.parametrize("step", ["copying", "checking", "packing"])
def test_one_that_is_given_up_leaves_nothing(house: House, step: str) -> None:
    def give_up(what: str, done: int, total: int) -> None:
        if what == step:
            raise Interrupted

    with pytest.raises(Interrupted):
        house.back_up(watch=give_up)
    assert list(house.shelf.backups()) == []
    assert house.leftovers() == set()


def test_what_a_crash_left_goes_with_the_next(house: House) -> None:
    made = house.back_up()
    for name in ("x.part", "gateway-20260302T080000Z-asked.db.zst.part", "gateway-20260302T080000Z-asked.db.zst.json"):
        (house.shelf.folder / name).write_bytes(b"half")
    house.database.with_name("gateway.db.backup-copy").write_bytes(b"half")
    (house.folder / ".restoring-x").mkdir()
    (house.folder / ".restoring-x" / "gateway.db").write_bytes(b"half")
    with folder_beside(house.database) as in_use:
        clear_away(house.database)
        assert in_use.exists(), "somebody works with it"
    assert not house.database.with_name("gateway.db.backup-copy").exists()
    assert not (house.folder / ".restoring-x").exists()
    house.back_up()
    assert house.leftovers() == {"backups/x.part"}, "what is not ours is not touched"
    assert made.path.exists()


def test_a_disk_that_is_too_full_is_said_before_it_begins(house: House) -> None:
    begun: list[str] = []
    with pytest.raises(NoRoom, match=r"too full for a backup.*are needed.*are free.*GATEWAY_BACKUPS"):
        make(house.order(reserve_bytes=2**60), SystemClock().now(), lambda what, done, total: begun.append(what))
    assert begun == []
    assert house.leftovers() == set()


def test_what_is_kept_free_for_letters_stays_free(house: House) -> None:
    house.more["free_space"] = 2**60
    with pytest.raises(NoRoom, match="too full for a backup"):
        make(Order.of(house.settings, Reason.SCHEDULED), house.clock.now())
    house.more["free_space"] = 0
    assert Order.of(house.settings, Reason.SCHEDULED).reserve_bytes == RESERVE, "the gateway itself goes on with some"


def test_a_disk_that_fills_up_in_the_midst_leaves_no_half_backup(furnished: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", size_bytes=3_000_000) as disk:
        shutil.copytree(furnished, disk.outside / "data")
        done = subprocess.run(
            [*disk.under, sys.executable, "-m", "tests.backups.filling", str(disk.folder)],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "could not be made: database or disk is full. Nothing of it is left." in found["said"]["copying"]
    assert "No space left" in found["said"]["packing"]
    assert found["left"] == []
    assert found["opened"] is True


def test_a_damaged_database_is_not_backed_up_as_if_it_were_whole(house: House) -> None:
    with house.database.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * 4096 * 20)
    with pytest.raises(NotMade, match=r"damaged|malformed"):
        house.back_up()
    assert house.leftovers() == set()
