"""Streams that are listened to on their way: watched, counted, and with a checksum of all that went by."""

import hashlib
from collections.abc import Callable
from typing import IO, Final, Generic, ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

CHUNK: Final = 1024 * 1024

Watcher = Callable[[int], None]


class Readable(Protocol):
    """A source of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """The next ones; none at the end."""
        ...


class Counted:
    """Reads a file, hears the bytes go by, and tells the watcher."""

    def __init__(self, file: IO[bytes], watch: Watcher) -> None:
        self._file = file
        self._watch = watch
        self.done = 0
        self.digest = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        found = self._file.read(CHUNK if size < 0 else min(size, CHUNK))
        self.done += len(found)
        self.digest.update(found)
        self._watch(self.done)
        return found


class Headed:
    """The manifest's frame, then the compressed database."""

    def __init__(self, head: bytes, body: Readable) -> None:
        self._head = head
        self._body = body

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        size = CHUNK if size < 0 else size
        if self._head:
            found, self._head = self._head[:size], self._head[size:]
            return found
        return self._body.read(size)


class Written:
    """Writes a file and keeps its checksum."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.bytes = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes, /) -> int:
        """All of it."""
        self._file.write(data)
        self.digest.update(data)
        self.bytes += len(data)
        return len(data)


class Remembering(Generic[P, T]):
    """Calls on, and keeps what was raised: the library makes of it an error of its own."""

    def __init__(self, call: Callable[P, T]) -> None:
        self._call = call
        self.raised: BaseException | None = None

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """As what it stands for."""
        try:
            return self._call(*args, **kwargs)
        except BaseException as error:
            self.raised = error
            raise


class Reader:
    """As the library wants a source."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self.read = read


class Writer:
    """As the library wants a target."""

    def __init__(self, write: Callable[[bytes], int]) -> None:
        self.write = write

    def flush(self) -> None:
        """As files do."""
