"""Letters sent: how fast a queue leaves, from one mailbox and from ten, against the same calls without a memory.

A queue of letters is accepted with a `send_at` a little ahead, so that all of it is there when the sending begins. The
gateway's time goes from its first call for a draft to the last `message.submitted` that the host hears of on the event
stream, so it includes all that is committed on the way; meanwhile it also recognises the Sent copies, as it always
does. The students do not answer. See `senders` for the yardsticks.

Each round has a sandbox and a gateway, both afresh. All senders send through that sandbox, but each from mailboxes of
its own: only the gateway's are watched. Their order is turned round from round to round, and a ratio compares two
measurements of one round. In the end the sandbox must have sent each letter once and none besides.
"""

import itertools
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import ROUNDS, Benchmark, Option, Tell, a_round, each, silent
from tests.bench.figures import Figures
from tests.bench.gateway_server import DRAFT_ROUTE, SEND_ROUTE, Asked, calls_per_letter
from tests.bench.machine import places
from tests.bench.numbers import Spread, most_at_once
from tests.bench.processes import Child
from tests.bench.queues import WARM_UP, Finished, Round, Run
from tests.bench.sandbox_server import SandboxPlan
from tests.bench.senders import Sender

MAILBOXES: Final = (1, 10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A sender with a number of mailboxes, over all rounds.

    `of_bare_loop`, `of_keeping_loop` and `of_ceiling` are its throughput by theirs; processor times are as in `Run`.
    """

    sender: Sender
    mailboxes: int
    per_second: Spread
    of_bare_loop: Spread
    of_keeping_loop: Spread
    of_ceiling: Spread
    processor_us: Spread
    sandbox_us: Spread


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """`calls_per_letter` and `at_once` are the gateway's, by number of mailboxes.

    The calls are by method and route, until the last copy was recognised; `at_once` is how many calls for letters were
    under way at the same time, at most. `posted` counts everybody's letters, warm-ups too, and `sent` those in the
    sandbox's ledger: they are equal.
    """

    rounds: int
    letters: int
    rows: Sequence[Row]
    calls_per_letter: Mapping[int, Mapping[str, float]]
    at_once: Mapping[int, int]
    posted: int
    sent: int


def measure(
    *, letters: int = 300, rounds: int = 5, mailboxes: Sequence[int] = MAILBOXES, tell: Tell = silent
) -> Sending:
    """Run it all. Raises `Broken` when a letter was not sent, or sent twice."""
    finished = [
        one_round(number, letters=letters, mailboxes=mailboxes) for number in each(tell, range(rounds), a_round)
    ]
    runs = [run for one in finished for run in one.runs]
    calls = {count: [one.calls[count] for one in finished] for count in mailboxes}
    return Sending(
        rounds=rounds,
        letters=letters,
        rows=[row(runs, sender, count) for count in mailboxes for sender in Sender],
        calls_per_letter={
            count: calls_per_letter(itertools.chain(*all_rounds), letters=letters * rounds)
            for count, all_rounds in calls.items()
        },
        at_once={count: max(map(_at_once, all_rounds)) for count, all_rounds in calls.items()},
        posted=len(runs) * (WARM_UP + letters),
        sent=sum(one.sent for one in finished),
    )


def one_round(number: int, *, letters: int, mailboxes: Sequence[int]) -> Finished:
    """All senders with each number of mailboxes, in this round's order."""
    plan = SandboxPlan(processor=places().client, more_mailboxes=max(mailboxes) * len(Sender))
    with (
        tempfile.TemporaryDirectory(prefix="selma-gateway-bench-") as folder,
        Child("tests.bench.sandbox_server", plan) as sandbox,
        Round(sandbox, Path(folder), letters=letters) as one,
    ):
        for count in mailboxes:
            for sender in list(Sender) if number % 2 == 0 else list(Sender)[::-1]:
                one.send(sender, count)
        return one.finish()


def row(runs: Sequence[Run], sender: Sender, mailboxes: int) -> Row:
    """All rounds of a sender with a number of mailboxes."""
    own = _rounds(runs, sender, mailboxes)
    return Row(
        sender=sender,
        mailboxes=mailboxes,
        per_second=Spread.of([run.per_second for run in own]),
        of_bare_loop=ratio(runs, sender, Sender.BARE_LOOP, mailboxes),
        of_keeping_loop=ratio(runs, sender, Sender.KEEPING_LOOP, mailboxes),
        of_ceiling=ratio(runs, sender, Sender.CEILING, mailboxes),
        processor_us=Spread.of([run.processor_us for run in own]),
        sandbox_us=Spread.of([run.sandbox_us for run in own]),
    )


def ratio(runs: Sequence[Run], sender: Sender, yardstick: Sender, mailboxes: int) -> Spread:
    """Throughput by the yardstick's in the same round."""
    pairs = zip(_rounds(runs, sender, mailboxes), _rounds(runs, yardstick, mailboxes), strict=True)
    return Spread.of([one.per_second / other.per_second for one, other in pairs])


def _rounds(runs: Sequence[Run], sender: Sender, mailboxes: int) -> list[Run]:
    """In their order."""
    return [run for run in runs if run.sender is sender and run.mailboxes == mailboxes]


def _at_once(asked: Sequence[Asked]) -> int:
    return most_at_once([(one.began, one.ended) for one in asked if one.route in (DRAFT_ROUTE, SEND_ROUTE)])


def show(found: Sending, console: Console) -> None:
    """As a table."""
    title = f"Queues of {found.letters} letters sent, {found.rounds} rounds: medians \\[range]"
    headings = (
        "mailboxes",
        "sender",
        "per second",
        "of bare loop",
        "of keeping loop",
        "of ceiling",
        "µs of processor",
        "µs of sandbox",
    )
    table = tables.with_headings(title, headings, left=("sender",))
    for row in found.rows:
        table.add_row(
            str(row.mailboxes),
            row.sender.value,
            tables.spread(row.per_second, ",.1f"),
            tables.spread(row.of_bare_loop, ".2f"),
            tables.spread(row.of_keeping_loop, ".2f"),
            tables.spread(row.of_ceiling, ".2f"),
            tables.spread(row.processor_us, ",.0f"),
            tables.spread(row.sandbox_us, ",.0f"),
            end_section=row.sender is list(Sender)[-1],
        )
    console.print(table)
    for mailboxes, calls in found.calls_per_letter.items():
        console.print(
            f"Calls to Graph for a letter, mailboxes: {mailboxes}: {tables.calls(calls)}; "
            f"at most {found.at_once[mailboxes]} of drafting and sending at once",
            highlight=False,
        )
    console.print(f"{found.posted:,} letters posted, each sent once.", highlight=False)


def in_short(found: Sending) -> Figures:
    """By number of mailboxes."""
    ours = [one for one in found.rows if one.sender is Sender.GATEWAY]
    return {
        **{f"of bare loop, mailboxes: {one.mailboxes}": figures.times(one.of_bare_loop) for one in ours},
        **{f"of keeping loop, mailboxes: {one.mailboxes}": figures.times(one.of_keeping_loop) for one in ours},
        **{f"calls for a letter, mailboxes: {n}": figures.calls(calls) for n, calls in found.calls_per_letter.items()},
        **{f"per second, mailboxes: {one.mailboxes}": figures.per_second(one.per_second) for one in ours},
    }


def _lasts(given: Mapping[str, Any]) -> float:
    return given["rounds"] * (6 + len(given["mailboxes"]) * given["letters"] * 0.03)


BENCHMARK: Final = Benchmark(
    name="sending",
    about="letters: how fast a queue leaves; against the same calls that nothing remembers",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={"letters": Option(flag="queue", type=int, help="letters to send"), "rounds": ROUNDS},
    quick={"letters": 40, "rounds": 1},
)
