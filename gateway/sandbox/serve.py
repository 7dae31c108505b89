"""The sandbox on a port, with the small school in it."""

import asyncio
import signal
import socket
import sys
from dataclasses import asdict
from typing import Any, Final, TextIO

import orjson
import uvicorn

from gateway.sandbox import school
from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.box import Sandbox
from gateway.sandbox.clock import timestamp
from gateway.sandbox.school import School

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class NotLoopback(ValueError):
    """The sandbox lets anyone in who reaches it, so it listens elsewhere only if told twice."""


def serve(
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    behaviour: Behaviour | None = None,
    seed: int | str = 0,
    as_json: bool = False,
    allow_remote: bool = False,
    out: TextIO = sys.stdout,
) -> None:
    """Run until a signal. When listening, the school's values go to `out`, in `as_json` as one line.

    Port 0 takes a free one. Raises NotLoopback for another host unless `allow_remote`, OSError if the port is taken.
    """
    if host not in LOOPBACK and not allow_remote:
        raise NotLoopback(f"{host} is not a loopback address: anyone who can reach the sandbox may use it")
    sandbox = Sandbox(behaviour=behaviour, seed=seed)
    pupils = school.build(sandbox)
    with _listen(host, port) as listener:
        bound = listener.getsockname()[1]
        url = f"http://{f'[{host}]' if ':' in host else host}:{bound}"
        server = _Server(sandbox, as_line(url, pupils) if as_json else as_text(url, pupils), out)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        asyncio.run(server.serve(sockets=[listener]))


class _Server(uvicorn.Server):
    """Says that it listens once it does."""

    def __init__(self, sandbox: Sandbox, greeting: str, out: TextIO) -> None:
        super().__init__(uvicorn.Config(sandbox.app, log_level="warning", lifespan="on", access_log=False))
        self._greeting = greeting
        self._out = out

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        print(self._greeting, file=self._out, flush=True)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that say they are TCP, and without it each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def as_line(url: str, pupils: School) -> str:
    """The school's values as one line of JSON."""
    values: dict[str, Any] = {
        "url": url, **asdict(pupils), "secret_expires_at": timestamp(pupils.secret_expires_at)
    }  # fmt: skip
    return orjson.dumps(values).decode()


def as_text(url: str, pupils: School) -> str:
    """The school's values for a person."""
    students = "\n".join(f"  {each.student_id}  {each.name} <{each.address}>" for each in pupils.students)
    return (
        f"Microsoft 365 in a box listens on {url}\n\n"
        f"  GATEWAY_GRAPH_URL={url}\n  GATEWAY_LOGIN_URL={url}\n\n"
        f"  tenant id      {pupils.tenant_id}\n  client id      {pupils.client_id}\n"
        f"  client secret  {pupils.client_secret}\n  expires        {timestamp(pupils.secret_expires_at)}\n"
        f"  mailboxes      {', '.join(pupils.mailboxes)}\n\nStudents, who answer their mail:\n{students}\n\n"
        f"State and controls: {url}/_sandbox/state"
    )
