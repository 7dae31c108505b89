"""Where spans go, if anywhere: whoever starts the gateway says so, and every task of its inherits it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Final, Protocol

from gateway.tracing.ids import Trace

Value = str | int | float | bool


class Span(Protocol):
    """Something that is being done."""

    @property
    def trace(self) -> Trace:
        """Where it stands."""
        ...

    def say(self, **facts: Value | None) -> None:
        """Ids, counts and states; what is None is left out. Never what people wrote or who they are."""
        ...

    def failed(self, error: str) -> None:
        """It came to nothing: the name of a type of error, never its text."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Recorder(Protocol):
    """Where spans are gathered."""

    def begin(self, name: str, parent: Trace, links: Sequence[Trace], *, ago: timedelta) -> Span:
        """Something begins, or has begun a while ago."""
        ...


NO_TIME: Final = timedelta(0)
_RECORDER: Final[ContextVar[Recorder | None]] = ContextVar("recorder", default=None)


def recorder() -> Recorder | None:
    """The running task's; None where nobody wants spans."""
    return _RECORDER.get()


@contextmanager
def recording(where: Recorder | None) -> Iterator[None]:
    """Until the block ends, spans of this task, and of those that it starts, go there."""
    token = _RECORDER.set(where)
    try:
        yield
    finally:
        _RECORDER.reset(token)
