"""How a message is given to staff to read."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.threads.reading import LARGE, LONG, InPage, Reading, added_by, pictures, reading
from gateway.threads.views import MessageHead, attachment_views
from storage.messages import Attachment, BodyType, Direction, Kind, Message, Placement, Recipients

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
MAIL = Message(
    id="msg_1",
    account_id="acc_1",
    mailbox_id="mbx_1",
    thread_id="thr_1",
    direction=Direction.IN,
    kind=Kind.MAIL,
    placement=Placement.PLACED,
    graph_id="g",
    conversation_id="c",
    internet_message_id="<1@x>",
    subject="Re: Your enrolment",
    sender=None,
    recipients=Recipients(),
    body_type=BodyType.HTML,
    body="",
    preview="the preview",
    attachments=(),
    evidence=None,
    created_by=None,
    message_at=NOW,
    created_at=NOW,
)
OUTLOOK = "<div><p>Yes.</p></div><hr><div><b>From:</b> Admissions<br><b>Sent:</b> Monday<br><b>Subject:</b> Yours</div>"


def read(**changes: Any) -> Reading:
    message = replace(MAIL, **changes)
    head = MessageHead(
        id=message.id,
        thread_id=message.thread_id,
        direction=message.direction,
        kind=message.kind,
        status=None,
        problem=None,
        from_=None,
        to=(),
        cc=(),
        subject=message.subject,
        preview=message.preview,
        at=NOW,
        sent_at=None,
        received_at=NOW,
        created_by=None,
        internet_message_id=None,
        graph_id=None,
        attachments=attachment_views(message),
        evidence=None,
    )
    return reading(head, message, InPage.of(message))


PLAIN = {
    "paragraphs": "<p>Kia ora</p><p>Yes.</p>",
    "Outlook's": '<div class="elementToProof" style="font-family:Aptos; color:rgb(0, 0, 0)">Kia ora<br><br>Yes.</div>',
    "Gmail's": '<div dir="ltr">Kia ora<div><br></div><div>Yes.</div></div>',
    "a document": "<html><head><style>p{}</style></head><body lang=EN-NZ><p class=MsoNormal>Kia ora<o:p></o:p></p>Yes.",
}


@pytest.mark.parametrize("body", PLAIN.values(), ids=PLAIN)
def test_what_loses_nothing_as_text_stands_in_the_page(body: str) -> None:
    shown = read(body=body)
    assert shown.text is not None
    assert shown.text.replace("<br><br>", "<br>") == "<div>Kia ora<br>Yes.</div>"
    assert not shown.has_more


RICH = [
    '<p>see <a href="https://school.example">our page</a></p>',
    "<ul><li>one</li></ul>",
    "<p>not <b>now</b></p>",
    '<p style="color:red">in red</p>',
    "<table><tr><td>1</td></tr></table>",
    '<p><img src="cid:logo"></p>',
    '<p style="text-decoration:line-through">gone</p>',
]


@pytest.mark.parametrize("body", RICH)
def test_what_has_more_to_it_is_for_its_frame(body: str) -> None:
    assert read(body=body).text is None


def test_what_the_mailbox_says_is_new_comes_first() -> None:
    shown = read(body=OUTLOOK, new_text="Yes.", new_html="<p>Yes.</p>")
    assert (shown.text, shown.has_more) == ("<div>Yes.</div>", True)
    rich = read(body=OUTLOOK, new_text="Yes, here.", new_html='<p>Yes, <a href="https://x.example">here</a>.</p>')
    assert (rich.text, rich.has_more) == (None, True)


@pytest.mark.parametrize("new_text", [None, "Yes.\n\nFrom: Admissions\nSent: Monday\nSubject: Yours"])
def test_where_the_mailbox_did_not_tell_the_quote_is_found(new_text: str | None) -> None:
    shown = read(body=OUTLOOK, new_text=new_text)
    assert (shown.text, shown.has_more) == ("<div>Yes.</div>", True)


def test_a_message_that_quotes_nothing_has_no_more_to_show() -> None:
    assert not read(body="<p>Yes.</p>", new_text="Yes.").has_more
    assert not read(body="Yes.", body_type=BodyType.TEXT).has_more


def test_plain_text_keeps_its_links() -> None:
    shown = read(body="See https://school.example/a\nbye", body_type=BodyType.TEXT)
    assert shown.text is not None
    assert 'href="https://school.example/a"' in shown.text


@pytest.mark.parametrize("body_type", [BodyType.TEXT, BodyType.HTML])
def test_of_five_megabytes_the_page_has_a_preview(body_type: BodyType) -> None:
    shown = read(body="word " * 1_000_000, body_type=body_type)
    assert (shown.text, shown.has_more) == ("<div>the preview</div>", True)
    known = read(body="word " * 1_000_000, body_type=body_type, new_text="Yes.")
    assert (known.text, known.has_more) == ("<div>Yes.</div>", True)


def test_a_long_new_part_is_for_its_frame() -> None:
    assert read(body="x" * (LONG + 1), body_type=BodyType.TEXT).text is None
    assert read(body=f"<p>{'x' * (LONG + 1)}</p>").text is None
    assert added_by(replace(MAIL, body="x" * (LARGE + 1), body_type=BodyType.TEXT)).text == "the preview"


def picture(name: str, content_id: str | None, **changes: Any) -> Attachment:
    plain = Attachment(
        id=name, name=name, content_type="image/png", size=5, is_inline=True, content_id=content_id, kind="file"
    )
    return replace(plain, **changes)


def test_pictures_in_the_text_are_not_listed_and_all_other_files_are() -> None:
    files = (
        picture("logo.png", "<Logo@x>"),
        picture("form.pdf", "form@x", content_type="application/pdf"),
        picture("photo.png", "elsewhere@x"),
        picture("scan.png", None),
        picture("drawing.svg", "drawing@x", content_type="image/svg+xml"),
        picture("plan.pdf", None, is_inline=False),
    )
    body = "<img src='cid:logo%40x'><img src=CID:drawing@x><a href='cid:form@x'>form</a>"
    shown = read(body=body, attachments=files)
    assert pictures(replace(MAIL, body=body, attachments=files)) == {"logo@x": "logo.png"}
    assert [one.file.name for one in shown.files] == ["form.pdf", "photo.png", "scan.png", "drawing.svg", "plan.pdf"]


CLOUD = picture("The plan.docx", None, kind="reference", is_inline=False)


def test_a_file_in_the_cloud_leads_where_the_message_says() -> None:
    body = '<p><a href="https://school.sharepoint.example/x?a=1&amp;b=2">The plan.docx</a></p>'
    (listed,) = read(body=body, attachments=(CLOUD,)).files
    assert listed.link == "https://school.sharepoint.example/x?a=1&b=2"


@pytest.mark.parametrize(
    "body",
    [
        '<a href="http://school.example/x">The plan.docx</a>',
        '<a href="javascript:alert(1)">The plan.docx</a>',
        '<a href="https://school.example/x">Another.docx</a>',
        "The plan.docx",
    ],
)
def test_a_file_in_the_cloud_leads_nowhere_else(body: str) -> None:
    (listed,) = read(body=body, attachments=(CLOUD,)).files
    assert listed.link is None
