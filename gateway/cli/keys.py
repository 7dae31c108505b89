"""`selma-gateway keys`: API keys of an account."""

from datetime import UTC, datetime, time
from ipaddress import ip_network
from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, print_json, print_table, run, tools, when
from gateway.setup import keys
from gateway.setup.keys import NewKey
from storage import Transaction, api_keys
from storage.api_keys import ApiKey, Network, Scope

app = typer.Typer(no_args_is_help=True, help="API keys: create, list, revoke.")


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError:
        raise typer.BadParameter(f"“{text}” is no address and no network such as 198.51.100.0/24.") from None


@app.command()
def create(
    scope: Annotated[list[Scope], typer.Option(help="What the key may do; give it once for each scope.")],
    name: Annotated[str, typer.Option(help="What you will know it by.")] = "created by command line",
    mailbox: Annotated[
        list[str] | None, typer.Option(help="Hold the key to this mailbox; give it once for each.")
    ] = None,
    network: Annotated[
        list[str] | None, typer.Option(help="Where the key may be used from, such as 198.51.100.0/24; once for each.")
    ] = None,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day (UTC) on which the key is good no more.")
    ] = None,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Make a key and print it. It is shown this once and never again."""
    wanted = NewKey(
        name=name,
        scopes=frozenset(scope),
        mailboxes=tuple(mailbox) if mailbox else None,
        networks=tuple(_network(one) for one in network) if network else None,
        expires_at=None if expires is None else datetime.combine(expires, time.min, UTC),
    )
    key, value = run(_create(wanted, account))
    if json:
        print_json({"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "key": value})
    else:
        typer.echo(f"{value}\nKeep it now: it is not shown again.")


async def _create(wanted: NewKey, account: str | None) -> tuple[ApiKey, str]:
    value = api_keys.new_value()
    async with tools(account) as at:
        key = await at.write(
            "key.create",
            lambda made: {"key_id": made.id},
            keys.create,
            at.account.id,
            wanted,
            value=value,
            now=at.clock.now(),
        )
    return key, value


@app.command("list")
def list_keys(account: AccountName = None, json: AsJson = False) -> None:
    """List the keys, without their values."""
    found, now = run(_list(account))
    if json:
        print_json([_as_json(key, mailboxes) for key, mailboxes in found])
        return
    rows = [
        [
            key.id,
            key.name,
            " ".join(sorted(key.scopes)),
            f"{key.hint}…",
            _held_to(key, mailboxes),
            when(key.created_at),
            when(key.last_used_at),
            _state(key, now),
        ]
        for key, mailboxes in found
    ]
    print_table(
        ["id", "name", "scopes", "begins", "held to", "created", "used", "state"],
        rows,
        empty="No API keys yet. Make one: selma-gateway keys create --scope send --scope read",
    )


async def _list(account: str | None) -> tuple[list[tuple[ApiKey, list[str] | None]], datetime]:
    async with tools(account) as at:
        return await at.store.read(_with_mailboxes, at.account.id), at.clock.now()


def _with_mailboxes(tx: Transaction, account_id: str) -> list[tuple[ApiKey, list[str] | None]]:
    return [(key, keys.addresses_of(tx, key)) for key in api_keys.list_keys(tx, account_id)]


@app.command()
def revoke(key_id: str, account: AccountName = None) -> None:
    """Refuse a key from now on."""
    run(_revoke(key_id, account))
    typer.echo(f"{key_id} is revoked.")


async def _revoke(key_id: str, account: str | None) -> None:
    async with tools(account) as at:
        now = at.clock.now()
        await at.write("key.revoke", lambda _: {"key_id": key_id}, api_keys.revoke, at.account.id, key_id, now=now)


def _held_to(key: ApiKey, mailboxes: list[str] | None) -> str:
    return ", ".join([*(mailboxes or ()), *map(str, key.networks or ())]) or "–"


def _state(key: ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {when(key.revoked_at)}"
    if key.expires_at is None:
        return "live"
    return f"{'over since' if key.is_over(now) else 'live until'} {when(key.expires_at)}"


def _as_json(key: ApiKey, mailboxes: list[str] | None) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "hint": key.hint,
        "mailboxes": mailboxes,
        "networks": None if key.networks is None else [str(one) for one in key.networks],
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }
