"""How the process serves: its socket, its HTTP server, and what it asks of the interpreter."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

from gateway.direct import WHOLE_WITHIN_S, protocol
from gateway.patience import Patience, connections_possible

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
LET_IN_AT_ONCE: Final = 256
GC_THRESHOLDS: Final = (50_000, 20, 100)
SWITCH_S: Final = 0.0005
GRACE_S: Final = 5  # what open requests get to finish in when the gateway stops


class Server(uvicorn.Server):
    """uvicorn, but signals are ours: it would raise them again when done and kill the workers mid-write.

    And whoever waits at the socket is let in at once. uvloop takes one connection in a turn of the loop: in a storm a
    turn takes a tenth of a second, and of a few hundred that came together the last would wait for many seconds.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._listeners: Sequence[socket.socket] = ()
        self._letting_in: set[asyncio.Task[Any]] = set()
        self._will_look = False

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Also note where others may wait."""
        await super().startup(sockets)
        self._listeners = tuple(sockets or ())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Nobody is let in any more."""
        self._listeners = ()
        await super().shutdown(sockets)

    def came(self) -> None:
        """Somebody was let in: others may have come with them."""
        if not self._will_look:
            self._will_look = True
            asyncio.get_running_loop().call_soon(self._let_in)

    def _let_in(self) -> None:
        self._will_look = False
        for listener in self._listeners:
            # Without room for another descriptor the loop's own way of coping is as good.
            with contextlib.suppress(OSError):
                for _ in range(LET_IN_AT_ONCE):
                    connection, _ = listener.accept()
                    connection.setblocking(False)
                    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._begin(connection)

    def _begin(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
        self._letting_in.add(task)
        task.add_done_callback(self._is_in)

    def _is_in(self, task: "asyncio.Task[Any]") -> None:
        self._letting_in.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.debug("whoever came was gone again", extra={"error": type(error).__name__})

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made


def server_for(app: ASGIApp, *, patience: Patience | None = None, whole_within_s: float = WHOLE_WITHIN_S) -> Server:
    """A server with limits that suit the gateway's routes. It shows requests to what the application's state has as
    `short_way`, if anything: a `gateway.direct.ShortWay`; those that are whole within so many seconds.
    """
    patience = patience or Patience(connections=connections_possible(Patience().connections))
    short_way = getattr(getattr(app, "state", None), "short_way", None)
    http = protocol(patience, short_way, whole_within_s=whole_within_s)
    server = Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the application does that, by a setting
            server_header=False,
            date_header=True,
            ws="none",
            http=http,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
    )
    http.on_connection = staticmethod(server.came)  # type: ignore[method-assign]
    return server


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections from now on, so that whoever is told the address can use it at once.

    Raises OSError when the address is taken or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP, and without it each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def collect_seldom() -> None:
    """What was built at start stays: keep the garbage collector from walking over it again and again.

    Measured at 64 connections (tests/bench): a fifth less processor time, p99 more than halved.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def hand_over_soon() -> None:
    """Let threads take turns: whoever comes back from a step of SQLite waits for the interpreter for half a millisecond
    at most, and not for the five that are usual while another thread computes."""
    sys.setswitchinterval(SWITCH_S)


def stop_signal() -> asyncio.Event:
    """Set when the process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
