"""`bombs`: requests that are too large, too deep or too many, to a process of its own whose memory is watched."""

import argparse
import gzip
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from tests.contract.server import Served, served
from tests.http.scene import a_letter

NAME: Final = "bombs"
HELP: Final = "Requests that are too large, too deep or too many."
MIB: Final = 1024 * 1024
LONGEST_S: Final = 1.0
MOST_GROWTH: Final = 64 * MIB
PATIENCE_S: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Bomb:
    """A request. `pieces` is sent until the gateway answers; `declared` is its Content-Length, None: chunked."""

    path: str
    pieces: Callable[[], Iterator[bytes]]
    status: int
    declared: int | None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came of it. `grown` is how much more memory the process took than before, at most, in bytes."""

    status: int
    seconds: float
    grown: int


def _whole(path: str, content: bytes, status: int, **headers: str) -> Bomb:
    return Bomb(path=path, pieces=lambda: iter([content]), status=status, declared=len(content), headers=headers)


def _letter(status: int, **changes: Any) -> Bomb:
    return _whole("/v1/messages", orjson.dumps(a_letter(**changes)), status)


def _nothing() -> Iterator[bytes]:
    yield b""


def _endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65536


PERSON: Final = {"address": "aroha@student.example"}
BOMBS: Final[Mapping[str, Callable[[], Bomb]]] = {
    "10 MB where little is taken": lambda: _whole("/v1/mailboxes", b" " * 10 * MIB, 413),
    "17 MB of a letter": lambda: _whole("/v1/messages", b" " * 17 * MIB, 413),
    "150 MB declared": lambda: Bomb(path="/v1/messages", pieces=_nothing, status=413, declared=150 * MIB),
    "2 GB declared": lambda: Bomb(path="/v1/files?name=a", pieces=_nothing, status=413, declared=2**31),
    "2 GB declared to Graph's door": lambda: Bomb(
        path="/graph/notifications", pieces=_nothing, status=413, declared=2**31
    ),
    "chunks without end": lambda: Bomb(path="/v1/messages", pieces=_endless, status=413, declared=None),
    "chunks without end to Graph's door": lambda: Bomb(
        path="/graph/notifications", pieces=_endless, status=413, declared=None
    ),
    "10 MB of zeros, zipped": lambda: _whole(
        "/v1/messages", gzip.compress(b"0" * 10 * MIB), 415, **{"content-encoding": "gzip"}
    ),
    "10,000 recipients": lambda: _letter(422, to=[PERSON] * 10_000),
    "10,000 attachments": lambda: _letter(422, attachments=[{"name": "a", "content": ""}] * 10_000),
    "5,001 letters": lambda: _whole("/v1/batches", orjson.dumps({"letters": [{}] * 5_001}), 422),
    "3 million recipients that are none": lambda: _letter(422, to=[1] * 3_000_000),
    "a million recipients of no length": lambda: _letter(422, to=[""] * 1_000_000),
    "a text of a million commas": lambda: _letter(202, html=..., text="a," * 1_000_000),
    "base64 that is none": lambda: _letter(422, attachments=[{"name": "a", "content": "=" * 3 * MIB}]),
    "a subject of 10 MB": lambda: _letter(422, subject="x" * 10 * MIB),
    "metadata of 100,000 names": lambda: _letter(422, metadata={str(number): 0 for number in range(100_000)}),
    "JSON 100,000 deep": lambda: _whole("/v1/messages", b"[" * 100_000, 400),
    "JSON 5 million deep": lambda: _whole("/v1/messages", b'{"a":' * 3_000_000, 400),
    "a number of a million digits": lambda: _whole("/v1/messages", b"1" * 1_000_000, 400),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(given: argparse.Namespace) -> int:
    """Throw all of them, and then one letter, which must be taken."""
    broken = 0
    with served() as gateway:
        for name, make in BOMBS.items():
            bomb = make()
            heard = throw(gateway, bomb)
            bad = heard.status != bomb.status or heard.seconds > LONGEST_S or heard.grown > MOST_GROWTH
            broken += bad
            figures = f"{heard.status} after {heard.seconds:.2f} s, {heard.grown / MIB:.0f} MiB more memory"
            print(f"{'!' if bad else ' '} {name}: {figures}")
        letter = throw(gateway, _letter(202))
        print(f"  and a letter after them: {letter.status}")
    return 1 if broken or letter.status != 202 else 0


def throw(gateway: Served, bomb: Bomb) -> Heard:
    """Send it, and read the first line of the answer as soon as there is one."""
    address = urlsplit(gateway.url)
    before = _least_memory(gateway.pid)
    began = time.perf_counter()
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=PATIENCE_S) as connection:
        connection.sendall(_head(gateway, bomb))
        _pour(connection, bomb)
        line = b""
        while not line.endswith(b"\n") and (came := connection.recv(1)):
            line += came
    seconds = time.perf_counter() - began
    status = int(line.split()[1]) if line else 0
    return Heard(status=status, seconds=seconds, grown=_most_memory(gateway.pid) - before)


def _head(gateway: Served, bomb: Bomb) -> bytes:
    length = {"transfer-encoding": "chunked"} if bomb.declared is None else {"content-length": str(bomb.declared)}
    headers = {
        "host": urlsplit(gateway.url).netloc,
        "authorization": f"Bearer {gateway.key}",
        "content-type": "application/json",
        **length,
        **(bomb.headers or {}),
    }
    lines = [f"POST {bomb.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _pour(connection: socket.socket, bomb: Bomb) -> None:
    """All of it, or until the gateway closes the connection."""
    try:
        for piece in bomb.pieces():
            connection.sendall(piece if bomb.declared is not None else b"%x\r\n%b\r\n" % (len(piece), piece))
    except (BrokenPipeError, ConnectionResetError):
        return  # it has answered and hung up, as it should


def _least_memory(pid: int) -> int:
    """Forget the peak, and say what is taken now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="ascii")
    return _memory(pid, "VmRSS")


def _most_memory(pid: int) -> int:
    return _memory(pid, "VmHWM")


def _memory(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])
