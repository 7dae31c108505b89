"""`POST /v1/messages`: what is taken, and how each bad value is named."""

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.http import values
from storage import attachments, events, files
from tests.http.scene import MAILBOX, UNPROVED, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem


def attached(**changes: Any) -> list[dict[str, Any]]:
    whole = {"name": "offer.pdf", "content_type": "application/pdf", "content": "JVBERi0=", "content_id": None}
    return [{name: value for name, value in (whole | changes).items() if value is not ...}]


async def test_a_good_letter_is_accepted_and_found_at_its_location(scene: Scene, api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages", json=a_letter(attachments=attached(), metadata={"run": 7}))
    assert answer.status_code == 202
    accepted = answer.json()
    assert set(accepted) == {"id", "status", "thread_id", "created_at", "note"}
    assert accepted["status"] == "queued"
    assert accepted["created_at"] == "2026-03-02T09:00:00Z"
    shown = (await api.get(answer.headers["location"])).json()
    assert shown["id"] == accepted["id"]
    assert shown["from"] == {"name": "Admissions", "address": MAILBOX}
    assert shown["html"] == "<p>Kia ora</p>"
    assert shown["metadata"] == {"run": 7}
    assert shown["objects"] == [{"type": "enrolment", "id": "E77"}, {"type": "student", "id": "S1001"}]
    [stored] = await scene.store.read(attachments.of_letter, accepted["id"])
    assert await scene.store.read(files.read, stored.file_id or "", start=0, length=99) == b"%PDF-"


BAD_VALUES: Mapping[str, tuple[dict[str, Any], str]] = {
    "no sender": ({"from": ...}, "/from"),
    "a sender that is no address": ({"from": "admissions"}, "/from"),
    "a sender of another type": ({"from": 7}, "/from"),
    "no recipients": ({"to": []}, "/to"),
    "recipients left out": ({"to": ...}, "/to"),
    "recipients that are no list": ({"to": "aroha@student.example", "cc": [{"address": "a@b.example"}]}, "/to"),
    "a recipient that is no object": ({"to": ["aroha@student.example"]}, "/to/0"),
    "a recipient without an address": ({"to": [{"name": "Aroha"}]}, "/to/0/address"),
    "an address that is none": ({"to": [{"address": "aroha at student.example"}]}, "/to/0/address"),
    "an address with a line break": ({"to": [{"address": "a@b.example\r\nBcc: x@y.example"}]}, "/to/0/address"),
    "an address in brackets": ({"cc": [{"address": "Aroha <a@b.example>"}]}, "/cc/0/address"),
    "an address in a group": ({"cc": [{"address": "all: a@b.example;"}]}, "/cc/0/address"),
    "two addresses in one": ({"bcc": [{"address": "a@b.example, c@d.example"}]}, "/bcc/0/address"),
    "a local part beyond ASCII": ({"reply_to": [{"address": "tāne@b.example"}]}, "/reply_to/0/address"),
    "an address of 400 characters": ({"to": [{"address": "a" * 400 + "@b.example"}]}, "/to/0/address"),
    "a name with a line break": ({"to": [{"name": "A\nB", "address": "a@b.example"}]}, "/to/0/name"),
    "a name that is too long": ({"to": [{"name": "A" * 256, "address": "a@b.example"}]}, "/to/0/name"),
    "too many recipients": ({"to": [{"address": "a@b.example"}] * 501}, "/to"),
    "too many over to and cc": (
        {"to": [{"address": "a@b.example"}] * 300, "cc": [{"address": "a@b.example"}] * 201},
        "/to",
    ),
    "no subject": ({"subject": ...}, "/subject"),
    "a blank subject": ({"subject": " "}, "/subject"),
    "a subject with CR LF": ({"subject": "Hi\r\nBcc: x@y.example"}, "/subject"),
    "a subject with NUL": ({"subject": "Hi\0"}, "/subject"),
    "a subject with a C1 control": ({"subject": "Hi\x85there"}, "/subject"),
    "a subject with a line separator": ({"subject": "Hi\u2028there"}, "/subject"),
    "a subject with a paragraph separator": ({"subject": "Hi\u2029there"}, "/subject"),
    "a subject of 256 characters": ({"subject": "ā" * 256}, "/subject"),
    "neither html nor text": ({"html": ...}, "/html"),
    "both html and text": ({"text": "Kia ora"}, "/text"),
    "html of another type": ({"html": ["<p>"]}, "/html"),
    "an empty body": ({"html": ""}, "/html"),
    "a body with NUL": ({"html": "<p>\0</p>"}, "/html"),
    "a body beyond one request to Graph": ({"html": "x" * (values.LONGEST_BODY + 1)}, "/html"),
    "an attachment without content": ({"attachments": attached(content=...)}, "/attachments/0/content"),
    "an attachment that is not base64": ({"attachments": attached(content="JVBE Ri0=")}, "/attachments/0/content"),
    "base64 of the other alphabet": ({"attachments": attached(content="_-__")}, "/attachments/0/content"),
    "an attachment of 3 MB": (
        {"attachments": attached(content=base64.b64encode(bytes(values.LARGEST_ATTACHMENT)).decode())},
        "/attachments/0/content",
    ),
    "a file name with a path": ({"attachments": attached(name="../../etc/passwd")}, "/attachments/0/name"),
    "a file name with a backslash": ({"attachments": attached(name="C:\\offer.pdf")}, "/attachments/0/name"),
    "a file name that is only dots": ({"attachments": attached(name="..")}, "/attachments/0/name"),
    "a file name with a line break": ({"attachments": attached(name="offer\r\n.pdf")}, "/attachments/0/name"),
    "a file name that hides its end": ({"attachments": attached(name="offer\u202efdp.exe")}, "/attachments/0/name"),
    "a file name of 256 characters": ({"attachments": attached(name="x" * 256)}, "/attachments/0/name"),
    "a media type that is none": ({"attachments": attached(content_type="pdf")}, "/attachments/0/content_type"),
    "a media type with a line break": (
        {"attachments": attached(content_type="text/plain\r\nX: y")},
        "/attachments/0/content_type",
    ),
    "a content id in brackets": ({"attachments": attached(content_id="<logo>")}, "/attachments/0/content_id"),
    "one content id twice": ({"attachments": attached(content_id="a") * 2}, "/attachments/1/content_id"),
    "too many attachments": ({"attachments": attached() * 251}, "/attachments"),
    "no objects": ({"objects": []}, "/objects"),
    "objects left out": ({"objects": ...}, "/objects"),
    "too many objects": ({"objects": [{"type": "student", "id": "S1"}] * 21}, "/objects"),
    "an object of an unknown type": ({"objects": [{"type": "pupil", "id": "S1"}]}, "/objects/0/type"),
    "an object without an id": ({"objects": [{"type": "student", "id": ""}]}, "/objects/0/id"),
    "an object whose id is a step of a path": ({"objects": [{"type": "student", "id": ".."}]}, "/objects/0/id"),
    "an object with an id of another type": ({"objects": [{"type": "student", "id": 7}]}, "/objects/0/id"),
    "an object with a long id": ({"objects": [{"type": "student", "id": "x" * 201}]}, "/objects/0/id"),
    "an author with a control character": ({"created_by": "Jane\x07"}, "/created_by"),
    "an author with a long name": ({"created_by": "x" * 201}, "/created_by"),
    "a message to answer that has spaces": ({"in_reply_to": "msg 1"}, "/in_reply_to"),
    "a time without a zone": ({"send_at": "2026-03-02T09:00:00"}, "/send_at"),
    "a time that is none": ({"send_at": "2026-02-30T09:00:00Z"}, "/send_at"),
    "a time before time": ({"send_at": "0001-01-01T00:00:00+10:00"}, "/send_at"),
    "a time as a number": ({"send_at": 1772442000}, "/send_at"),
    "an unknown importance": ({"importance": "urgent"}, "/importance"),
    "metadata that is no object": ({"metadata": []}, "/metadata"),
    "metadata beyond 4 KiB": ({"metadata": {"x": "y" * 4096}}, "/metadata"),
    "metadata with a number beyond 64 bits": ({"metadata": {"x": 2**64}}, "/metadata"),
    "metadata nested deeply": ({"metadata": {"x": [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}}, "/metadata"),
    "an unknown field": ({"form": MAILBOX}, "/form"),
    "an unknown field whose name needs escaping": ({"a/b~c": 1}, "/a~1b~0c"),
    "an unknown field in a recipient": ({"to": [{"address": "a@b.example", "type": "to"}]}, "/to/0/type"),
}


@pytest.mark.parametrize(("changes", "pointer"), BAD_VALUES.values(), ids=BAD_VALUES)
async def test_a_bad_value_is_named_and_nothing_is_stored(
    scene: Scene, api: httpx.AsyncClient, changes: dict[str, Any], pointer: str
) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/messages", json=a_letter(**changes), headers={"idempotency-key": "1"})
    assert_bad_values(answer, pointer)
    assert await scene.rows() == before


async def test_every_bad_value_is_named_at_once(api: httpx.AsyncClient) -> None:
    letter = a_letter(subject="a\nb", text="both", to=[{"address": "x"}], importance=1, extra=True)
    assert_bad_values(
        await api.post("/v1/messages", json=letter), "/subject", "/text", "/to/0/address", "/importance", "/extra"
    )


async def test_what_is_wrong_is_said_in_words_for_people(api: httpx.AsyncClient) -> None:
    letter = a_letter(
        subject="Hi\r\nBcc: x@y.example",
        to=[{"address": "a@b.example"}] * 501,
        objects=[],
        importance="urgent",
        created_by="x" * 201,
        html=7,
        extra=1,
    )
    assert assert_bad_values(
        await api.post("/v1/messages", json=letter),
        "/subject",
        "/to",
        "/objects",
        "/importance",
        "/created_by",
        "/html",
        "/extra",
    ) == {
        "/subject": "Character 3 is U+000D: line breaks and control characters cannot stand here.",
        "/to": "At most 500 are taken.",
        "/objects": "Name at least one record that the letter concerns.",
        "/importance": "This should be 'low', 'normal' or 'high'.",
        "/created_by": "String should have at most 200 characters.",
        "/html": "This must be a string.",
        "/extra": "There is no such field here.",
    }


async def test_an_answer_does_not_repeat_what_was_sent(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages", json=a_letter(subject="kept to ourselves\n", html=["kept to ourselves"]))
    assert "kept to ourselves" not in answer.text


async def test_a_body_of_another_shape_is_one_bad_value(api: httpx.AsyncClient) -> None:
    for content in (b"[]", b'"x"', b"1", b"null", b"true"):
        answer = await api.post("/v1/messages", content=content, headers={"content-type": "application/json"})
        assert_bad_values(answer, "")


MALFORMED = {
    "nothing": b"",
    "half a document": b'{"from": ',
    "two documents": b"{} {}",
    "not a number": b'{"a": NaN}',
    "a duplicate name": b'{"from": "a@b.example", "from": "c@d.example"}',
    "a duplicate name, deep inside": b'{"to": [{"address": "a", "address": "b"}]}',
    "half a surrogate pair": b'{"subject": "\\ud800"}',
    "latin-1": '{"subject": "é"}'.encode("latin-1"),
    "utf-16": '{"subject": "x"}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "100,000 levels": b"[" * 100_000 + b"]" * 100_000,
    "1,000 levels": b"[" * 1_000 + b"]" * 1_000,
    "an infinite number": b'{"a": 1e999}',
}


@pytest.mark.parametrize("content", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_not_json_is_refused_as_such(scene: Scene, api: httpx.AsyncClient, content: bytes) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/messages", content=content, headers={"content-type": "application/json"})
    assert_problem(answer, 400, "malformed-json")
    assert await scene.rows() == before


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/plain"},
        {"content-type": ""},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
async def test_only_json_is_taken(api: httpx.AsyncClient, headers: dict[str, str]) -> None:
    assert_problem(await api.post("/v1/messages", content=b"{}", headers=headers), 415, "unsupported-media-type")


async def test_a_sender_that_is_not_ours_and_one_that_is_not_proved_are_told_apart(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    before = await scene.rows()
    unknown = assert_problem(
        await api.post("/v1/messages", json=a_letter(**{"from": "head@school.example"})), 422, "unknown-mailbox"
    )
    unproved = assert_problem(
        await api.post("/v1/messages", json=a_letter(**{"from": UNPROVED})), 422, "mailbox-not-validated"
    )
    assert [error["pointer"] for error in unknown["errors"] + unproved["errors"]] == ["/from", "/from"]
    assert await scene.rows() == before


async def test_a_letter_for_later_is_kept_until_then(scene: Scene, api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/messages", json=a_letter(send_at="2026-03-03T09:00:00+13:00"))
    shown = (await api.get(answer.headers["location"])).json()
    assert shown["next_attempt_at"] == "2026-03-02T20:00:00Z"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("Aroha.Ngata+x@Student.Example", "Aroha.Ngata+x@Student.Example"),
        ("a@māori.example", "a@xn--mori-qsa.example"),
        ("a@mailbox.test", "a@mailbox.test"),
    ],
)
async def test_an_address_is_kept_as_given_but_for_a_domain_beyond_ascii(
    api: httpx.AsyncClient, given: str, kept: str
) -> None:
    answer = await api.post("/v1/messages", json=a_letter(to=[{"name": None, "address": given}]))
    shown = (await api.get(answer.headers["location"])).json()
    assert shown["to"] == [{"name": None, "address": kept}]


async def test_the_same_key_and_letter_get_the_same_answer_for_ever(scene: Scene, api: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "E77 offer"}
    first = await api.post("/v1/messages", json=a_letter(), headers=headers)
    await api.post(f"{first.headers['location']}/cancel")
    before = await scene.rows()
    again = await api.post("/v1/messages", json=a_letter(), headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["idempotent-replayed"] == "true"
    assert await scene.rows() == before


async def test_the_same_key_with_another_letter_is_refused(scene: Scene, api: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "1"}
    await api.post("/v1/messages", json=a_letter(), headers=headers)
    before = await scene.rows()
    again = await api.post("/v1/messages", json=a_letter(subject="Another"), headers=headers)
    assert_problem(again, 422, "idempotency-key-reused")
    assert await scene.rows() == before


async def test_50_posts_of_one_key_at_once_are_one_letter(scene: Scene, api: httpx.AsyncClient) -> None:
    async with asyncio.TaskGroup() as group:
        posts = [
            group.create_task(api.post("/v1/messages", json=a_letter(), headers={"idempotency-key": "1"}))
            for _ in range(50)
        ]
    answers = [post.result() for post in posts]
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.text for answer in answers}) == 1
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    rows = await scene.rows()
    assert (rows["outbox"], rows["messages"], rows["threads"]) == (1, 1, 1)
    [told] = await scene.store.read(events.after, scene.account_id, 0, limit=10)
    assert told.type == "message.accepted"


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "tab\there"])
async def test_an_idempotency_key_that_is_none_is_refused(api: httpx.AsyncClient, key: str) -> None:
    headers = {"idempotency-key": key.encode("latin-1")}
    answer = await api.post("/v1/messages", json=a_letter(), headers=headers)
    assert_bad_values(answer, "/idempotency-key", where="header")


async def test_two_idempotency_keys_at_once_are_refused(api: httpx.AsyncClient) -> None:
    headers = httpx.Headers([("idempotency-key", "1"), ("idempotency-key", "2")])
    answer = await api.post("/v1/messages", json=a_letter(), headers=headers)
    assert_bad_values(answer, "/idempotency-key", where="header")


async def test_letters_are_listed_newest_first_page_by_page(scene: Scene, api: httpx.AsyncClient) -> None:
    posted = []
    for number in range(5):
        scene.clock.advance(timedelta(seconds=1))
        posted.append((await api.post("/v1/messages", json=a_letter(subject=f"Letter {number}"))).json()["id"])
    listed: list[str] = []
    after: str | None = None
    while True:
        page = (await api.get("/v1/messages", params={"limit": 2} | ({"after": after} if after else {}))).json()
        listed += [one["id"] for one in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert listed == sorted(posted, reverse=True)


async def test_a_letter_that_has_not_left_can_be_cancelled_once(api: httpx.AsyncClient) -> None:
    location = (await api.post("/v1/messages", json=a_letter())).headers["location"]
    assert (await api.post(f"{location}/cancel")).json()["status"] == "cancelled"
    assert_problem(await api.post(f"{location}/cancel"), 409, "conflict")
    assert_problem(await api.post(f"{location}/retry"), 409, "conflict")
