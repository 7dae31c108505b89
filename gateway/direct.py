"""Requests that are answered without a task of their own, where somebody can: for what comes by the thousand.

To start a task for a request, and to pass each part of it through an application, costs more than keeping a
notification. So who serves may name a short way: it is shown such a request when all of it is there, which is at once
or nearly so, and takes it, or leaves it to the application. Everything else about the connection is as for any other
request: its timers, its place behind others that came before it on the same connection, its end.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final, TypeAlias
from typing import Protocol as Interface

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from gateway.patience import Patience, PatientProtocol, Waits

WHOLE_WITHIN_S: Final = 0.05  # of its head: what is longer in coming needs somebody who waits for it
# Status, headers as lines (each with its end), body. To be called once, and not before `take` has returned.
Answer: TypeAlias = Callable[[int, bytes, bytes], None]


class ShortWay(Interface):
    """Whoever takes requests in without a task."""

    def is_for(self, scope: Scope) -> bool:
        """Whether it may take such a request."""
        ...

    def take(self, scope: Scope, body: bytes, answer: Answer) -> bool:
        """Whether it has taken the request. It must not raise."""
        ...


class DirectProtocol(PatientProtocol):
    """Shows requests to `short_way`, if there is one, before it starts a task for them: those that are whole within so
    many seconds of their head.
    """

    short_way: ClassVar[ShortWay | None] = None
    whole_within_s: ClassVar[float] = WHOLE_WITHIN_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_reading = False
        self._held: tuple[Any, Any] | None = None  # a cycle and its application, until we know whether all is there

    def data_received(self, data: bytes) -> None:
        """What is not whole by the end of it may be soon; but what is long is read on only as somebody takes it."""
        self._is_reading = True
        super().data_received(data)
        self._is_reading = False
        if self._held is not None:
            if self.flow.read_paused or self.transport.is_closing():
                self._let_go()
            else:
                self._set("whole", self.whole_within_s, self._let_go)

    def on_message_complete(self) -> None:
        """The whole request is here."""
        super().on_message_complete()
        if self._held is not None and self._held[0] is self.cycle:
            self._unset("whole")
            (cycle, app), self._held = self._held, None
            self._start_asgi_task(cycle, app)

    def _let_go(self) -> None:
        """It goes the usual way."""
        self._unset("whole")
        if self._held is not None:
            (cycle, app), self._held = self._held, None
            super()._start_asgi_task(cycle, app)

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        """uvicorn's, for a request whose turn it is: its head is here, and some of its body."""
        short_way = self.short_way
        if short_way is not None and short_way.is_for(cycle.scope):
            if cycle.more_body and not cycle.waiting_for_100_continue:
                self._held = (cycle, app)
                if not self._is_reading:
                    self._set("whole", self.whole_within_s, self._let_go)
                return
            # Who does not read their answers gets no more of them: then a task waits.
            is_possible = not (cycle.more_body or self.flow.write_paused)
            if is_possible and short_way.take(cycle.scope, bytes(cycle.body), partial(self._answer, cycle)):
                return
        super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: Any, status: int, lines: bytes, body: bytes) -> None:
        """As uvicorn answers, in one piece."""
        if self.transport.is_closing():  # nobody is there any more
            return
        usual = b"".join(b"%b: %b\r\n" % header for header in self.server_state.default_headers)
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join((STATUS_LINE[status], usual, lines, end, body)))
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


def protocol(
    patience: Patience, short_way: ShortWay | None, *, whole_within_s: float = WHOLE_WITHIN_S
) -> type[DirectProtocol]:
    """For uvicorn's `http`: all connections of one server share their waits."""
    shared: dict[str, Any] = {
        "patience": patience,
        "waits": Waits(),
        "short_way": short_way,
        "whole_within_s": whole_within_s,
    }
    return type("DirectProtocol", (DirectProtocol,), shared)
