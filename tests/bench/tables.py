"""What the tables of the benchmarks have in common."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from tests.bench.figures import Figure
from tests.bench.loads import Row
from tests.bench.numbers import Latency, Spread


def spread(value: Spread, form: str) -> str:
    """The median, and the range in brackets."""
    return f"{value.median:{form}} \\[{value.low:{form}}–{value.high:{form}}]"


def milliseconds(latency: Latency) -> tuple[str, ...]:
    """p50, p99 and the worst."""
    return tuple(f"{one:.1f}" for one in (latency.p50_ms, latency.p99_ms, latency.worst_ms))


def calls(per_letter: Mapping[str, float]) -> str:
    """How many in all, and of which."""
    return f"{sum(per_letter.values()):.2f} ({', '.join(f'{n:.3g} {route}' for route, n in per_letter.items())})"


def with_headings(title: str, headings: Sequence[str], *, left: Sequence[str] = ()) -> Table:
    """A table of numbers; the columns in `left` are words."""
    table = Table(title=title)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in left else "right")
    return table


def loads(title: str, yardstick: str, rows: Sequence[Row]) -> Table:
    """Doors at numbers of connections."""
    headings = ("connections", "door", "per second", f"of {yardstick}", "µs of processor", "p50 ms", "p99 ms")
    table = with_headings(f"{title}: medians \\[range]", headings, left=("door",))
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        table.add_row(
            str(row.connections),
            row.door.value,
            spread(row.per_second, ",.0f"),
            spread(row.of_yardstick, ".2f"),
            spread(row.processor_us, ".0f"),
            spread(row.p50_ms, ".2f"),
            spread(row.p99_ms, ".1f"),
            end_section=following is None or following.connections != row.connections,
        )
    return table


def client_busy(rows: Sequence[Row]) -> str:
    """Whether the client was what was measured."""
    return f"the client was busy {max(row.client_busy for row in rows):.0%} of the time at most."


def add_group(table: Table, group: str, rows: Mapping[str, Latency], *, end_section: bool = False) -> None:
    """Lines of a table of latencies, the first of them with the group's name."""
    headings: Sequence[str] = [group, *[""] * (len(rows) - 1)]
    for number, (heading, (what, latency)) in enumerate(zip(headings, rows.items(), strict=True), start=1):
        table.add_row(
            heading,
            what,
            str(latency.count),
            *milliseconds(latency),
            end_section=end_section and number == len(rows),
        )


def figure(value: Figure) -> str:
    """With its unit, and the range where it was measured more than once."""
    median = value.value.median
    form = ",.0f" if abs(median) >= 100 else ".1f" if abs(median) >= 10 else ".2f"
    said = spread(value.value, form) if value.value.low < value.value.high else f"{median:{form}}"
    return f"{said} {value.unit}".rstrip()
