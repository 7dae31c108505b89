"""The command: see the package's docstring."""

import argparse
import sys

from tests.corpora import bounces, odd, xss

CORPORA = (bounces, odd, xss)


def main() -> int:
    """Run the corpus that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.corpora", description="Public corpora of mail.")
    commands = parser.add_subparsers(dest="corpus", required=True)
    for corpus in CORPORA:
        command = commands.add_parser(corpus.NAME, help=corpus.HELP)
        corpus.add_arguments(command)
        command.set_defaults(run=corpus.run)
    given = parser.parse_args()
    return int(given.run(given))


if __name__ == "__main__":
    sys.exit(main())
