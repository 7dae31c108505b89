"""`selma-gateway subscriptions`: the watching of mailboxes."""

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from storage import Transaction, folders, mailboxes
from storage import subscriptions as stored
from storage.subscriptions import Subscription
from subscriptions import ledger

app = typer.Typer(no_args_is_help=True, help="Graph subscriptions: list, repair.")


@app.command("list")
def list_subscriptions(account: AccountName = None, json: AsJson = False) -> None:
    """List the subscriptions, until when each lives and what stands in its way."""
    found = run(_list(account))
    if json:
        print_json([_as_json(address, folder, one) for address, folder, one in found])
        return
    rows = [
        [address, folder, one.state, when(one.expiration_date_time), when(one.next_step_at), one.problem or ""]
        for address, folder, one in found
    ]
    print_table(
        ["mailbox", "folder", "state", "lives until", "next step", "problem"],
        rows,
        empty="No subscriptions: mailboxes are watched by sweeping alone, or none is validated yet.",
    )


async def _list(account: str | None) -> list[tuple[str, str, Subscription]]:
    async with tools(account) as at:
        return await at.store.read(_named, at.account.id)


def _named(tx: Transaction, account_id: str) -> list[tuple[str, str, Subscription]]:
    return [
        (mailboxes.get(tx, one.mailbox_id).address, folders.get(tx, one.folder_id).well_known, one)
        for one in stored.open_of_account(tx, account_id)
    ]


@app.command()
def repair(account: AccountName = None) -> None:
    """Have a running gateway compare its subscriptions with Graph's now, and mend what differs."""
    run(_repair(account))
    typer.echo("A running gateway compares its subscriptions with Graph's within seconds.")


async def _repair(account: str | None) -> None:
    async with tools(account) as at:
        await at.write("subscriptions.repair", lambda _: {}, ledger.hurry, at.account.id, at.clock.now())


def _as_json(address: str, folder: str, one: Subscription) -> dict[str, object]:
    return {
        "mailbox": address,
        "folder": folder,
        "state": one.state,
        "rich": one.is_rich,
        "subscription_id": one.subscription_id,
        "expiration_date_time": one.expiration_date_time,
        "next_step_at": one.next_step_at,
        "problem": one.problem,
    }
