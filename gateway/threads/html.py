"""Mail made safe to show. What others wrote is hostile until it has been through here.

The allow-list has what mail needs to be read: no script, style, form, frame, svg or math, no class, id or style
attribute, no address that loads by itself. Pictures keep their `alt` text and lose their source, so nothing tells the
sender that, when or where a mail was opened.
"""

import re
from collections.abc import Mapping, Set
from html import escape, unescape
from typing import Final

import nh3

PREVIEW_LENGTH: Final = 255  # as Graph's bodyPreview
# The parser's time grows with the square of the depth, and of the escapes in one run of text. With these bounds the
# most hostile body takes about a second; without them, minutes.
MANY_TAGS: Final = 10_000
MANY_ESCAPES: Final = 100_000
MANY_LINKS: Final = 1_000
STABLE_AFTER: Final = 5

BLOCKS: Final = (
    "address article aside blockquote caption center dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6 header hr "
    "li main nav ol p pre section table tbody tfoot thead tr ul"
)
INLINE: Final = (
    "a abbr b bdi bdo big br cite code col colgroup del dfn em font i img ins kbd mark q s samp small span strike "
    "strong sub sup td th time tt u var wbr"
)
_UNSEEN_NAMES: Final = ("script", "style", "title", "template", "noscript", "iframe", "object", "svg", "math")
_UNSEEN: Final = {
    name: (re.compile(rf"<{name}\b", re.I), re.compile(rf"</{name}\b[^<>]*>", re.I)) for name in _UNSEEN_NAMES
}
_ANY_UNSEEN: Final = re.compile(rf"<({'|'.join(_UNSEEN_NAMES)})\b", re.I)
TAGS: Final = frozenset({*BLOCKS.split(), *INLINE.split()})
CONTENT_GOES_TOO: Final = frozenset(
    {"script", "style", "title", "template", "iframe", "svg", "math", "object", "select", "textarea"}
)
ATTRIBUTES: Final[Mapping[str, Set[str]]] = {
    "*": {"dir", "lang", "title"},
    "a": {"href"},
    "img": {"alt"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "ol": {"start", "type"},
}
_CLEANER: Final = nh3.Cleaner(
    tags=set(TAGS),
    clean_content_tags=set(CONTENT_GOES_TOO),
    attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
    url_schemes={"http", "https", "mailto", "tel"},
    url_relative="deny",
    link_rel="noopener noreferrer",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)
_TAG: Final = re.compile(r"<(?!br|hr|img)[a-z]", re.I)
_LINK: Final = re.compile(r"https?://[^\s<>\"'()\[\]{}]+", re.I)
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BREAK: Final = re.compile(rf"<br\b[^<>]*>|</?(?:{'|'.join(BLOCKS.split())})\b[^<>]*>", re.I)
_CELL: Final = re.compile(r"</t[dh]\s*>", re.I)
_ANY_TAG: Final = re.compile(r"</?[a-z!?][^<>]*>", re.I)


def safe_html(html: str) -> str:
    """The mail's HTML, safe to put into a page. What went through once does not change when it does again.

    Too much markup (MANY_TAGS, MANY_ESCAPES), or such as means something else each time it is read, is shown as
    plain text.
    """
    return cleaned_by(_CLEANER, html)


def cleaned_by(cleaner: nh3.Cleaner, html: str) -> str:
    """As `safe_html`, with another allow-list."""
    for _ in range(STABLE_AFTER):
        if _is_too_much(html):
            break
        cleaned = cleaner.clean(html)
        if cleaned == html:
            return cleaned
        html = cleaned
    return text_as_html(html_as_text(html))


def text_as_html(text: str) -> str:
    """Plain text as HTML: escaped, its lines kept, its web addresses made links. `safe_html` leaves it as it is."""
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    pieces: list[str] = []
    end = 0
    for number, found in enumerate(_LINK.finditer(text)):
        if number >= MANY_LINKS:
            break
        address = found[0].rstrip(".,;:!?*_")
        pieces += [_escaped(text[end : found.start()]), _link(address)]
        end = found.start() + len(address)
    pieces.append(_escaped(text[end:]))
    return f"<div>{''.join(pieces)}</div>"


def html_as_text(html: str) -> str:
    """What a person would read, without the markup: lines stay lines, cells are set apart by blanks.

    For previews, search and plain views; it is text and has to be escaped like any other.
    """
    html = _without(html, "<!--", "-->")
    html = _without_unseen(html)
    html = " ".join(html.split())
    html = _ANY_TAG.sub("", _CELL.sub("\t", _BREAK.sub("\n", html)))
    return _tidy(unescape(html))


def preview_of(text: str) -> str:
    """The first PREVIEW_LENGTH characters of a plain text, on one line."""
    return " ".join(text[: PREVIEW_LENGTH * 8].split())[:PREVIEW_LENGTH].rstrip()


def _is_too_much(html: str) -> bool:
    if html.count("&") + html.count("\xa0") > MANY_ESCAPES:
        return True
    return html.count("<") > MANY_TAGS and sum(1 for _ in _TAG.finditer(html)) > MANY_TAGS


def _escaped(text: str) -> str:
    """As the parser writes text, so that nothing changes when it is read again."""
    return escape(text, quote=False).replace("\xa0", "&nbsp;").replace("\n", "<br>")


def _link(address: str) -> str:
    href = escape(address, quote=False)
    return f'<a href="{href}" target="_blank" rel="noopener noreferrer">{href}</a>'


def _without(html: str, start: str, end: str) -> str:
    """Without everything from each `start` to the next `end`, or to the end of all. Linear, whatever the input."""
    pieces: list[str] = []
    position = 0
    while (found := html.find(start, position)) >= 0:
        pieces.append(html[position:found])
        close = html.find(end, found + len(start))
        if close < 0:
            return "".join(pieces)
        position = close + len(end)
    return "".join([*pieces, html[position:]])


def _without_unseen(html: str) -> str:
    """Without each of _UNSEEN, one after the other, as if each were looked for: most mail has one of them at most."""
    there = _unseen_in(html)
    for name, (opening, closing) in _UNSEEN.items():
        if name in there:
            html = _without_element(html, opening, closing)
            there = _unseen_in(html)  # what stood around it may be another, now
    return html


def _unseen_in(html: str) -> Set[str]:
    found = _ANY_UNSEEN.findall(html)
    if not all(map(str.isascii, found)):  # "ſ" is an "s" where case does not count
        return _UNSEEN.keys()
    return {name.lower() for name in found}


def _without_element(html: str, opening: re.Pattern[str], closing: re.Pattern[str]) -> str:
    pieces: list[str] = []
    position = 0
    while found := opening.search(html, position):
        pieces.append(html[position : found.start()])
        close = closing.search(html, found.end())
        if close is None:
            return "".join(pieces)
        position = close.end()
    return "".join([*pieces, html[position:]])


def _tidy(text: str) -> str:
    """Blanks at the ends of lines go, and of several empty lines one stays."""
    text = _CONTROL.sub("", text).replace("\t", " ").replace("\xa0", " ")
    while "  " in text:  # halves them: a pattern takes ten times as long where single blanks are the rule
        text = text.replace("  ", " ")
    lines = [line.strip(" ") for line in text.split("\n")]
    kept = [line for line, before in zip(lines, ["", *lines], strict=False) if line or before]
    return "\n".join(kept).strip()
