"""Half an hour, or any time, of an ordinary day against real processes: what the gateway holds must not grow with it.

Each second letters are posted, students answer, somebody listens to the events, a webhook's receiver fails half of the
time, and pages and figures are read. Looked at are the gateway's process and its files.
"""

import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx

from tests.bench.processes import Child
from tests.end_to_end.processes import Microsoft, a_letter, connect, run, settings_for
from tests.fire.books import rows_of
from tests.fire.kills import UNHURRIED, microsoft_365, sandbox_admin
from tests.fire.soak_server import SoakPlan
from tests.fire.steady import Sample, Third, Timed, breaches, slope_mib_an_hour, thirds

LETTERS_A_SECOND: Final = 2.0
SAMPLES: Final = 180
SHORTEST_PAUSE_S: Final = 0.25
SETTLES_WITHIN_S: Final = 60.0
STUDENTS: Final = 200  # records that the letters are about
TOKENS_LIVE_S: Final = 24 * 60 * 60
READY_WITHIN_S: Final = 30.0
RUNS: Final = "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `trace`: also say which lines hold more at the end than after the first third."""

    seconds: float
    seed: int
    folder: Path
    letters_a_second: float = LETTERS_A_SECOND
    trace: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Soaked:
    """What came of it. `slope` is of memory, in MiB an hour, after the first third."""

    plan: Plan
    parts: Sequence[Third]
    slope: float
    answers: Mapping[str, int]
    webhook: Mapping[str, int]
    heard: int
    states: Mapping[str, int]
    database_mib: float
    grown: Sequence[str]
    violations: Sequence[str]
    took_s: float


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was seen meanwhile."""

    began: float
    samples: list[Sample] = field(default_factory=list)
    timed: list[Timed] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    webhook: Counter[str] = field(default_factory=Counter)
    heard: int = 0
    posted: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def at_s(self) -> float:
        """Since it began."""
        return time.perf_counter() - self.began


Watcher = Callable[[int], None]


def soak(plan: Plan, watcher: Watcher = lambda seconds: None) -> Soaked:
    """Run it all. `watcher` hears how many seconds have passed."""
    born = time.perf_counter()
    with microsoft_365(plan.seed) as microsoft, sandbox_admin(microsoft) as admin:
        behaviour = {"token_lifetime": TOKENS_LIVE_S, "sent_copy_delay": 0.2, **UNHURRIED}
        admin.patch("/behaviour", json=behaviour).raise_for_status()
        env = {**settings_for(microsoft, plan.folder), "GATEWAY_WEBHOOK_NETWORKS": "127.0.0.0/8"}
        key, metrics = connect(env, microsoft), key_for_metrics(env)
        there = SoakPlan(environment=env, trace=1 if plan.trace else 0)
        with Child("tests.fire.soak_server", there) as server:
            pid = int(server.heard())
            wait_until_ready(env["GATEWAY_PUBLIC_URL"])
            diary = Diary(began=time.perf_counter())
            grown = live(plan, env, Keys(all=key, metrics=metrics), microsoft, server, pid, diary, watcher)
            settle(Path(env["GATEWAY_DATABASE"]))
            server.ask_to_stop()
        rows = rows_of(Path(env["GATEWAY_DATABASE"]))
        left = len(admin.get("/ledger").json()["items"])
    parts = thirds(diary.samples, diary.timed, plan.seconds)
    states = Counter(row.state for row in rows)
    return Soaked(
        plan=plan,
        parts=parts,
        slope=slope_mib_an_hour(diary.samples, plan.seconds),
        answers=dict(diary.answers),
        webhook=dict(diary.webhook),
        heard=diary.heard,
        states=dict(states),
        database_mib=diary.samples[-1].database / 2**20,
        grown=grown,
        violations=[*breaches(parts), *untrue(diary, states, left)],
        took_s=time.perf_counter() - born,
    )


def untrue(diary: Diary, states: Mapping[str, int], left: int) -> list[str]:
    """What is not as it was promised."""
    accepted = diary.answers["letter 202"]
    said = [f"{count} × {answer}" for answer, count in diary.answers.items() if not answer.endswith((" 200", " 202"))]
    if states.get("sent", 0) != accepted or sum(states.values()) != accepted:
        said.append(f"{accepted} letters were accepted, and in the end they are {dict(states)}")
    if left != accepted:
        said.append(f"{accepted} letters were accepted and {left} left")
    if not diary.heard:
        said.append("nobody heard of anything by the stream of events")
    return said


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """API keys: of all scopes but one, and of that one."""

    all: str
    metrics: str


def key_for_metrics(env: Mapping[str, str]) -> str:
    """A key for `/metrics`."""
    return str(json.loads(run("keys", "create", "--scope", "metrics", "--json", env=env))["key"])


def wait_until_ready(url: str) -> None:
    """Until the gateway answers."""
    began = time.perf_counter()
    with httpx.Client(base_url=url, trust_env=False, timeout=READY_WITHIN_S) as client:
        while time.perf_counter() - began < READY_WITHIN_S:
            try:
                if client.get("/readyz").is_success:
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.05)
    raise AssertionError("the gateway was not ready in time")


def live(
    plan: Plan,
    env: Mapping[str, str],
    keys: Keys,
    microsoft: Microsoft,
    server: Child,
    pid: int,
    diary: Diary,
    watcher: Watcher,
) -> list[str]:
    """All of it; the lines that have grown, if they were to be traced."""
    url = env["GATEWAY_PUBLIC_URL"]
    pause_s = max(SHORTEST_PAUSE_S, plan.seconds / SAMPLES)
    is_warm, grown = False, list[str]()
    with (
        receiver(diary, random.Random(plan.seed)) as target,
        ThreadPoolExecutor(3) as people,
        client_of(url, keys.all) as client,
    ):
        client.post("/v1/webhooks", json={"url": target}).raise_for_status()
        workers = [
            people.submit(post_letters, plan, url, keys.all, microsoft, diary),
            people.submit(read, url, keys, diary),
            people.submit(listen_to_events, url, keys.all, diary),
        ]
        try:
            while diary.at_s < plan.seconds:
                diary.over.wait(pause_s)
                server.tell({"what": "tasks"})
                diary.samples.append(look(pid, Path(env["GATEWAY_DATABASE"]), diary.at_s, int(server.heard())))
                if plan.trace and not is_warm and diary.at_s > plan.seconds / 3:
                    is_warm = True
                    server.tell({"what": "trace"})
                    server.heard()
                watcher(int(diary.at_s))
                for worker in workers:
                    if worker.done():
                        worker.result()
        finally:
            diary.over.set()
        for worker in workers:
            worker.result()
    if plan.trace:
        server.tell({"what": "trace"})
        grown = server.heard()
    return grown


def look(pid: int, database: Path, at_s: float, tasks: int) -> Sample:
    """The process and its files, as they are now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    log = database.with_name(database.name + "-wal")
    return Sample(
        at_s=at_s,
        memory=pages * 4096,
        files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        tasks=tasks,
        log=log.stat().st_size if log.exists() else 0,
        database=database.stat().st_size,
    )


@contextmanager
def client_of(url: str, key: str) -> Iterator[httpx.Client]:
    """One of SELMA's."""
    headers = {"authorization": f"Bearer {key}"}
    with httpx.Client(base_url=url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def timed(diary: Diary, what: str, ask: Callable[[], httpx.Response]) -> httpx.Response:
    """Ask, and note how long it took and how it was answered."""
    at_s, began = diary.at_s, time.perf_counter()
    answer = ask()
    diary.timed.append(Timed(at_s=at_s, took_s=time.perf_counter() - began))
    diary.answers[f"{what} {answer.status_code}"] += 1
    return answer


def post_letters(plan: Plan, url: str, key: str, microsoft: Microsoft, diary: Diary) -> None:
    """At a steady rate; who is answered late does not hurry afterwards."""
    with client_of(url, key) as client:
        for number in itertools.count():
            if diary.over.wait(max(0.0, number / plan.letters_a_second - diary.at_s)) or diary.at_s > plan.seconds:
                return
            letter = a_letter(number, microsoft) | {"objects": [{"type": "student", "id": f"S{number % STUDENTS}"}]}
            headers = {"idempotency-key": f"soak-{number}"}
            timed(diary, "letter", lambda: client.post("/v1/messages", json=letter, headers=headers))  # noqa: B023


def read(url: str, keys: Keys, diary: Diary) -> None:
    """A little of everything, all the time."""
    with client_of(url, keys.all) as client, client_of(url, keys.metrics) as prometheus:
        for number in itertools.count():
            if diary.over.wait(0.2):
                return
            student = f"S{number % STUDENTS}"
            path = (
                f"/v1/objects/student/{student}/threads",
                "/v1/messages?limit=20",
                "/v1/threads?q=kia",
                "/readyz",
                "/v1/events?limit=20",
            )[number % 5]
            answer = timed(diary, "read", lambda: client.get(path))  # noqa: B023
            if answer.status_code == 404:
                raise AssertionError(f"there is no {path}")
            if number % 25 == 0:
                timed(diary, "metrics", lambda: prometheus.get("/metrics"))


def listen_to_events(url: str, key: str, diary: Diary) -> None:
    """Somebody who comes back after each few hundred events, and each time hangs up in the midst of it."""
    with client_of(url, key) as client:
        while not diary.over.is_set():
            with client.stream("GET", "/v1/events/stream", timeout=20) as events:
                for number, line in enumerate(events.iter_lines()):
                    diary.heard += line.startswith("event:")
                    if diary.over.is_set() or number > 1_000:
                        break


@contextmanager
def receiver(diary: Diary, chance: random.Random) -> Iterator[str]:
    """A webhook's receiver that fails half of the time; where it is."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            status = chance.choice([204, 500])
            diary.webhook[str(status)] += 1
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/events"
        finally:
            server.shutdown()
            thread.join()


def settle(database: Path) -> None:
    """Until all letters are sent, but not for ever."""
    began = time.perf_counter()
    while time.perf_counter() - began < SETTLES_WITHIN_S:
        if all(row.state == "sent" for row in rows_of(database)):
            return
        time.sleep(0.25)
