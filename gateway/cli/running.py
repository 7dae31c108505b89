"""`selma-gateway serve`, `demo`, `sandbox`: the commands that stay."""

import os
import sys
from dataclasses import replace
from datetime import timedelta
from typing import Annotated

import typer

from gateway import logs
from gateway.cli.common import AsJson, Exit, give_up, run, settings_or_exit
from gateway.main import serve as serve_gateway
from gateway.notify import Supervisor
from gateway.tracing.export import exporting

Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Listen here instead; 0 takes any free port.")]


def serve() -> None:
    """Run the gateway until it is told to stop (SIGTERM, Ctrl-C)."""
    settings = settings_or_exit()
    logs.set_up(settings.log_level, stream=sys.stdout, style=settings.log_format)
    try:
        with exporting(settings.traces):
            run(serve_gateway(settings, supervisor=Supervisor.from_env(os.environ)))
    except OSError as error:
        give_up(f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}. Is it already running?")


def demo(port: Port = None) -> None:
    """Run the gateway with the built-in Microsoft 365 sandbox and a small school in it."""
    from gateway.demo import run_demo  # here, so that nobody else waits for the sandbox to be loaded

    settings = settings_or_exit()
    level = "warning" if settings.log_level == "info" else settings.log_level
    logs.set_up(level, stream=sys.stderr, style=settings.log_format)  # stdout is for the visitor
    with exporting(settings.traces):
        run(run_demo(settings if port is None else replace(settings, port=port)))


def sandbox(
    port: Port = 8081,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow_remote: Annotated[bool, typer.Option(help="Listen on a host that is not loopback.")] = False,
    notifications: Annotated[bool, typer.Option(help="Send change notifications.")] = True,
    reply_after: Annotated[float, typer.Option(min=0, help="Seconds that students think before they answer.")] = 1.0,
    seed: Annotated[str, typer.Option(help="The same seed gives the same ids.")] = "0",
    json: AsJson = False,
) -> None:
    """Run the Microsoft 365 sandbox alone, with a small school in it, for a host application's own tests."""
    from gateway.sandbox import Behaviour
    from gateway.sandbox.serve import NotLoopback
    from gateway.sandbox.serve import serve as serve_sandbox

    behaviour = Behaviour(notifications=notifications, reply_delay=timedelta(seconds=reply_after))
    try:
        serve_sandbox(host, port or 0, behaviour=behaviour, seed=seed, as_json=json, allow_remote=allow_remote)
    except NotLoopback as error:
        give_up(f"{error}. Say --allow-remote if that is meant.", code=Exit.USAGE)
    except OSError as error:
        give_up(f"Cannot listen on {host} port {port}: {error.strerror}.")
