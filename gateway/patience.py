"""How long the server waits for its clients, and for how many: whoever is slow on purpose gets no place of others.

A proxy does this too, and better; but a gateway without one must not be held up by anybody either. uvicorn has a time
limit for idle connections only. The figures are those of Apache's mod_reqtimeout, or stricter.
https://httpd.apache.org/docs/2.4/mod/mod_reqtimeout.html
"""

import logging
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import Any, ClassVar, Final, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

log = logging.getLogger(__name__)

KIB: Final = 1024
TELL_EVERY_S: Final = 10.0
FILES_FOR_OTHERS: Final = 256  # descriptors that are no connections of callers: the store's, Graph's, logs
TOO_LONG: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Times in seconds. `connections` at once: one more, and the one that has kept us waiting longest goes.

    `head_s`: from the first byte, or from the connection, to the end of the headers. `body_s`: for the body, and a
    second more for each `body_bytes_per_s` that came. `write_s`: to take what is written, 48 KiB each time.
    `linger_s`: to take the end of an answer, once the connection is to end. `pipelined`: requests before an answer.
    """

    connections: int = 2_000
    head_s: float = 20.0
    head_bytes: int = 64 * KIB
    body_s: float = 20.0
    body_bytes_per_s: int = 1 * KIB
    write_s: float = 30.0
    linger_s: float = 10.0
    pipelined: int = 16


class Slow(Protocol):
    """A connection that can be cut."""

    def cut(self, why: str) -> None: ...


class Waits:
    """Who keeps us waiting, the one who does so longest first; and how many were cut."""

    def __init__(self) -> None:
        self._by: dict[Slow, None] = {}
        self._cut = Counter[str]()
        self._told_at = -TELL_EVERY_S

    def was_cut(self, why: str, now: float) -> None:
        """Count it, and say so now and then: an attack must not fill the log."""
        self._cut[why] += 1
        if now - self._told_at >= TELL_EVERY_S:
            log.warning("connections cut", extra={"because": dict(self._cut)})
            self._cut.clear()
            self._told_at = now

    def begin(self, one: Slow) -> None:
        """It has its turn anew, behind all others."""
        self._by.pop(one, None)
        self._by[one] = None

    def end(self, one: Slow) -> None:
        """It does not keep us waiting any more."""
        self._by.pop(one, None)

    def make_room(self) -> bool:
        """Cut the first; whether there was one."""
        first = next(iter(self._by), None)
        if first is None:
            return False
        self.end(first)
        first.cut("too many connections")
        return True


class Stage(Enum):
    """What a connection waits for."""

    IDLE = auto()  # a request
    HEAD = auto()  # the rest of a request's headers
    BODY = auto()  # the rest of its body
    OURS = auto()  # us


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's, which cuts who is too slow. `waits` is shared by all connections of a server; see `protocol`."""

    patience: ClassVar[Patience] = Patience()
    waits: ClassVar[Waits] = Waits()

    @staticmethod
    def on_connection() -> None:
        """Whoever serves may want to know of each."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stage = Stage.IDLE
        self._timers: dict[str, Any] = {}
        self._came = 0  # bytes of this request, body apart
        self._body = 0
        self._began = 0.0

    def connection_made(self, transport: Any) -> None:
        """Also makes room for it."""
        super().connection_made(transport)
        self.on_connection()
        if len(self.connections) > self.patience.connections and not self.waits.make_room():
            self.cut("too many connections")
            return
        self.waits.begin(self)
        self._set("request", self.patience.head_s, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self.waits.end(self)
        for name in list(self._timers):
            self._unset(name)
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; then see what is still to come."""
        before = self._stage
        self._came += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._stage in (Stage.HEAD, Stage.BODY) and self._came - self._body > self._most_beside_the_body():
            self._refuse(TOO_LONG, "headers too long")
        elif self._stage is not before:
            self._wait()
        if self._stage is Stage.IDLE and "request" not in self._timers:  # it came to nothing, and ended uvicorn's timer
            self._set("request", self.patience.head_s, self._too_late)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._stage, self._body = Stage.HEAD, 0

    def on_headers_complete(self) -> None:
        """Raises to stop the parser when one connection asks for too much at once."""
        super().on_headers_complete()
        self._stage = Stage.BODY
        if len(self.pipeline) > self.patience.pipelined:
            raise ValueError("too many requests before an answer")

    def on_body(self, body: bytes) -> None:
        """Part of a body."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The whole request is here."""
        super().on_message_complete()
        self._stage = Stage.IDLE if self.cycle is None or self.cycle.response_complete else Stage.OURS
        self._came = 0

    def on_response_complete(self) -> None:
        """An answer is written, which is not to say that it was read."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._linger()
        elif self._stage is Stage.BODY:  # what is still to come interests nobody
            self._set("request", self.patience.linger_s, self._too_late)
        elif self._stage is Stage.OURS and self.cycle.response_complete:
            self._stage = Stage.IDLE
            self.waits.begin(self)  # idle; uvicorn's own timer ends that

    def pause_writing(self) -> None:
        """More is written than the client has taken."""
        super().pause_writing()
        self._set("write", self.patience.write_s, partial(self.cut, "answers not read"))

    def resume_writing(self) -> None:
        """It has taken most of it."""
        super().resume_writing()
        self._unset("write")

    def timeout_keep_alive_handler(self) -> None:
        """Close, and see that it is closed: what was written and not read would keep it open."""
        super().timeout_keep_alive_handler()
        self._linger()

    def shutdown(self) -> None:
        """The server ends."""
        super().shutdown()
        if self.transport.is_closing():
            self._linger()

    def cut(self, why: str) -> None:
        """End it now, whatever is under way."""
        self.waits.was_cut(why, self.loop.time())
        self.transport.abort()

    def _wait(self) -> None:
        """Begin to wait for what is still to come of this request."""
        if self._stage in (Stage.HEAD, Stage.BODY):
            self.waits.begin(self)
            self._began = self.loop.time()
            within = self.patience.head_s if self._stage is Stage.HEAD else self.patience.body_s
            self._set("request", within, self._too_late)
        elif self._stage is Stage.OURS:
            self.waits.end(self)
            self._unset("request")

    def _too_late(self) -> None:
        """The time is over, but for what a body has earned, or while we do not read on ourselves."""
        left = 0.0
        if self.flow.read_paused:
            left = self.patience.body_s
        elif self._stage is Stage.BODY and not self.cycle.response_complete:
            earned = self.patience.body_s + self._body / self.patience.body_bytes_per_s
            left = self._began + earned - self.loop.time()
        if left > 0:
            self._set("request", left, self._too_late)
        elif self._stage is Stage.IDLE:
            self.transport.close()
            self._linger()
        elif self._stage is Stage.HEAD:
            self._refuse(TOO_LATE, "request too slow")
        else:
            self.cut("request too slow")

    def _most_beside_the_body(self) -> int:
        """Headers, and what chunks need; a byte in a chunk of its own needs five."""
        return self.patience.head_bytes + 8 * self._body

    def _refuse(self, answer: bytes, why: str) -> None:
        """Say so, unless another answer is under way."""
        if self._stage is Stage.BODY or (self.cycle is not None and not self.cycle.response_complete):
            self.cut(why)
            return
        self.waits.was_cut(why, self.loop.time())
        self.transport.write(answer)
        self.transport.close()
        self._linger()

    def _linger(self) -> None:
        if self.transport.get_write_buffer_size():
            self._set("linger", self.patience.linger_s, partial(self.cut, "answers not read"))

    def _set(self, name: str, within_s: float, then: Callable[[], None]) -> None:
        self._unset(name)
        self._timers[name] = self.loop.call_later(within_s, then)

    def _unset(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def connections_possible(wanted: int) -> int:
    """Raise the number of files that this process may open, as far as it is let, and say what is left for callers."""
    if sys.platform == "win32":
        return wanted
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + FILES_FOR_OTHERS
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    may = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (may, hard))
    return max(may - FILES_FOR_OTHERS, may // 2)
