"""The commands, joined."""

import logging
import sys
from typing import Annotated

import typer

from gateway import __version__, logs
from gateway.cli import (
    account,
    backups,
    batches,
    doctor,
    keys,
    log_level,
    mailboxes,
    master_key,
    outbox,
    privacy,
    running,
    status,
    subscriptions,
)
from gateway.cli.common import Exit

log = logging.getLogger(__name__)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold secrets
    help="The mail gateway between SELMA and a school's Microsoft 365.",
    epilog="Settings of the process come from the environment (GATEWAY_…); the README lists them.",
)
app.command()(running.serve)
app.command()(running.demo)
app.command()(running.sandbox)
app.command("log-level")(log_level.log_level)
app.command()(doctor.doctor)
app.command()(status.status)
app.add_typer(account.app, name="account")
app.add_typer(mailboxes.app, name="mailboxes")
app.add_typer(keys.app, name="keys")
app.add_typer(master_key.app, name="master-key")
app.add_typer(subscriptions.app, name="subscriptions")
app.add_typer(outbox.app, name="outbox")
app.add_typer(batches.app, name="batches")
app.add_typer(privacy.app, name="privacy")
app.add_typer(backups.app, name="backup")
app.command()(backups.restore)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"selma-gateway {__version__}")
        raise typer.Exit


@app.callback()
def version(
    show: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """The mail gateway between SELMA and a school's Microsoft 365."""


def main() -> None:
    """The entry point of `selma-gateway`. What a command prints is on stdout, what it logs on stderr."""
    logs.set_up("warning", stream=sys.stderr)
    try:
        app()
    except Exception:
        # Not as Python tells it: the text of an error can quote the mail it choked on.
        log.critical("ended by a fault", exc_info=True)
        sys.exit(Exit.OUR_TROUBLE)
