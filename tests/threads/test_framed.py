"""What of a mail comes into its frame."""

import re
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings

from gateway.threads.framed import content_key, framed_html, kept_in_frame
from tests.threads.test_html import ATTRIBUTES, DANGEROUS, HOSTILE, MARKUP

IN_FRAMES = ATTRIBUTES | {"src", "style", "align", "valign", "bgcolor", "color", "width", "height"}
OURS = {"logo@school.example": "/objects/student/S1/events/messages/m/pictures/a?pass=p"}


class Inventory(HTMLParser):
    """Tags, and attributes with their values, as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def assert_harmless(html: str) -> None:
    found = Inventory(html)
    assert not found.tags & DANGEROUS
    assert {name for name, _ in found.attributes} <= IN_FRAMES
    for name, value in found.attributes:
        if name == "style":
            assert not re.search(
                r"url|expression|position|import|var|[\\(]", value.replace("rgb(", "").replace("rgba(", "")
            )
        if name == "src":
            assert value == "" or value in OURS.values()
        if name == "href":
            assert re.match(r"(https?|mailto|tel):", value, re.I)


def shown(html: str, *, with_remote: bool = False) -> str:
    return framed_html(html, pictures=OURS, with_remote=with_remote).html


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_hostile_comes_into_the_frame(hostile: str) -> None:
    html = shown(f"<p>before</p>{hostile}<p>after</p>")
    assert_harmless(html)
    assert "before" in html


@settings(max_examples=300)
@given(MARKUP)
def test_what_is_kept_stays_as_it_is(html: str) -> None:
    once = kept_in_frame(html)
    assert kept_in_frame(once) == once
    assert_harmless(shown(html))


KEPT = [
    '<p style="color:red">mine</p>',
    '<p style="color:#c00;font-weight:bold;text-align:center">mine</p>',
    '<span style="background-color:rgb(255, 255, 0)">marked</span>',
    '<font color="#c00">mine</font>',
    '<table><tbody><tr><td bgcolor="#eeeeee" align="right" valign="top">1</td></tr></tbody></table>',
]


@pytest.mark.parametrize("html", KEPT)
def test_the_colours_that_people_answer_in_are_kept(html: str) -> None:
    assert shown(html) == html


STYLES = [
    "position:fixed;top:0;left:0",
    "background:url(https://out.example/x)",
    "background-color:expression(alert(1))",
    "color:var(--x)",
    "width:9000px;height:9000px;margin:-100px",
    "display:none",
    "color:re\\64",
    "font-size:0",
    "@import 'https://out.example/x'",
    "text-align:center;}body{display:none",
    "color:red;background-image:url(//out.example)",
]


@pytest.mark.parametrize("style", STYLES)
def test_a_style_that_loads_covers_or_hides_is_not(style: str) -> None:
    html = shown(f'<p style="{style}">x</p>')
    assert html in ("<p>x</p>", '<p style="color:red">x</p>', '<p style="text-align:center">x</p>')


def test_pictures_that_came_along_are_asked_of_us() -> None:
    found = framed_html(
        '<img src="cid:Logo%40school.example" alt="crest" width="80">', pictures=OURS, with_remote=False
    )
    assert found.html == f'<img src="{OURS["logo@school.example"]}" alt="crest" width="80">'
    assert found.left_out == 0


def test_of_pictures_elsewhere_the_words_are_left_and_they_are_counted() -> None:
    mail = (
        '<img src="https://out.example/1" alt="one"><img src="HTTPS://out.example/2"><img src="http://out.example/3">'
    )
    found = framed_html(mail, pictures={}, with_remote=False)
    assert found.html == '<img alt="one"><img><img>'
    assert found.left_out == 2


def test_on_request_pictures_elsewhere_are_loaded_but_only_safely() -> None:
    mail = '<img src="https://out.example/1"><img src="http://out.example/2"><img src="cid:nobody">'
    found = framed_html(mail, pictures={}, with_remote=True)
    assert found.html == '<img src="https://out.example/1"><img><img>'
    assert found.left_out == 0


@pytest.mark.parametrize(
    "source", ["data:image/svg+xml,<svg onload=x>", "/sign-out", "javascript:x", "blob:x", "x", ""]
)
def test_a_picture_from_anywhere_else_is_none(source: str) -> None:
    assert shown(f'<img src="{source}" alt="x">', with_remote=True) == '<img alt="x">'


def test_content_ids_are_compared_as_mail_does() -> None:
    assert content_key("<Logo@School.example>") == content_key("logo%40school.example")
