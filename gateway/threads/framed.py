"""Mail made ready for its own frame: as `html`, with pictures and with the colours that people answer in.

What is allowed here beyond `html.safe_html` cannot run, cannot leave the frame and loads nothing by itself: the frame
is sandboxed and has a policy of its own (`gateway.http.pages.message_body`). This is the first of the two walls, and
is tested as if it were the only one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote

import nh3

from gateway.threads.html import ATTRIBUTES, CONTENT_GOES_TOO, TAGS, cleaned_by

# "My answers are in red below": colour, weight and alignment mean something. Places and sizes would let mail cover
# what is not its own, and fonts only make it hard to read.
STYLES: Final = frozenset(
    {"background", "background-color", "color", "font-style", "font-weight", "text-align", "text-decoration"}
)
_VALUE: Final = re.compile(r"#[0-9a-f]{3,8}|rgba?\([0-9 ,.%]{1,40}\)|[a-z0-9 -]{1,40}", re.I)
_COLOUR: Final = re.compile(r"#?[a-z0-9]{1,30}", re.I)
_PIXELS: Final = re.compile(r"[1-9][0-9]{0,3}")
_ALIGNMENT: Final = re.compile(r"left|right|center|justify|top|middle|bottom|baseline", re.I)
_FORMS: Final = {
    "color": _COLOUR,
    "bgcolor": _COLOUR,
    "align": _ALIGNMENT,
    "valign": _ALIGNMENT,
    "width": _PIXELS,
    "height": _PIXELS,
}
_SOURCE: Final = re.compile(r"(?:cid:|https://)[^\s]", re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Framed:
    """`html` for the frame. `left_out`: how many pictures are elsewhere and were not to be asked for."""

    html: str
    left_out: int


def framed_html(html: str, *, pictures: Mapping[str, str], with_remote: bool) -> Framed:
    """The mail's HTML for its frame.

    `pictures` are the addresses of those that came with the mail, by `content_key`. Those that are elsewhere keep
    their `alt` text, and their address only `with_remote`.
    """
    left_out = 0

    def point(tag: str, attribute: str, value: str) -> str | None:
        nonlocal left_out
        if (tag, attribute) != ("img", "src"):
            return value
        if value[:4].lower() == "cid:":
            return pictures.get(content_key(value[4:]))
        left_out += not with_remote
        return value if with_remote else None

    # The last pass changes nothing but these addresses, so it leaves safe what was.
    pointed = _cleaner(point, url_relative="pass_through").clean(kept_in_frame(html))
    return Framed(html=pointed, left_out=left_out)


def kept_in_frame(html: str) -> str:
    """All that the frame may hold, with its pictures' addresses as they came. Does not change when done again."""
    return cleaned_by(_KEEPER, html)


def content_key(content_id: str) -> str:
    """What a `cid:` address and a Content-ID are compared by (RFC 2392)."""
    return unquote(content_id).strip().strip("<>").casefold()


def _keep(tag: str, attribute: str, value: str) -> str | None:
    if attribute == "style":
        return _style(value)
    if (tag, attribute) == ("img", "src"):
        return value if _SOURCE.match(value) else None
    if (tag, attribute) == ("a", "href"):
        return None if value[:4].lower() == "cid:" else value
    form = _FORMS.get(attribute)
    return value if form is None or form.fullmatch(value) else None


def _style(value: str) -> str | None:
    """Of what the parser has taken apart already, those declarations that name or mix a colour, or say a word."""
    kept = [one for one in value.split(";") if _VALUE.fullmatch(one.partition(":")[2])]
    return ";".join(kept) or None


def _cleaner(
    keep: Callable[[str, str, str], str | None], *, url_relative: Literal["deny", "pass_through"]
) -> nh3.Cleaner:
    attributes = {tag: set(names) for tag, names in ATTRIBUTES.items()}
    attributes["*"] |= {"style", "align"}
    attributes["img"] |= {"src", "width", "height"}
    attributes["font"] = {"color"}
    for tag in ("table", "tbody", "thead", "tr", "td", "th"):
        attributes[tag] = attributes.get(tag, set()) | {"bgcolor", "valign"}
    return nh3.Cleaner(
        tags=set(TAGS),
        clean_content_tags=set(CONTENT_GOES_TOO),
        attributes=attributes,
        attribute_filter=keep,
        filter_style_properties=set(STYLES),
        url_schemes={"http", "https", "mailto", "tel", "cid"},
        url_relative=url_relative,
        link_rel="noopener noreferrer",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )


_KEEPER: Final = _cleaner(_keep, url_relative="deny")
