"""`selma-gateway doctor`: what the gateway stands on."""

import os
from enum import IntEnum
from typing import Annotated, Final

import typer

from gateway.cli.common import AsJson, print_json, print_table, run
from gateway.clock import SystemClock
from gateway.doctor.examining import Examined, examine
from gateway.doctor.patient import Patient
from gateway.setup.report import Verdict


class Health(IntEnum):
    """What an exit code means here: that of monitoring plugins, so that a monitor can call it as it is."""

    WELL = 0
    DOUBTFUL = 1
    BAD = 2


CODES: Final = {Verdict.OK: Health.WELL, Verdict.WARN: Health.DOUBTFUL, Verdict.FAIL: Health.BAD}


def doctor(
    thorough: Annotated[bool, typer.Option(help="Also what takes long: the whole database, and its index.")] = False,
    offline: Annotated[bool, typer.Option(help="Ask nobody outside of this machine.")] = False,
    json: AsJson = False,
) -> None:
    """Look at the machine: disk, clock, permissions, key, database, address, connection. Changes nothing.

    Works beside a running gateway and without one, and when the database is missing, locked or damaged. Exit code 0
    when all is well, 1 when something should be looked at, 2 when something must be mended.
    """
    patient = Patient.of(os.environ, SystemClock(), thorough=thorough, offline=offline)
    found = run(examine(patient))
    if json:
        print_json(_as_json(found))
    else:
        rows = [[one.name, one.verdict, one.found, one.cure or ""] for one in found.checks]
        print_table(["check", "verdict", "found", "cure"], rows, empty="Nothing was checked.")
        for one in found.skipped:
            typer.echo(f"Not checked: {one.name}. {one.because}")
    raise typer.Exit(CODES[found.worst])


def _as_json(found: Examined) -> dict[str, object]:
    names = ("name", "verdict", "tried", "found", "cure")
    return {
        "verdict": found.worst,
        "checks": [{name: getattr(one, name) for name in names} for one in found.checks],
        "skipped": [{"name": one.name, "because": one.because} for one in found.skipped],
    }
