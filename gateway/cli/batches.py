"""`selma-gateway batches`: many letters that were posted together."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from gateway.http.batches import BatchView, batch_view
from gateway.sending import choices
from gateway.sending.rules import Allowance
from storage import Transaction, batches

app = typer.Typer(no_args_is_help=True, help="Batches: list, show, cancel.")


@app.command("list")
def list_batches(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many, newest first.")] = 20,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """List batches, newest first: how far each has come, and when it will be done."""
    found = run(_list(limit, account))
    if json:
        print_json([asdict(one) for one in found])
        return
    rows = [
        [one.id, one.name or "–", one.status, str(one.letters), _counts(one), when(one.created_at), when(one.done_by)]
        for one in found
    ]
    print_table(["batch", "name", "status", "letters", "of them", "posted", "done by"], rows, empty="No batches yet.")


async def _list(limit: int, account: str | None) -> list[BatchView]:
    def newest(tx: Transaction, account_id: str, allowance: Allowance, now: datetime) -> list[BatchView]:
        found = batches.newest(tx, account_id, limit=limit)
        return [batch_view(tx, one, allowance=allowance, now=now) for one in found]

    async with tools(account) as at:
        return await at.store.read(newest, at.account.id, at.settings.rules.allowance, at.clock.now())


@app.command()
def show(batch_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Show how far a batch has come. Its letters: selma-gateway outbox list --batch ID"""
    _print(run(_show(batch_id, account)), json)


async def _show(batch_id: str, account: str | None) -> BatchView:
    async with tools(account) as at:
        return await at.store.read(_one, at.account.id, batch_id, at.settings.rules.allowance, at.clock.now())


@app.command()
def cancel(batch_id: str, account: AccountName = None, json: AsJson = False) -> None:
    """Do not send what of a batch has not left. What has left, or is being handed over, goes its way."""
    view, cancelled = run(_cancel(batch_id, account))
    if json:
        _print(view, json)
    else:
        typer.echo(f"{cancelled} {'letter' if cancelled == 1 else 'letters'} of {batch_id} cancelled.")


async def _cancel(batch_id: str, account: str | None) -> tuple[BatchView, int]:
    def cancelled(tx: Transaction, account_id: str, allowance: Allowance, now: datetime) -> tuple[BatchView, int]:
        letters = choices.cancel_batch(tx, account_id, batch_id, now=now)
        return _one(tx, account_id, batch_id, allowance, now), letters

    async with tools(account) as at:
        return await at.write(
            "batch.cancel",
            lambda _: {"batch_id": batch_id},
            cancelled,
            at.account.id,
            at.settings.rules.allowance,
            at.clock.now(),
        )


def _one(tx: Transaction, account_id: str, batch_id: str, allowance: Allowance, now: datetime) -> BatchView:
    return batch_view(tx, batches.get(tx, account_id, batch_id), allowance=allowance, now=now)


def _print(batch: BatchView, json: bool) -> None:
    if json:
        print_json(asdict(batch))
        return
    rows = [
        ["Name", batch.name or "–"],
        ["Posted by", batch.created_by or "–"],
        ["Posted", when(batch.created_at)],
        ["Status", batch.status],
        ["Letters", f"{batch.letters}: {_counts(batch)}"],
        ["Done by", when(batch.done_by)],
    ]
    print_table(["", ""], rows, empty="")


def _counts(batch: BatchView) -> str:
    return ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in batch.counts.items())
