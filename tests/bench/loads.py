"""Doors under load: one measurement, and what many rounds of them come to."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.bench.load import LoadPlan, LoadReport
from tests.bench.numbers import Latency, Spread
from tests.bench.processes import Broken, Child


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One door under one load."""

    round: int
    door: StrEnum
    connections: int
    load: LoadReport
    processor_us: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A door at a number of connections, over all rounds.

    `of_yardstick` is its throughput by that of the yardstick, `processor_us` the time that the server's threads were
    computing for one request: of all figures the one that neighbours on the machine disturb least.
    """

    door: StrEnum
    connections: int
    per_second: Spread
    of_yardstick: Spread
    processor_us: Spread
    p50_ms: Spread
    p99_ms: Spread
    client_busy: float


def drive(server: Child, plan: LoadPlan, *, door: StrEnum, number: int) -> Run:
    """Carry out the plan against this server, in round `number`. Raises `Broken` on any answer but 202."""
    used = server.processor_time()
    with Child("tests.bench.load", plan) as client:
        said = client.heard()
    used = server.processor_time() - used
    report = LoadReport(**said | {"latency": Latency(**said["latency"])})
    if report.others:
        raise Broken(f"{door} with {plan.connections} connections answered {report.others} (0: not at all)")
    return Run(
        round=number,
        door=door,
        connections=plan.connections,
        load=report,
        processor_us=used / report.answered * 1_000_000,
    )


def row(runs: Sequence[Run], door: StrEnum, connections: int, *, yardstick: StrEnum) -> Row:
    """All rounds of a door at a number of connections."""
    loads = [run.load for run in _rounds(runs, door, connections)]
    return Row(
        door=door,
        connections=connections,
        per_second=Spread.of([load.per_second for load in loads]),
        of_yardstick=ratio(runs, door, yardstick, connections),
        processor_us=Spread.of([run.processor_us for run in _rounds(runs, door, connections)]),
        p50_ms=Spread.of([load.latency.p50_ms for load in loads]),
        p99_ms=Spread.of([load.latency.p99_ms for load in loads]),
        client_busy=max(load.busy for load in loads),
    )


def ratio(runs: Sequence[Run], door: StrEnum, yardstick: StrEnum, connections: int) -> Spread:
    """Throughput by the yardstick's in the same round."""
    pairs = zip(_rounds(runs, door, connections), _rounds(runs, yardstick, connections), strict=True)
    return Spread.of([one.load.per_second / max(other.load.per_second, 1.0) for one, other in pairs])


def _rounds(runs: Sequence[Run], door: StrEnum, connections: int) -> list[Run]:
    """In their order."""
    return [run for run in runs if run.door is door and run.connections == connections]
