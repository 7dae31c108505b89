"""The command: see the package's docstring."""

import argparse
import sys

from tests.contract import bombs, documents, schema, strings

TRIALS = (schema, documents, strings, bombs)


def main() -> int:
    """Run the trial that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.contract", description="The contract, tried by machines.")
    commands = parser.add_subparsers(dest="trial", required=True)
    for trial in TRIALS:
        command = commands.add_parser(trial.NAME, help=trial.HELP)
        trial.add_arguments(command)
        command.set_defaults(run=trial.run)
    given = parser.parse_args()
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
