"""What a run says: a page for people, JSON for whoever compares runs."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, TypeAlias

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.bench.numbers import Latency
from tests.fire.backups import Backed
from tests.fire.canaries import Sung
from tests.fire.jumps import Jumped
from tests.fire.kills import Fire
from tests.fire.lossy import Braved
from tests.fire.slow import Endured
from tests.fire.soak import Soaked
from tests.fire.soak_week import Day, Lived
from tests.fire.steady import Third
from tests.fire.storm import Weathered

SHOWN: Final = 20  # violations; all of them are in the JSON

Outcome: TypeAlias = Fire | Braved | Weathered | Jumped | Sung | Soaked | Lived | Backed | Endured
PRAISE: Final[Mapping[type[Outcome], str]] = {
    Fire: "Nothing lost, nothing doubled, every file whole.",
    Braved: "Every reply is stored once, in its thread, and nothing else.",
    Weathered: "Every answer in time, nothing acknowledged and lost, every hint closed.",
    Sung: "No canary stands where operators look, in any form.",
    Backed: "Every backup restores to what it was made of, and no letter leaves a second time.",
    Jumped: "After each jump every reply is stored once, and every folder watched.",
    Soaked: "Memory, files, tasks, the log and p99 stayed as they were, and every letter left once.",
    Lived: "What the gateway holds stayed as it was.",
    Endured: "An ordinary client hardly noticed.",
}


def as_json(outcome: Outcome) -> bytes:
    """All figures, named as in the code."""
    said = {"violations": outcome.violations, "outcome": outcome}
    return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS, default=str)


def show(outcome: Outcome, console: Console) -> None:
    """The summary, and what must not be."""
    table = Table(show_header=False, title=f"{title(outcome)}, {outcome.took_s / 60:.1f} minutes")
    for name, value in figures(outcome).items():
        table.add_row(name, value)
    console.print(table)
    for violation in outcome.violations[:SHOWN]:
        console.print(f"[red]✗[/] {escape(violation)}", highlight=False)
    if len(outcome.violations) > SHOWN:
        console.print(f"[red]✗[/] and {len(outcome.violations) - SHOWN} more")
    if not outcome.violations:
        console.print(f"[green]✓[/] {PRAISE[type(outcome)]}")


def title(outcome: Outcome) -> str:
    """What makes the run another than its like."""
    return f"seed {outcome.plan.seed}"


def figures(outcome: Outcome) -> Mapping[str, str]:
    """Each figure with its name."""
    match outcome:
        case Fire():
            return of_kills(outcome)
        case Braved():
            return of_lossy(outcome)
        case Weathered():
            return of_storm(outcome)
        case Jumped():
            return of_jumps(outcome)
        case Sung():
            return of_canaries(outcome)
        case Soaked():
            return of_soak(outcome)
        case Lived():
            return of_week(outcome)
        case Backed():
            return of_backups(outcome)
        case Endured():
            return of_slow(outcome)


def of_lossy(braved: Braved) -> Mapping[str, str]:
    """What `lossy` has to say."""
    caught_up = braved.caught_up_after
    return {
        "replies": f"{braved.expected:,} came, {braved.stored:,} stored",
        "unrelated mail": f"{braved.unrelated:,} came",
        "notifications that nobody heard": f"{braved.lost_notifications:,}",
        "what befell": counts(braved.befell),
        "outages": f"Graph {braved.plan.graph_down}, gateway {braved.plan.gateway_down}",
        "simulated": str(braved.lived),
        "all stored": "never" if caught_up is None else f"{caught_up} into the calm",
        "calls of Graph for each reply": f"{braved.calls / braved.expected:.2f}",
    }


def of_storm(weathered: Weathered) -> Mapping[str, str]:
    """What `storm` has to say."""
    latency, drained_s = weathered.latency, weathered.drained_s
    return {
        "notifications": f"{weathered.acknowledged:,} acknowledged in {weathered.storm_s:.1f} s",
        "requests": f"{weathered.requests:,} over {weathered.connections} connections",
        "answers": counts(weathered.answers),
        "answered": milliseconds(latency),
        "a commit takes": f"{weathered.plan.commit_s:g} s more than it takes",
        "memory": f"{weathered.rss_mib:.0f} MiB before, {weathered.peak_mib:.0f} MiB at most",
        "all hints closed": "never" if drained_s is None else f"{drained_s:.1f} s later",
    }


def of_jumps(jumped: Jumped) -> Mapping[str, str]:
    """What `jumps` has to say."""
    course = jumped.plan.course()
    back = sum(jump.by < timedelta(0) for jump in course)
    return {
        "jumps": f"{len(course)}, {back} of them back, in all by {sum((jump.by for jump in course), timedelta(0))}",
        "replies": f"{jumped.replies} came, {sum(not jump.is_told for jump in course)} of them with no notification",
        "stored": f"{jumped.stored}, {max(jumped.reply_s):.1f} s after a jump at most",
        "all subscribed to": f"{max(jumped.subscribed_s):.1f} s later at most",
        "at rest": f"{jumped.busy:.0%} of a processor",
    }


def of_canaries(sung: Sung) -> Mapping[str, str]:
    """What `canaries` has to say."""
    return {
        "canaries": f"{sung.canaries}, in each form that a program could put them into",
        "letters": f"{sung.plan.letters} in each of two lives, and batches",
        "what happened": counts(sung.events),
        "answers": counts(sung.statuses),
        "faults at Microsoft": f"{sung.struck:,}",
        "searched, bytes": counts(sung.searched),
    }


def of_soak(soaked: Soaked) -> Mapping[str, str]:
    """What `soak --minutes` has to say; each figure for the three thirds."""

    def each(figure: Callable[[Third], str]) -> str:
        return " → ".join(figure(one) for one in soaked.parts)

    grown = {"holds more": "\n".join(soaked.grown)} if soaked.grown else {}
    return {
        "length": f"{soaked.plan.seconds / 60:g} minutes, {soaked.plan.letters_a_second:g} letters a second",
        "memory": f"{each(lambda one: f'{one.memory_mib:.1f}')} MiB, {soaked.slope:+.1f} MiB an hour when warm",
        "open files": each(lambda one: f"{one.files:.0f}"),
        "tasks": each(lambda one: f"{one.tasks:.0f}"),
        "p99": f"{each(lambda one: '–' if one.p99_ms is None else f'{one.p99_ms:.0f}')} ms",
        "the log, at most": f"{each(lambda one: f'{one.log_mib:.1f}')} MiB; the database {soaked.database_mib:.1f} MiB",
        "answers": counts(soaked.answers),
        "webhook answered": counts(soaked.webhook),
        "events heard": f"{soaked.heard:,}",
        "letters in the end": counts(soaked.states),
        **grown,
    }


def of_week(lived: Lived) -> Mapping[str, str]:
    """What `soak --days` has to say; each figure at the end of each day."""

    def each(figure: Callable[[Day], str]) -> str:
        return " → ".join(figure(one) for one in lived.days)

    return {
        "length": f"{lived.plan.days:g} days",
        "own memory": f"{each(lambda one: f'{one.own_kib:,.0f}')} KiB",
        "open files": each(lambda one: str(one.files)),
        "tasks": each(lambda one: str(one.tasks)),
        "the log": f"{each(lambda one: f'{one.log_mib:.1f}')} MiB",
        "the database": f"{each(lambda one: f'{one.database_mib:.1f}')} MiB",
        "what befell": counts(lived.befell),
        "holds more": "\n".join(lived.grown) or "nothing",
    }


def of_backups(backed: Backed) -> Mapping[str, str]:
    """What `backups` has to say."""
    diary = backed.diary
    during, between = Latency.of(backed.during_s), Latency.of(backed.between_s)
    made, restored = Latency.of(diary.backup_s), Latency.of(diary.restore_s)
    compared = sum(one.compared for one in diary.compared)
    return {
        "rounds": f"{backed.good} of {len(diary.compared)} as they should be",
        "letters": f"{backed.letters:,} posted, {sum(diary.came_meanwhile):,} of them accepted while a backup was made",
        "messages": f"{compared:,} compared, {diary.compared[-1].compared:,} at last",
        "open letters": f"{sum(one.doubted for one in diary.compared):,}, all in doubt",
        "the last backup": f"{diary.database_bytes / 1e6:.1f} MB, {diary.file_bytes / 1e6:.1f} MB as a file",
        "a backup takes": f"p50 {made.p50_ms / 1000:.1f} s, worst {made.worst_ms / 1000:.1f} s",
        "a restore takes": f"p50 {restored.p50_ms / 1000:.1f} s, worst {restored.worst_ms / 1000:.1f} s",
        "SELMA waits in backups": milliseconds(during),
        "SELMA waits between": milliseconds(between),
        "after the last restore": f"{backed.doubted_at_last} in doubt, {backed.at_rest.uncertain} 40 minutes later",
        "mail that left": f"{backed.left:,}",
    }


def of_slow(endured: Endured) -> Mapping[str, str]:
    """What `slow` has to say."""
    plan, calm = endured.plan, endured.undisturbed
    return {
        "before the gateway": plan.proxy,
        "slow clients": f"{plan.connections:,} for {plan.seconds} s of each kind",
        "undisturbed": milliseconds(calm),
    } | {
        f"slow {one.kind}": f"{one.came:,} came, {one.held_at_most:,} held at most, {one.held_at_end:,} at the end; "
        f"{one.latency.count:,} ordinary requests: {milliseconds(one.latency)}, {one.failed} failed; "
        f"{one.rss_mib:.0f} MiB"
        for one in endured.attacks
    }


def of_kills(fire: Fire) -> Mapping[str, str]:
    """What `kills` has to say."""
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


def milliseconds(of: Latency) -> str:
    """Of answers."""
    return f"p50 {of.p50_ms:.0f} ms, p99 {of.p99_ms:.0f} ms, worst {of.worst_ms:.0f} ms"


def counts(of: Mapping[str, int]) -> str:
    """The most frequent first."""
    ordered = sorted(of.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} × {name}" for name, count in ordered) or "none"
