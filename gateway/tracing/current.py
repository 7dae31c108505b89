"""For what the running task works: its trace, the request that began it, and the ids that its log lines carry.

A unit of work is a request, or one round of a worker: a letter carried, a folder pulled, an event pushed. Context
variables belong to a task and to those that it starts.
"""

import uuid
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.tracing.ids import Trace, parse
from gateway.tracing.recorder import recorder
from storage.origins import ORIGIN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """`ids` are ours, and stand in each log line."""

    trace: Trace
    request_id: str | None = None
    ids: Mapping[str, str] = field(default_factory=dict)

    @property
    def origin(self) -> Origin:
        """As it is kept with what this unit writes down."""
        return Origin(traceparent=self.trace.traceparent, request_id=self.request_id)


_CURRENT: Final[ContextVar[Unit | None]] = ContextVar("unit", default=None)


def current() -> Unit | None:
    """What the running task works for; None outside of any unit."""
    return _CURRENT.get()


class Running:
    """Makes a unit the running one, until the block ends. A class, as there is one for each request."""

    __slots__ = ("_before", "_origin", "_unit")

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    def __enter__(self) -> Unit:
        self._before, self._origin = _CURRENT.set(self._unit), ORIGIN.set(self._unit.origin)
        return self._unit

    def __exit__(self, kind: object, error: object, at: object) -> None:
        ORIGIN.reset(self._origin)
        _CURRENT.reset(self._before)


def begun(request_id: str | None = None, *, traceparent: str | None = None, **ids: str) -> Running:
    """A unit that goes on with the caller's trace, if there is one, and else begins one."""
    trace = parse(traceparent) or Trace.begin(sampled=recorder() is not None)
    return Running(Unit(trace=trace, request_id=request_id, ids=ids))


def taken_up(origin: Origin, **ids: str) -> Running:
    """A unit that goes on with what was kept in a row."""
    return begun(origin.request_id, traceparent=origin.traceparent, **ids)


def within(trace: Trace) -> Running:
    """A step of the running unit, or of another trace."""
    unit = _CURRENT.get()
    return Running(Unit(trace=trace) if unit is None else replace(unit, trace=trace))


def about(**ids: str) -> None:
    """From here on the unit's log lines carry these ids, too; for what became known on the way."""
    unit = _CURRENT.get()
    if unit is not None:
        _CURRENT.set(replace(unit, ids={**unit.ids, **ids}))


def log_fields() -> dict[str, str]:
    """What each log line of the running unit carries."""
    unit = _CURRENT.get()
    if unit is None:
        return {}
    given = {} if unit.request_id is None else {"request_id": unit.request_id}
    return {**given, "trace_id": unit.trace.trace_id, **unit.ids}


def client_request_id() -> str:
    """For a call to Graph: by the running unit's trace, where there is one."""
    unit = _CURRENT.get()
    return str(uuid.uuid4()) if unit is None else unit.trace.client_request_id()
