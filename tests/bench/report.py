"""What a run says: tables for people, JSON for whoever compares runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from rich.console import Console
from rich.table import Table

from tests.bench.accepting import Accepting
from tests.bench.auditing import Auditing
from tests.bench.backfill import Backfill
from tests.bench.fanout import Fanout
from tests.bench.latency import Letters
from tests.bench.loads import Row
from tests.bench.machine import Machine
from tests.bench.notifications import Notifications
from tests.bench.numbers import Latency, Spread
from tests.bench.opening import Opening
from tests.bench.reading import GOALS_MS, Reading
from tests.bench.reading_server import AT_ONCE
from tests.bench.replies import Replies
from tests.bench.senders import Sender
from tests.bench.sending import Sending
from tests.bench.starting import GOALS_S, Starting


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run of the command. What was not asked for is None."""

    made_at: datetime
    machine: Machine
    notifications: Notifications | None = None
    opening: Opening | None = None
    accepting: Accepting | None = None
    sending: Sending | None = None
    latency: Letters | None = None
    replies: Replies | None = None
    backfill: Backfill | None = None
    reading: Reading | None = None
    auditing: Auditing | None = None
    fanout: Fanout | None = None
    starting: Starting | None = None


def as_json(report: Report) -> bytes:
    """All figures, named as in the code."""
    return orjson.dumps(report, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def show(report: Report, console: Console) -> None:
    """The tables."""
    _show_machine(report.machine, console)
    if report.notifications is not None:
        _show_notifications(report.notifications, console)
    if report.opening is not None:
        _show_opening(report.opening, console)
    if report.accepting is not None:
        _show_accepting(report.accepting, console)
    if report.sending is not None:
        _show_sending(report.sending, console)
    if report.latency is not None:
        _show_letters(report.latency, console)
    if report.replies is not None:
        _show_replies(report.replies, console)
    if report.backfill is not None:
        _show_backfill(report.backfill, console)
    if report.reading is not None:
        _show_reading(report.reading, console)
    if report.auditing is not None:
        _show_auditing(report.auditing, console)
    if report.fanout is not None:
        _show_fanout(report.fanout, console)
    if report.starting is not None:
        _show_starting(report.starting, console)


def _show_machine(machine: Machine, console: Console) -> None:
    places = machine.places
    bound = "not bound" if places.server is None else f"server on {places.server}, client on {places.client}"
    flush = machine.flush
    console.print(
        f"{machine.system}, {machine.cores} processors ({bound}), {machine.python}, SQLite {machine.sqlite}\n"
        f"append and fsync of 4 KiB: p50 {flush.p50_ms:.2f} ms, p99 {flush.p99_ms:.2f} ms; "
        f"load before the run: {machine.load:.1f}",
        highlight=False,
    )


def _show_notifications(found: Notifications, console: Console) -> None:
    console.print(_loads(f"Notifications of {found.body_bytes} bytes", "bare", found))
    gains = ", ".join(f"{_spread(gain, '.1f')} × at {count}" for count, gain in found.gain.items())
    console.print(
        f"The group commit brings {gains} connections what a transaction for each request does.\n"
        f"{found.answered:,} notifications answered with 202, {found.on_disk:,} on disk after kill -9.\n"
        f"HTTP by {found.engine.http}, loop by {found.engine.loop}; {_client_busy(found.rows)}",
        highlight=False,
    )


def _show_opening(found: Opening, console: Console) -> None:
    title = f"Contents of {found.content_bytes:,} bytes opened, {found.rounds} rounds of {found.seconds:g} s"
    table = Table(title=f"{title}: medians \\[range]")
    for heading in (
        "requests at once",
        "per second",
        "per s of processor",
        "of openssl",
        "longest pause of the loop, ms",
        "idle, ms",
    ):
        table.add_column(heading, justify="right")
    for row in found.rows:
        table.add_row(
            str(row.at_once),
            _spread(row.per_second, ",.0f"),
            _spread(row.of_processor, ",.0f"),
            _spread(row.of_openssl, ".2f"),
            _spread(row.longest_pause_ms, ".1f"),
            _spread(row.idle_pause_ms, ".1f"),
        )
    console.print(table)
    console.print(
        f"openssl speed: {_spread(found.openssl, ',.0f')} private operations per second on one processor; "
        f"{found.opened:,} contents opened, all of them whole.",
        highlight=False,
    )


def _show_accepting(found: Accepting, console: Console) -> None:
    console.print(_loads(f"Letters of {found.body_bytes} bytes accepted", "no commit", found))
    console.print(
        f"{found.answered:,} letters answered with 202, {found.on_disk:,} on disk after kill -9; "
        f"{_client_busy(found.rows)}",
        highlight=False,
    )


def _loads(title: str, yardstick: str, found: Notifications | Accepting) -> Table:
    table = Table(title=f"{title}, {found.rounds} rounds of {found.seconds:g} s: medians \\[range]")
    for heading in ("connections", "door", "per second", f"of {yardstick}", "µs of processor", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if heading == "door" else "right")
    for row, following in zip(found.rows, [*found.rows[1:], None], strict=True):
        table.add_row(
            str(row.connections),
            row.door.value,
            _spread(row.per_second, ",.0f"),
            _spread(row.of_yardstick, ".2f"),
            _spread(row.processor_us, ".0f"),
            _spread(row.p50_ms, ".2f"),
            _spread(row.p99_ms, ".1f"),
            end_section=following is None or following.connections != row.connections,
        )
    return table


def _client_busy(rows: Sequence[Row]) -> str:
    return f"the client was busy {max(row.client_busy for row in rows):.0%} of the time at most."


def _show_sending(found: Sending, console: Console) -> None:
    table = Table(title=f"Queues of {found.letters} letters sent, {found.rounds} rounds: medians \\[range]")
    headings = ("mailboxes", "sender", "per second", "of bare loop", "of ceiling", "µs of processor", "µs of sandbox")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "sender" else "right")
    for row in found.rows:
        table.add_row(
            str(row.mailboxes),
            row.sender.value,
            _spread(row.per_second, ",.1f"),
            _spread(row.of_bare_loop, ".2f"),
            _spread(row.of_ceiling, ".2f"),
            _spread(row.processor_us, ",.0f"),
            _spread(row.sandbox_us, ",.0f"),
            end_section=row.sender is list(Sender)[-1],
        )
    console.print(table)
    for mailboxes, calls in found.calls_per_letter.items():
        console.print(
            f"Calls to Graph for a letter, mailboxes: {mailboxes}: {_calls(calls)}; "
            f"at most {found.at_once[mailboxes]} of drafting and sending at once",
            highlight=False,
        )
    console.print(f"{found.posted:,} letters posted, each sent once.", highlight=False)


def _show_letters(found: Letters, console: Console) -> None:
    table = Table(title=f"{found.posted} letters, {found.answered} answered; the sandbox itself without delays")
    for heading in ("", "what", "letters", "p50 ms", "p99 ms", "worst ms"):
        table.add_column(heading, justify="right" if "ms" in heading or heading == "letters" else "left")
    _add(table, "one at a time", _times(found.singles.accepting, found.singles.to_sent, found.singles.to_reply))
    shares = {
        "  of that: the gateway's own": found.shares.own,
        "  in calls to Graph, sending": found.shares.sending_calls,
        "  Microsoft and the student": found.shares.microsoft,
        "  in calls to Graph, reading": found.shares.reading_calls,
    }
    _add(table, "", shares, end_section=True)
    _add(table, "a burst", _times(found.burst.accepting, found.burst.to_sent, found.burst.to_reply))
    console.print(table)
    console.print(
        f"The burst: accepted in {found.burst_accepted_s:.2f} s, sent in {found.burst_sent_s:.2f} s, "
        f"answered in {found.burst_replied_s:.2f} s.\n"
        f"Calls to Graph for a letter with its reply: {_calls(found.calls_per_letter)}",
        highlight=False,
    )


def _show_replies(found: Replies, console: Console) -> None:
    table = Table(title=f"{found.singles} replies, one at a time")
    for heading in ("what", "replies", "p50 ms", "p99 ms", "worst ms"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    parts = {
        "notification sent → reply can be read": found.visible,
        "  of that: the gateway's own": found.own,
        "  in calls to Graph": found.calling,
    }
    for what, latency in parts.items():
        table.add_row(what, str(latency.count), *_milliseconds(latency))
    console.print(table)
    console.print(
        f"Calls to Graph for a reply that comes alone: {_calls(found.calls_alone)}\n"
        f"{found.rounds} bursts of {found.burst} replies: {_spread(found.per_second, ',.0f')} taken in per second, "
        f"{_spread(found.of_bare_loop, '.2f')} of a bare loop that reads them; "
        f"calls for a reply: {_calls(found.calls_in_bursts)}",
        highlight=False,
    )


def _show_backfill(found: Backfill, console: Console) -> None:
    table = Table(title=f"A mailbox is read, {found.rounds} rounds: medians \\[range]")
    headings = ("mailbox", "mails", "ours", "per second", "of bare loop", "µs of processor", "of bulk load", "MiB more")
    for heading in headings:
        table.add_column(heading, justify="left" if heading == "mailbox" else "right")
    for row in found.rows:
        table.add_row(
            row.kind,
            f"{row.messages:,}",
            f"{row.ours:,}",
            _spread(row.per_second, ",.0f"),
            _spread(row.of_bare_loop, ".2f"),
            _spread(row.processor_us, ",.0f"),
            _spread(row.of_bulk_load, ".3f"),
            f"{_spread(row.grown_early, '.0f')}, then {_spread(row.grown, '.0f')}",
        )
    console.print(table)
    for row in found.rows:
        console.print(f"Calls to Graph for a mail, {row.kind}: {_calls(row.calls)}", highlight=False)


def _milliseconds(latency: Latency) -> tuple[str, ...]:
    return tuple(f"{one:.1f}" for one in (latency.p50_ms, latency.p99_ms, latency.worst_ms))


def _show_reading(found: Reading, console: Console) -> None:
    table = Table(title="Answers over HTTP, warm; beside: 4 readers, and a writer that commits 1,000 messages a second")
    for heading in ("question", "messages", "p50 ms", "p99 ms", "of smallest", "goal", "beside p50", "beside p99"):
        table.add_column(heading, justify="left" if heading == "question" else "right")
    smallest = {row.question: row.alone.p99_ms for row in reversed(found.rows)}
    for row in sorted(found.rows, key=lambda row: list(smallest)[::-1].index(row.question)):
        table.add_row(
            row.question,
            f"{row.messages:,}",
            f"{row.alone.p50_ms:.1f}",
            f"{row.alone.p99_ms:.1f}",
            f"{row.alone.p99_ms / smallest[row.question]:.1f}",
            f"{GOALS_MS[row.question]:g}" if row.question in GOALS_MS else "",
            f"{row.beside_writer.p50_ms:.1f}",
            f"{row.beside_writer.p99_ms:.1f}",
            end_section=row.messages == max(one.messages for one in found.rows),
        )
    console.print(table)
    for size in found.sizes:
        console.print(
            f"{size.messages:,} messages in {size.threads:,} threads of {size.students:,} students: "
            f"{size.bytes_per_message:,.0f} bytes of the file each, {size.of_text:.2f} × the text itself; made in "
            f"{size.made_s:.0f} s. The writer wrote {size.written_per_second:,.0f} a second.",
            highlight=False,
        )
        for when, commits in (("beside the readers", size.commit_beside), ("alone", size.commit_alone)):
            p50, p99, worst = _milliseconds(commits)
            console.print(
                f"  {commits.count:,} commits of {AT_ONCE} messages {when}: p50 {p50} ms, p99 {p99}, worst {worst}",
                highlight=False,
            )


def _show_auditing(found: Auditing, console: Console) -> None:
    table = Table("request", "audit log", "median ms", "× without it", title=f"{found.requests} requests a round")
    for row in found.rows:
        table.add_row(row.request, row.door, _spread(row.milliseconds, ".2f"), _spread(row.of_none, ".2f"))
    console.print(table)


def _show_fanout(found: Fanout, console: Console) -> None:
    table = Table("webhooks", "sender", "events a second", "÷ bare loop", title=f"{found.events} events to each")
    for row in found.rows:
        table.add_row(str(row.receivers), row.sender, _spread(row.per_second, ",.0f"), _spread(row.of_bare, ".2f"))
    console.print(table)
    console.print(f"  {found.received:,} of {found.received:,} came.", highlight=False)


def _show_starting(found: Starting, console: Console) -> None:
    title = f"{found.rounds} rounds; {found.messages:,} messages where it was killed: medians \\[range]"
    table = Table("start", "seconds until ready", "s of processor", "× bare", "goal, s", title=title)
    for row in found.rows:
        goal, log = GOALS_S.get(row.kind), f", a log of {row.log_mib:.1f} MiB" if row.log_mib is not None else ""
        table.add_row(
            row.kind + log,
            _spread(row.seconds, ".2f"),
            _spread(row.processor, ".2f"),
            _spread(row.of_bare, ".1f"),
            "" if goal is None else f"{goal:g}",
        )
    console.print(table)
    console.print(f"  {found.letters:,} letters were accepted before the kills, and all are there.", highlight=False)


def _calls(per_letter: Mapping[str, float]) -> str:
    return f"{sum(per_letter.values()):.2f} ({', '.join(f'{n:.3g} {route}' for route, n in per_letter.items())})"


def _times(accepting: Latency, to_sent: Latency, to_reply: Latency) -> Mapping[str, Latency]:
    return {
        "POST /v1/messages": accepting,
        "accepted → recognised in Sent": to_sent,
        "accepted → reply can be read": to_reply,
    }


def _add(table: Table, group: str, rows: Mapping[str, Latency], *, end_section: bool = False) -> None:
    headings: Sequence[str] = [group, *[""] * (len(rows) - 1)]
    for number, (heading, (what, latency)) in enumerate(zip(headings, rows.items(), strict=True), start=1):
        table.add_row(
            heading,
            what,
            str(latency.count),
            *_milliseconds(latency),
            end_section=end_section and number == len(rows),
        )


def _spread(spread: Spread, form: str) -> str:
    return f"{spread.median:{form}} \\[{spread.low:{form}}–{spread.high:{form}}]"
