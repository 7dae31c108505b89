"""What a run says: a page for people, JSON for whoever compares runs."""

from collections.abc import Mapping
from typing import Final

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.numbers import Latency
from tests.fire.kills import Fire

SHOWN: Final = 20  # violations; all of them are in the JSON


def as_json(fire: Fire) -> bytes:
    """All figures, named as in the code."""
    said = {"violations": fire.violations, "fire": fire}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str)


def show(fire: Fire, console: Console) -> None:
    """The summary, and what must not be."""
    table = Table(show_header=False, title=f"seed {fire.plan.seed}, {fire.took_s / 60:.1f} minutes")
    for name, value in figures(fire).items():
        table.add_row(name, value)
    console.print(table)
    for violation in fire.violations[:SHOWN]:
        console.print(f"[red]✗[/] {escape(violation)}", highlight=False)
    if len(fire.violations) > SHOWN:
        console.print(f"[red]✗[/] and {len(fire.violations) - SHOWN} more")
    if not fire.violations:
        console.print("[green]✓[/] Nothing lost, nothing doubled, every file whole.")


def figures(fire: Fire) -> Mapping[str, str]:
    """Each figure with its name."""
    diary, verdict = fire.diary, fire.verdict
    ready = Latency.of(diary.ready_s)
    return {
        "letters": f"{fire.plan.letters:,} posted, {verdict.rows:,} in the file, {verdict.in_ledger:,} left",
        "lost, doubled": f"{verdict.lost}, {verdict.doubled}",
        "states at the end": counts(verdict.states),
        "submitted more than once": f"{verdict.submitted_again} (proved unsent before)",
        "kills": f"{diary.kills}, {diary.kills_in_start} of them in the midst of a start",
        "letters in hand when killed": counts(diary.caught),
        "files found whole": f"{diary.whole} of {diary.kills}",
        "ready again": f"p50 {ready.p50_ms / 1000:.2f} s, p99 {ready.p99_ms / 1000:.2f} s, "
        f"worst {ready.worst_ms / 1000:.2f} s, {ready.count} starts",
        "what SELMA heard": counts(fire.answers),
        "faults at Microsoft": counts(fire.struck),
    }


def counts(of: Mapping[str, int]) -> str:
    """The most frequent first."""
    ordered = sorted(of.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} × {name}" for name, count in ordered) or "none"
