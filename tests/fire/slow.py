"""Slow clients: a thousand that send or read a few bytes at a time, while an ordinary one asks and asks.

`slowhttptest` (https://github.com/shekyan/slowhttptest) attacks a real gateway process, behind the documented proxy or
bare: heads that never end, bodies that never end, answers that are hardly read. An ordinary client meanwhile opens a
connection for each request, one to see that the process lives and one for what the store has.
"""

import re
import shutil
import ssl
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import orjson

from subscriptions.addresses import NOTIFICATIONS
from tests.bench.numbers import Latency
from tests.deploy.proxies import KINDS as PROXY_KINDS
from tests.deploy.proxies import proxy, self_signed
from tests.end_to_end.processes import Process, connect, free_port, settings_for, started
from tests.fire.kills import microsoft_365
from tests.fire.storm import memory_mib

COMMAND: Final = "slowhttptest"
BARE: Final = "none"
PROXIES: Final = (*PROXY_KINDS, BARE)
WITHIN_S: Final = 1.0
"""A normal probe's p99."""
PATIENCE_S: Final = 5.0
PROBE_EVERY_S: Final = 0.1
FIRST_S: Final = 3.0  # undisturbed, to compare with
ENDS_WITHIN_S: Final = 30.0
OPENED_PER_SECOND: Final = 50
SLOW_S: Final = 10  # between two bytes
CONNECTED: Final = re.compile(r"connected:\s+(\d+)")
CLOSED: Final = re.compile(r"closed:\s+(\d+)")
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*[mKHJ]")

LONG_ANSWER: Final = "/openapi.json"

# What each kind asks for: a head wants no path; a body one that takes a body of strangers; a reader a long answer.
KINDS: Final[Mapping[str, Sequence[str]]] = {
    "heads": ("-H", "-i", str(SLOW_S), "-x", "24", "-u", "/healthz"),
    "bodies": ("-B", "-i", str(SLOW_S), "-s", "200000", "-x", "10", "-f", "application/json", "-u", NOTIFICATIONS),
    "readers": ("-X", "-n", "5", "-z", "32", "-w", "512", "-y", "1024", "-u", LONG_ANSWER),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `proxy` is nginx, caddy or none; `seconds` are of each kind. Nothing is drawn by `seed`."""

    proxy: str
    connections: int
    seconds: int
    seed: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One kind: how many came, were held at most and at the end, and what the ordinary client felt.

    Those that came and are not held were cut.
    """

    kind: str
    came: int
    held_at_most: int
    held_at_end: int
    latency: Latency
    failed: int
    rss_mib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Endured:
    """What came of it."""

    plan: Plan
    undisturbed: Latency
    attacks: Sequence[Attack]
    violations: Sequence[str]
    took_s: float


@dataclass(slots=True)
class Felt:
    """By the ordinary client: how long each answer took, and how many there were none of or wrong."""

    durations_s: list[float] = field(default_factory=list)
    failed: int = 0


Watcher = Callable[[int], None]


def endure(plan: Plan, watcher: Watcher = lambda seconds: None) -> Endured:
    """Run all kinds, one after the other. `watcher` hears how far it is, in `seconds`."""
    began = time.perf_counter()
    with besieged(plan) as (url, trust, key, process):
        with asking(url, trust, key) as calm:  # the contract is made when it is first asked for
            httpx.get(url + LONG_ANSWER, verify=trust, timeout=PATIENCE_S, trust_env=False).raise_for_status()
            process.lives_until(time.perf_counter() + FIRST_S)
        attacks = []
        for number, kind in enumerate(KINDS):
            with asking(url, trust, key) as felt:
                said = attack(plan, kind, url, process)
            held = held_by(said)
            attacks.append(
                Attack(
                    kind=kind,
                    came=came_by(said),
                    held_at_most=max(held, default=0),
                    held_at_end=held[-1] if held else 0,
                    latency=Latency.of(felt.durations_s or [PATIENCE_S]),
                    failed=felt.failed,
                    rss_mib=memory_mib(process.pid, "VmRSS"),
                )
            )
            watcher((number + 1) * plan.seconds // len(KINDS))
        code, last_words = process.terminate()
        # uvicorn calls it an error that connections were open still when it was told to stop.
        cries = [cry for cry in process.cries() if "timeout graceful shutdown exceeded" not in cry]
    return Endured(
        plan=plan,
        undisturbed=Latency.of(calm.durations_s or [PATIENCE_S]),
        attacks=attacks,
        violations=[
            *(wrong for one in attacks for wrong in violations_of(one, plan.connections)),
            *([f"the gateway ended with exit code {code}: {last_words[-500:]}"] if code else []),
            *(f"the gateway cried {count} times: {cry}" for cry, count in Counter(map(cry_of, cries)).items()),
        ],
        took_s=time.perf_counter() - began,
    )


def cry_of(line: str) -> str:
    """What a line of the log is about, without what makes it unlike its like."""
    try:
        said = orjson.loads(line)
    except orjson.JSONDecodeError:
        return line
    return " ".join([said["logger"], said["event"], said.get("error", ""), *said.get("frames", ())[-1:]])


def violations_of(one: Attack, connections: int) -> list[str]:
    """An ordinary client must hardly notice; and an attack that hardly came proves nothing."""
    p99_s = one.latency.p99_ms / 1000
    return [
        *([f"slow {one.kind}: p99 of an ordinary request was {p99_s:.1f} s"] if p99_s >= WITHIN_S else []),
        *([f"slow {one.kind}: {one.failed} ordinary requests failed"] if one.failed else []),
        *([f"slow {one.kind}: only {one.came} came"] if one.came < connections / 2 else []),
    ]


@contextmanager
def besieged(plan: Plan) -> Iterator[tuple[str, ssl.SSLContext | bool, str, Process]]:
    """A connected gateway, behind the proxy that was asked for: where, what to trust, a key, and its process."""
    with microsoft_365(plan.seed) as microsoft:
        port = free_port()
        behind = {} if plan.proxy == BARE else {"GATEWAY_TRUSTED_PROXIES": "127.0.0.1"}
        env = settings_for(microsoft, plan.folder) | behind
        key = connect(env, microsoft)
        with started(env) as process:
            if plan.proxy == BARE:
                yield env["GATEWAY_PUBLIC_URL"], False, key, process
                return
            identity = self_signed(plan.folder)
            trust = ssl.create_default_context(cafile=str(identity.certificate))
            with proxy(plan.proxy, plan.folder, identity, port=port, backend=int(env["GATEWAY_PORT"])) as ours:
                yield ours.url, trust, key, process


@contextmanager
def asking(url: str, trust: ssl.SSLContext | bool, key: str) -> Iterator[Felt]:
    """An ordinary client, until the block ends."""
    felt, over = Felt(), threading.Event()
    each_anew = httpx.Limits(max_keepalive_connections=0)

    def ask() -> None:
        with httpx.Client(base_url=url, verify=trust, limits=each_anew, timeout=PATIENCE_S, trust_env=False) as client:
            while not over.wait(PROBE_EVERY_S):
                for path in ("/healthz", "/v1/threads"):
                    began = time.perf_counter()
                    try:
                        answer = client.get(path, headers={"authorization": f"Bearer {key}"})
                        felt.failed += answer.status_code != 200
                    except httpx.TransportError:
                        felt.failed += 1
                    felt.durations_s.append(time.perf_counter() - began)

    asker = threading.Thread(target=ask)
    asker.start()
    try:
        yield felt
    finally:
        over.set()
        asker.join()


def attack(plan: Plan, kind: str, url: str, victim: Process) -> str:
    """Run the tool; what it said. Raises `Ended` when the gateway dies."""
    *options, _, path = KINDS[kind]
    command = (
        *(_tool(), *options, "-u", url + path, "-c", str(plan.connections), "-l", str(plan.seconds)),
        *("-r", str(OPENED_PER_SECOND), "-p", str(int(PATIENCE_S))),
    )
    said = plan.folder / f"{kind}.txt"
    with said.open("wb") as out:
        tool = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            tool.wait(plan.seconds + ENDS_WITHIN_S)
        finally:
            tool.kill()
            tool.wait()
    victim.lives_until(time.perf_counter())
    return COLOURS.sub("", said.read_text(errors="replace"))


def held_by(said: str) -> list[int]:
    """The connections that it held, each time it said so."""
    return [int(number) for number in CONNECTED.findall(said)]


def came_by(said: str) -> int:
    """The connections that there were in all: those that are held, and those that were ended."""
    closed = [int(number) for number in CLOSED.findall(said)]
    return max((sum(both) for both in zip(held_by(said), closed, strict=False)), default=0)


def _tool() -> str:
    where = shutil.which(COMMAND)
    if where is None:
        raise SystemExit(f"This needs {COMMAND}. Debian and Ubuntu: apt install {COMMAND}")
    return where
