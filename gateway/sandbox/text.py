"""HTML to text and back, and what one sees of a body in a list."""

import html
import re
from typing import Final

from gateway.sandbox.model import Body

_DROPPED: Final = re.compile(r"<(head|style|script)\b.*?</\1\s*>|<!--.*?-->", re.I | re.S)
_BREAKS: Final = re.compile(r"<\s*(br|/p|/div|/tr|/li|/h\d|/blockquote)\b[^>]*>", re.I)
_TAGS: Final = re.compile(r"<[^>]+>")
_BLANK_LINES: Final = re.compile(r"(\r\n[ \t]*){3,}")
_SCRIPTS: Final = re.compile(
    r"<(script|iframe|object|embed)\b.*?</\1\s*>|<(script|iframe|object|embed)\b[^>]*>", re.I | re.S
)
_DOCUMENT: Final = re.compile(r"<head\b.*?</head\s*>|</?(html|body)\b[^>]*>", re.I | re.S)
PREVIEW_CHARACTERS: Final = 255
QUOTE_BEGINS: Final = '<hr style="display:inline-block;width:98%" tabindex="-1">'
"""The rule that Outlook draws between what is said and what is quoted."""


def as_text(body: Body) -> str:
    """What a reader of plain text sees."""
    if body.content_type == "text":
        return body.content
    source = _BREAKS.sub("\r\n", " ".join(_DROPPED.sub("", body.content).split()))
    lines = (line.strip(" \t") for line in html.unescape(_TAGS.sub("", source)).split("\r\n"))
    return _BLANK_LINES.sub("\r\n\r\n", "\r\n".join(lines)).strip("\r\n ")


def as_html(body: Body) -> str:
    """A whole HTML document, as Exchange makes one of any body; scripts are dropped, as Graph does without
    `Prefer: outlook.allow-unsafe-html`."""
    if body.content_type == "text":
        inner = html.escape(body.content, quote=False).replace("\r\n", "\n").replace("\n", "<br>\r\n")
        inner = f'<div class="PlainText">{inner}</div>'
    elif "<html" in body.content.lower():
        return _SCRIPTS.sub("", body.content)
    else:
        inner = _SCRIPTS.sub("", body.content)
    return (
        "<html>\r\n<head>\r\n"
        '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">\r\n'
        f"</head>\r\n<body>\r\n{inner}\r\n</body>\r\n</html>\r\n"
    )


def preview(body: Body) -> str:
    """Graph's `bodyPreview`: the first 255 characters of the text."""
    return as_text(body)[:PREVIEW_CHARACTERS]


def inner_html(document: str) -> str:
    """What stands in the body of an HTML document."""
    found = re.search(r"<body\b[^>]*>(.*?)</body\s*>", document, re.I | re.S)
    return (found.group(1) if found else document).strip()


def unique_part(body: Body) -> Body | None:
    """What a body says itself, if it quotes something below; None: all of it."""
    said, quote, _ = body.content.partition(QUOTE_BEGINS)
    return Body(content=_DOCUMENT.sub("", said).strip()) if quote else None
