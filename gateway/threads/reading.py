"""How staff are given a message to read: what it adds comes first, and what it quotes only on request.

What loses nothing by being text is shown as text, in the page itself, with its links. What has more to it (links with
words of their own, lists, tables, colours, pictures) is for a frame, and so is every whole message: the page stays
light, whatever people send.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape
from typing import Final, Self

from gateway.threads.bodies import Bodies, is_same, text_of
from gateway.threads.framed import content_key, kept_in_frame
from gateway.threads.html import html_as_text, safe_html, text_as_html
from gateway.threads.quotes import new_part
from gateway.threads.views import (
    AttachmentView,
    MessageHead,
    ThreadView,
    attachment_views,
    message_head,
    thread_view,
)
from storage import Transaction, erasures, feeds, threads
from storage.messages import BodyType, Message

LARGE: Final = 100_000  # characters: more is not looked into while a page waits
LONG: Final = 20_000  # characters of text: more is not put into a page

# Markup that a plain text says as well: of styles, what is so on paper anyway.
_STYLE: Final = (
    r"(?:color:(?:black|windowtext|#000|#000000|rgb\(0, ?0, ?0\))"
    r"|background(?:-color)?:(?:white|#fff|#ffffff|transparent)|text-align:(?:left|start)|font-weight:(?:normal|400)|font-style:normal|text-decoration:none)"
)
_PLAIN: Final = re.compile(
    rf'</?(?:p|div|br|span|font)(?: (?:dir="(?:ltr|auto)"|lang="[^"]*"|align="left"|color="(?:#000000|black)"'
    rf'|style="{_STYLE}(?:;{_STYLE})*"))*>',
    re.I,
)
_LINK: Final = re.compile(r'<a href="(https://[^"]{1,2000})"[^<>]*>([^<]{1,300})</a>', re.I)
_CID: Final = re.compile(r"cid:([^\s\"'<>)]{1,500})", re.I)
IMAGES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """An attachment to be listed. `link` is where a `reference` leads, where the message itself says so."""

    file: AttachmentView
    link: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message to be read. `text` is its new part as HTML, safe in any page; None where the frame has to show it.

    `has_more`: the whole says more than what is shown first. `files` are the attachments but for those that are
    pictures in the text.
    """

    head: MessageHead
    text: str | None
    has_more: bool
    files: Sequence[ListedFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondence:
    """A thread and all that stands in it, in order, to be read."""

    thread: ThreadView
    messages: Sequence[Reading]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPart:
    """What a message adds, as it came. Without `html` it is plain text. `is_all`: there is nothing else in it."""

    text: str
    html: str | None
    is_all: bool


@dataclass(frozen=True, slots=True)
class InPage:
    """What of a message stands in the page itself; see `Reading`."""

    text: str | None
    has_more: bool

    @classmethod
    def of(cls, message: Message) -> Self:
        """One message's."""
        new = added_by(message)
        return cls(_in_the_page(new), not new.is_all)


def correspondence(tx: Transaction, account_id: str, thread_id: str, bodies: Bodies) -> Correspondence:
    """Raises `storage.NotFound`. What is held for review is not in it."""
    thread, last_erasure = threads.get(tx, account_id, thread_id), erasures.number_of_last(tx)
    return Correspondence(
        thread=thread_view(tx, thread),
        messages=[
            reading(message_head(message), message, bodies.of(InPage, message, last_erasure))
            for message in feeds.of_thread(tx, thread_id)
        ],
    )


def reading(head: MessageHead, message: Message, shown: InPage) -> Reading:
    """One message."""
    return Reading(head=head, text=shown.text, has_more=shown.has_more, files=_files(head, message))


def added_by(message: Message) -> NewPart:
    """What a message adds: by the mailbox, or else by how quotes begin. Of a large one that is not known, a preview."""
    if message.new_text and (len(message.body) > LARGE or not is_same(message.new_text, text_of(message))):
        return NewPart(text=message.new_text, html=message.new_html, is_all=False)
    if len(message.body) > LARGE:
        return NewPart(text=message.preview, html=None, is_all=False)
    html = message.body if message.body_type is BodyType.HTML else None
    text = text_of(message)
    said = None if message.new_text and message.new_html else new_part(text)
    return NewPart(text=text, html=html, is_all=True) if said is None else NewPart(text=said, html=None, is_all=False)


def _in_the_page(new: NewPart) -> str | None:
    if new.html is None:
        return text_as_html(new.text) if len(new.text) <= LONG else None
    if len(new.html) > LARGE or "<" in _PLAIN.sub("", kept_in_frame(new.html)):
        return None
    text = html_as_text(new.html)
    return text_as_html(text) if len(text) <= LONG else None


def pictures(message: Message) -> dict[str, str]:
    """The attachments that stand as pictures in the text: their ids by `content_key`."""
    if message.body_type is not BodyType.HTML or "cid:" not in message.body.lower():
        return {}
    named = {content_key(found[1]) for found in _CID.finditer(message.body)}
    return {
        content_key(one.content_id): one.id
        for one in attachment_views(message)
        if one.content_id and one.content_type.lower() in IMAGES and content_key(one.content_id) in named
    }


def _files(head: MessageHead, message: Message) -> list[ListedFile]:
    """A file that only says that it is inline is listed: some programs say so of every PDF."""
    in_the_text = set(pictures(message).values()) if head.attachments else set()
    listed = [one for one in head.attachments if not (one.is_inline and one.id in in_the_text)]
    references = any(one.kind == "reference" for one in listed)
    links = cloud_links(message) if references and len(message.body) <= LARGE else {}
    return [
        ListedFile(file=one, link=links.get(_squeezed(one.name)) if one.kind == "reference" else None) for one in listed
    ]


def cloud_links(message: Message) -> dict[str, str]:
    """The https links in a message by their words.

    Graph 1.0 names a file in the cloud and does not say where it is; Outlook writes it into the message as well.
    Source: https://learn.microsoft.com/graph/api/resources/referenceattachment
    """
    if message.body_type is not BodyType.HTML:
        return {}
    return {_squeezed(unescape(words)): unescape(address) for address, words in _LINK.findall(safe_html(message.body))}


def _squeezed(text: str) -> str:
    return " ".join(text.split()).casefold()
