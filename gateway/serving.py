"""How the process serves: its socket, its HTTP server, and what it asks of the interpreter."""

import asyncio
import contextlib
import gc
import signal
import socket
import sys
from collections.abc import Iterator
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from gateway.direct import protocol
from gateway.patience import Patience, connections_possible

BACKLOG: Final = 2048
GC_THRESHOLDS: Final = (50_000, 20, 100)
SWITCH_S: Final = 0.0005
GRACE_S: Final = 5  # what open requests get to finish in when the gateway stops


class Server(uvicorn.Server):
    """uvicorn, but signals are ours: it would raise them again when done and kill the workers mid-write."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server_for(app: ASGIApp, *, patience: Patience | None = None) -> Server:
    """A server with limits that suit the gateway's routes. It shows requests to what the application's state has as
    `short_way`, if anything: a `gateway.direct.ShortWay`.
    """
    patience = patience or Patience(connections=connections_possible(Patience().connections))
    return Server(
        uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,  # the application does that, by a setting
            server_header=False,
            date_header=True,
            ws="none",
            http=protocol(patience, getattr(getattr(app, "state", None), "short_way", None)),
            timeout_keep_alive=30,
            timeout_graceful_shutdown=GRACE_S,
        )
    )


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
