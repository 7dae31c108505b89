"""`selma-gateway backup` and `restore`: making backups, looking them over, and putting one back.

Exit codes: 0 done, 1 a backup is damaged, locked or sealed with another master key, or a database is in the way,
2 wrong usage, 3 the gateway's own trouble: a full disk, a gateway that runs, a backup of a newer release.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from gateway.backups import rehearsals
from gateway.backups.checking import verify
from gateway.backups.errors import BackupError
from gateway.backups.making import Order, Watcher, make, silent
from gateway.backups.manifest import Reason
from gateway.backups.restoring import restore as put_back
from gateway.backups.shelf import Backup, Shelf
from gateway.cli.common import AsJson, Exit, give_up, print_json, print_table, run, settings_or_exit, when
from gateway.clock import SystemClock

T = TypeVar("T")

app = typer.Typer(help="Back the database up, beside a running gateway or alone: list, verify, rehearse.")
Given = Annotated[Path, typer.Argument(help="The backup: a path, or a name in the folder of backups.")]


@app.callback(invoke_without_command=True)
def backup(
    context: typer.Context,
    to: Annotated[Path | None, typer.Option(help="Another folder than the one that is set.")] = None,
    json: AsJson = False,
) -> None:
    """Make a backup now. It is never deleted by the gateway: that is for who asked for it."""
    if context.invoked_subcommand is not None:
        return
    settings, clock = settings_or_exit(), SystemClock()
    shelf = Shelf.of(settings)
    place = shelf if to is None else Shelf(folder=to, rules=shelf.rules)
    order = Order.of(settings, Reason.ASKED, place)
    if not settings.database.exists():
        give_up(f"There is no database at {settings.database}. GATEWAY_DATABASE says where it is.")
    with _progress(quiet=json) as watch:
        made = _blocking(lambda: make(order, clock.now(), watch))
    if json:
        print_json(_as_json(made, shelf))
        return
    encrypted = "encrypted" if made.is_encrypted else "not encrypted: set GATEWAY_BACKUP_RECIPIENTS for that"
    typer.echo(f"{made.path} has {made.file_bytes:,} bytes, {encrypted}.")
    typer.echo("The master key is not in it: keep that apart.")


@app.command("list")
def list_backups(json: AsJson = False) -> None:
    """List the backups, newest first: when and why each was made, how far its tables are, until when it is kept."""
    shelf = Shelf.of(settings_or_exit())
    found = _blocking(shelf.backups)
    if json:
        print_json([_as_json(one, shelf) for one in found])
        return
    print_table(
        ["backup", "bytes", "tables", "kept until", "problem"],
        [_row(one, shelf) for one in found],
        empty=f"No backups in {shelf.folder} yet.",
    )


@app.command("verify")
def verify_backup(backup: Given, json: AsJson = False) -> None:
    """Unpack a backup into a scratch folder and check it: checksums, integrity, rows, tables, master key."""
    settings = settings_or_exit()
    path = _path_of(backup, Shelf.of(settings))
    with _progress(quiet=json) as watch:
        found = _blocking(lambda: verify(path, settings, watch))
    if json:
        print_json({"backup": path, "ok": True, "opened": found.opened, "manifest": found.manifest.as_json()})
    elif found.opened:
        rows = sum(found.manifest.rows.values())
        typer.echo(f"{path.name} is whole: {rows:,} rows of {when(found.manifest.made_at)}.")
    else:
        typer.echo(f"{path.name} is the file that was written. {NOT_OPENED}")


@app.command("rehearse")
def rehearse(json: AsJson = False) -> None:
    """Restore the newest backup into a scratch folder, check it as a restore would, and clean up."""
    settings, clock = settings_or_exit(), SystemClock()
    with _progress(quiet=json) as watch:
        done = _blocking(lambda: rehearsals.rehearse(Shelf.of(settings), settings, clock.now(), watch))
    if json:
        print_json(asdict(done) | {"ok": done.problem is None})
    elif done.problem is None:
        typer.echo(f"{done.backup} could be restored." if done.opened else f"{done.backup} is whole. {NOT_OPENED}")
    if done.problem is not None:
        if not json:
            typer.secho(f"{done.backup} could not be restored. {done.problem}", fg="red", err=True)
        raise typer.Exit(Exit.WANTING)


NOT_OPENED: Final = (
    "It is encrypted, and no identity is at hand, so what is in it was not looked at: GATEWAY_BACKUP_IDENTITY_FILE."
)


def restore(
    backup: Given,
    force: Annotated[bool, typer.Option("--force", help="Put the database that is there aside.")] = False,
    json: AsJson = False,
) -> None:
    """Put a backup in the place of the database. Stop the gateway first.

    The backup is checked before anything is touched. Letters that were open in it are looked for in their mailboxes
    before they are sent, whatever has become of them since.
    """
    settings, clock = settings_or_exit(), SystemClock()
    path = _path_of(backup, Shelf.of(settings))
    with _progress(quiet=json) as watch:
        done = run(put_back(path, settings, clock, force=force, watch=watch))
    if json:
        print_json(
            {
                "backup": path,
                "made_at": done.manifest.made_at,
                "database": settings.database,
                "put_aside": done.aside,
                "schema_version": done.schema_version,
                "letters_in_doubt": done.doubted,
                "erasures_since": done.erased_since,
            }
        )
        return
    typer.echo(f"{settings.database} is as it was at {when(done.manifest.made_at)}.")
    if done.aside is not None:
        typer.echo(f"The database that was there is now {done.aside}. Delete it when nothing in it is wanted any more.")
    typer.echo(f"{done.doubted} open letters are looked for in their mailboxes before they are sent.")
    for receipt in done.erased_since:
        typer.secho(f"Erasure {receipt} was done after this backup: what it removed is back. Erase again.", fg="yellow")


def _blocking(work: Callable[[], T]) -> T:
    """Outside of a loop: nothing else is to be done meanwhile. Trouble becomes a sentence and an exit code."""
    return run(_alone(work))


async def _alone(work: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(work)
    except OSError as error:
        raise BackupError(f"{error.strerror or error}: {error.filename or 'a file'}.") from error


def _path_of(given: Path, shelf: Shelf) -> Path:
    beside = shelf.folder / given
    return beside if given.name == str(given) and not given.exists() and beside.exists() else given


def _as_json(one: Backup, shelf: Shelf) -> dict[str, Any]:
    manifest = one.manifest
    return {
        "path": one.path,
        "bytes": one.file_bytes,
        "encrypted": one.is_encrypted,
        "problem": one.problem,
        "kept_until": None if manifest is None else shelf.kept_until(manifest),
        "sha256": None if one.beside is None else one.beside.file_sha256,
        "manifest": None if manifest is None else manifest.as_json(),
    }


def _row(one: Backup, shelf: Shelf) -> Sequence[str]:
    manifest = one.manifest
    if manifest is None:
        return [one.path.name, f"{one.file_bytes:,}", "–", "–", one.problem or ""]
    until = shelf.kept_until(manifest)
    kept = "deleted by hand" if until is None else when(until)
    return [one.path.name, f"{one.file_bytes:,}", str(manifest.schema_version), kept, one.problem or ""]


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Watcher]:
    """A bar for each step, on a terminal."""
    console = Console(stderr=True)
    if quiet or not (console.is_terminal and sys.stderr.isatty()):
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total)
            progress.update(tasks[what], completed=done, total=total)

        yield watch
