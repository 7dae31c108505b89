"""`selma-gateway account`: the connection of an account to its tenant."""

import os
from datetime import UTC, datetime, time
from typing import Annotated

import typer

from gateway.cli import credentials as credentials_commands
from gateway.cli.common import AccountName, AsJson, Exit, print_json, print_table, run, tools, when
from gateway.cli.least_privilege import least_privilege
from gateway.cli.wishes import snooze, wishes
from gateway.graph import Cloud
from gateway.setup.account import AccountConfiguration
from gateway.setup.report import Report
from gateway.setup.values import day_of
from storage import accounts, credentials
from storage.accounts import Account
from storage.credentials import Credential
from storage.transaction import Transaction

app = typer.Typer(no_args_is_help=True, help="The connection to Microsoft 365: set, show, check, rotate.")

app.command("credentials")(credentials_commands.show_credentials)
app.command("rotate")(credentials_commands.rotate)
app.command("forget")(credentials_commands.forget)
app.command("least-privilege")(least_privilege)
app.command("wishes")(wishes)
app.command("snooze")(snooze)


@app.command("set")
def set_account(
    tenant_id: Annotated[str, typer.Option(help="Directory (tenant) ID, from the app's Overview page in Entra.")],
    client_id: Annotated[str, typer.Option(help="Application (client) ID, from the same page.")],
    secret_expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the client secret expires.")
    ] = None,
    cloud: Annotated[Cloud, typer.Option(help="Which of Microsoft's clouds the tenant lives in.")] = Cloud.GLOBAL,
    time_zone: Annotated[str, typer.Option(help="For times on pages, such as Pacific/Auckland.")] = "UTC",
    account: AccountName = None,
) -> None:
    """Store tenant, app and client secret.

    The secret is read from the variable SELMA_CLIENT_SECRET, or asked for: an argument would show in the process
    list. Leave it empty to keep the stored one.
    """
    secret = os.environ.get(credentials_commands.SECRET_VARIABLE)
    if secret is None:
        secret = typer.prompt("Client secret (value)", hide_input=True, default="", show_default=False)
    configuration = AccountConfiguration(
        tenant_id=tenant_id.strip(),
        client_id=client_id.strip(),
        client_secret=secret.strip() or None,
        secret_expires_at=None if secret_expires is None else datetime.combine(secret_expires, time.min, UTC),
        cloud=cloud,
        time_zone=time_zone,
    )
    run(_set(configuration, account))
    typer.echo("Stored. Check the connection: selma-gateway account check")


async def _set(configuration: AccountConfiguration, account: str | None) -> None:
    async with tools(account) as at:
        await at.setup.configure_account(at.account.id, configuration)
        await at.did("account.configure")


@app.command()
def show(account: AccountName = None, json: AsJson = False) -> None:
    """Show what is stored; of the secret only its first characters and its expiry date."""
    stored, credential = run(_show(account))
    secret = None
    if credential is not None:
        secret = {"hint": credential.hint, "expires_at": credential.expires_at, "set_at": credential.created_at}
    if json:
        print_json(
            {
                "name": stored.name,
                "tenant_id": stored.tenant_id,
                "client_id": stored.client_id,
                "cloud": stored.cloud,
                "time_zone": stored.time_zone,
                "client_secret": secret,
                "token_state": stored.token_state,
                "token_problem": stored.token_problem,
            }
        )
        return
    problem, ends = stored.token_problem, None if credential is None else credential.expires_at
    rows = [
        ["Directory (tenant) ID", stored.tenant_id or "–"],
        ["Application (client) ID", stored.client_id or "–"],
        ["Client secret", "–" if credential is None else f"{credential.hint}… set {when(credential.created_at)}"],
        ["Secret expires", "–" if ends is None else day_of(ends, stored.time_zone)],
        ["Cloud", stored.cloud],
        ["Time zone", stored.time_zone],
        ["Last token", stored.token_state if problem is None else f"{problem['explanation']} {problem['cure']}"],
    ]
    print_table(["", ""], rows, empty="")


async def _show(account: str | None) -> tuple[Account, Credential | None]:
    def both(tx: Transaction, account_id: str) -> tuple[Account, Credential | None]:
        return accounts.get(tx, account_id), credentials.active(tx, account_id)

    async with tools(account) as at:
        return await at.store.read(both, at.account.id)


@app.command()
def check(account: AccountName = None, json: AsJson = False) -> None:
    """Try the connection step by step. Exit code 1 when something must be mended."""
    report = run(_check(account))
    if json:
        print_json({"ok": report.ok, "checks": [_as_json(one) for one in report.checks]})
    else:
        rows = [[one.name, one.verdict, one.found, one.cure or ""] for one in report.checks]
        print_table(["check", "verdict", "found", "cure"], rows, empty="Nothing was checked.")
    if not report.ok:
        raise typer.Exit(Exit.WANTING)


async def _check(account: str | None) -> Report:
    async with tools(account) as at:
        report = await at.setup.check(at.account.id)
        await at.did("account.check")
        return report


def _as_json(check: object) -> dict[str, object]:
    return {name: getattr(check, name) for name in ("name", "verdict", "tried", "found", "cure")}
