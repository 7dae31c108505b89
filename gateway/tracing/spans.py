"""Spans: what was done when, within a trace. Where nobody records them, `span` does nothing at all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from typing import Final

from gateway.tracing.current import Unit, current, within
from gateway.tracing.ids import Trace, parse
from gateway.tracing.recorder import NO_TIME, Recorder, Span, Value, recorder


class Silent:
    """A span that nobody records."""

    def say(self, **facts: Value | None) -> None:
        """Nothing."""

    def failed(self, error: str) -> None:
        """Nothing."""


SILENT: Final = Silent()
NOT_RECORDED: Final = nullcontext(SILENT)  # one for all: it remembers nothing


def span(
    name: str, /, *, links: Sequence[str | None] = (), **facts: Value | None
) -> AbstractContextManager[Span | Silent]:
    """Record what the block does as a step of the running unit. `links` are traceparents of others that it serves."""
    there, unit = recorder(), current()
    return NOT_RECORDED if there is None or unit is None else _recorded(there, unit, name, links, facts)


@contextmanager
def _recorded(
    there: Recorder, unit: Unit, name: str, links: Sequence[str | None], facts: Mapping[str, Value | None]
) -> Iterator[Span]:
    begun = there.begin(name, unit.trace, _known(links), ago=NO_TIME)
    begun.say(**unit.ids, request_id=unit.request_id, **facts)
    try:
        with within(begun.trace):
            yield begun
    except BaseException as error:
        begun.failed(type(error).__name__)
        raise
    finally:
        begun.end()


def mark(
    name: str,
    *,
    of: str | None = None,
    took: timedelta = NO_TIME,
    error: str | None = None,
    facts: Mapping[str, Value | None],
) -> None:
    """Record what has just been done, and took so long: in the running unit, or in the trace `of` a row."""
    there, unit = recorder(), current()
    if there is None:
        return
    parent = parse(of) if of is not None else None if unit is None else unit.trace
    if parent is None:
        return
    done = there.begin(name, parent, (), ago=took)
    done.say(**facts)
    if error is not None:
        done.failed(error)
    done.end()


def _known(traceparents: Sequence[str | None]) -> list[Trace]:
    return [trace for one in traceparents if (trace := parse(one)) is not None]
