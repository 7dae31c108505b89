"""What is made of a message's body to be read: safe HTML, plain text, and what of it is new.

That is most of the work of showing a thread, and the same each time. So what was read lately is kept: the page of a
thread is made anew whenever a message comes to it, and all but that one were read a moment before.

What was erased is to be in no memory either, whichever process erased it. So whoever reads says how many erasures there
were then, by the number of the last one: a greater number than before empties this, and what was read before an erasure
is not kept after it.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

import orjson

from gateway.threads.html import html_as_text, safe_html, text_as_html
from gateway.threads.quotes import new_part
from storage.messages import BodyType, Message

ROOM: Final = 16 * 1024 * 1024  # bytes: some four thousand messages
SHARE: Final = 64  # what takes more than this part of the room is not kept


@dataclass(frozen=True, slots=True)
class Body:
    """`html` is safe to put into a page; `new_html` and `new_text` are what is not quoted."""

    html: str
    text: str
    new_html: str
    new_text: str


class Bodies:
    """Those that were read last, for all threads of the process. `make` is how one is made."""

    def __init__(self, room: int = ROOM, make: Callable[[Message], Body] | None = None) -> None:
        self._room = room
        self._largest = room // SHARE
        self._make = make or body_of
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._last_erasure = 0
        self._lock = Lock()

    def of(self, message: Message, last_erasure: int) -> Body:
        """As `body_of`. What is kept counts for the very words it was made of, and is found only by who has them.

        `last_erasure` is the number of the last one in the snapshot that the message is of.
        """
        self.forget(last_erasure)
        key = (message.id, message.body_type, hash((message.body, message.new_text, message.new_html)))
        with self._lock:
            packed = self._kept.get(key)
            if packed is not None:
                self._kept.move_to_end(key)
        if packed is not None:
            return Body(*orjson.loads(packed))
        body = self._make(message)
        self._keep(key, pack(body), last_erasure)
        return body

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


def pack(body: Body) -> bytes:
    """In half of the memory: a text with a macron in it takes two bytes a character in Python."""
    return orjson.dumps((body.html, body.text, body.new_html, body.new_text))


def body_of(message: Message) -> Body:
    """One message's."""
    html, text = html_of(message), text_of(message)
    new_html, new_text = _new_part_of(message, html, text)
    return Body(html, text, new_html, new_text)


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
