"""`selma-gateway account wishes`: what the gateway is to do by itself."""

from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from gateway.setup.snooze import snooze as put_off
from gateway.setup.wishes import wish
from storage import preferences
from storage.preferences import Preferences
from storage.snoozes import Snooze


def wishes(
    alert_address: Annotated[
        str | None, typer.Option(help="Who gets letters of warning, such as of a secret that ends; empty for nobody.")
    ] = None,
    self_test: Annotated[
        bool | None, typer.Option(help="Whether each validated mailbox writes to itself every morning.")
    ] = None,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Say who is warned and whether mailboxes test themselves; without options, show it."""
    found = run(_wish(alert_address, self_test, account))
    if json:
        print_json({"alert_address": found.alert_address, "self_test": found.self_test})
        return
    rows = [["Warned by email", found.alert_address or "–"], ["Daily self-test", "on" if found.self_test else "off"]]
    print_table(["", ""], rows, empty="")


def snooze(
    reason: Annotated[str, typer.Option(prompt="Why", help="Why the warning may wait, for those who come after you.")],
    account: AccountName = None,
) -> None:
    """Put the warning that the credential ends off, until the next one. The last day's cannot be put off."""
    found = run(_snooze(reason, account))
    typer.echo(f"Put off until {when(found.until)}.")


async def _snooze(reason: str, account: str | None) -> Snooze:
    async with tools(account) as at:
        return await at.store.write(put_off, at.account.id, reason, by=at.actor, now=at.clock.now())


async def _wish(alert_address: str | None, self_test: bool | None, account: str | None) -> Preferences:
    async with tools(account) as at:
        if self_test is None and alert_address is None:
            return await at.store.read(preferences.get, at.account.id)
        return await at.write(
            "account.wish",
            lambda wished: {},
            wish,
            at.account.id,
            self_test=self_test,
            alert_address=alert_address,
        )
