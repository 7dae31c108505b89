"""`python -m gateway.sandbox`: the sandbox by itself."""

import argparse
from dataclasses import replace
from datetime import timedelta

from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.serve import NotLoopback, serve


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m gateway.sandbox", description="Microsoft 365 in a box.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--json", action="store_true", help="print the school's values as one line of JSON")
    parser.add_argument("--seed", default="0", help="the same seed gives the same ids")
    parser.add_argument("--allow-remote", action="store_true", help="listen on a host that is not loopback")
    parser.add_argument("--no-notifications", action="store_true", help="send no change notifications")
    parser.add_argument("--reply-delay", type=float, metavar="SECONDS", help="how long students think")
    options = parser.parse_args(arguments)
    behaviour = Behaviour(notifications=not options.no_notifications)
    if options.reply_delay is not None:
        behaviour = replace(behaviour, reply_delay=timedelta(seconds=options.reply_delay))
    try:
        serve(
            options.host,
            options.port,
            behaviour=behaviour,
            seed=options.seed,
            as_json=options.json,
            allow_remote=options.allow_remote,
        )
    except (NotLoopback, OSError) as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
