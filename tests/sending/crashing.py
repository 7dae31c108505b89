"""A process that dies at a chosen step: before or after a commit, before or after a call's effect."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from storage import Store


class CrashNow(BaseException):
    """The process is gone: nothing catches this, and whoever goes on gets it again."""


@dataclass
class Crashes:
    """Counts steps and dies at the one that is asked for, by name or by number."""

    at_step: str | None = None
    skip: int = 0  # so often it is passed by before
    after_steps: int | None = None
    reached: list[str] = field(default_factory=list)
    dead: bool = False

    def step(self, name: str) -> None:
        if not self.dead:
            self.reached.append(name)
            here = name == self.at_step and self.reached.count(name) > self.skip
            self.dead = here or len(self.reached) == self.after_steps
        if self.dead:
            raise CrashNow(name)


class CrashingStore:
    """The store as a process sees it that may die around any commit."""

    def __init__(self, store: Store, crashes: Crashes) -> None:
        self._store = store
        self._crashes = crashes
        self.watching = store.watching

    async def write(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self._crashes.step(f"before commit {work.__name__}")
        value = await self._store.write(work, *args, **kwargs)
        self._crashes.step(f"after commit {work.__name__}")
        return value

    async def read(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self._store.read(work, *args, **kwargs)

    glance = read


@asynccontextmanager
async def may_crash(crashes: Crashes) -> AsyncIterator[None]:
    """Swallows the crash, and the group it comes in, and nothing else."""
    try:
        yield
    except (CrashNow, BaseExceptionGroup) as error:
        others = error.split(CrashNow)[1] if isinstance(error, BaseExceptionGroup) else None
        if others is not None or not crashes.dead:
            raise
