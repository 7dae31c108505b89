import base64
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from gateway.sending.draft import (
    LARGEST_REQUEST_BYTES,
    TAG,
    Original,
    divide,
    payload_of,
    reply_at_birth,
    reply_changes,
    reply_subject,
    with_attachments,
)
from storage.attachments import LetterAttachment
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
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
    return LetterAttachment(
        position=0,
        name=name,
        content_type="image/png",
        content_id=content_id,
        size=size,
        sha256=bytes(32),
        file_id="fil_1",
    )


def payload(*, headers: tuple[tuple[str, str], ...] = (), **changes: Any) -> dict[str, Any]:
    return payload_of(letter(State.DRAFTING, send_uid="0b2e", headers=headers), message(**changes))


THE_TAG = [{"id": TAG, "value": "0b2e"}]
THE_HEADER = {"name": "x-selma-send-uid", "value": "0b2e"}


def test_a_draft_says_all_that_the_letter_says_and_carries_its_tag() -> None:
    assert payload() == {
        "subject": "Your enrolment",
        "body": {"contentType": "html", "content": "<p>Kia ora</p>"},
        "toRecipients": [{"emailAddress": {"name": "Ngātā, “Aroha” 🎓", "address": "aroha@student.example"}}],
        "ccRecipients": [{"emailAddress": {"address": "tama@home.example"}}],
        "bccRecipients": [{"emailAddress": {"address": "file@school.example"}}],
        "replyTo": [{"emailAddress": {"name": "Help", "address": "help@school.example"}}],
        "importance": "normal",
        "singleValueExtendedProperties": THE_TAG,
        "internetMessageHeaders": [THE_HEADER],
    }


def test_headers_of_the_senders_own_go_along() -> None:
    made = payload(headers=(("x-selma-run", "7"), ("X-Auto-Response-Suppress", "OOF")))
    assert made["internetMessageHeaders"] == [
        {"name": "x-selma-run", "value": "7"},
        {"name": "X-Auto-Response-Suppress", "value": "OOF"},
        THE_HEADER,
    ]


def test_ours_steps_back_where_graph_takes_no_more_headers() -> None:
    five = tuple((f"x-selma-{number}", "7") for number in range(5))
    assert THE_HEADER not in payload(headers=five)["internetMessageHeaders"]
    assert THE_HEADER in payload(headers=five[1:])["internetMessageHeaders"]


def test_the_tag_is_the_one_that_letters_have_had_for_ever() -> None:
    assert TAG == "String {7d0b5a52-9a3c-4a0e-9f0e-3d1c2b7e5a41} Name SelmaSendUid"


def test_plain_text_stays_plain_text() -> None:
    assert payload(body_type=BodyType.TEXT, body="a < b")["body"] == {"contentType": "text", "content": "a < b"}


def test_an_inline_image_is_named_by_its_content_id() -> None:
    (sent,) = with_attachments(payload(), [(attachment("logo.png", 3, "logo"), b"\x00" * 3)])["attachments"]
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
        ([100_000_000, 1000], 1, 1),
        ([], 0, 0),
    ],
)
def test_attachments_travel_in_the_draft_as_far_as_they_fit(sizes: list[int], inside: int, separate: int) -> None:
    parts = divide(payload(), [attachment(f"{n}.png", size) for n, size in enumerate(sizes)])
    assert (len(parts.inside), len(parts.separate)) == (inside, separate)
    made = with_attachments(payload(), [(one, b"\x00" * one.size) for one in parts.inside])
    assert len(orjson.dumps(made)) < LARGEST_REQUEST_BYTES


def test_a_body_that_fills_the_request_leaves_all_attachments_to_follow() -> None:
    parts = divide(payload(body="x" * LARGEST_REQUEST_BYTES), [attachment("a.png", 10)])
    assert [one.name for one in parts.separate] == ["a.png"]
    assert "attachments" not in with_attachments(payload(), [])


class TestAnswers:
    WROTE = Original(graph_id="item-7", subject="A question")
    HEADERS = (("x-selma-run", "7"),)

    def test_only_when_it_is_made_can_a_draft_get_its_headers(self) -> None:
        born = reply_at_birth(letter(State.DRAFTING, send_uid="0b2e", headers=self.HEADERS), message())
        assert born["internetMessageHeaders"] == [{"name": "x-selma-run", "value": "7"}, THE_HEADER]
        assert born["singleValueExtendedProperties"] == THE_TAG
        assert "body" not in born
        changes = reply_changes(letter(State.DRAFTING, headers=self.HEADERS), message(), self.WROTE)
        assert "internetMessageHeaders" not in changes

    def test_its_own_subject_is_left_to_graph_so_that_the_conversation_goes_on(self) -> None:
        answer = letter(State.DRAFTING, send_uid="0b2e")
        assert "subject" not in reply_changes(answer, message(subject="RE: A question"), self.WROTE)
        assert reply_changes(answer, message(subject="Your place"), self.WROTE)["subject"] == "Your place"

    def test_what_was_posted_replaces_what_graph_put_there(self) -> None:
        changes = reply_changes(letter(State.DRAFTING, send_uid="0b2e"), message(), self.WROTE)
        assert changes["body"] == {"contentType": "html", "content": "<p>Kia ora</p>"}
        assert changes["singleValueExtendedProperties"] == THE_TAG
        assert {"toRecipients", "ccRecipients", "bccRecipients", "replyTo", "importance"} <= set(changes)

    @pytest.mark.parametrize(
        ("subject", "answer"),
        [
            ("A question", "RE: A question"),
            ("Re: A question", "Re: A question"),
            ("Report", "RE: Report"),
        ],
    )
    def test_the_subject_of_an_answer(self, subject: str, answer: str) -> None:
        assert reply_subject(subject) == answer
