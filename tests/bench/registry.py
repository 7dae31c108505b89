"""The benchmarks, in the order in which they run. Each is a module of this package with a `BENCHMARK`."""

from importlib import import_module
from typing import Final

from tests.bench.benchmark import Benchmark

MODULES: Final = (
    "notifications",
    "slow_disk",
    "steady",
    "opening",
    "accepting",
    "sending",
    "latency",
    "replies",
    "backfill",
    "reading",
    "growth",
    "auditing",
    "fanout",
    "starting",
)


def benchmarks() -> dict[str, Benchmark]:
    """By name."""
    found: list[Benchmark] = [import_module(f"tests.bench.{module}").BENCHMARK for module in MODULES]
    return {one.name: one for one in found}
