"""What Graph takes as a draft and what not, and the two kinds of id."""

import base64
from dataclasses import replace
from typing import Any

import httpx
import pytest

from gateway.sandbox import Behaviour, Sandbox

from .conftest import TAG, at, draft_of, letter, sent, tagged

IMMUTABLE = {"Prefer": 'IdType="ImmutableId"'}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown property", {"colour": "green"}, "RequestBodyRead"),
    ("an unknown property within a recipient", {"toRecipients": [{"address": "a@b.example"}]}, "RequestBodyRead"),
    ("a body that is a string", {"body": "Hello"}, "RequestBodyRead"),
    ("a number for a subject", {"subject": 7}, "RequestBodyRead"),
    ("a string for a boolean", {"isRead": "true"}, "RequestBodyRead"),
    ("an importance that is none", {"importance": "urgent"}, "RequestBodyRead"),
    ("a property that only the service sets", {"conversationId": "AAQkA"}, "ErrorInvalidPropertySet"),
    (
        "a header without x-",
        {"internetMessageHeaders": [{"name": "References", "value": "<a@b>"}]},
        "InvalidInternetMessageHeader",
    ),
    (
        "six headers",
        {"internetMessageHeaders": [{"name": f"x-{n}", "value": "v"} for n in range(6)]},
        "InvalidInternetMessageHeaderCollection",
    ),
    (
        "an attachment that is not base64",
        {"attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "a", "contentBytes": "%"}]},
        "RequestBodyRead",
    ),
    (
        "an extended property without a type",
        {"singleValueExtendedProperties": [{"id": "SendUid", "value": "1"}]},
        "ErrorInvalidProperty",
    ),
]


@pytest.mark.parametrize(("fields", "expected"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_a_draft_is_refused_for(
    graph: httpx.AsyncClient, office: str, fields: dict[str, Any], expected: str
) -> None:
    assert code(await graph.post(f"{office}/messages", json={**letter(), **fields})) == (400, expected)


async def test_a_body_of_more_than_four_megabytes_is_refused(graph: httpx.AsyncClient, office: str) -> None:
    large = letter(subject="x" * 4_300_000)
    assert code(await graph.post(f"{office}/messages", json=large)) == (413, "BadRequest")


async def test_json_that_is_broken_or_not_called_json_is_refused(graph: httpx.AsyncClient, office: str) -> None:
    json_type = {"Content-Type": "application/json"}
    assert code(await graph.post(f"{office}/messages", content=b"{", headers=json_type)) == (400, "BadRequest")
    assert code(await graph.post(f"{office}/messages", content=b"{}")) == (400, "BadRequest")


async def test_a_draft_can_be_changed_and_a_sent_letter_only_marked(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office)
    copy = sandbox.world.mailbox("office@school.example").with_message_id(draft["internetMessageId"])[0]
    path = f"{office}/messages/{at(copy.id)}"
    assert code(await graph.patch(path, json={"subject": "Another"})) == (400, "ErrorInvalidPropertySet")
    assert (await graph.patch(path, json={"isRead": False})).json()["isRead"] is False


async def test_the_tag_of_a_draft_is_found_without_case_and_never_echoed(graph: httpx.AsyncClient, office: str) -> None:
    draft = await draft_of(graph, office, tag="Beef01")
    assert "singleValueExtendedProperties" not in draft
    found = await graph.get(f"{office}/messages", params={"$filter": tagged("bEEF01")})
    assert [m["id"] for m in found.json()["value"]] == [draft["id"]]
    expand = f"singleValueExtendedProperties($filter=id eq '{TAG}' or id eq 'String 0x001A')"
    read = await graph.get(f"{office}/messages/{at(draft['id'])}", params={"$expand": expand})
    assert read.json()["singleValueExtendedProperties"] == [{"id": TAG, "value": "Beef01"}]


async def test_the_name_of_a_tag_is_compared_with_case(graph: httpx.AsyncClient, office: str) -> None:
    await draft_of(graph, office, tag="beef01")
    other = tagged("beef01").replace("SendUid", "senduid")
    assert (await graph.get(f"{office}/messages", params={"$filter": other})).json()["value"] == []


async def test_a_default_id_changes_with_a_move_and_an_immutable_one_stays(
    graph: httpx.AsyncClient, office: str
) -> None:
    draft = await draft_of(graph, office)
    before = (await graph.get(f"{office}/messages/{at(draft['id'])}", headers=IMMUTABLE)).json()["id"]
    moved = await graph.post(f"{office}/messages/{at(draft['id'])}/move", json={"destinationId": "archive"})
    assert moved.status_code == 201
    assert moved.json()["id"] != draft["id"]
    assert code(await graph.get(f"{office}/messages/{at(draft['id'])}")) == (404, "ErrorItemNotFound")
    assert (await graph.get(f"{office}/messages/{at(before)}")).json()["id"] == moved.json()["id"]


async def test_ids_are_translated_both_ways(graph: httpx.AsyncClient, office: str) -> None:
    draft = await draft_of(graph, office)
    there = {"inputIds": [draft["id"]], "sourceIdType": "restId", "targetIdType": "restImmutableEntryId"}
    answer = (await graph.post(f"{office}/translateExchangeIds", json=there)).json()["value"]
    assert answer[0]["sourceId"] == draft["id"]
    back = {"inputIds": [answer[0]["targetId"]], "sourceIdType": "restImmutableEntryId", "targetIdType": "restId"}
    answer = (await graph.post(f"{office}/translateExchangeIds", json=back)).json()["value"]
    assert answer[0]["targetId"] == draft["id"]


@pytest.mark.parametrize("survives", [True, False])
async def test_a_drafts_immutable_id_reads_the_sent_copy_or_not(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, survives: bool
) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), immutable_ids_survive_send=survives)
    draft = (await graph.post(f"{office}/messages", json=letter(), headers=IMMUTABLE)).json()
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    await sandbox.settle()
    read = await graph.get(f"{office}/messages/{at(draft['id'])}", headers=IMMUTABLE)
    assert read.status_code == (200 if survives else 404)


@pytest.mark.parametrize("survives", [True, False])
async def test_the_message_id_survives_sending_or_not(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, survives: bool
) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), internet_message_id_survives_send=survives)
    draft = await sent(sandbox, graph, office)
    assert (sandbox.world.ledger[0].internet_message_id == draft["internetMessageId"]) is survives


async def test_ids_that_cannot_be_ids_are_malformed(graph: httpx.AsyncClient, office: str) -> None:
    draft = await draft_of(graph, office)
    for wrong in (draft["id"][:-8], draft["conversationId"], "nonsense"):
        assert code(await graph.get(f"{office}/messages/{at(wrong)}")) == (400, "ErrorInvalidIdMalformed")


async def test_ids_are_case_sensitive_and_a_bare_slash_in_one_is_another_path(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await draft_of(graph, office)
    assert (await graph.get(f"{office}/messages/{at(draft['id'].swapcase())}")).status_code == 400
    while "/" not in draft["id"]:
        draft = await draft_of(graph, office)
    assert (await graph.get(f"{office}/messages/{at(draft['id'])}")).status_code == 200
    assert code(await graph.get(f"{office}/messages/{draft['id']}")) == (400, "BadRequest")


async def test_a_letter_can_be_posted_and_read_as_mime(graph: httpx.AsyncClient, office: str) -> None:
    source = (
        b"To: maia.parata@student.example\r\nSubject: As MIME\r\nMessage-ID: <own@school.example>\r\n\r\nKia ora\r\n"
    )
    plain = {"Content-Type": "text/plain"}
    draft = await graph.post(f"{office}/messages", content=base64.b64encode(source), headers=plain)
    assert draft.status_code == 201
    assert draft.json()["internetMessageId"] == "<own@school.example>"
    value = await graph.get(f"{office}/messages/{at(draft.json()['id'])}/$value")
    assert value.headers["content-type"].startswith("text/plain")
    assert b"Subject: As MIME" in value.content
    bad = await graph.post(f"{office}/messages", content=b"***", headers=plain)
    assert code(bad) == (400, "ErrorMimeContentInvalidBase64String")


async def test_a_large_attachment_comes_by_an_upload_session(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    size = 3 * 1024 * 1024 + 1
    draft = await draft_of(graph, office)
    message = f"{office}/messages/{at(draft['id'])}"
    item = {"attachmentType": "file", "name": "plan.pdf", "size": size}
    small = await graph.post(f"{message}/attachments/createUploadSession", json={"AttachmentItem": {**item, "size": 9}})
    assert code(small) == (400, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize")
    session = (await graph.post(f"{message}/attachments/createUploadSession", json={"AttachmentItem": item})).json()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as bare:
        url = session["uploadUrl"]
        first = await bare.put(url, content=b"a" * 2_000_000, headers={"Content-Range": f"bytes 0-1999999/{size}"})
        assert first.json()["nextExpectedRanges"] == ["2000000"]
        gap = await bare.put(url, content=b"b", headers={"Content-Range": f"bytes {size - 1}-{size - 1}/{size}"})
        assert gap.status_code == 400
        rest = size - 2_000_000
        last = await bare.put(url, content=b"b" * rest, headers={"Content-Range": f"bytes 2000000-{size - 1}/{size}"})
    assert (last.status_code, last.content) == (201, b"")
    assert "/Attachments('" in last.headers["location"]
    listed = (await graph.get(f"{message}/attachments")).json()["value"]
    value = await graph.get(f"{message}/attachments/{at(listed[0]['id'])}/$value")
    assert value.content == b"a" * 2_000_000 + b"b" * rest


async def test_ids_grow_with_what_comes_and_are_as_long_as_microsofts(graph: httpx.AsyncClient, office: str) -> None:
    drafts = [await draft_of(graph, office) for _ in range(3)]
    asked = [await graph.get(f"{office}/messages/{at(one['id'])}", headers=IMMUTABLE) for one in drafts]
    for ids, length in (([one["id"] for one in drafts], 152), ([one.json()["id"] for one in asked], 68)):
        assert {len(one) for one in ids} == {length}
        entries = [base64.b64decode(one, validate=True) for one in ids]
        assert len({one[:-8] for one in entries}) == 1  # all but the number and its padding
        assert entries == sorted(entries)
