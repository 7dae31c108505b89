"""The command: see the package's docstring."""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from gateway.clock import SystemClock
from tests.bench import comparison, goals, plots, progress, registry, report
from tests.bench.benchmark import Benchmark, Tell
from tests.bench.machine import machine
from tests.bench.processes import ROOT, Broken
from tests.bench.report import Measured, Report, Unreadable, together

WIDTH: Final = 180  # of a table that is not shown on a terminal
LAST: Final = ROOT / ".github" / "bench" / "last.json"
NOT_RECORDED: Final = "--record is for a whole run that is not a quick one: later runs would be compared with less"
EPILOG: Final = """Exit codes: 0; 1 when an answer was wrong or missing (that benchmark then has no figures), or with
--strict when a goal that was measured is not met; 2 when the command line makes no sense."""


def parser_for(known: Mapping[str, Benchmark]) -> argparse.ArgumentParser:
    """With the options of all benchmarks."""
    about = "\n".join(f"  {one.name:14} {one.about}" for one in known.values())
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench",
        description=f"Benchmarks, each beside its yardstick in the same run on the same machine:\n\n{about}",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("which", nargs="*", metavar="NAME", help="of those above; all, if none is named")
    parser.add_argument(
        "--quick", action="store_true", help="a small run of everything, in about two minutes; its figures are rough"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there, after each benchmark")
    parser.add_argument(
        "--from",
        type=Path,
        nargs="+",
        metavar="FILE",
        dest="sources",
        help="measure nothing: show these --json together",
    )
    parser.add_argument("--plots", type=Path, metavar="FOLDER", help="draw a few of the figures there, as SVG")
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="FILE",
        help=f"with that run; else with {LAST.relative_to(ROOT)}",
    )
    parser.add_argument("--record", action="store_true", help=f"write {LAST.relative_to(ROOT)}, for later runs")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when a goal is not met (no stretch)")
    own = parser.add_argument_group("sizes", "each of the benchmarks named behind it, with its default there")
    for flag, (option, of) in options(known).items():
        own.add_argument(f"--{flag}", type=option.type, metavar="N", help=f"{option.help} ({of})")
    return parser


def options(known: Mapping[str, Benchmark]) -> dict[str, tuple[Any, str]]:
    """By flag: what it is, and the defaults of the benchmarks that have it."""
    found: dict[str, tuple[Any, list[str]]] = {}
    for benchmark in known.values():
        for name, option in benchmark.options.items():
            default = benchmark.defaults[name]
            said = benchmark.name if default is None else f"{benchmark.name} {default}"
            found.setdefault(option.flag, (option, []))[1].append(said)
    return {flag: (option, ", ".join(of)) for flag, (option, of) in found.items()}


def arguments(known: Mapping[str, Benchmark]) -> argparse.Namespace:
    """Of the command line. Ends the process when they make no sense."""
    parser = parser_for(known)
    given = parser.parse_args()
    chosen = [name for name in given.which if name != "all"]
    if unknown := set(chosen) - known.keys():
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    given.which = [name for name in known if name in chosen] or list(known)
    if given.record and (given.quick or chosen):
        parser.error(NOT_RECORDED)
    return given


def measure(benchmark: Benchmark, asked_for: Mapping[str, Any], tell: Tell) -> Measured:
    """Its figures. Raises `Broken`."""
    began = time.perf_counter()
    tell(0, 1, "begins")
    try:
        found = benchmark.measure(**asked_for, tell=tell)
    except* Broken as several:  # what tasks raise comes in groups
        broken = first_of(several)
    else:
        took_s = time.perf_counter() - began
        # Where a file lies is of no use to whoever compares.
        told = {name: value.name if isinstance(value, Path) else value for name, value in asked_for.items()}
        return Measured(asked_for=told, took_s=took_s, figures=benchmark.figures(found), found=found)
    raise broken


def first_of(error: BaseException) -> BaseException:
    """The first that is no group."""
    return first_of(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def run(given: argparse.Namespace, known: Mapping[str, Benchmark], console: Console) -> tuple[Report, list[str]]:
    """Measure what is asked for; what broke goes to the list, and the others go on."""
    with tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder:
        facts = machine(Path(folder))
    found, broken = Report(made_at=SystemClock().now(), machine=facts, quick=given.quick), []
    asked_for = {name: known[name].asked_for(vars_of(given), quick=given.quick) for name in given.which}
    expected_s = [known[name].lasts(asked_for[name]) for name in given.which]
    with progress.watching(given.which, expected_s, console) as watch:
        for name in given.which:
            try:
                one = measure(known[name], asked_for[name], watch.of(name))
            except Broken as error:
                broken.append(f"{name} proves nothing: {error}.")
                continue
            found = replace(found, measured={**found.measured, name: one})
            if given.json is not None:
                given.json.write_bytes(report.as_json(found))
    return found, broken


def vars_of(given: argparse.Namespace) -> dict[str, Any]:
    """Flags as they are written."""
    return {name.replace("_", "-"): value for name, value in vars(given).items()}


def show(found: Report, before: Report | None, known: Mapping[str, Benchmark], console: Console) -> None:
    """Tables of what was measured just now, goals, and what has changed."""
    report.show_machine(found.machine, console)
    for name, one in found.measured.items():
        if not isinstance(one.found, dict):  # as it is when it was read from a file
            known[name].show(one.found, console)
    goals.show(found.figures, console, quick=found.quick)
    if before is not None:
        comparison.show(before, found, console)
    if found.quick:
        console.print("A quick run: it shows that all benchmarks work, and its figures are rough.", style="bold")


def main() -> int:
    """Run what is asked for; see `EPILOG` for the exit codes."""
    known = registry.benchmarks()
    given = arguments(known)
    out, err = Console(width=None if sys.stdout.isatty() else WIDTH), Console(stderr=True)
    compare = given.compare or (LAST if LAST.exists() else None)
    try:
        before = None if compare is None else Report.read(compare)
        found, broken = (together([*map(Report.read, given.sources)]), []) if given.sources else run(given, known, err)
    except (OSError, Unreadable) as error:
        print(error, file=sys.stderr)
        return 2
    show(found, before, known, out)
    if given.plots is not None:
        plots.draw(found, given.plots)
    if given.record and (found.quick or found.measured.keys() != known.keys()):
        broken.append(NOT_RECORDED)
    elif given.record:
        LAST.parent.mkdir(parents=True, exist_ok=True)
        LAST.write_bytes(report.as_json(found))
    for sentence in broken:
        print(sentence, file=sys.stderr)
    return 1 if broken or (given.strict and goals.missed(found.figures)) else 0


if __name__ == "__main__":
    sys.exit(main())
