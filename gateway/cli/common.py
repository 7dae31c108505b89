"""What the commands share: opening the gateway's file, output for people and for machines, exit codes."""

import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Annotated, Any, Concatenate, NoReturn, ParamSpec, TypeVar

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import storage
from gateway.backups.errors import Damaged, InTheWay, Locked, OtherMasterKey
from gateway.backups.shelf import Shelf
from gateway.backups.upgrading import backup_before_change
from gateway.clock import Clock, SystemClock
from gateway.connections import Connections, NotConnected
from gateway.graph import build_http, build_login_http
from gateway.main import ensure_account
from gateway.master_key import unlock
from gateway.privacy.desk import PrivacyDesk
from gateway.sending.posted import LetterRefused
from gateway.settings import BadSettings, Settings, from_env
from gateway.setup.account import BadConfiguration
from gateway.setup.outside import Outside
from gateway.setup.service import Setup
from storage import accounts, audit
from storage.accounts import Account
from storage.audit import Actor, Via

P = ParamSpec("P")
T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
AccountName = Annotated[str | None, typer.Option("--account", help="Which account; the only one by default.")]


class Exit(IntEnum):
    """What an exit code means."""

    DONE = 0
    WANTING = 1
    USAGE = 2
    OUR_TROUBLE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What a command works with: the store beside a running gateway, and one account."""

    store: storage.Store
    clock: Clock
    settings: Settings
    account: Account
    setup: Setup
    privacy: PrivacyDesk

    @property
    def actor(self) -> Actor:
        """Whom the audit log names: who is logged in on this machine."""
        return Actor(via=Via.COMMAND, staff=_login_name())

    async def write(
        self,
        act: str,
        targets: Callable[[T], Mapping[str, str]],
        work: Callable[Concatenate[storage.Transaction, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Like `Store.write`, with a record of it in the same transaction. `targets` of what the work returned."""
        by, now, account_id = self.actor, self.clock.now(), self.account.id

        def both(tx: storage.Transaction) -> T:
            found = work(tx, *args, **kwargs)
            audit.record(tx, account_id, by, act, targets(found), now=now)
            return found

        return await self.store.write(both)

    async def did(self, act: str, **targets: str) -> None:
        """Record what was read, or done in commits of its own."""
        await self.store.write(audit.record, self.account.id, self.actor, act, targets, now=self.clock.now())


def settings_or_exit() -> Settings:
    """The settings, or one line for each that is wrong."""
    try:
        return from_env(os.environ)
    except BadSettings as error:
        give_up(*error.problems)


def give_up(*lines: str, code: Exit = Exit.OUR_TROUBLE) -> NoReturn:
    """Say what is wrong and end."""
    for line in lines:
        typer.secho(line, fg="red", err=True)
    raise typer.Exit(code)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine; trouble that a person can mend becomes a sentence and exit code 3, or 1 where it was
    what the command had to find out."""
    try:
        with asyncio.Runner(loop_factory=event_loop) as runner:
            return runner.run(work)
    except (Damaged, InTheWay, Locked, OtherMasterKey) as error:
        give_up(str(error), code=Exit.WANTING)
    except storage.StorageError as error:
        give_up(str(error))
    except (NotConnected, LetterRefused) as error:
        give_up(str(error), code=Exit.WANTING)
    except BadConfiguration as error:
        give_up(*(f"{name}: {problem}" for name, problem in error.problems.items()), code=Exit.USAGE)
    except BaseExceptionGroup as group:
        mendable, others = group.split(storage.StorageError)
        if mendable is None or others is not None:
            raise
        give_up(*(str(error) for error in _leaves(mendable)))


def event_loop() -> asyncio.AbstractEventLoop:
    """uvloop where there is one: requests cost up to a sixth less processor time (tests/bench)."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()


def _login_name() -> str | None:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may have a user without a name
        return None


def _leaves(group: BaseExceptionGroup[Any]) -> list[BaseException]:
    found: list[BaseException] = []
    for error in group.exceptions:
        found += _leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found


def opened(settings: Settings, clock: Clock, *, alone: bool) -> AbstractAsyncContextManager[storage.Store]:
    """The store; with a backup first where this release has to change its tables."""
    return storage.open_store(settings.database, alone=alone, before_change=backup_before_change(settings, clock))


@asynccontextmanager
async def tools(account_name: str | None = None) -> AsyncIterator[Tools]:
    """Open the store, beside a running gateway or alone, and find the account."""
    settings, clock = settings_or_exit(), SystemClock()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(settings, clock, alone=False))
        key = await unlock(store, settings, clock)
        account = await store.write(_find_account, account_name, now=clock.now())
        http = await stack.enter_async_context(build_http(settings.ca_file))
        connections = Connections(
            store,
            key,
            settings,
            clock,
            http=http,
            login_http=stack.enter_context(build_login_http(settings.ca_file)),
        )
        setup = Setup(store, connections, clock, key, settings, outside=Outside(clock, http))
        desk = PrivacyDesk.on(store, connections, clock, Shelf.of(settings))
        yield Tools(store=store, clock=clock, settings=settings, account=account, setup=setup, privacy=desk)


def _find_account(tx: storage.Transaction, name: str | None, *, now: datetime) -> Account:
    if name is not None:
        return accounts.get_by_name(tx, name)
    first = ensure_account(tx, now=now)
    if len(accounts.all_of_them(tx)) > 1:
        raise storage.NotFound("There are several accounts here. Say which with --account NAME.")
    return first


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z, default=str).decode() + "\n")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """A table for people, or a sentence when there is nothing in it."""
    if not rows:
        typer.echo(empty)
        return
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    Console().print(table)


def when(moment: datetime | None) -> str:
    """A time for people, in UTC."""
    return "–" if moment is None else moment.strftime("%Y-%m-%d %H:%M UTC")
