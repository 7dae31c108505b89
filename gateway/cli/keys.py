"""`selma-gateway keys`: API keys of an account."""

from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from storage import api_keys
from storage.api_keys import ApiKey, Scope

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")


@app.command()
def create(
    scope: Annotated[list[Scope], typer.Option(help="What the key may do; give it once for each scope.")],
    name: Annotated[str, typer.Option(help="What you will know it by.")] = "created by command line",
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Make a key and print it. It is shown this once and never again."""
    key, value = run(_create(name, frozenset(scope), account))
    if json:
        print_json({"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "key": value})
    else:
        typer.echo(f"{value}\nKeep it now: it is not shown again.")


async def _create(name: str, scopes: frozenset[Scope], account: str | None) -> tuple[ApiKey, str]:
    value = api_keys.new_value()
    async with tools(account) as at:
        key = await at.write(
            "key.create",
            lambda made: {"key_id": made.id},
            api_keys.create,
            at.account.id,
            name=name,
            scopes=scopes,
            value=value,
            now=at.clock.now(),
        )
    return key, value


@app.command("list")
def list_keys(account: AccountName = None, json: AsJson = False) -> None:
    """List the keys, without their values."""
    keys = run(_list(account))
    if json:
        print_json([_as_json(key) for key in keys])
        return
    rows = [
        [key.id, key.name, " ".join(sorted(key.scopes)), f"{key.hint}…", when(key.created_at), _state(key)]
        for key in keys
    ]
    print_table(
        ["id", "name", "scopes", "begins", "created", "state"],
        rows,
        empty="No API keys yet. Make one: selma-gateway keys create --scope send --scope read",
    )


async def _list(account: str | None) -> list[ApiKey]:
    async with tools(account) as at:
        return await at.store.read(api_keys.list_keys, at.account.id)


@app.command()
def revoke(key_id: str, account: AccountName = None) -> None:
    """Refuse a key from now on."""
    run(_revoke(key_id, account))
    typer.echo(f"{key_id} is revoked.")


async def _revoke(key_id: str, account: str | None) -> None:
    async with tools(account) as at:
        now = at.clock.now()
        await at.write("key.revoke", lambda _: {"key_id": key_id}, api_keys.revoke, at.account.id, key_id, now=now)


def _state(key: ApiKey) -> str:
    return "live" if key.revoked_at is None else f"revoked {when(key.revoked_at)}"


def _as_json(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "hint": key.hint,
        "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    }
