"""`selma-gateway privacy`: giving out what is kept of somebody, erasing it, and how long what is kept."""

import json as stdlib_json
import os
import sys
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from gateway.cli.common import AccountName, AsJson, Exit, Tools, give_up, print_json, print_table, run, tools, when
from gateway.privacy.erasing import Order, Plan
from gateway.privacy.kept import StillIn
from gateway.privacy.retention import run_soon, too_old
from gateway.space import Space, size
from storage import Conflict, Transaction, retention
from storage.erasures import Erasure
from storage.retention import Expired
from storage.threads import Object, ObjectType

app = typer.Typer(no_args_is_help=True, help="People's data: export, erase, retention.")
retention_app = typer.Typer(no_args_is_help=True, help="How long what is kept: show, set, preview, run.")
app.add_typer(retention_app, name="retention")

WHAT = (retention.THREADS, retention.AUDIT, *(one.value for one in ObjectType))


@app.command()
def export(
    type: Annotated[ObjectType, typer.Argument(help="What kind of record.")],
    id: Annotated[str, typer.Argument(help="SELMA's id of it.")],
    output: Annotated[Path, typer.Option(help="Where to write the ZIP. It is refused if there is such a file.")],
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Write everything that is kept about one record into a ZIP: messages, an mbox, and all rows as JSON.

    Exit code 1 when a mailbox could not be read, so that some messages are as the gateway has them.
    """
    told = run(_export(Object(type=type, id=id), output, account, quiet=json))
    unread = [one for one in told if str(one.get("because", "")).startswith(("the mailbox", "the account"))]
    if json:
        print_json({"file": str(output), "bytes": output.stat().st_size, "messages": told})
    else:
        typer.echo(f"{len(told)} messages are in {output}.")
        for one in unread:
            typer.secho(f"{one['id']}: {one['because']}. What the gateway has is in its place.", fg="yellow", err=True)
    if unread:
        raise typer.Exit(Exit.WANTING)


async def _export(what: Object, output: Path, account: str | None, *, quiet: bool) -> list[dict[str, Any]]:
    async with tools(account) as at:
        room = Space(at.clock, output.parent, wanted=at.settings.wanted_free_space).room()
        if room.is_low:
            give_up(f"{output} is not written: {size(room.free or 0)} are free there, {size(room.wanted)} are wanted.")
        total = await at.privacy.exporter.count(at.account.id, what)
        await at.did("object.export", object_type=what.type.value, object_id=what.id)
        try:
            descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
        except OSError as error:
            give_up(f"{output} cannot be written: {error.strerror}.", code=Exit.USAGE)
        shown = not quiet and sys.stderr.isatty()
        with os.fdopen(descriptor, "wb") as file, Progress(disable=not shown) as progress:
            task = progress.add_task("messages", total=total)
            pieces = at.privacy.exporter.export(at.account.id, what, told=lambda: progress.advance(task))
            async for piece in pieces:
                file.write(piece)
    with zipfile.ZipFile(output) as archive:
        found: list[dict[str, Any]] = stdlib_json.loads(archive.read("manifest.json"))["messages"]
    return found


@app.command()
def erase(
    reason: Annotated[str, typer.Option(help="For the receipt, which is kept: without a name or an address.")],
    object: Annotated[
        list[str] | None, typer.Option(help="TYPE:ID of a record, such as student:S1001; once for each.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="A person's mail address, in place of records.")] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option(help="Do not ask.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Erase what is kept of some records, or of a person; the receipt says what went, and that nothing is left.

    Records: their threads go, but of threads that another person has too only the link. A person: what they wrote goes,
    and their address in the mail of others. The mailboxes at Microsoft 365 are not touched; backups have it until they
    are deleted. Exit code 1 when letters are still on their way, or the search of the file found something.
    """
    order = Order(objects=tuple(_object(one) for one in object or ()), address=address, reason=reason)
    if bool(order.objects) == (address is not None) or not reason.strip():
        give_up("Name records with --object or a person with --address, and give a --reason.", code=Exit.USAGE)
    plan = run(_preview(order, account))
    if dry_run:
        _print_plan(plan, json)
        raise typer.Exit(Exit.WANTING if plan.reach.under_way else Exit.DONE)
    if not (yes or json):
        _print_plan(plan, json=False)
        typer.confirm("Erase it? This cannot be taken back", abort=True)
    _print_receipt(*run(_erase(order, account)), json)


async def _preview(order: Order, account: str | None) -> Plan:
    async with tools(account) as at:
        await at.did("erasure.preview")
        with _said():
            return await at.privacy.eraser.preview(at.account.id, order)


async def _erase(order: Order, account: str | None) -> tuple[Erasure, Sequence[StillIn]]:
    async with tools(account) as at:
        with _said():
            receipt = await at.privacy.eraser.erase(at.account.id, order, by=at.actor)
        [kept] = await at.privacy.still_in(receipt)
        return receipt, kept


@contextmanager
def _said() -> Iterator[None]:
    """What stands in the way is a person's to mend."""
    try:
        yield
    except Conflict as error:
        give_up(str(error), code=Exit.WANTING)


@retention_app.command("show")
def show_rules(account: AccountName = None, json: AsJson = False) -> None:
    """Show the rules."""
    rules = run(_rules(account))
    if json:
        print_json(rules)
        return
    print_table(["what", "days"], [[what, str(days)] for what, days in rules.items()], empty="All is kept for ever.")


async def _rules(account: str | None) -> dict[str, int]:
    async with tools(account) as at:
        return await at.store.read(retention.rules, at.account.id)


@retention_app.command("set")
def set_rules(
    rules: Annotated[
        list[str] | None,
        typer.Argument(help="WHAT=DAYS: threads, audit, or a type of record, such as student=2555. None: for ever."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would go by these rules, and set nothing.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Set these rules and no others. A running gateway forgets by them within a minute, then once a day."""
    days = dict(_rule(one) for one in rules or ())
    expired, rows = run(_set(days, account, keep=not dry_run))
    _print_expired(expired, rows, json)


async def _set(days: dict[str, int], account: str | None, *, keep: bool) -> tuple[Expired, int]:
    async with tools(account) as at:
        if keep:
            return await at.write("retention.set", lambda _: {}, _set_and_look, at, days)
        return await at.store.write(_only_look, at, days)


def _set_and_look(tx: Transaction, at: Tools, days: dict[str, int]) -> tuple[Expired, int]:
    retention.set_rules(tx, at.account.id, days)
    run_soon(tx, at.account.id, at.clock.now())
    return too_old(tx, at.account.id, now=at.clock.now())


def _only_look(tx: Transaction, at: Tools, days: dict[str, int]) -> tuple[Expired, int]:
    tx.execute("SAVEPOINT dry_run")
    found = _set_and_look(tx, at, days)
    tx.execute("ROLLBACK TO dry_run")
    tx.execute("RELEASE dry_run")
    return found


@retention_app.command("preview")
def preview(account: AccountName = None, json: AsJson = False) -> None:
    """Say what would go now by the rules."""
    _print_expired(*run(_too_old(account)), json)


async def _too_old(account: str | None) -> tuple[Expired, int]:
    async with tools(account) as at:
        return await at.privacy.retention.preview(at.account.id)


@retention_app.command("run")
def run_now(
    dry_run: Annotated[bool, typer.Option(help="As preview.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Forget now what is too old, without waiting for the gateway."""
    if dry_run:
        preview(account=account, json=json)
        return
    gone = run(_forget(account))
    if json:
        print_json({"threads": gone})
    else:
        typer.echo(f"{gone} threads are forgotten. Their receipts: GET /v1/erasures")


async def _forget(account: str | None) -> int:
    async with tools(account) as at:
        return await at.privacy.retention.forget(at.account.id)


def _object(text: str) -> Object:
    type, colon, id = text.partition(":")
    if type not in set(ObjectType) or not colon or not id:
        give_up(f"{text} is no record: write TYPE:ID, with one of {', '.join(ObjectType)}.", code=Exit.USAGE)
    return Object(type=ObjectType(type), id=id)


def _rule(text: str) -> tuple[str, int]:
    what, _, days = text.partition("=")
    if what not in WHAT or not days.isdecimal() or not 1 <= int(days[:9]) <= 36_500:
        give_up(f"{text} is no rule: write WHAT=DAYS, with one of {', '.join(WHAT)}.", code=Exit.USAGE)
    return what, int(days)


def _print_plan(plan: Plan, json: bool) -> None:
    if json:
        print_json({"what": plan.what, **plan.as_removed(), "under_way": plan.reach.under_way})
        return
    _print_rows(plan.as_removed())
    for message_id in plan.reach.under_way:
        typer.secho(f"{message_id} is on its way, or waits for a decision: cancel or close it first.", fg="yellow")


def _print_receipt(receipt: Erasure, kept: Sequence[StillIn], json: bool) -> None:
    proof = receipt.proof or {}
    left = proof.get("left", 0) + proof.get("left_in_index", 0)
    if json:
        print_json({name: getattr(receipt, name) for name in Erasure.__slots__} | {"backups": kept})
    else:
        _print_rows(receipt.removed)
        typer.echo(
            f"Receipt {receipt.id} of {when(receipt.created_at)}. {proof.get('searched_for', 0)} words were looked for "
            f"in {proof.get('bytes', 0):,} bytes: {left} left."
        )
        typer.echo("Backups made before have it until they are deleted. The mailboxes at Microsoft 365 are untouched.")
        for one in kept:
            until = f"is kept until {when(one.kept_until)}" if one.kept_until else "stays until somebody deletes it"
            typer.echo(f"It is still in {one.name}, which {until}.")
    if left:
        raise typer.Exit(Exit.WANTING)


def _print_rows(removed: dict[str, Any]) -> None:
    rows = [[table, str(count)] for table, count in removed["rows"].items()]
    rows += [[name.replace("_", " "), str(len(removed[name]))] for name in ("unlinked_threads", "edited_messages")]
    print_table(["of", "rows"], rows, empty="")


def _print_expired(expired: Expired, audit_rows: int, json: bool) -> None:
    if json:
        print_json(
            {
                "threads": expired.threads,
                "messages": expired.messages,
                "oldest": expired.oldest,
                "newest": expired.newest,
                "audit_rows": audit_rows,
            }
        )
        return
    typer.echo(
        f"{expired.threads} threads with {expired.messages} messages are older than the rules allow "
        f"(last messages {when(expired.oldest)} to {when(expired.newest)}), and {audit_rows} rows of the audit log."
    )
