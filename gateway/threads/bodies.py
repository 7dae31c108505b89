"""What is made of a message's body to be read: safe HTML, plain text, and what of it is new.

That is most of the work of showing a thread, and the same each time. So what was made lately is kept: the page of a
thread is made anew whenever a message comes to it, and all but that one were read a moment before.

What was erased is to be in no memory either, whichever process erased it. So whoever reads says how many erasures there
were then, by the number of the last one: a greater number than before empties this, and what was read before an erasure
is not kept after it.
"""

from collections import OrderedDict
from dataclasses import astuple, dataclass
from threading import Lock
from typing import Any, ClassVar, Final, Protocol, Self, TypeVar

import orjson

from gateway.threads.html import html_as_text, safe_html, text_as_html
from gateway.threads.quotes import new_part
from storage.messages import BodyType, Message

ROOM: Final = 16 * 1024 * 1024  # bytes: some four thousand messages
SHARE: Final = 64  # what takes more than this part of the room is not kept


class Made(Protocol):
    """What can be kept: a dataclass of texts and the like, which depends on nothing but the words of the message."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def of(cls, message: Message) -> Self:
        """Made anew."""
        ...


T = TypeVar("T", bound=Made)


@dataclass(frozen=True, slots=True)
class Body:
    """`html` is safe to put into a page; `new_html` and `new_text` are what is not quoted."""

    html: str
    text: str
    new_html: str
    new_text: str

    @classmethod
    def of(cls, message: Message) -> Self:
        """One message's."""
        html, text = html_of(message), text_of(message)
        new_html, new_text = _new_part_of(message, html, text)
        return cls(html, text, new_html, new_text)


class Bodies:
    """What was made last, of whichever kind, for all threads of the process. `room` is in bytes."""

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._largest = room // SHARE
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._last_erasure = 0
        self._lock = Lock()

    def of(self, kind: type[T], message: Message, last_erasure: int) -> T:
        """As `kind.of`. What is kept counts for the very words it was made of, and is found only by who has them.

        `last_erasure` is the number of the last one in the snapshot that the message is of.
        """
        self.forget(last_erasure)
        words = (message.body, message.new_text, message.new_html, message.preview)
        key = (kind, message.id, message.body_type, hash(words))
        with self._lock:
            packed = self._kept.get(key)
            if packed is not None:
                self._kept.move_to_end(key)
        if packed is not None:
            return kind(*orjson.loads(packed))
        made = kind.of(message)
        self._keep(key, pack(made), last_erasure)
        return made

    def forget(self, last_erasure: int) -> None:
        """All of them, if something was erased since they were read."""
        with self._lock:
            if last_erasure <= self._last_erasure:
                return
            self._last_erasure = last_erasure
            self._room += sum(len(packed) for packed in self._kept.values())
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def _keep(self, key: object, packed: bytes, last_erasure: int) -> None:
        if len(packed) > self._largest:
            return
        with self._lock:
            if last_erasure < self._last_erasure:
                return
            if key not in self._kept:
                self._kept[key] = packed
                self._room -= len(packed)
            while self._room < 0:
                self._room += len(self._kept.popitem(last=False)[1])


def pack(made: Made) -> bytes:
    """In half of the memory: a text with a macron in it takes two bytes a character in Python."""
    return orjson.dumps(astuple(made))


def html_of(message: Message) -> str:
    """The body, safe to put into a page."""
    return safe_html(message.body) if message.body_type is BodyType.HTML else text_as_html(message.body)


def text_of(message: Message) -> str:
    """The body as plain text."""
    return html_as_text(message.body) if message.body_type is BodyType.HTML else message.body


def is_same(one: str, other: str) -> bool:
    """Whether two texts have the same words."""
    return one.split() == other.split()


def _new_part_of(message: Message, html: str, text: str) -> tuple[str, str]:
    """What a message adds, safe to put into a page, and as text: by the mailbox, or else by how quotes begin."""
    if message.new_text and not is_same(message.new_text, text):
        new = message.new_html
        return (text_as_html(message.new_text) if new is None else safe_html(new)), message.new_text
    said = new_part(text)
    return (html, text) if said is None else (text_as_html(said), said)
