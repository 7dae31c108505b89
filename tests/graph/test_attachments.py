import contextlib
import json
import traceback
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from hypothesis import given

from gateway.graph import (
    LARGEST_ATTACHMENT,
    SMALLEST_SESSION,
    UPLOAD_PIECE,
    AccessDenied,
    ForeignUrl,
    GraphError,
    NotFound,
    Throttled,
    UnexpectedAnswer,
    Unreachable,
    UploadSession,
)

from .fakes import Setting, all_of, answer, failure, sample
from .strategies import almost_an, json_values

ADA = "ada@school.example"
SECRET = "eyJhbGciOi"
OUTLOOK = f"https://outlook.office.com/api/v2.0/Users('u')/Messages('m')/AttachmentSessions('s')?authtoken={SECRET}"
BETWEEN = answer(200, sample("upload-chunk.response"))
FLOWER = {"name": "flower.png", "content_type": "image/png", "size": 3_483_322}


def options(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}


def piece_of(scene: Setting, url: str = OUTLOOK):
    return scene.client.upload_piece(url, b"x" * 100, offset=300, total=400, user=ADA)


async def test_an_attachment_is_added_once_and_never_again():
    scene = Setting(answer(201, sample("attachment-create.response")))
    assert (await scene.client.add_attachment(ADA, "m", {"name": "smile"})).name == "smile"
    scene = Setting(failure(429))
    with pytest.raises(Throttled):
        await scene.client.add_attachment(ADA, "m", {"name": "smile"})
    assert len(scene.graph.requests) == 1


async def test_attachments_are_listed_without_their_bytes():
    scene = Setting(answer(200, sample("attachments-list.response")))
    (listed,) = await scene.client.list_attachments(ADA, "m")
    assert listed.size == 99
    assert options(scene.graph.requests[0])["$select"] == (
        "id,name,contentType,size,isInline,microsoft.graph.fileAttachment/contentId"
    )


async def test_a_server_that_knows_no_casts_is_asked_without():
    scene = Setting(failure(400, "BadRequest"), answer(200, {"value": []}))
    assert await scene.client.list_attachments(ADA, "m") == []
    assert options(scene.graph.requests[1])["$select"] == "id,name,contentType,size,isInline"


async def test_an_attachment_streams():
    scene = Setting(httpx.Response(200, content=b"PDF" * 1000))
    assert await all_of(scene.client.attachment_bytes(ADA, "m", "a/b")) == b"PDF" * 1000
    assert scene.graph.asked == ["GET /v1.0/users/ada@school.example/messages/m/attachments/a%2Fb/$value"]


async def test_a_stream_that_cannot_begin_says_why():
    scene = Setting(failure(404, "ErrorItemNotFound"))
    with pytest.raises(NotFound) as missing:
        await all_of(scene.client.attachment_bytes(ADA, "m", "a"))
    assert missing.value.code == "ErrorItemNotFound"


async def test_a_stream_cut_off_is_unreachable():
    class Broken(httpx.AsyncByteStream):
        async def __aiter__(self):
            yield b"PD"
            raise httpx.ReadError("reset")

    scene = Setting(handler=lambda _: httpx.Response(200, stream=Broken()))
    with pytest.raises(Unreachable):
        await all_of(scene.client.attachment_bytes(ADA, "m", "a"))


async def test_an_upload_session_is_asked_for_with_what_the_file_is():
    scene = Setting(answer(201, sample("upload-session.response")))
    session = await scene.client.create_upload_session(ADA, "m", **FLOWER, content_id=None)
    assert session.url == sample("upload-session.response")["uploadUrl"]
    assert session.next_offset == 0
    assert session.expires_at.isoformat() == "2019-09-25T01:09:30.767170+00:00"
    assert scene.graph.asked == ["POST /v1.0/users/ada@school.example/messages/m/attachments/createUploadSession"]
    item = {"attachmentType": "file", "name": "flower.png", "contentType": "image/png", "size": 3_483_322}
    assert json.loads(scene.graph.requests[0].content) == {"AttachmentItem": {**item, "isInline": False}}


async def test_a_file_with_a_content_id_is_inline():
    scene = Setting(answer(201, sample("upload-session.response")))
    await scene.client.create_upload_session(ADA, "m", **FLOWER, content_id="flower")
    item = json.loads(scene.graph.requests[0].content)["AttachmentItem"]
    assert (item["isInline"], item["contentId"]) == (True, "flower")


async def test_a_session_nobody_fills_may_be_begun_twice():
    scene = Setting(httpx.ReadTimeout("slow"), answer(201, sample("upload-session.response")))
    await scene.client.create_upload_session(ADA, "m", **FLOWER, content_id=None)
    assert len(scene.graph.requests) == 2


async def test_a_piece_goes_to_outlook_with_its_range_and_without_our_token():
    scene = Setting(BETWEEN)
    assert await scene.client.upload_piece(OUTLOOK, b"x" * 100, offset=300, total=3_483_322, user=ADA) == 2_097_152
    (request,) = scene.graph.requests
    assert (request.method, str(request.url)) == ("PUT", OUTLOOK)
    assert request.content == b"x" * 100
    assert request.headers["content-range"] == "bytes 300-399/3483322"
    assert request.headers["content-type"] == "application/octet-stream"
    assert request.headers["content-length"] == "100"
    assert not {"authorization", "prefer"} & set(request.headers)
    assert scene.calls[0].route == "AttachmentSessions/{id}"


async def test_the_last_piece_has_no_next():
    assert await piece_of(Setting(answer(201, Location="https://outlook.office.com/x"))) is None


async def test_an_upload_that_ends_too_early_is_no_success():
    with pytest.raises(UnexpectedAnswer):
        await Setting(answer(201)).client.upload_piece(OUTLOOK, b"x", offset=0, total=400, user=ADA)


@pytest.mark.parametrize(
    ("payload", "offset"),
    [
        ({"nextExpectedRanges": ["2097152"]}, 2_097_152),
        ({"NextExpectedRanges": ["2097152-"]}, 2_097_152),
        ({"NEXTEXPECTEDRANGES": ["0-4194303", "9-"]}, 0),
        ({"nextExpectedRanges": [7]}, 7),
    ],
)
async def test_the_next_range_is_read_in_every_spelling(payload, offset):
    assert await piece_of(Setting(answer(200, payload))) == offset


@pytest.mark.parametrize("ranges", [None, [], "0-", ["-5"], ["soon"], [True], [None], ["9" * 30]])
async def test_a_next_range_that_is_none_is_unexpected(ranges):
    with pytest.raises(UnexpectedAnswer):
        await piece_of(Setting(answer(200, {"nextExpectedRanges": ranges})))


@given(json_values | almost_an("uploadUrl", "expirationDateTime", "nextExpectedRanges"))
def test_any_answer_is_a_session_or_unexpected(payload):
    with contextlib.suppress(UnexpectedAnswer):
        assert UploadSession.from_graph(payload if isinstance(payload, dict) else {}).next_offset >= 0


@pytest.mark.parametrize(
    "trouble", [failure(401), failure(429, Retry_After="1"), failure(503), failure(416), httpx.ReadTimeout("slow")]
)
async def test_a_piece_is_never_uploaded_twice(trouble):
    scene = Setting(trouble, answer(201))
    with pytest.raises(GraphError):
        await piece_of(scene)
    assert len(scene.graph.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://outlook.office.com/x",
        "https://outlook.office.com:444/x",
        "https://outlook.office.com.evil.example/x",
        "https://outlook.office.com@evil.example/x",
        "https://user@outlook.office.com/x",
        "https://evil.example/outlook.office.com",
        "http://127.0.0.1:8600/x",
        "ftp://outlook.office.com/x",
        "//outlook.office.com/x",
        "https://outlook.office.com:99999/x",
        "https://outlook.office.com/\x00",
        "",
    ],
)
async def test_an_upload_url_to_anywhere_else_is_never_contacted(url):
    scene = Setting(answer(201))
    with pytest.raises(ForeignUrl):
        await piece_of(scene, url)
    with pytest.raises(ForeignUrl):
        await scene.client.cancel_upload(url)
    assert scene.graph.requests == []


@pytest.mark.parametrize(
    ("url", "trouble"),
    [
        (OUTLOOK, failure(403)),
        (OUTLOOK, httpx.ConnectError("refused")),
        (OUTLOOK, httpx.ReadTimeout("slow")),
        (f"https://evil.example/x?authtoken={SECRET}", answer(201)),
        (f"https://outlook.office.com:{SECRET}/", answer(201)),
    ],
)
async def test_no_failure_tells_the_upload_url(url, trouble):
    with pytest.raises(GraphError) as failed:
        await piece_of(Setting(trouble), url)
    told = "".join(traceback.format_exception(failed.value))
    assert SECRET not in f"{told} {failed.value!r} {failed.value.log_fields()}"


def test_a_session_does_not_show_its_url():
    assert SECRET not in repr(UploadSession(url=OUTLOOK, expires_at=None, next_offset=0))


async def test_a_session_is_given_up_with_its_own_right_and_one_that_is_over_is_as_good():
    scene = Setting(answer(204))
    await scene.client.cancel_upload(OUTLOOK)
    (request,) = scene.graph.requests
    assert (request.method, str(request.url)) == ("DELETE", OUTLOOK)
    assert "authorization" not in request.headers
    await Setting(failure(404, "ErrorItemNotFound")).client.cancel_upload(OUTLOOK)
    with pytest.raises(AccessDenied):
        await Setting(failure(403)).client.cancel_upload(OUTLOOK)


def test_sizes_are_on_the_safe_side_of_either_megabyte():
    assert UPLOAD_PIECE < 4_000_000
    assert SMALLEST_SESSION >= 3 * 1024 * 1024
    assert LARGEST_ATTACHMENT <= 150_000_000
