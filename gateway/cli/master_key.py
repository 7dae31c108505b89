"""`selma-gateway master-key`: the key that seals the stored secrets."""

import typer

from gateway.cli.common import Exit, give_up, opened, run, settings_or_exit
from gateway.clock import SystemClock
from gateway.master_key import KeyInEnvironment, Replaced, replace

app = typer.Typer(no_args_is_help=True, help="The key that seals the stored secrets.")


@app.command()
def rotate() -> None:
    """Make a new master key and seal everything with it. A running gateway serves on and takes the new key."""
    try:
        done = run(_rotate())
    except KeyInEnvironment as error:
        give_up(str(error), code=Exit.USAGE)
    secrets = "One secret is" if done.secrets == 1 else f"{done.secrets} secrets are"
    typer.echo(f"{secrets} sealed with a new master key. Back the new key file up, apart from the database.")
    typer.echo(f"{done.old_key} opens backups made before now: keep it as long as they are kept, then delete it.")
    typer.echo("If the old key may have been stolen, rotate the credential too: selma-gateway account rotate")


@app.callback()
def about() -> None:
    """The key that seals the stored secrets."""


async def _rotate() -> Replaced:
    settings, clock = settings_or_exit(), SystemClock()
    async with opened(settings, clock, alone=False) as store:
        return await replace(store, settings, clock)
