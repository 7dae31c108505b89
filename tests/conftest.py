import gc
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

import pytest
from hypothesis import settings

from storage import migrate, opening
from storage.migrate import Migration

# How fast a busy machine is says nothing about the code; what hangs is ended by pytest-timeout.
settings.register_profile("gateway", deadline=None)
settings.load_profile("gateway")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is imported and collected stays until the end; looking through it for garbage, ever again, costs the tests a
    tenth of their time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def new_files_are_copies() -> Iterator[None]:
    """A new database is copied from one that was brought up to date once: thousands of tests begin with one, and all
    migrations take a hundred times as long. They have tests of their own, and real processes run them.
    """
    with (
        pytest.MonkeyPatch.context() as patch,
        closing(sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)) as whole,
    ):
        newest = migrate.bring_up_to_date(whole)

        def brought_up_to_date(connection: sqlite3.Connection, migrations: Sequence[Migration] | None = None) -> int:
            (things,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if things or migrations is not None:
                return migrate.bring_up_to_date(connection, migrations)
            whole.backup(connection)
            return newest

        patch.setattr(opening, "bring_up_to_date", brought_up_to_date)
        yield
