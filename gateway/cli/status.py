"""`selma-gateway status`: what is flowing, what is stuck, why, and what helps.

It only reads the file: no master key, no network, no room on the disk is needed, and no gateway has to run.
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Annotated, Final

import orjson
import typer
from rich.console import Console as Terminal
from rich.console import Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

import storage
from gateway.backups.keeper import seen
from gateway.cli.common import AccountName, AsJson, Exit, opened, print_json, run, settings_or_exit, when
from gateway.clock import Clock, SystemClock
from gateway.console import Console, judge
from gateway.console.process import look_around
from gateway.console.snapshot import read_snapshot
from gateway.console.stream import Flow, Stream, Verdict, counted
from gateway.readiness import Part
from gateway.settings import Settings
from gateway.space import space_for
from gateway.threads.views import to_json
from storage import accounts, vault

EVERY: Final = timedelta(seconds=5)
COLOURS: Final = {Verdict.STUCK: "red", Verdict.SLOW: "yellow", Verdict.FLOWING: "green", Verdict.OFF: "dim"}


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Look again every 5 seconds, until Ctrl-C.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Say what is flowing, what is stuck, why, and what helps. Ends with 1 when something is stuck."""
    settings = settings_or_exit()
    if watch:
        with suppress(KeyboardInterrupt):
            run(_watch(settings, account, as_json=json))
        return
    console = run(_once(settings, account))
    if json:
        print_json(to_json(console))
    else:
        Terminal().print(shown(console))
    raise typer.Exit(Exit.WANTING if console.verdict is Verdict.STUCK else Exit.DONE)


async def _once(settings: Settings, account: str | None) -> Console:
    async with aclosing(consoles(settings, account, SystemClock())) as looks:
        return await anext(looks)


async def _watch(settings: Settings, account: str | None, *, as_json: bool) -> None:
    """On a terminal in place; for programs one line of JSON for each look."""
    async with aclosing(consoles(settings, account, SystemClock())) as looks:
        if as_json:
            async for console in looks:
                typer.echo(orjson.dumps(to_json(console)))
            return
        with Live(auto_refresh=False) as live:
            async for console in looks:
                live.update(shown(console), refresh=True)


async def consoles(settings: Settings, account: str | None, clock: Clock) -> AsyncGenerator[Console, None]:
    """How it stands now, and again every few seconds. Raises `storage.StorageError`."""
    space = space_for(settings, clock)
    async with opened(settings, clock, alone=False) as store:
        while True:
            now = clock.now()
            found = await store.read(_account_id, account)
            snapshot = await store.read(read_snapshot, found, settings=settings, now=now)
            parts = [await _writable(store)]
            place = look_around(
                settings,
                parts,
                alive_at=snapshot.alive_at,
                running_since=None,
                room=space.room(),
                backups=seen(settings),
                now=now,
            )
            yield judge(snapshot, place)
            await clock.sleep(EVERY)


async def _writable(store: storage.Store) -> Part:
    try:
        await store.write(vault.touch)
    except storage.StorageUnavailable as error:
        return Part(name="store", ok=False, detail=str(error))
    return Part(name="store", ok=True, detail="The database can be written.")


def _account_id(tx: storage.Transaction, name: str | None) -> str:
    if name is not None:
        return accounts.get_by_name(tx, name).id
    match accounts.all_of_them(tx):
        case [only]:
            return only.id
        case []:
            raise storage.NotFound("There is no account yet: no gateway has worked with this database.")
    raise storage.NotFound("There are several accounts here. Say which with --account NAME.")


def shown(console: Console) -> Group:
    """For a terminal."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in console.streams:
        table.add_row(
            Text(one.verdict, style=COLOURS[one.verdict]), f"[bold]{escape(one.title)}[/]", escape(_lines(one))
        )
    taken = f"{console.taken_at:%Y-%m-%d %H:%M:%S} UTC, selma-gateway {console.version}"
    return Group(Text(console.sentence, style=COLOURS[console.verdict]), Text(taken, style="dim"), table)


def _lines(one: Stream) -> str:
    """Why, what went through, and what a person can do."""
    told = [trouble.sentence for trouble in one.troubles] or [one.sentence]
    if one.flow is not None:
        told.append(", ".join(_figures(one.flow)))
    helps = [action.label for trouble in one.troubles for action in trouble.actions]
    if helps:
        told.append(f"On the page /settings/console: {', '.join(dict.fromkeys(helps))}.")
    return "\n".join(filter(None, told))


def _figures(flow: Flow) -> Iterator[str]:
    more = "+" if flow.at_least else ""
    if flow.last_day:
        yield f"{flow.last_hour or 0:,}{more} in the last hour, {flow.last_day:,}{more} in the last day"
    if flow.waiting:
        yield f"{counted(flow.waiting, flow.noun)} waiting" + (
            f" since {when(flow.oldest_at)}" if flow.oldest_at else ""
        )
