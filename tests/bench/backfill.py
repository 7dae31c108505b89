"""Backfill: how fast the gateway reads a mailbox in which much has gathered, and how much memory that takes.

Two kinds of mailbox. `usual`: mail that is nobody's business, with a few replies of ours in it. `all ours`: nothing
but replies. The gateway is connected and has pulled the little that was there; then the mail comes, and it pulls:
delta pages, whatever it must ask besides, the store. Its yardsticks, in the same round:

`bare loop`   the same pages and the same batches by httpx, from the same sandbox, keeping nothing
`bulk load`   the rows that the gateway stored, search index included, into an empty file of the same schema, by
              nothing but SQLite

Gateway and yardsticks run on one processor, one after the other, the sandbox on the other one. The gateway's own pace,
which is what the bulk load is compared with, is what it would be if Graph and the disk answered in no time: mails by
the processor time that they cost, HTTP and JSON included. The bulk load's is the same: rows by their processor time.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.backfill_server import Pulled
from tests.bench.bare_reading import ReaderPlan, ReaderReport
from tests.bench.benchmark import ROUNDS, Benchmark, Option, Tell, each, silent
from tests.bench.bulk import BulkPlan, BulkReport
from tests.bench.figures import Figures
from tests.bench.gateway_server import plan_for
from tests.bench.machine import places
from tests.bench.mailbox_server import MailboxPlan
from tests.bench.numbers import Spread
from tests.bench.processes import Broken, Child
from tests.bench.queues import APP

OF_MIB: Final = 1.048576  # 10^6 bytes
OURS_OF_USUAL: Final = 0.03
REPLIES_OF_A_LETTER: Final = 4
USUAL: Final = "usual"
ALL_OURS: Final = "all ours"
KINDS: Final = {USUAL: OURS_OF_USUAL, ALL_OURS: 1.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One mailbox, read by all."""

    kind: str
    pulled: Pulled
    bare: ReaderReport
    bulk: BulkReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A kind of mailbox, over all rounds. Memory in MiB: before the pull; beyond that, in its first fifth, and at most;
    and at most in all.

    `of_bulk_load` compares the gateway's own pace with the bulk load's; `both_of_bulk_load` that of somebody who reads
    as the bare loop, loads as the bulk load, and does nothing else.
    """

    kind: str
    messages: int
    ours: int
    per_second: Spread
    of_bare_loop: Spread
    of_bulk_load: Spread
    both_of_bulk_load: Spread
    processor_us: Spread
    resident_before: Spread
    grown_early: Spread
    grown: Spread
    resident: Spread
    calls: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """`calls` of a row are for one message."""

    rounds: int
    rows: Sequence[Row]


def measure(*, messages: int = 100_000, rounds: int = 3, tell: Tell = silent) -> Backfill:
    """Run it all. Raises `Broken` when a reply is not stored, or anything else is."""
    steps = [(number, kind) for number in range(rounds) for kind in KINDS]
    runs = [
        one_run(kind, messages, number)
        for number, kind in each(tell, steps, lambda step: f"round {step[0] + 1}: {step[1]}")
    ]
    return Backfill(
        rounds=rounds, rows=[row(kind, messages, [one for one in runs if one.kind == kind]) for kind in KINDS]
    )


def one_run(kind: str, messages: int, number: int) -> Run:
    """A mailbox, a gateway and the yardsticks, all afresh; who reads first takes turns."""
    ours = round(messages * KINDS[kind])
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child(
            "tests.bench.mailbox_server",
            MailboxPlan(letters=max(1, ours // REPLIES_OF_A_LETTER), processor=places().client),
        ) as sandbox,
    ):
        microsoft = sandbox.heard()
        plan = plan_for(microsoft, Path(folder), mailboxes=[microsoft["mailbox"]], letters=microsoft["letters"])
        with (
            Child("tests.bench.backfill_server", plan) as server,
            Child("tests.bench.bare_reading", reader(microsoft)) as bare,
        ):
            server.heard()
            bare.heard()
            sandbox.tell({"strange": messages - ours, "ours": ours})
            sandbox.heard()
            said = {one: ordered(one) for one in ((server, bare) if number % 2 == 0 else (bare, server))}
            pulled, read = Pulled(**said[server]), ReaderReport(**said[bare])
        if (pulled.stored, pulled.unrelated >= messages - ours, read.messages) != (ours, True, messages):
            raise Broken(
                f"of {ours} replies in {messages} mails {pulled.stored} were stored, {read.messages} were read"
            )
        return Run(kind=kind, pulled=pulled, bare=read, bulk=bulk_load(Path(folder)))


def ordered(child: Child) -> Any:
    """What it says to its order."""
    child.tell({})
    return child.heard()


def reader(microsoft: Mapping[str, Any]) -> ReaderPlan:
    """The bare loop's plan."""
    return ReaderPlan(
        url=microsoft["url"],
        **{name: microsoft["school"][name] for name in APP},
        mailbox=microsoft["mailbox"],
        conversations=[one["conversation_id"] for one in microsoft["letters"]],
        processor=places().server,
    )


def bulk_load(folder: Path) -> BulkReport:
    """Of what the gateway has left in this folder."""
    plan = BulkPlan(source=str(folder / "gateway.db"), target=str(folder / "bulk.db"), processor=places().server)
    with Child("tests.bench.bulk", plan) as child:
        return BulkReport(**child.heard())


def row(kind: str, messages: int, runs: Sequence[Run]) -> Row:
    """All rounds of a kind."""
    loads = [one.bulk.rows / one.bulk.processor_s for one in runs]
    own = [messages / one.pulled.processor_s for one in runs]
    both = [messages / (one.bare.processor_s + one.bulk.processor_s) for one in runs]
    return Row(
        kind=kind,
        messages=messages,
        ours=round(messages * KINDS[kind]),
        per_second=Spread.of([messages / one.pulled.seconds for one in runs]),
        of_bare_loop=Spread.of([one.bare.seconds / one.pulled.seconds for one in runs]),
        of_bulk_load=Spread.of([pace / load for pace, load in zip(own, loads, strict=True)]),
        both_of_bulk_load=Spread.of([pace / load for pace, load in zip(both, loads, strict=True)]),
        processor_us=Spread.of([one.pulled.processor_s / messages * 1_000_000 for one in runs]),
        resident_before=Spread.of([one.pulled.resident_before for one in runs]),
        grown_early=Spread.of([one.pulled.resident_early - one.pulled.resident_before for one in runs]),
        grown=Spread.of([one.pulled.resident_after - one.pulled.resident_before for one in runs]),
        resident=Spread.of([one.pulled.resident_after for one in runs]),
        calls={route: count / messages for route, count in runs[0].pulled.calls.items()},
    )


def show(found: Backfill, console: Console) -> None:
    """As a table."""
    title = f"A mailbox is read, {found.rounds} rounds: medians \\[range]"
    headings = (
        *("mailbox", "mails", "ours", "per second", "of bare loop", "µs of processor", "of bulk load"),
        *("bare loop and bulk load, of bulk load", "MiB more"),
    )
    table = tables.with_headings(title, headings, left=("mailbox",))
    for row in found.rows:
        table.add_row(
            row.kind,
            f"{row.messages:,}",
            f"{row.ours:,}",
            tables.spread(row.per_second, ",.0f"),
            tables.spread(row.of_bare_loop, ".2f"),
            tables.spread(row.processor_us, ",.0f"),
            tables.spread(row.of_bulk_load, ".3f"),
            tables.spread(row.both_of_bulk_load, ".3f"),
            f"{tables.spread(row.grown_early, '.0f')}, then {tables.spread(row.grown, '.0f')}",
        )
    console.print(table)
    for row in found.rows:
        console.print(f"Calls to Graph for a mail, {row.kind}: {tables.calls(row.calls)}", highlight=False)


def in_short(found: Backfill) -> Figures:
    """By kind of mailbox. Of memory the most, and how much of it came after the first fifth of the calls."""
    short: dict[str, figures.Figure] = {}
    for row in found.rows:
        later = [getattr(row.grown, one) - getattr(row.grown_early, one) for one in ("low", "median", "high")]
        short |= {
            f"{row.kind}: of bulk load": figures.times(row.of_bulk_load),
            f"{row.kind}: bare loop and bulk load, of bulk load": figures.times(row.both_of_bulk_load),
            f"{row.kind}: of bare loop": figures.times(row.of_bare_loop),
            f"{row.kind}: per second": figures.per_second(row.per_second),
            f"{row.kind}: memory at most": figures.megabytes(row.resident.scaled(OF_MIB)),
            f"{row.kind}: memory, later growth": figures.megabytes(Spread.of([one * OF_MIB for one in later])),
        }
    return short


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * (7 + 2 * given["messages"] * 0.0011)


BENCHMARK: Final = Benchmark(
    name="backfill",
    about="a mailbox in which 100,000 mails have gathered; against a bare loop, and a bulk load of its rows",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"messages": Option(flag="mails", type=int, help="in the mailbox"), "rounds": ROUNDS},
    quick={"messages": 1_000, "rounds": 1},
)
