import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gateway.graph import AttachmentInfo, AttachmentKind
from gateway.sending.draft import LARGEST_REQUEST_BYTES, TAG, Draft, compose, missing
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.outbox import LetterAttachment
from storage.threads import Address
from tests.sending.test_machine import State, letter

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "id": "msg_1",
        "account_id": "acc_1",
        "mailbox_id": "mbx_1",
        "thread_id": "thr_1",
        "direction": Direction.OUT,
        "kind": Kind.MAIL,
        "placement": Placement.PLACED,
        "graph_id": None,
        "conversation_id": None,
        "internet_message_id": None,
        "subject": "Your enrolment",
        "sender": Address(name="Admissions", address="admissions@school.example"),
        "recipients": Recipients(
            to=(Address(name="Ngātā, “Aroha” 🎓", address="aroha@student.example"),),
            cc=(Address(name=None, address="tama@home.example"),),
            bcc=(Address(name=None, address="file@school.example"),),
            reply_to=(Address(name="Help", address="help@school.example"),),
        ),
        "body_type": BodyType.HTML,
        "body": "<p>Kia ora</p>",
        "preview": "",
        "attachments": (),
        "evidence": None,
        "created_by": None,
        "message_at": NOW,
        "created_at": NOW,
    }
    return Message(**(values | changes))


def attachment(name: str, size: int, content_id: str | None = None) -> LetterAttachment:
    return LetterAttachment(name=name, content_type="image/png", content_id=content_id, content=b"\x00" * size)


def draft(*attachments: LetterAttachment, **changes: Any) -> Draft:
    return compose(letter(State.DRAFTING, send_uid="0b2e"), message(**changes), attachments)


def on_draft(name: str) -> AttachmentInfo:
    return AttachmentInfo(
        id=name, name=name, content_type=None, size=1, is_inline=False, content_id=None, kind=AttachmentKind.FILE
    )


def test_a_draft_says_all_that_the_letter_says_and_carries_its_tag() -> None:
    assert draft().payload == {
        "subject": "Your enrolment",
        "body": {"contentType": "html", "content": "<p>Kia ora</p>"},
        "toRecipients": [{"emailAddress": {"name": "Ngātā, “Aroha” 🎓", "address": "aroha@student.example"}}],
        "ccRecipients": [{"emailAddress": {"address": "tama@home.example"}}],
        "bccRecipients": [{"emailAddress": {"address": "file@school.example"}}],
        "replyTo": [{"emailAddress": {"name": "Help", "address": "help@school.example"}}],
        "importance": "normal",
        "singleValueExtendedProperties": [{"id": TAG, "value": "0b2e"}],
    }


def test_the_tag_is_the_one_that_letters_have_had_for_ever() -> None:
    assert TAG == "String {7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41} Name SelmaSendUid"


def test_plain_text_stays_plain_text() -> None:
    assert draft(body_type=BodyType.TEXT, body="a < b").payload["body"] == {"contentType": "text", "content": "a < b"}


def test_an_inline_image_is_named_by_its_content_id() -> None:
    (sent,) = draft(attachment("logo.png", 3, content_id="logo")).payload["attachments"]
    assert sent == {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "logo.png",
        "contentType": "image/png",
        "contentBytes": base64.b64encode(b"\x00" * 3).decode(),
        "isInline": True,
        "contentId": "logo",
    }


@pytest.mark.parametrize(
    ("sizes", "inside", "separate"),
    [
        ([1000, 2000], 2, 0),
        ([2_000_000, 2_000_000], 1, 1),
        ([2_900_000, 1000], 1, 1),
        ([2_600_000, 1000, 1000], 3, 0),
        ([], 0, 0),
    ],
)
def test_attachments_travel_in_the_draft_as_far_as_they_fit(sizes: list[int], inside: int, separate: int) -> None:
    made = draft(*[attachment(f"{n}.png", size) for n, size in enumerate(sizes)])
    assert (len(made.inside), len(made.separate)) == (inside, separate)
    assert len(orjson.dumps(made.payload)) < LARGEST_REQUEST_BYTES


def test_a_body_that_fills_the_request_leaves_all_attachments_to_follow() -> None:
    made = draft(attachment("a.png", 10), body="x" * LARGEST_REQUEST_BYTES)
    assert [one.name for one in made.separate] == ["a.png"]
    assert "attachments" not in made.payload


def test_of_attachments_with_one_name_as_many_are_missing_as_are_not_there() -> None:
    made = draft(*[attachment("same.png", 2_500_000)] * 3)
    assert (len(made.inside), len(made.separate)) == (1, 2)
    assert len(missing(made, [])) == 2 + 0
    assert len(missing(made, [on_draft("same.png")])) == 2
    assert len(missing(made, [on_draft("same.png")] * 2)) == 1
    assert missing(made, [on_draft("same.png")] * 3) == []
