"""What a run says: tables for people, JSON for whoever compares runs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

import orjson
from rich.console import Console

from tests.bench.figures import Better, Figure, Figures, Unit
from tests.bench.machine import Machine, Places
from tests.bench.numbers import Latency, Spread

OPTIONS: Final = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One benchmark: what it was asked for, what it found, and the few figures that say it in short.

    `found` is the benchmark's own dataclass, and in a report that was read from a file what JSON made of that.
    """

    asked_for: Mapping[str, Any]
    took_s: float
    figures: Figures
    found: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of the command, with the benchmarks that were asked for. `quick`: its figures are a rough guess."""

    made_at: datetime
    machine: Machine
    quick: bool
    measured: Mapping[str, Measured] = field(default_factory=dict)

    @property
    def figures(self) -> Mapping[str, Figures]:
        """By benchmark."""
        return {name: one.figures for name, one in self.measured.items()}

    @classmethod
    def read(cls, path: Path) -> Self:
        """What was written with `as_json`. Raises OSError and `Unreadable`."""
        try:
            said = orjson.loads(path.read_bytes())
            return cls(
                made_at=datetime.fromisoformat(said["made_at"]),
                machine=_machine(said["machine"]),
                quick=said["quick"],
                measured={name: _measured(one) for name, one in said["measured"].items()},
            )
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise Unreadable(f"{path} is no report of this command: {error!r}") from error


class Unreadable(Exception):
    """A file that was not written by this command, or by one of another age; or files that do not go together."""


def together(reports: Sequence[Report]) -> Report:
    """One report of several, at least one: where two have the same benchmark, of the later of them in this order.

    Raises `Unreadable` when they were not made on the same machine.
    """
    first, *others = reports
    for one in others:
        if strange := differences(first.machine, one.machine):
            raise Unreadable(f"These runs are of different machines ({'; '.join(strange)}).")
    return replace(
        reports[-1],
        quick=any(one.quick for one in reports),
        measured={name: found for one in reports for name, found in one.measured.items()},
    )


def _machine(said: Mapping[str, Any]) -> Machine:
    return Machine(**{**said, "places": Places(**said["places"]), "flush": Latency(**said["flush"])})


def _measured(said: Mapping[str, Any]) -> Measured:
    short = {
        name: Figure(value=Spread(**one["value"]), unit=Unit(one["unit"]), better=Better(one["better"]))
        for name, one in said["figures"].items()
    }
    return Measured(asked_for=said["asked_for"], took_s=said["took_s"], figures=short, found=said["found"])


def as_json(report: Report) -> bytes:
    """All figures, named as in the code."""
    return orjson.dumps(report, default=str, option=OPTIONS) + b"\n"


def show_machine(machine: Machine, console: Console) -> None:
    """What the figures were measured on."""
    places = machine.places
    bound = "not bound" if places.server is None else f"server on {places.server}, client on {places.client}"
    flush = machine.flush
    console.print(
        f"{machine.system}, {machine.cores} processors ({bound}), {machine.python}, SQLite {machine.sqlite}\n"
        f"append and fsync of 4 KiB: p50 {flush.p50_ms:.2f} ms, p99 {flush.p99_ms:.2f} ms; "
        f"load before the run: {machine.load:.1f}",
        highlight=False,
    )


def differences(one: Machine, other: Machine) -> Sequence[str]:
    """In what two machines differ; how busy they were, and how fast their disks, is left out."""
    passing = {"load", "flush"}
    before, now = asdict(one), asdict(other)
    return [
        f"{name}: {before[name]} → {now[name]}" for name in before if name not in passing and before[name] != now[name]
    ]
