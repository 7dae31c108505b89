"""Two runs against each other, by what can be carried from one machine to another: ratios, and what is counted.

Each ratio is to a yardstick that ran beside, so a slower machine does not matter; and yet a yardstick does not suffer
from neighbours exactly as the gateway does. So a change is marked only when the spreads of both runs do not touch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench import tables
from tests.bench.figures import Better, Figure, Figures
from tests.bench.numbers import Spread
from tests.bench.report import Report, differences

ONCE: Final = 0.15  # how far a figure that was measured once may be from the truth, either way


class Change(StrEnum):
    """How a figure stands to what it was."""

    SAME = ""
    BETTER = "better"
    WORSE = "worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure in two runs."""

    benchmark: str
    name: str
    before: Figure
    now: Figure

    @property
    def change(self) -> Change:
        """Beyond the spreads."""
        before, now = span(self.before.value), span(self.now.value)
        if now[0] > before[1]:
            return Change.BETTER if self.now.better is Better.HIGHER else Change.WORSE
        if now[1] < before[0]:
            return Change.WORSE if self.now.better is Better.HIGHER else Change.BETTER
        return Change.SAME


def span(value: Spread) -> tuple[float, float]:
    """Between what a figure lies."""
    if value.low < value.high:
        return value.low, value.high
    return value.median * (1 - ONCE), value.median * (1 + ONCE)


def compared(before: Mapping[str, Figures], now: Mapping[str, Figures]) -> Sequence[Compared]:
    """What both runs have, of what can be carried."""
    return [
        Compared(benchmark=benchmark, name=name, before=before[benchmark][name], now=figure)
        for benchmark, figures in now.items()
        for name, figure in figures.items()
        if figure.is_carried and name in before.get(benchmark, {})
    ]


def warnings(before: Report, now: Report) -> Sequence[str]:
    """Why the two may not be worth comparing."""
    found = []
    if strange := differences(before.machine, now.machine):
        found.append(f"The machines differ ({'; '.join(strange)}): only large changes mean something.")
    if before.quick != now.quick:
        found.append(f"The {'earlier' if before.quick else 'present'} run was a quick one.")
    for name, one in now.measured.items():
        other = before.measured.get(name)
        if other is not None and asked(one.asked_for) != asked(other.asked_for):
            found.append(f"{name} was asked for something else: {asked(other.asked_for)} → {asked(one.asked_for)}.")
    return found


def asked(what: Mapping[str, object]) -> str:
    """The same for what was read from JSON; where a file was prepared does not matter."""
    parts = {name: list(value) if isinstance(value, tuple) else value for name, value in sorted(what.items())}
    return ", ".join(f"{name} {value}" for name, value in parts.items() if name != "school")


def show(before: Report, now: Report, console: Console) -> None:
    """A table of ratios, the changed ones marked."""
    rows = compared(before.figures, now.figures)
    title = f"Against the run of {before.made_at:%d %B %Y}: ratios and counts; absolute figures are not compared"
    table = Table("benchmark", "figure", "then", "now", "now ÷ then", "beyond the spreads", title=title)
    for row in rows:
        ratio = "" if not row.before.value.median else f"{row.now.value.median / row.before.value.median:.2f}"
        colour = {Change.SAME: "dim", Change.BETTER: "green", Change.WORSE: "red"}[row.change]
        then, this = tables.figure(row.before), tables.figure(row.now)
        table.add_row(row.benchmark, row.name, then, this, ratio, f"[{colour}]{row.change}[/{colour}]")
    console.print(table)
    changes = [row.change for row in rows]
    console.print(
        f"{len(rows)} compared: {changes.count(Change.BETTER)} better, {changes.count(Change.WORSE)} worse.",
        highlight=False,
    )
    for warning in warnings(before, now):
        console.print(warning, highlight=False, markup=False)
