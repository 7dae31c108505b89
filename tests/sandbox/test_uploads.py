"""Large attachments: pieces in order, at a URL that is its own permission."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Effect, Fault, Sandbox

from .conftest import ManualClock, at, draft_of

SIZE = 3 * 1024 * 1024
HALF = SIZE // 2


class Upload:
    """A session for one attachment of a draft, and a client without a token to fill it."""

    def __init__(self, graph: httpx.AsyncClient, bare: httpx.AsyncClient, message: str) -> None:
        self._graph = graph
        self._bare = bare
        self.message = message
        self.session: dict[str, Any] = {}

    async def open(self, **item: Any) -> httpx.Response:
        item = {"attachmentType": "file", "name": "plan.pdf", "size": SIZE, **item}
        path = f"{self.message}/attachments/createUploadSession"
        answer = await self._graph.post(path, json={"AttachmentItem": item})
        self.session = answer.json()
        return answer

    async def put(self, first: int, last: int, *, size: int = SIZE, **headers: str) -> httpx.Response:
        content = bytes(number % 251 for number in range(first % 251, first % 251 + 251)) * ((last - first) // 251 + 1)
        return await self._bare.put(
            self.session["uploadUrl"],
            content=content[: last - first + 1],
            headers={"Content-Range": f"bytes {first}-{last}/{size}", **headers},
        )

    async def attachments(self) -> list[dict[str, Any]]:
        return list((await self._graph.get(f"{self.message}/attachments")).json()["value"])

    async def cancel(self) -> httpx.Response:
        return await self._bare.delete(self.session["uploadUrl"])

    async def delete_draft(self) -> None:
        for _ in range(2):  # the first goes to Deleted Items
            assert (await self._graph.delete(self.message)).status_code == 204


@pytest.fixture
async def upload(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> Any:
    draft = await draft_of(graph, office)
    immutable = sandbox.world.mailbox("office@school.example").find(draft["id"])
    assert immutable is not None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as bare:
        new = Upload(graph, bare, f"{office}/messages/{at(immutable.immutable_id)}")
        assert (await new.open()).status_code == 201
        yield new


async def test_nothing_is_seen_of_an_attachment_before_its_last_byte(upload: Upload) -> None:
    assert (await upload.put(0, HALF - 1)).json()["nextExpectedRanges"] == [str(HALF)]
    assert await upload.attachments() == []
    last = await upload.put(HALF, SIZE - 1)
    assert (last.status_code, last.content) == (201, b"")
    [attachment] = await upload.attachments()
    assert attachment["name"] == "plan.pdf"
    assert at(attachment["id"]) in last.headers["location"]


async def test_an_inline_image_keeps_its_content_id(upload: Upload) -> None:
    await upload.open(name="logo.png", isInline=True, contentId="logo", contentType="image/png")
    await upload.put(0, SIZE - 1)
    [image] = await upload.attachments()
    assert (image["isInline"], image["contentId"], image["contentType"]) == (True, "logo", "image/png")


async def test_a_piece_that_was_taken_or_comes_too_early_is_refused_and_harms_nothing(upload: Upload) -> None:
    await upload.put(0, HALF - 1)
    assert (await upload.put(0, HALF - 1)).status_code == 400
    assert (await upload.put(HALF + 1, SIZE - 1)).status_code == 400
    assert (await upload.put(HALF, SIZE - 1)).status_code == 201


async def test_an_upload_url_is_used_without_a_token(upload: Upload) -> None:
    assert (await upload.put(0, HALF - 1, Authorization="Bearer x")).status_code == 401
    assert (await upload.put(0, HALF - 1)).status_code == 200


async def test_a_piece_that_is_too_large_is_refused_unless_that_is_allowed(sandbox: Sandbox, upload: Upload) -> None:
    sandbox.world.behaviour = replace(sandbox.world.behaviour, max_upload_piece_bytes=HALF)
    assert (await upload.put(0, HALF)).status_code == 413
    sandbox.world.behaviour = replace(sandbox.world.behaviour, max_upload_piece_bytes=None)
    assert (await upload.put(0, HALF)).status_code == 200


async def test_the_end_of_a_session_never_moves(sandbox: Sandbox, upload: Upload, clock: ManualClock) -> None:
    life = sandbox.world.behaviour.upload_session_lifetime
    clock.advance(life - timedelta(seconds=1))
    progress = (await upload.put(0, HALF - 1)).json()
    assert progress["ExpirationDateTime"] == upload.session["expirationDateTime"]
    clock.advance(timedelta(seconds=1))
    assert (await upload.put(HALF, SIZE - 1)).status_code == 404


async def test_a_cancelled_session_is_gone(upload: Upload) -> None:
    assert (await upload.cancel()).status_code == 204
    assert (await upload.put(0, HALF - 1)).status_code == 404


async def test_a_draft_that_is_gone_takes_no_attachment(upload: Upload) -> None:
    await upload.put(0, HALF - 1)
    await upload.delete_draft()
    assert (await upload.put(HALF, SIZE - 1)).status_code == 404


@pytest.mark.parametrize(("effect", "then"), [(Effect.BEFORE, 200), (Effect.AFTER, 400)])
async def test_a_piece_can_be_struck_before_it_is_taken_or_after(
    sandbox: Sandbox, upload: Upload, effect: Effect, then: int
) -> None:
    sandbox.faults.add(Fault(match="^PUT .*", status=503, effect=effect))
    assert (await upload.put(0, HALF - 1)).status_code == 503
    assert (await upload.put(0, HALF - 1)).status_code == then


@pytest.mark.parametrize("item", [{"isInline": "yes"}, {"contentId": 7}, {"size": "large"}, {"attachmentType": "item"}])
async def test_a_session_is_refused_for(upload: Upload, item: dict[str, Any]) -> None:
    assert (await upload.open(**item)).status_code == 400
