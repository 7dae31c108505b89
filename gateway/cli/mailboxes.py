"""`selma-gateway mailboxes`: the mailboxes that letters may come from."""

import asyncio
from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, Exit, Tools, give_up, print_json, print_table, run, tools, when
from gateway.connections import NotConnected
from gateway.setup.validating import AT_ONCE
from storage import NotFound, StorageError, Transaction, mailboxes, round_trips
from storage.mailboxes import Mailbox, MailboxState
from storage.round_trips import RoundTrip

app = typer.Typer(no_args_is_help=True, help="Mailboxes: add, list, validate, test, remove.")


@app.command()
def add(
    addresses: Annotated[list[str] | None, typer.Argument(help="Their addresses.")] = None,
    file: Annotated[typer.FileText | None, typer.Option(help="A file with one address a line; - for stdin.")] = None,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Add mailboxes and validate them. Exit code 1 when one is refused."""
    wanted = [*(addresses or []), *(line.strip() for line in file or () if line.strip())]
    if not wanted:
        give_up("Name the mailboxes to add, or a file with --file.", code=Exit.USAGE)
    _tell(run(_add(wanted, account)), json)


async def _add(addresses: list[str], account: str | None) -> list[Mailbox]:
    async with tools(account) as at:
        for address in addresses:
            added = await at.setup.add_mailbox(at.account.id, address)
            await at.did("mailbox.add", mailbox_id=added.id)
        return await _try_all(at, addresses)


@app.command()
def validate(
    addresses: Annotated[list[str] | None, typer.Argument(help="Their addresses; all of them by default.")] = None,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Prove again that mailboxes exist and can be used. Exit code 1 when one is refused."""
    _tell(run(_validate(addresses, account)), json)


async def _validate(addresses: list[str] | None, account: str | None) -> list[Mailbox]:
    async with tools(account) as at:
        if not addresses:
            addresses = [one.address for one in await at.store.read(mailboxes.list_mailboxes, at.account.id)]
        return await _try_all(at, addresses)


async def _try_all(at: Tools, addresses: list[str]) -> list[Mailbox]:
    """A few at once, with a line on stderr for each that is done. What a person can mend is raised when all are."""
    places, found = asyncio.Semaphore(AT_ONCE), list[Mailbox]()
    failures = list[Exception]()

    async def one(address: str) -> None:
        async with places:
            try:
                mailbox = (await at.setup.validate_mailbox(at.account.id, address)).mailbox
                await at.did("mailbox.validate", mailbox_id=mailbox.id)
            except (StorageError, NotConnected) as error:
                failures.append(error)
                return
        found.append(mailbox)
        if len(addresses) > 1:
            typer.echo(f"{len(found)} of {len(addresses)}: {mailbox.address} {mailbox.state}", err=True)

    async with asyncio.TaskGroup() as group:
        for address in addresses:
            group.create_task(one(address))
    if failures:
        raise failures[0]
    return sorted({mailbox.id: mailbox for mailbox in found}.values(), key=lambda mailbox: mailbox.address)


@app.command("list")
def list_mailboxes(account: AccountName = None, json: AsJson = False) -> None:
    """List the mailboxes and what stands in the way of each."""
    _print(run(_list(account)), json)


async def _list(account: str | None) -> list[Mailbox]:
    async with tools(account) as at:
        return await at.store.read(mailboxes.list_mailboxes, at.account.id)


@app.command("test")
def send_test_email(
    address: str,
    to: Annotated[str | None, typer.Option(help="Where the test email goes; the mailbox itself by default.")] = None,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Put a test email into the outbox; a running gateway sends it."""
    message_id = run(_test(address, to, account))
    if json:
        print_json({"id": message_id})
    else:
        typer.echo(f"{message_id} is in the outbox. Follow it: selma-gateway outbox list")


async def _test(address: str, to: str | None, account: str | None) -> str:
    async with tools(account) as at:
        message_id = await at.setup.send_test_message(at.account.id, address, to)
        await at.did("mailbox.test", message_id=message_id)
        return message_id


@app.command("round-trip")
def round_trip(
    address: str,
    to: Annotated[str | None, typer.Option(help="Where the letter goes; the mailbox itself by default.")] = None,
    start: Annotated[bool, typer.Option("--start/--show", help="Begin one, or show how far the newest is.")] = True,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Send a letter and follow it back; a running gateway does so. Exit code 1 when the newest is late or failed."""
    trip = run(_round_trip(address, to, start, account))
    if json:
        print_json({"id": trip.id, "state": trip.state, **{step: trip.at(step) for step in trip.steps}})
    else:
        rows = [[step, when(trip.at(step))] for step in trip.steps]
        print_table(["step", "seen"], rows, empty="")
        typer.echo(f"{trip.state}. Look again: selma-gateway mailboxes round-trip {address} --show")
    if trip.missed is not None:
        raise typer.Exit(Exit.WANTING)


async def _round_trip(address: str, to: str | None, start: bool, account: str | None) -> RoundTrip:
    def newest(tx: Transaction, account_id: str) -> RoundTrip:
        found = round_trips.newest(tx, mailboxes.get_by_address(tx, account_id, address).id)
        if not found:
            raise NotFound("There was no round trip of this mailbox yet.")
        return found[0]

    async with tools(account) as at:
        if start:
            trip = await at.setup.start_round_trip(at.account.id, address, to)
            await at.did("mailbox.round_trip", mailbox_id=trip.mailbox_id, message_id=trip.message_id)
            return trip
        return await at.store.read(newest, at.account.id)


@app.command()
def remove(address: str, account: AccountName = None) -> None:
    """No more letters from it, no more watching. Its threads stay."""
    run(_remove(address, account))
    typer.echo(f"{address} is removed.")


async def _remove(address: str, account: str | None) -> None:
    async with tools(account) as at:
        mailbox = await at.store.read(mailboxes.get_by_address, at.account.id, address)
        await at.setup.remove_mailbox(at.account.id, address)
        await at.did("mailbox.remove", mailbox_id=mailbox.id)


def _tell(changed: list[Mailbox], json: bool) -> None:
    _print(changed, json)
    if any(mailbox.state is not MailboxState.VALIDATED for mailbox in changed):
        raise typer.Exit(Exit.WANTING)


def _print(found: list[Mailbox], json: bool) -> None:
    if json:
        print_json([_as_json(mailbox) for mailbox in found])
        return
    rows = [[mailbox.address, mailbox.state, when(mailbox.validated_at), _problem(mailbox)] for mailbox in found]
    print_table(
        ["mailbox", "state", "validated", "problem"],
        rows,
        empty="No mailboxes yet. Add one: selma-gateway mailboxes add admissions@school.example",
    )


def _problem(mailbox: Mailbox) -> str:
    if mailbox.problem is None:
        return ""
    return f"{mailbox.problem['explanation']} {mailbox.problem.get('cure', '')}".strip()


def _as_json(mailbox: Mailbox) -> dict[str, object]:
    return {
        "address": mailbox.address,
        "state": mailbox.state,
        "display_name": mailbox.display_name,
        "validated_at": mailbox.validated_at,
        "problem": mailbox.problem,
    }
