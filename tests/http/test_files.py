"""`/v1/files`: content of any size, streamed to disk, and named by letters."""

import base64
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from starlette.types import Message

from gateway.http.files import MOST_WAITING
from storage import files
from storage.files import PIECE
from tests.http.scene import ALL_SCOPES, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem

PDF = {"content-type": "application/pdf"}


async def in_chunks(content: bytes, size: int = 60_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7])
async def test_a_file_comes_back_byte_for_byte(scene: Scene, api: httpx.AsyncClient, size: int) -> None:
    content = bytes(number % 251 for number in range(251)) * (size // 251 + 1)
    content = content[:size]
    answer = await api.post("/v1/files?name=offer.pdf", content=in_chunks(content), headers=PDF)
    assert answer.status_code == 201, answer.text
    file = answer.json()
    assert answer.headers["location"] == f"/v1/files/{file['id']}"
    assert (file["name"], file["content_type"], file["size"]) == ("offer.pdf", "application/pdf", size)
    assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert file["expires_at"] == "2026-03-03T09:00:00Z"
    assert (await api.get(answer.headers["location"])).json() == file
    kept = await scene.store.read(files.read, file["id"], start=0, length=size + 1)
    assert kept == content


async def test_any_part_of_it_can_be_read(scene: Scene, api: httpx.AsyncClient) -> None:
    content = bytes(number % 256 for number in range(2 * PIECE))
    file = (await api.post("/v1/files?name=a", content=content)).json()
    for start, length in ((0, 10), (PIECE - 5, 10), (PIECE, PIECE), (2 * PIECE - 3, 10), (2 * PIECE, 10)):
        assert await scene.store.read(files.read, file["id"], start=start, length=length) == content[start:][:length]


async def test_a_letter_brings_it_by_its_id(api: httpx.AsyncClient) -> None:
    file = (await api.post("/v1/files?name=offer.pdf", content=b"%PDF-", headers=PDF)).json()
    accepted = await api.post("/v1/messages", json=a_letter(attachments=[{"file": file["id"]}]))
    shown = (await api.get(accepted.headers["location"])).json()
    [attachment] = shown["attachments"]
    assert (attachment["name"], attachment["content_type"], attachment["size"]) == ("offer.pdf", "application/pdf", 5)


@pytest.mark.parametrize(
    ("attachment", "pointers"),
    [
        ({"name": "a.pdf"}, ["/attachments/0/content"]),
        ({"name": "a.pdf", "content": "AAAA", "file": "fil_1"}, ["/attachments/0/content"]),
        ({"content": "AAAA"}, ["/attachments/0/name"]),
        ({"file": "fil 1"}, ["/attachments/0/file"]),
    ],
)
async def test_an_attachment_has_one_source_and_a_name(
    api: httpx.AsyncClient, attachment: dict[str, str], pointers: list[str]
) -> None:
    assert_bad_values(await api.post("/v1/messages", json=a_letter(attachments=[attachment])), *pointers)


async def test_a_file_that_is_not_there_is_said_with_its_place(scene: Scene, api: httpx.AsyncClient) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/messages", json=a_letter(attachments=[{"file": "fil_gone"}]))
    problem = assert_problem(answer, 422, "unknown-file")
    assert [error["pointer"] for error in problem["errors"]] == ["/attachments"]
    assert await scene.rows() == before


async def test_another_accounts_file_is_not_there(scene: Scene, api: httpx.AsyncClient) -> None:
    file = (await api.post("/v1/files?name=a", content=b"secret")).json()
    other = await scene.new_key(*ALL_SCOPES, account_id=await scene.new_account("Other school"))
    async with scene.client(key=other) as stranger:
        assert_problem(await stranger.get(f"/v1/files/{file['id']}"), 404, "not-found")
        answer = await stranger.post("/v1/messages", json=a_letter(attachments=[{"file": file["id"]}]))
        assert_problem(answer, 422, "unknown-file")


async def test_what_arrives_is_checked_against_the_digest_it_came_with(scene: Scene, api: httpx.AsyncClient) -> None:
    def digest(of: bytes) -> dict[str, str]:
        return {"content-digest": f"sha-256=:{base64.b64encode(hashlib.sha256(of).digest()).decode()}:"}

    assert (await api.post("/v1/files?name=a", content=b"as sent", headers=digest(b"as sent"))).status_code == 201
    before = await scene.rows()
    wrong = await api.post("/v1/files?name=a", content=b"as arrived", headers=digest(b"as sent"))
    assert_bad_values(wrong, "/content-digest", where="header")
    malformed = await api.post("/v1/files?name=a", content=b"x", headers={"content-digest": "md5=:xx:"})
    assert_bad_values(malformed, "/content-digest", where="header")
    assert await scene.rows() == before


@pytest.mark.parametrize("query", ["", "?name=", "?name=../a", "?name=a&name=b", "?name=a&size=3"])
async def test_it_needs_the_name_of_a_file(scene: Scene, api: httpx.AsyncClient, query: str) -> None:
    before = await scene.rows()
    assert_problem(await api.post(f"/v1/files{query}", content=b"x"), 422, "invalid-request")
    assert await scene.rows() == before


async def test_a_media_type_that_is_none_is_refused(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/files?name=a", content=b"x", headers={"content-type": "pdf"})
    assert_bad_values(answer, "/content-type", where="header")


async def test_a_compressed_body_is_refused_as_what_is_counted_is_what_is_kept(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/files?name=a", content=b"x", headers={"content-encoding": "gzip"})
    assert_problem(answer, 415, "unsupported-media-type")


class TestLimits:
    async def test_more_than_the_operator_allows_is_refused_whether_it_says_so_or_not(self, scene: Scene) -> None:
        small = scene.with_settings(largest_attachment=2 * PIECE)
        async with small.client() as client:
            before = await scene.rows()
            for content in (b"x" * (2 * PIECE + 1), in_chunks(b"x" * (2 * PIECE + 1))):
                answer = await client.post("/v1/files?name=a", content=content)
                assert f"{2 * PIECE:,}" in assert_problem(answer, 413, "body-too-large")["detail"]
            assert await scene.rows() == before
            assert (await client.post("/v1/files?name=a", content=b"x" * 2 * PIECE)).status_code == 201

    async def test_a_letter_whose_files_are_too_large_together_is_refused(self, scene: Scene) -> None:
        small = scene.with_settings(largest_letter=1000)
        async with small.client() as client:
            file = (await client.post("/v1/files?name=a", content=b"x" * 600)).json()
            answer = await client.post(
                "/v1/messages", json=a_letter(attachments=[{"file": file["id"]}, {"file": file["id"]}])
            )
            problem = assert_problem(answer, 413, "letter-too-large")
            assert "1,200 bytes" in problem["detail"]

    async def test_what_no_letter_has_named_does_not_pile_up_without_bounds(self, scene: Scene) -> None:
        async with scene.with_settings(largest_attachment=1000).client() as client:
            ids = [
                (await client.post("/v1/files?name=a", content=b"x" * 1000)).json()["id"]
                for _ in range(MOST_WAITING + 1)
            ]
            assert_problem(await client.post("/v1/files?name=a", content=b"x"), 413, "too-much-waiting")
            await client.post("/v1/messages", json=a_letter(attachments=[{"file": ids[0]}]))
            assert (await client.post("/v1/files?name=a", content=b"x")).status_code == 201

    async def test_a_large_one_is_never_held_whole(self, api: httpx.AsyncClient) -> None:
        piece = b"x" * 1_000_000

        async def forty_megabytes() -> AsyncIterator[bytes]:
            for _ in range(40):
                yield piece

        tracemalloc.start()
        try:
            answer = await api.post("/v1/files?name=a", content=forty_megabytes())
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert (answer.status_code, answer.json()["size"]) == (201, 40_000_000)
        assert peak < 12_000_000


async def test_of_a_caller_who_hangs_up_nothing_stays(scene: Scene) -> None:
    before = await scene.rows()
    messages: list[Message] = [
        {"type": "http.request", "body": b"x" * (PIECE + 1), "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        pass

    headers = [(b"authorization", f"Bearer {scene.key}".encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/files",
        "query_string": b"name=a",
        "headers": headers,
    }
    await scene.app(scope, receive, send)
    assert await scene.rows() == before


async def test_it_is_forgotten_after_a_day_unless_a_letter_needs_it(scene: Scene, api: httpx.AsyncClient) -> None:
    unused, used = [(await api.post("/v1/files?name=a", content=b"x")).json()["id"] for _ in range(2)]
    await api.post("/v1/messages", json=a_letter(attachments=[{"file": used}]))
    scene.clock.advance(timedelta(days=1))
    assert await scene.store.write(files.forget_expired, scene.account_id, now=scene.clock.now()) == 1
    assert_problem(await api.get(f"/v1/files/{unused}"), 404, "not-found")
    assert (await api.get(f"/v1/files/{used}")).status_code == 200
