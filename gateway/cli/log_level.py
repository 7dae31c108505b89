"""`selma-gateway log-level`: how much a running gateway logs, for a while."""

from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from gateway.cli.common import AsJson, Exit, give_up, print_json, print_table, run, tools, when
from gateway.levels import LONGEST, CannotLog, duration, wish
from gateway.settings import LOG_LEVELS
from storage import Transaction, log_levels
from storage.log_levels import LogLevel

USUAL: Final = "usual"
Level = Annotated[
    str | None, typer.Argument(help=f"{', '.join(LOG_LEVELS)}; “{USUAL}” goes back to the setting. None shows it.")
]
Logger = Annotated[str, typer.Option("--logger", help="Only from here down, such as gateway.graph.")]
For = Annotated[str, typer.Option("--for", help="How long, such as 30s, 15m, 2h; a day at most.")]


def log_level(level: Level = None, logger: Logger = "", lasts: For = "15m", json: AsJson = False) -> None:
    """Let a running gateway log more, or less, for a while. It goes back by itself, and at a restart."""
    if level is None:
        _show(json)
        return
    if level != USUAL:
        try:
            wished = wish(level, logger, lasts)
        except CannotLog as error:
            give_up(str(error), code=Exit.USAGE)
        until = run(_change(wished.logger, wished.level, duration(lasts)))
        typer.echo(f"{wished.logger or 'All'}: {wished.level} until {when(until)}, from a few seconds on.")
        return
    run(_forget())
    typer.echo("A running gateway logs as its setting says again, from a few seconds on.")


def _show(json: bool) -> None:
    setting, found = run(_read())
    if json:
        print_json(
            {
                "setting": setting,
                "for_a_while": [{"logger": one.logger, "level": one.level, "until": one.until} for one in found],
            }
        )
        return
    rows = [[one.logger or "all", one.level, when(one.until)] for one in found]
    print_table(["logger", "level", "until"], rows, empty=f"As this environment's setting says: {setting}.")


async def _read() -> tuple[str, list[LogLevel]]:
    async with tools() as at:
        return at.settings.log_level, await at.store.read(log_levels.in_force, at.clock.now())


async def _change(logger: str, level: str, lasts: timedelta) -> datetime:
    async with tools() as at:
        wished = LogLevel(logger=logger, level=level, until=at.clock.now() + min(lasts, LONGEST))
        told = {"logger": logger or "all", "level": level, "until": wished.until.isoformat(timespec="seconds")}
        await at.write("log_level.change", lambda _: told, log_levels.set_for_a_while, wished)
        return wished.until


async def _forget() -> None:
    async with tools() as at:
        await at.write("log_level.reset", lambda _: {}, _forget_all)


def _forget_all(tx: Transaction) -> None:
    log_levels.forget_all(tx)
