"""`selma-gateway account least-privilege`: keep the app out of other mailboxes, and prove it."""

from typing import Annotated

import typer

from gateway.cli.common import AccountName, AsJson, Exit, give_up, print_json, run, tools, when
from gateway.setup.confinement import LeastPrivilege
from storage import Conflict
from storage.confinements import Confinement, ConfinementState


def least_privilege(
    prove: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Try this mailbox, which the app must not open, now and daily."),
    ] = None,
    policy: Annotated[bool, typer.Option(help="Print the older way, an application access policy.")] = False,
    account: AccountName = None,
    json: AsJson = False,
) -> None:
    """Print the PowerShell that limits the app to the validated mailboxes, ready to paste.

    With --prove nothing is printed but the proof; exit code 1 when the mailbox was not refused.
    """
    if prove is not None:
        _tell(run(_prove(prove, account)), json)
        return
    found = run(_show(account))
    if json:
        print_json({"mailboxes": found.mailboxes, "rbac": found.scripts.rbac, "policy": found.scripts.policy})
    else:
        typer.echo(found.scripts.policy if policy else found.scripts.rbac, nl=False)


async def _show(account: str | None) -> LeastPrivilege:
    async with tools(account) as at:
        try:
            return await at.setup.confinement.show(at.account.id)
        except Conflict as error:
            give_up(str(error), code=Exit.WANTING)


async def _prove(address: str, account: str | None) -> Confinement:
    async with tools(account) as at:
        return await at.setup.confinement.prove(at.account.id, address)


def _tell(proof: Confinement, json: bool) -> None:
    if json:
        print_json({"address": proof.address, "state": proof.state, "proved_at": proof.proved_at})
    else:
        typer.echo(f"{proof.detail} Last proved: {when(proof.proved_at)}.")
    if proof.state is not ConfinementState.REFUSED:
        raise typer.Exit(Exit.WANTING)
