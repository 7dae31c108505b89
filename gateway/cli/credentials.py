"""`selma-gateway account credentials | rotate | forget`: the credentials by which the account proves itself."""

import os
from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.cli.common import AccountName, AsJson, Exit, give_up, print_json, print_table, run, tools, when
from gateway.graph import TokenError
from gateway.setup import certificates
from gateway.setup.answers import explain
from gateway.setup.rotation import AssertionFile, CredentialNotTaken, Offer, Secret
from gateway.setup.values import day_of
from storage.credentials import Credential, CredentialKind

SECRET_VARIABLE = "SELMA_CLIENT_SECRET"  # noqa: S105 - its name


def show_credentials(account: AccountName = None, json: AsJson = False) -> None:
    """List the credentials: the one in use, the one that stands by, the one that waits to be tried."""
    found, time_zone = run(_slots(account))
    if json:
        print_json([_as_json(one) for one in found])
        return
    rows = [[one.id, one.kind, _hint(one), one.state, *_dates(one, time_zone), _trouble(one)] for one in found]
    columns = ["id", "kind", "hint", "state", "set", "expires", "problem"]
    print_table(columns, rows, empty="No credentials yet. Enter one: selma-gateway account set")


async def _slots(account: str | None) -> tuple[list[Credential], str]:
    async with tools(account) as at:
        return await at.setup.rotation.slots(at.account.id), at.account.time_zone


def rotate(
    kind: Annotated[CredentialKind, typer.Option(help="What to rotate to.")] = CredentialKind.CLIENT_SECRET,
    expires: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The day the new client secret expires.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="Where a federated assertion stands; where a new certificate is written.")
    ] = None,
    pending: Annotated[
        str | None, typer.Option("--try", help="Try the credential with this id, which waits for that.")
    ] = None,
    keep: Annotated[bool, typer.Option(help="Keep what Entra does not take yet, to be tried again.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Try a new credential and let it take over; the one before stands by. Exit code 1 when Entra refuses it.

    A client secret is read from the variable SELMA_CLIENT_SECRET, or asked for. A certificate is made here: upload
    the file to the app in Entra, then say --try with its id.
    """
    if pending is not None:
        _tell(run(_try(pending, account)), json)
    elif kind is CredentialKind.CERTIFICATE:
        _hand_over(run(_make(account)), file, json)
    else:
        _tell(run(_add(_offer(kind, expires, file), keep, account)), json)


def forget(credential_id: str, account: AccountName = None) -> None:
    """Forget a credential. The one that stands by takes the place of the one in use."""
    run(_forget(credential_id, account))
    typer.echo(f"{credential_id} is forgotten here. Delete it in Entra too.")


def _offer(kind: CredentialKind, expires: datetime | None, file: Path | None) -> Offer:
    if kind is CredentialKind.FEDERATED:
        if file is None:
            give_up("Say with --file where the assertion stands.", code=Exit.USAGE)
        return AssertionFile(str(file))
    secret = os.environ.get(SECRET_VARIABLE)
    if secret is None:
        secret = typer.prompt("New client secret (value)", hide_input=True, default="", show_default=False)
    return Secret(value=secret, expires_at=None if expires is None else datetime.combine(expires, time.min, UTC))


async def _add(offer: Offer, keep: bool, account: str | None) -> Credential:
    async with tools(account) as at:
        try:
            return await at.setup.rotation.add(at.account.id, offer, keep_if_refused=keep)
        except (CredentialNotTaken, TokenError) as error:
            _refused(error)


async def _try(credential_id: str, account: str | None) -> Credential:
    async with tools(account) as at:
        try:
            return await at.setup.rotation.try_pending(at.account.id, credential_id)
        except (CredentialNotTaken, TokenError) as error:
            _refused(error)


async def _make(account: str | None) -> Credential:
    async with tools(account) as at:
        return await at.setup.rotation.make_certificate(at.account.id)


async def _forget(credential_id: str, account: str | None) -> None:
    async with tools(account) as at:
        await at.setup.rotation.remove(at.account.id, credential_id)


def _refused(error: CredentialNotTaken | TokenError) -> NoReturn:
    if isinstance(error, TokenError):
        plainly = explain(error)
        give_up(f"{plainly.found} {plainly.cure}", code=Exit.WANTING)
    give_up(str(error), code=Exit.WANTING)


def _tell(credential: Credential, json: bool) -> None:
    if json:
        print_json(_as_json(credential))
    else:
        typer.echo(f"Entra gave a token. {credential.id} serves from now on; the one before stands by.")


def _hand_over(made: Credential, file: Path | None, json: bool) -> None:
    certificate = made.public_part or ""
    if file is not None:
        file.write_text(certificate, encoding="ascii")
    if json:
        print_json(_as_json(made))
        return
    thumbprint = certificates.facts(certificate).sha1
    typer.echo(f"Upload {file or 'this'} to the app in Entra (Certificates & secrets), thumbprint {thumbprint}.")
    typer.echo(f"Then: selma-gateway account rotate --try {made.id}")
    if file is None:
        typer.echo(certificate)


def _hint(one: Credential) -> str:
    return f"{one.hint}…" if one.hint else one.public_part or ""


def _dates(one: Credential, time_zone: str) -> tuple[str, str]:
    return when(one.created_at), "–" if one.expires_at is None else day_of(one.expires_at, time_zone)


def _trouble(one: Credential) -> str:
    return "" if one.problem is None else f"{one.problem['explanation']} {one.problem['cure']}"


def _as_json(one: Credential) -> dict[str, object]:
    return {
        "id": one.id,
        "kind": one.kind,
        "state": one.state,
        "hint": one.hint,
        "set_at": one.created_at,
        "expires_at": one.expires_at,
        "last_used_at": one.last_used_at,
        "refused_at": one.refused_at,
        "problem": one.problem,
        "public_part": one.public_part,
    }
