"""The gateway backs itself up: what is due and what is too old is read from the folder."""

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backups import rehearsals
from gateway.backups.errors import NotMade
from gateway.backups.keeper import REHEARSE_EVERY, TRY_AGAIN, BackupKeeper
from gateway.backups.manifest import Beside, Manifest, Reason
from gateway.backups.shelf import ALL_KEPT, UPGRADES_KEPT, Backup, Rules, Shelf, too_old
from gateway.backups.upgrading import backup_before_change
from gateway.pace import Pace
from gateway.privacy.kept import StillIn, all_kept
from gateway.pulse import Pulse
from gateway.readiness import Health
from gateway.space import Space
from storage import open_store
from storage.migrate import bring_up_to_date, released
from tests.backups.scene import House
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.storage.scene import raw

DAY = timedelta(days=1)


def on_the_shelf(made_at: datetime, reason: Reason = Reason.SCHEDULED) -> tuple[Backup, Manifest]:
    manifest = Manifest(
        made_at=made_at,
        reason=reason,
        gateway="0",
        schema_version=1,
        rows={},
        key_id=None,
        database_bytes=1,
        database_sha256="",
    )
    path = Path(f"{made_at.isoformat()}-{reason}")
    return Backup(path=path, file_bytes=1, beside=Beside(manifest=manifest, file_bytes=1, file_sha256="")), manifest


def kept_of(days: Sequence[float], rules: Rules) -> list[float]:
    """Which of the backups of so many days ago stay, newest first."""
    found = [on_the_shelf(A_MONDAY - day * DAY) for day in sorted(days)]
    gone = too_old(found, rules, A_MONDAY)
    return [day for day, (one, _) in zip(sorted(days), found, strict=True) if one not in gone]


def test_all_of_the_last_day_one_a_day_then_one_a_week() -> None:
    """A Monday, 9 o'clock; two backups a day."""
    every_half_day = [half / 2 for half in range(80)]
    kept = kept_of(every_half_day, Rules(daily=3, weekly=4))
    assert kept == [0, 0.5, 1.5, 2.5, 7.5, 14.5, 21.5]


def test_the_newest_stays_however_old_it_is() -> None:
    assert kept_of([400, 500], Rules(daily=7, weekly=4)) == [400]


def test_what_people_asked_for_is_theirs_and_one_before_an_upgrade_stays_a_month() -> None:
    asked = on_the_shelf(A_MONDAY - 4000 * DAY, Reason.ASKED)
    young = on_the_shelf(A_MONDAY - UPGRADES_KEPT + DAY, Reason.UPGRADE)
    old = on_the_shelf(A_MONDAY - UPGRADES_KEPT - DAY, Reason.UPGRADE)
    assert too_old([young, old, asked], Rules(daily=1, weekly=0), A_MONDAY) == [old[0]]


@given(
    ages=st.lists(st.floats(0, 400), min_size=1, max_size=40, unique=True),
    rules=st.builds(Rules, daily=st.integers(1, 30), weekly=st.integers(0, 20)),
)
def test_no_day_or_week_is_left_out_and_nothing_stays_past_its_time(ages: list[float], rules: Rules) -> None:
    kept = kept_of(ages, rules)
    moments = {age: A_MONDAY - age * DAY for age in ages}
    assert kept[0] == min(ages)
    for age in ages:
        if age * DAY < ALL_KEPT:
            assert age in kept
        if age < rules.daily:
            assert any(moments[one].date() == moments[age].date() for one in kept), "each of these days has one"
        if age < 7 * rules.weekly:
            assert any(moments[one].isocalendar()[:2] == moments[age].isocalendar()[:2] for one in kept)
    for age in kept[1:]:
        assert age * DAY <= rules.longest, "as the receipts of erasures say"
    assert kept_of(kept, rules) == kept, "what stays, stays at the next look"


async def test_a_backup_is_made_when_it_is_due_and_the_folder_remembers_that(house: House) -> None:
    house.more |= {"backups_daily": 3, "backups_weekly": 1}
    keeper = BackupKeeper(house.settings, house.clock)
    await keeper.run_due()
    assert [one.path.name for one in house.shelf.backups()] == ["gateway-20260302T090000Z-scheduled.db.zst"]
    assert keeper.standing.newest_at == A_MONDAY
    house.clock.advance(DAY - timedelta(seconds=1))
    await BackupKeeper(house.settings, house.clock).run_due()
    assert len(house.shelf.backups()) == 1, "a restart changes nothing"
    house.clock.advance(timedelta(seconds=1))
    await keeper.run_due()
    assert len(house.shelf.backups()) == 2
    for _ in range(8):
        house.clock.advance(DAY)
        await keeper.run_due()
    assert 3 <= len(house.shelf.backups()) <= 4
    assert (house.shelf.folder / rehearsals.REPORT).exists()
    assert house.leftovers() == {"backups/rehearsal.json"}
    house.clock.advance(-6 * DAY)
    await keeper.run_due()
    newest = max(one.path.stat().st_mtime_ns for one in house.shelf.backups())
    [last] = [one for one in house.shelf.backups() if one.path.stat().st_mtime_ns == newest]
    assert last.manifest is not None
    assert last.manifest.made_at == house.clock.now(), "a clock that ran ahead keeps no backup from being made"


async def test_without_a_folder_none_is_made(house: House) -> None:
    house.more["backups"] = None
    keeper = BackupKeeper(house.settings, house.clock)
    await keeper.run_due()
    assert not house.shelf.folder.exists()
    assert "GATEWAY_BACKUPS is not set" in keeper.standing.sentence
    assert not keeper.standing.has_failed


async def test_one_that_fails_is_said_and_tried_again_later(house: House, caplog: pytest.LogCaptureFixture) -> None:
    house.shelf.folder.write_text("a file where the folder should be")
    keeper = BackupKeeper(house.settings, house.clock)
    async with open_store(house.database) as store:
        health = Health(store, house.clock, Pace(), space=Space(), pulse=Pulse(), backups=lambda: keeper.standing)
        await keeper.run_due()
        await keeper.run_due()
        [part] = [part for part in (await health.readiness()).parts if part.name == "backups"]
    assert part.ok, "letters leave all the same"
    assert "The last one failed: " in part.detail
    assert keeper.standing.has_failed
    assert [record.getMessage() for record in caplog.records].count("backup failed") == 1, "not at every tick"
    house.shelf.folder.unlink()
    house.clock.advance(TRY_AGAIN)
    await keeper.run_due()
    assert not keeper.standing.has_failed
    assert keeper.standing.age(house.clock.now()) == timedelta(0)


async def test_a_gateway_rehearses_each_week_and_says_when_it_goes_wrong(house: House) -> None:
    keeper = BackupKeeper(house.settings, house.clock)
    await keeper.run_due()
    first = rehearsals.last(house.shelf)
    assert first is not None
    assert (first.at, first.opened, first.problem) == (A_MONDAY, True, None)
    house.clock.advance(REHEARSE_EVERY)
    for one in house.shelf.backups():
        one.path.write_bytes(bytes(one.file_bytes))
    keeper = BackupKeeper(replace(house.settings, backup_interval=REHEARSE_EVERY * 2), house.clock)
    await keeper.run_due()
    assert keeper.standing.has_failed
    assert "The rehearsal with gateway-20260302T090000Z-scheduled.db.zst failed: " in keeper.standing.sentence


async def test_a_gateway_that_stops_in_the_midst_of_one_leaves_nothing(house: House) -> None:
    begun, go_on, loop_thread = threading.Event(), threading.Event(), threading.get_ident()

    class Watched(FakeClock):
        def now(self) -> datetime:
            if threading.get_ident() != loop_thread:
                begun.set()
                go_on.wait()
            return super().now()

    running = asyncio.get_running_loop().create_task(BackupKeeper(house.settings, Watched()).run(asyncio.Event()))
    await asyncio.to_thread(begun.wait)
    running.cancel()
    await asyncio.wait({running}, timeout=0)  # it has heard of it, and waits for the thread
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert list(house.shelf.backups()) == []
    assert house.leftovers() == set()


async def test_receipts_of_erasures_know_the_backups_before_them(house: House) -> None:
    house.more |= {"backups_daily": 7, "backups_weekly": 0}
    house.back_up(Reason.SCHEDULED)
    house.back_up(Reason.ASKED, at=A_MONDAY + DAY)
    last = house.back_up(Reason.UPGRADE, at=A_MONDAY + 2 * DAY)
    last.path.with_name(last.path.name + ".json").write_bytes(b"broken")
    assert await all_kept(house.shelf) == [
        StillIn(name="gateway-20260304T090000Z-upgrade.db.zst", made_at=A_MONDAY + 2 * DAY, kept_until=None),
        StillIn(name="gateway-20260303T090000Z-asked.db.zst", made_at=A_MONDAY + DAY, kept_until=None),
        StillIn(name="gateway-20260302T090000Z-scheduled.db.zst", made_at=A_MONDAY, kept_until=A_MONDAY + 7 * DAY),
    ]
    assert await all_kept(None) == ()


def as_the_release_before(house: House) -> int:
    """A file that was made one migration ago."""
    house.database.unlink()
    with closing(sqlite3.connect(house.database, isolation_level=None)) as connection:
        return bring_up_to_date(connection, released()[:-1])


async def test_before_a_release_changes_the_tables_the_file_is_backed_up(house: House) -> None:
    before = as_the_release_before(house)
    house.more["backups"] = None
    for _ in range(2):
        async with open_store(house.database, before_change=backup_before_change(house.settings, house.clock)):
            pass
    [made] = house.shelf.backups()
    assert made.path == house.folder / "backups" / "gateway-20260302T090000Z-upgrade.db.zst"
    assert made.manifest is not None
    assert made.manifest.schema_version == before
    with raw(house.database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (released()[-1].version,)


async def test_where_that_cannot_be_done_nothing_is_changed(house: House) -> None:
    before = as_the_release_before(house)
    house.shelf.folder.write_text("in the way")
    with pytest.raises(NotMade, match=rf"change the tables.*version {before}.*no way back without a backup"):
        async with open_store(house.database, before_change=backup_before_change(house.settings, house.clock)):
            pytest.fail("opened")
    with raw(house.database) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (before,)


async def test_a_new_file_needs_none(house: House, tmp_path: Path) -> None:
    house.folder = tmp_path / "new"
    async with open_store(house.database, before_change=backup_before_change(house.settings, house.clock)):
        pass
    assert not house.shelf.folder.exists()


def test_a_shelf_that_is_not_there_is_empty(tmp_path: Path) -> None:
    shelf = Shelf(folder=tmp_path / "no", rules=Rules(daily=1, weekly=1))
    assert list(shelf.backups()) == []
    assert shelf.forget_old(datetime(2026, 3, 2, tzinfo=UTC)) == 0
    shelf.sweep()
    shutil.rmtree(tmp_path)
