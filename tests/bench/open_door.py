"""A door for notifications that is served, put under load, killed, and whose file is counted."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from subscriptions.addresses import NOTIFICATIONS
from tests.bench.door_server import Door, DoorPlan, DoorReady, kept, notification
from tests.bench.load import LoadPlan
from tests.bench.loads import Run, drive
from tests.bench.machine import places
from tests.bench.open_load import OpenPlan, OpenReport, Tail
from tests.bench.processes import Broken, Child
from tests.bench.serving import Engine


class OpenDoor:
    """What has been answered at it, and its peak of memory in MB once it has been killed (None: not known)."""

    def __init__(self, door: Door, folder: Path, *, first: int = 0, items: int = 1, commit_s: float = 0.0) -> None:
        folder.mkdir()
        self.door = door
        self.answered = 0
        self.on_disk = 0
        self.peak_mb: float | None = None
        self._items = items
        self._folder = folder
        self._next = first
        plan = DoorPlan(door=door, folder=str(folder), processor=places().server, commit_s=commit_s)
        self._server = Child("tests.bench.door_server", plan)

    @cached_property
    def ready(self) -> DoorReady:
        """Wait until it listens; so several can start at the same time."""
        said = self._server.heard()
        return DoorReady(port=said["port"], engine=Engine(**said["engine"]))

    def under_load(self, connections: int, *, seconds: float, number: int) -> Run:
        """Drive it for so long in this round, after a warm-up of a quarter. Raises `Broken` on any answer but 202."""
        plan = LoadPlan(**self._requests(), connections=connections, warm_up_s=seconds / 4, seconds=seconds)
        run = drive(self._server, plan, door=self.door, number=number)
        self._count(run.load.answered, run.load.answered)
        return run

    def at_a_rate(self, per_second: float, *, seconds: float, connections: int, drops: bool, seed: int) -> OpenReport:
        """Requests come when they come, whatever is answered; see `open_load`."""
        plan = OpenPlan(
            **self._requests(),
            connections=connections,
            per_second=per_second,
            warm_up_s=seconds / 4,
            seconds=seconds,
            drops=drops,
            seed=seed,
        )
        with Child("tests.bench.open_load", plan) as client:
            said = client.heard()
        report = OpenReport(**said | {"since_due": Tail(**said["since_due"])})
        self._count(report.answered.get("202", 0), report.sent + report.unanswered + report.dropped)
        return report

    def kill_and_count(self, *, exactly: bool = True) -> None:
        """Raises `Broken` when a 202 is not on disk, or, if `exactly`, anything else is."""
        self.peak_mb = self._server.memory_mb("VmHWM")
        self._server.kill()
        if self.door is Door.BARE:
            return
        rows, messages = kept(self._folder)
        expected = self.answered * self._items
        if rows != messages or rows < expected or (exactly and rows != expected):
            raise Broken(f"{self.door}: {expected} answered, {rows} rows on disk of {messages} messages")
        self.on_disk = rows

    def _requests(self) -> Mapping[str, Any]:
        return {
            "port": self.ready.port,
            "path": NOTIFICATIONS,
            "headers": {},
            "body": notification(self._items),
            "first": self._next,
            "processor": places().client,
        }

    def _count(self, answered: int, numbers: int) -> None:
        self.answered += answered
        self._next += numbers

    def __enter__(self) -> "OpenDoor":
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
