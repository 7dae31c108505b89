"""Which benchmark and round is on, and how long it will still take: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from tests.bench.benchmark import Tell

SETTLED: Final = 10.0  # seconds of expected work until the pace of this machine is taken for known
SELDOM_S: Final = 5.0  # between two plain lines


def left_s(expected_s: Sequence[float], number: int, share: float, spent_s: float) -> float:
    """Seconds to come, when this share of benchmark `number` is done: as expected, at the pace up to now."""
    done = sum(expected_s[:number]) + expected_s[number] * share
    pace = spent_s / done if done >= SETTLED else 1.0
    return (sum(expected_s) - done) * pace


def for_people(seconds: float) -> str:
    """About how long."""
    return f"about {seconds / 60:.0f} min" if seconds >= 90 else f"about {max(5, 5 * round(seconds / 5))} s"


class Line(Protocol):
    """Where it is told: how much of all is done, and what is on."""

    def __call__(self, share: float, what: str) -> None: ...


class Watch:
    """Turns what benchmarks tell into lines with an estimate."""

    def __init__(self, names: Sequence[str], expected_s: Sequence[float], line: Line) -> None:
        self._names = names
        self._expected = expected_s
        self._line = line
        self._began = time.perf_counter()

    def of(self, name: str) -> Tell:
        """For one of the benchmarks."""
        number = self._names.index(name)

        def tell(done: int, of: int, what: str) -> None:
            left = left_s(self._expected, number, done / of, time.perf_counter() - self._began)
            total = sum(self._expected)
            share = (sum(self._expected[:number]) + self._expected[number] * done / of) / total if total else 1.0
            self._line(share, f"[{number + 1}/{len(self._names)}] {name}: {what}; {for_people(left)} left")

        return tell


@contextmanager
def watching(names: Sequence[str], expected_s: Sequence[float], console: Console) -> Iterator[Watch]:
    """While the block lasts."""
    if not console.is_terminal:
        yield Watch(names, expected_s, plain(console))
        return
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as progress:
        yield Watch(names, expected_s, bar(progress, progress.add_task("", total=1.0)))


def bar(progress: Progress, task: TaskID) -> Line:
    """On a terminal."""

    def line(share: float, what: str) -> None:
        progress.update(task, completed=share, description=what.replace("[", "\\["))

    return line


def plain(console: Console, now: Callable[[], float] = time.perf_counter) -> Line:
    """Elsewhere: a line at a time, and not too many of them."""
    said_at = -SELDOM_S

    def line(share: float, what: str) -> None:
        nonlocal said_at
        if now() - said_at >= SELDOM_S:
            said_at = now()
            console.print(f"{share:4.0%} {what}", highlight=False, markup=False, soft_wrap=True)

    return line
