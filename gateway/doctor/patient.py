"""What the doctor knows of a machine before it looks: its settings, as far as they can be read, and its clock."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from gateway.clock import Clock
from gateway.settings import BadSettings, Settings, from_env
from gateway.setup.report import Check, Verdict


class Skipped(Exception):
    """A check that was not made; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """`settings` are those that can be read, with defaults for those in `problems`. `offline`: nobody outside is asked.

    `thorough`: also what takes long. `examined_by`: the name of each check that was made, and what it found.
    """

    env: Mapping[str, str]
    settings: Settings
    problems: Sequence[str]
    clock: Clock
    thorough: bool = False
    offline: bool = False
    monotonic: Callable[[], float] = time.monotonic
    made: dict[str, Check] = field(default_factory=dict)

    @classmethod
    def of(cls, env: Mapping[str, str], clock: Clock, *, thorough: bool = False, offline: bool = False) -> Self:
        """As far as its settings can be read."""
        settings, problems = readable(env)
        return cls(env=env, settings=settings, problems=problems, clock=clock, thorough=thorough, offline=offline)

    @property
    def database(self) -> Path:
        """The file."""
        return self.settings.database

    @property
    def folder(self) -> Path:
        """Where the file lies."""
        return self.settings.database.parent

    def needs(self, *names: str) -> None:
        """Raises `Skipped` when one of these checks failed, or was not made."""
        for name in names:
            made = self.made.get(name)
            if made is None or made.verdict is Verdict.FAIL:
                raise Skipped(f"It needs the check “{name}” to be well first.")


def readable(env: Mapping[str, str]) -> tuple[Settings, Sequence[str]]:
    """The settings without those that are bad, and what is bad about them."""
    try:
        return from_env(env), ()
    except BadSettings as error:
        bad = {problem.partition(":")[0] for problem in error.problems}
        good = {name: value for name, value in env.items() if name not in bad and name.removesuffix("_FILE") not in bad}
        return from_env(good), error.problems


def well(name: str, tried: str, found: str) -> Check:
    """All is as it should be."""
    return Check(name=name, verdict=Verdict.OK, tried=tried, found=found)


def doubtful(name: str, tried: str, found: str, cure: str) -> Check:
    """It works, and somebody should read this."""
    return Check(name=name, verdict=Verdict.WARN, tried=tried, found=found, cure=cure)


def bad(name: str, tried: str, found: str, cure: str) -> Check:
    """This must be mended."""
    return Check(name=name, verdict=Verdict.FAIL, tried=tried, found=found, cure=cure)
