"""What must stay as it is while time passes: memory, descriptors, tasks, the database's log, and how long answers take.

Pure: samples go in, sentences come out. The first third of a run is for warming up; the second is compared with the
last, by medians, so that one bad moment says nothing.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.numbers import percentile

MIB: Final = 1024 * 1024
# What may be between the second third and the last.
GROWTH_MIB: Final = 8.0
GROWTH: Final = 0.05
MORE_FILES: Final = 4
MORE_TASKS: Final = 4
SLOWER: Final = 2.0
SLOWER_MS: Final = 50.0
# The log is cut from 32 MiB on; a cut waits for the group that is being written, and for readers beside.
LONGEST_LOG: Final = 64 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look. `at_s` since the run began; sizes in bytes."""

    at_s: float
    memory: int
    files: int
    tasks: int
    log: int
    database: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """One answer."""

    at_s: float
    took_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Third:
    """Part of a run, in medians; `log` is the longest, `p99_ms` None where nothing was timed."""

    memory_mib: float
    files: float
    tasks: float
    log_mib: float
    answers: int
    p99_ms: float | None


def thirds(samples: Sequence[Sample], timed: Sequence[Timed], length_s: float) -> list[Third]:
    """The three of them."""
    return [
        _third(
            [one for one in samples if _which(one.at_s, length_s) == number],
            [one for one in timed if _which(one.at_s, length_s) == number],
        )
        for number in range(3)
    ]


def _which(at_s: float, length_s: float) -> int:
    return min(2, int(3 * at_s / length_s))


def _third(samples: Sequence[Sample], timed: Sequence[Timed]) -> Third:
    took = sorted(one.took_s for one in timed)
    return Third(
        memory_mib=statistics.median(one.memory for one in samples) / MIB,
        files=statistics.median(one.files for one in samples),
        tasks=statistics.median(one.tasks for one in samples),
        log_mib=max(one.log for one in samples) / MIB,
        answers=len(took),
        p99_ms=percentile(took, 0.99) * 1000 if took else None,
    )


def slope_mib_an_hour(samples: Sequence[Sample], length_s: float) -> float:
    """How fast memory grows after the first third, by least squares; 0 with fewer than two samples."""
    warm = [one for one in samples if one.at_s >= length_s / 3]
    if len(warm) < 2:
        return 0.0
    found = statistics.linear_regression([one.at_s for one in warm], [one.memory / MIB for one in warm])
    return found.slope * 3600


def breaches(parts: Sequence[Third]) -> list[str]:
    """What did not stay as it was."""
    first, second, last = parts
    said = []
    if last.memory_mib > second.memory_mib * (1 + GROWTH) + GROWTH_MIB:
        said.append(f"memory grew from {second.memory_mib:.0f} to {last.memory_mib:.0f} MiB")
    if last.files > second.files + MORE_FILES:
        said.append(f"open files grew from {second.files:.0f} to {last.files:.0f}")
    if last.tasks > second.tasks + MORE_TASKS:
        said.append(f"tasks grew from {second.tasks:.0f} to {last.tasks:.0f}")
    if max(one.log_mib for one in parts) > LONGEST_LOG / MIB:
        said.append(f"the database's log grew to {max(one.log_mib for one in parts):.0f} MiB")
    if first.p99_ms and last.p99_ms and last.p99_ms > first.p99_ms * SLOWER + SLOWER_MS:
        said.append(f"p99 grew from {first.p99_ms:.0f} to {last.p99_ms:.0f} ms")
    return said
