"""The checks in their order, and how one is made: whatever happens in it, the others are made too."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.doctor import database, disk, machine, network
from gateway.doctor.patient import Patient, Skipped, bad
from gateway.setup.report import Check, Verdict

Found: TypeAlias = Check | list[Check]
Examination: TypeAlias = Callable[[Patient], Found | Awaitable[Found]]

EXAMINATIONS: Final[Sequence[tuple[str, Examination]]] = (
    ("settings", machine.settings),
    ("versions", machine.versions),
    ("time zones", machine.time_zones),
    ("memory", machine.memory),
    ("open files", machine.open_files),
    ("folder", disk.folder),
    ("files", disk.files),
    ("space", disk.space),
    ("filesystem", disk.filesystem),
    ("flush", disk.flush),
    ("database", database.database),
    ("schema", database.schema),
    ("integrity", database.integrity),
    ("search index", database.search_index),
    ("master key", database.master_key),
    ("clock", machine.clock),
    ("gateway", network.gateway),
    ("connections", network.connections),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMade:
    """A check that was skipped, and why."""

    name: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """All that was found, and what was not looked at."""

    checks: Sequence[Check]
    skipped: Sequence[NotMade]

    @property
    def worst(self) -> Verdict:
        """Of all checks."""
        verdicts = {one.verdict for one in self.checks}
        return next(one for one in (Verdict.FAIL, Verdict.WARN, Verdict.OK) if one in verdicts or one is Verdict.OK)


async def examine(patient: Patient, examinations: Sequence[tuple[str, Examination]] = EXAMINATIONS) -> Examined:
    """Make all checks, one after the other: a later one may need an earlier one to be well."""
    checks: list[Check] = []
    skipped: list[NotMade] = []
    for name, examination in examinations:
        try:
            found = await _made(name, patient, examination)
        except Skipped as why:
            skipped.append(NotMade(name=name, because=str(why)))
            continue
        checks += found
        patient.made.update({one.name: one for one in found})
    return Examined(checks=checks, skipped=skipped)


async def _made(name: str, patient: Patient, examination: Examination) -> list[Check]:
    try:
        found = examination(patient)
        if inspect.isawaitable(found):
            found = await found
    except Skipped:
        raise
    except Exception as error:
        # A doctor who falls over the first odd machine helps nobody. The type alone: the text may quote anything.
        tried, cure = "Looked.", "Tell the makers of the gateway, with this line and the versions above."
        return [bad(name, tried, f"The check itself failed: {type(error).__name__}.", cure)]
    return found if isinstance(found, list) else [found]
