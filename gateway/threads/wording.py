"""What a mail says, as it is kept beside its body: what is new in it, its preview, and the text by which it is found.

Reading HTML takes a hundred times as long as storing it, so it is done before the transaction that stores the mail, for
which every letter that is being accepted would have to wait.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.graph import Body, BodyType
from gateway.graph import Message as Item
from gateway.threads.html import html_as_text, preview_of
from gateway.threads.quotes import new_part

log = logging.getLogger(__name__)

NO_BODY = Body(content_type=BodyType.TEXT, content="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """`text` is what is found by a search where the mailbox could not tell what is new; None where it could."""

    new_text: str | None
    new_html: str | None
    preview: str
    text: str | None


def wording_of(item: Item) -> Wording:
    """Of a mail that was read whole."""
    body = item.body or NO_BODY
    new_text = as_text(item.unique_body) or None if item.unique_body else None
    text = None if new_text is not None else as_text(body)
    new = new_part(new_text or "") or new_text or item.body_preview or (as_text(body) if text is None else text)
    return Wording(new_text=new_text, new_html=_new_html(item), preview=preview_of(new), text=text)


def wordings_of(items: Iterable[Item]) -> Mapping[str, Wording]:
    """By Graph id. One that makes trouble is left out: it will make it again where only it can suffer."""
    found: dict[str, Wording] = {}
    for item in items:
        try:
            found[item.id] = wording_of(item)
        except Exception:
            log.exception("mail could not be worded", extra={"graph_id": item.id})
    return found


def as_text(body: Body) -> str:
    """The body as plain text."""
    return html_as_text(body.content) if body.content_type is BodyType.HTML else body.content.strip()


def _new_html(item: Item) -> str | None:
    """What the mail adds, as HTML; None where Graph gave the whole again, or text."""
    new, body = item.unique_body, item.body
    if new is None or body is None or new.content_type is not BodyType.HTML or new.content == body.content:
        return None
    return new.content or None
