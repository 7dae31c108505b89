"""Letters flow, the gateway is killed again and again, Microsoft 365 misbehaves; then the books are compared."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final

import httpx

from tests.bench.processes import Child
from tests.end_to_end.processes import Ended, Microsoft, Process, connect, settings_for
from tests.fire.ahead_server import AheadPlan, AtRest
from tests.fire.books import remains_of, rows_of
from tests.fire.rounds import Round, rounds
from tests.fire.selma import Selma
from tests.fire.verdict import Verdict, judge

READY_WITHIN_S: Final = 5.0
TOKENS_LIVE_S: Final = 6 * 60 * 60  # longer than the sandbox's hour, for the gateways in the future
SETTLING_S: Final = 60
LEAST_PATIENCE_S: Final = 20.0  # with a gateway in the future
PATIENCE_FOR_ONE_S: Final = 0.1  # letter; it takes a third of that where nothing is wrong
LINGERS_S: Final = 8.0  # the last gateway, so that one that is hasty with uncertain letters has the time to be so
# Past the quarter of an hour after which a read is believed, and past the half hour after which a person decides.
AHEAD: Final = (timedelta(minutes=20), timedelta(minutes=40))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `folder` is where the gateway keeps its file."""

    letters: int
    kills: int
    seed: int
    folder: Path


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was seen while it burned. `ready_s` has one time for each start that was not killed in its midst.

    `caught` counts the letters that kills took out of the gateway's hands, by the state they were in; `whole` the
    kills after which the file was whole.
    """

    ready_s: list[float] = field(default_factory=list)
    kills: int = 0
    kills_in_start: int = 0
    whole: int = 0
    caught: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fire:
    """What came of it. `answers` counts SELMA's requests by status; `struck` the faults, by method and kind of act."""

    plan: Plan
    diary: Diary
    answers: Mapping[str, int]
    struck: Mapping[str, int]
    at_rest: Sequence[AtRest]
    verdict: Verdict
    took_s: float

    @property
    def violations(self) -> Sequence[str]:
        """All that must not be; empty when the promises were kept."""
        return [*self.diary.violations, *self.verdict.violations]


# Of Graph's limits the one that is kept is the concurrency in a mailbox; the others would make the run last for days.
UNHURRIED: Final = {"letters_per_minute": None, "recipients_per_day": None, "requests_per_10_minutes": None}

Watcher = Callable[[Diary], None]


def burn(plan: Plan, watcher: Watcher = lambda diary: None) -> Fire:
    """Run it all. `watcher` hears of each kill."""
    began, diary = time.perf_counter(), Diary()
    with microsoft_365(plan.seed) as microsoft, sandbox_admin(microsoft) as admin:
        admin.patch("/behaviour", json={"token_lifetime": TOKENS_LIVE_S, **UNHURRIED}).raise_for_status()
        env = settings_for(microsoft, plan.folder)
        key = connect(env, microsoft)
        with Selma(env["GATEWAY_PUBLIC_URL"], key, microsoft, seed=plan.seed) as selma:
            kill_again_and_again(plan, env, admin, selma, diary, watcher)
            set_fair_weather(admin)
            live_a_last_time(env, selma, diary)
        at_rest = [ahead(plan, env, admin, by) for by in AHEAD]
        ledger = admin.get("/ledger").json()["items"]
        struck = Counter(kind_of(line) for line in admin.get("/faults").json()["struck"])
    check_times(diary)
    check_answers(plan, selma, at_rest[-1], diary)
    return Fire(
        plan=plan,
        diary=diary,
        answers=dict(selma.answers),
        struck=dict(struck),
        at_rest=at_rest,
        verdict=judge(selma.promised, rows_of(Path(env["GATEWAY_DATABASE"])), ledger),
        took_s=time.perf_counter() - began,
    )


@contextmanager
def microsoft_365(seed: int) -> Iterator[Microsoft]:
    """The sandbox, in a process of its own."""
    with Process("sandbox", "--port", "0", "--reply-after", "0", "--seed", str(seed), "--json") as process:
        yield Microsoft.from_line(process.output_line())


@contextmanager
def sandbox_admin(microsoft: Microsoft) -> Iterator[httpx.Client]:
    """A client of the sandbox's admin routes."""
    with httpx.Client(base_url=f"{microsoft.url}/_sandbox", timeout=SETTLING_S, trust_env=False) as client:
        yield client


def set_weather(admin: httpx.Client, one: Round) -> None:
    """What goes wrong at Microsoft 365 in this round."""
    admin.delete("/faults").raise_for_status()
    for fault in one.faults:
        admin.post("/faults", json=fault).raise_for_status()
    admin.patch("/behaviour", json=one.behaviour).raise_for_status()


def set_fair_weather(admin: httpx.Client) -> None:
    """Nothing goes wrong any more."""
    admin.delete("/faults").raise_for_status()
    admin.patch("/behaviour", json={"sent_copy_delay": 0.0}).raise_for_status()


def kill_again_and_again(
    plan: Plan, env: Mapping[str, str], admin: httpx.Client, selma: Selma, diary: Diary, watcher: Watcher
) -> None:
    """All lives that end with a kill."""
    numbers = itertools.count()
    for one in rounds(seed=plan.seed, letters=plan.letters, kills=plan.kills):
        set_weather(admin, one)
        live_and_die(one, env, selma, numbers, diary)
        check_file(one, Path(env["GATEWAY_DATABASE"]), diary)
        watcher(diary)


def live_a_last_time(env: Mapping[str, str], selma: Selma, diary: Diary) -> None:
    """Until every letter has its answer, and a little longer. The end is a kill all the same."""
    born = time.perf_counter()
    with Process("serve", env=env) as gateway:
        diary.ready_s.append(ready_after(gateway, born))
        selma.finish()
        gateway.lives_until(time.perf_counter() + LINGERS_S)
        gateway.kill()
        listen_for_cries("the last gateway", gateway, diary)


def live_and_die(one: Round, env: Mapping[str, str], selma: Selma, numbers: Iterator[int], diary: Diary) -> None:
    """Start the gateway, let the round's letters come, and kill it at the round's moment."""
    born = time.perf_counter()
    with Process("serve", env=env) as gateway:
        try:
            if not one.in_start:
                diary.ready_s.append(ready_after(gateway, born))
                born = time.perf_counter()
            for moment in one.letters:
                gateway.lives_until(born + moment)
                selma.post(next(numbers))
            gateway.lives_until(born + one.life_s)
        except Ended as ended:
            diary.violations.append(f"round {one.number}: {ended}")
        gateway.kill()
        listen_for_cries(f"round {one.number}", gateway, diary)
    diary.kills += 1
    diary.kills_in_start += one.in_start


def ready_after(gateway: Process, born: float) -> float:
    """Wait until the gateway has taken up what the last one left; how many seconds that took."""
    gateway.log_line("recovered")
    return time.perf_counter() - born


def listen_for_cries(who: str, gateway: Process, diary: Diary) -> None:
    """A gateway that logs an error, or a traceback, has met something that nobody foresaw."""
    diary.violations += [f"{who} logged: {line}" for line in gateway.cries()]


def check_file(one: Round, database: Path, diary: Diary) -> None:
    """The file as the kill left it is whole."""
    left = remains_of(database)
    diary.caught.update(left.in_hand)
    if left.integrity == "ok":
        diary.whole += 1
    else:
        diary.violations.append(f"round {one.number}: integrity_check says {left.integrity}")


def check_times(diary: Diary) -> None:
    """Every start was quick."""
    late = [taken for taken in diary.ready_s if taken > READY_WITHIN_S]
    diary.violations += [f"a start took {taken:.1f} s" for taken in late]


def check_answers(plan: Plan, selma: Selma, last: AtRest, diary: Diary) -> None:
    """Every letter was answered with 202 in the end, always the same, and every student's reply was brought once."""
    diary.violations += selma.complaints
    if unanswered := plan.letters - len(selma.promised):
        diary.violations.append(f"{unanswered} letters were never answered with 202")
    if last.unanswered:
        diary.violations.append(f"{last.unanswered:+} letters without their one reply")


def ahead(plan: Plan, env: Mapping[str, str], admin: httpx.Client, by: timedelta) -> AtRest:
    """Let a gateway whose clock is ahead bring to an end what it can; what is left then."""
    admin.post("/settle").raise_for_status()
    patience_s = LEAST_PATIENCE_S + plan.letters * PATIENCE_FOR_ONE_S
    there = AheadPlan(environment=dict(env), ahead_s=by.total_seconds(), patience_s=patience_s)
    with Child("tests.fire.ahead_server", there) as server:
        return AtRest(**server.heard())


def kind_of(struck: str) -> str:
    """What a fault struck, without its ids."""
    method, _, path = struck.partition(" ")
    if method == "GET":
        return "reading"
    return "sending a draft" if path.endswith("/send") else "making a draft"
