"""Backups are made, restored and compared again and again, while letters leave and replies come in.

At the end the last one takes the place of the gateway's own file, the mark beside it is lost, and a gateway lives on
with it: no letter may leave a second time.
"""

import asyncio
import itertools
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import orjson

from gateway.backups.errors import UnderWay
from gateway.backups.making import Order, make
from gateway.backups.manifest import Manifest, Reason
from gateway.backups.restoring import restore
from gateway.backups.shelf import Backup
from gateway.clock import SystemClock
from gateway.sending.draft import TAG
from gateway.settings import from_env
from tests.end_to_end.processes import Microsoft, Process, connect, run, settings_for
from tests.fire import kills
from tests.fire.ahead_server import AtRest
from tests.fire.backup_books import Comparison, compare, left_twice
from tests.fire.selma import Selma

PAUSE_S: Final = 0.2  # between two letters
BALLAST: Final = 4  # files
BALLAST_BYTES: Final = 4 * 1024 * 1024  # each, of noise, so that a copy takes its steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. `folder` is where the gateway keeps its file."""

    rounds: int
    seed: int
    folder: Path


@dataclass(slots=True, kw_only=True)
class Diary:
    """What was seen, by round."""

    backup_s: list[float] = field(default_factory=list)
    restore_s: list[float] = field(default_factory=list)
    compared: list[Comparison] = field(default_factory=list)
    came_meanwhile: list[int] = field(default_factory=list)
    file_bytes: int = 0
    database_bytes: int = 0
    violations: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backed:
    """What came of it. `during_s` and `between_s` are how long SELMA's posts took while a backup was made, and else."""

    plan: Plan
    diary: Diary
    letters: int
    during_s: Sequence[float]
    between_s: Sequence[float]
    doubted_at_last: int
    at_rest: AtRest
    left: int
    violations: Sequence[str]
    took_s: float

    @property
    def good(self) -> int:
        """Rounds without a violation."""
        return sum(not one.violations for one in self.diary.compared)


class Timed(Selma):
    """SELMA with a stop-watch."""

    def __init__(self, url: str, key: str, microsoft: Microsoft, *, seed: int) -> None:
        super().__init__(url, key, microsoft, seed=seed)
        self.in_backup = threading.Event()
        self.during_s: list[float] = []
        self.between_s: list[float] = []

    def _once(self, number: int) -> httpx.Response | None:
        began, was_in_backup = time.perf_counter(), self.in_backup.is_set()
        answer = super()._once(number)
        (self.during_s if was_in_backup else self.between_s).append(time.perf_counter() - began)
        return answer


def back_up_and_restore(plan: Plan, watcher: Callable[[int], None] = lambda done: None) -> Backed:
    """Run it all. `watcher` hears of each round."""
    began, diary = time.perf_counter(), Diary()
    with kills.microsoft_365(plan.seed) as microsoft, kills.sandbox_admin(microsoft) as admin:
        admin.patch("/behaviour", json={"token_lifetime": kills.TOKENS_LIVE_S, **kills.UNHURRIED}).raise_for_status()
        env = settings_for(microsoft, plan.folder) | {"GATEWAY_BACKUPS": str(plan.folder / "backups")}
        key = connect(env, microsoft)
        with (
            Process("serve", env=env) as gateway,
            Timed(env["GATEWAY_PUBLIC_URL"], key, microsoft, seed=plan.seed) as selma,
        ):
            gateway.log_line("recovered")
            load_ballast(env["GATEWAY_PUBLIC_URL"], key)
            with letters_flow(selma) as flowed:
                for number in range(1, plan.rounds + 1):
                    last = one_round(number, plan, env, selma, diary)
                    watcher(number)
            gateway.kill()
            kills.listen_for_cries("the gateway", gateway, diary_of(diary))
        doubted = put_in_place(env, last)
        # Letters that were accepted after the backup are not in it, so their answers are nobody's.
        at_rest = kills.ahead(
            kills.Plan(letters=flowed(), kills=0, seed=plan.seed, folder=plan.folder), env, admin, kills.AHEAD[-1]
        )
        ledger = admin.get("/ledger").json()["items"]
    unfinished = [f"{at_rest.under_way} letters have not come to an end"] if at_rest.under_way else []
    return Backed(
        plan=plan,
        diary=diary,
        letters=flowed(),
        during_s=selma.during_s,
        between_s=selma.between_s,
        doubted_at_last=doubted,
        at_rest=at_rest,
        left=len(ledger),
        violations=[*diary.violations, *selma.complaints, *left_twice(ledger, TAG), *unfinished],
        took_s=time.perf_counter() - began,
    )


def one_round(number: int, plan: Plan, env: Mapping[str, str], selma: Timed, diary: Diary) -> Path:
    """Back up, restore into a folder of its own, compare; where the backup is."""
    promised = dict(selma.promised)
    selma.in_backup.set()
    made, manifest, took_s = made_beside(env)
    selma.in_backup.clear()
    diary.backup_s.append(took_s)
    diary.came_meanwhile.append(len(selma.promised) - len(promised))
    diary.file_bytes, diary.database_bytes = made.file_bytes, manifest.database_bytes
    place = plan.folder / f"round-{number}"
    place.mkdir()
    shutil.copy(plan.folder / "master.key", place)
    there, began = from_env(dict(env) | {"GATEWAY_DATABASE": str(place / "gateway.db")}), time.perf_counter()
    done = asyncio.run(restore(made.path, there, SystemClock()))
    diary.restore_s.append(time.perf_counter() - began)
    found = compare(place / "gateway.db", plan.folder / "gateway.db", manifest.rows, promised)
    diary.compared.append(found)
    diary.violations += [f"round {number}: {one}" for one in found.violations]
    if done.doubted != found.doubted:
        diary.violations.append(f"round {number}: {done.doubted} in doubt, {found.doubted} are open")
    shutil.rmtree(place)
    for old in (plan.folder / "backups").glob("gateway-*-asked*"):
        if not old.name.startswith(made.path.name):
            old.unlink()
    return made.path


def put_in_place(env: Mapping[str, str], last: Path) -> int:
    """The last backup becomes the gateway's file, and the mark is lost; how many letters are in doubt."""
    database = Path(env["GATEWAY_DATABASE"])
    database.with_name(database.name + ".mark").unlink(missing_ok=True)
    done = orjson.loads(run("restore", str(last), "--force", "--json", env=env))
    return int(done["letters_in_doubt"])


def made_beside(env: Mapping[str, str]) -> tuple[Backup, Manifest, float]:
    """A backup that this process makes of the gateway's file, and how many seconds that took.

    The gateway makes backups of its own meanwhile; where the two meet, the later one is refused and made again.
    """
    order = Order.of(from_env(env), Reason.ASKED)
    while True:
        began = time.perf_counter()
        try:
            made = make(order, SystemClock().now())
        except UnderWay:
            continue
        assert made.manifest is not None
        return made, made.manifest, time.perf_counter() - began


@contextmanager
def letters_flow(selma: Selma) -> Iterator[Callable[[], int]]:
    """A letter each `PAUSE_S` until the block ends, and then until all have their answers; how many so far."""
    enough, numbers = threading.Event(), itertools.count()
    posted = 0

    def pour() -> None:
        nonlocal posted
        while not enough.wait(PAUSE_S):
            selma.post(next(numbers))
            posted += 1

    pouring = threading.Thread(target=pour)
    pouring.start()
    try:
        yield lambda: posted
    finally:
        enough.set()
        pouring.join()
    selma.finish()


def load_ballast(url: str, key: str) -> None:
    """Files that wait for a letter: something to copy."""
    with httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=60, trust_env=False) as client:
        for number in range(BALLAST):
            content = secrets.token_bytes(BALLAST_BYTES)
            client.post(f"/v1/files?name=ballast-{number}.bin", content=content).raise_for_status()


def diary_of(diary: Diary) -> kills.Diary:
    """As `listen_for_cries` writes into it."""
    return kills.Diary(violations=diary.violations)
