"""`schema`: schemathesis over every route, with all its checks."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.contract.server import served

NAME: Final = "schema"
HELP: Final = "Every route of the contract, by schemathesis."
EXAMPLES: Final = 2000
CONFIGURATION: Final = Path(__file__).with_name("schemathesis.toml")
PROJECT: Final = Path(__file__).parents[2]
STREAM: Final = "/v1/events/stream"  # its answer has no end; tests/http/test_events listens to it


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How thorough."""
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="Requests to each operation.")


def run(given: argparse.Namespace) -> int:
    """Try all of it; what schemathesis found is on its standard output."""
    return ask(examples=given.examples)


def ask(*, examples: int, phases: Sequence[str] = (), operations: Sequence[str] = ()) -> int:
    """0 when nothing was found. By default all phases, and all operations."""
    with served() as gateway, tempfile.TemporaryDirectory() as folder:
        command = [
            str(Path(sys.executable).with_name("schemathesis")),
            *("--config-file", str(CONFIGURATION)),
            *("run", f"{gateway.url}/openapi.json"),
            *("--header", f"Authorization: Bearer {gateway.key}"),
            *("--exclude-path", STREAM),
            *("--max-examples", str(examples)),
            *("--continue-on-failure", "--warnings", "off"),
            *(("--phases", ",".join(phases)) if phases else ()),
            *(part for one in operations for part in ("--include-operation-id", one)),
        ]
        env = {**os.environ, "PYTHONPATH": str(PROJECT), "SCHEMATHESIS_HOOKS": "tests.contract.hooks"}
        return subprocess.run(command, cwd=folder, env=env, check=False).returncode
