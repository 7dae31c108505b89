"""`/v1/files`: content of any size, uploaded before the letters that it goes with.

The body is the file itself: it is written to disk piece by piece as it comes, and never held whole.
"""

import base64
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.http import reading, schemas, values
from gateway.http.auditing import does, reads
from gateway.http.problem_types import (
    BAD_REQUEST,
    DISK_NEARLY_FULL,
    NOT_FOUND,
    TOO_MUCH_WAITING,
    UNSUPPORTED_MEDIA_TYPE,
)
from gateway.http.problems import BadValue, Problem, invalid
from gateway.http.routing import Call, Operation, json_response
from gateway.http.sight import Sees
from storage import StorageUnavailable, files
from storage.api_keys import Scope
from storage.files import PIECE, File

KEPT: Final = timedelta(days=1)
"""How long a file waits for its first letter."""
MOST_WAITING: Final = 14
"""Files of the largest size that no letter has named yet: enough for a mailing, too little to fill a disk unnoticed."""
DIGEST: Final = "content-digest"
SHA256: Final = re.compile(r"sha-256=:([A-Za-z0-9+/]{43}=):")  # RFC 9530 section 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FileView:
    """An uploaded file. Its `id` goes into a letter's attachments as `file`, of any number of letters.

    Until `expires_at` it waits for a letter; then it is kept as long as a letter needs it. Size in bytes.
    """

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    expires_at: datetime


async def upload(call: Call[schemas.FileQuery]) -> Response:
    content_type, digest = _content_type(call), _promised_digest(call)
    store, now = call.services.store, call.now
    call.services.space.check()
    call.services.crowd.uploads.take(call.request)
    most = MOST_WAITING * call.services.settings.largest_attachment
    if await store.read(files.unused_bytes, call.account_id) > most:
        raise Problem(TOO_MUCH_WAITING, f"More than {most:,} bytes are here that no letter has named.")
    file_id = await store.write(
        files.begin, call.account_id, name=call.given.name, content_type=content_type, expires_at=now + KEPT, now=now
    )
    try:
        file = await _receive(call, file_id, digest)
    except BaseException:
        with contextlib.suppress(StorageUnavailable):  # then it goes when it expires
            await store.write(files.delete, file_id)
        raise
    return json_response(_view(file), HTTPStatus.CREATED, {"location": f"/v1/files/{file.id}"})


async def _receive(call: Call[Any], file_id: str, promised: bytes | None) -> File:
    size, position, digest = 0, 0, hashlib.sha256()
    async for piece in _pieces(call):
        call.services.space.check()
        digest.update(piece)
        await call.services.store.write(files.add_piece, file_id, position=position, starts_at=size, content=piece)
        size, position = size + len(piece), position + 1
    if promised is not None and promised != digest.digest():
        detail = "What came is not what this digest promises. Send it again."
        raise invalid(BadValue(where="header", pointer="/" + DIGEST, detail=detail))
    call.deed.about(file_id=file_id)
    return await call.deed.write(files.finish, file_id, size=size, sha256=digest.digest())


async def _pieces(call: Call[Any]) -> AsyncIterator[bytes]:
    """The body, in pieces of one size but for the last. Raises `Problem` (400) when the caller hung up."""
    waiting = bytearray()
    try:
        async for chunk in call.request.stream():
            waiting += chunk
            while len(waiting) >= PIECE:
                yield bytes(waiting[:PIECE])
                del waiting[:PIECE]
    except ClientDisconnect:
        raise Problem(BAD_REQUEST, "The file ended before its end. Send it again.") from None
    if waiting:
        yield bytes(waiting)


def _content_type(call: Call[Any]) -> str:
    if call.request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(UNSUPPORTED_MEDIA_TYPE, "Send the file without Content-Encoding.")
    given = reading.header(call.request, "content-type") or "application/octet-stream"
    try:
        return values.media_type(given)
    except ValueError as error:
        raise invalid(BadValue(where="header", pointer="/content-type", detail=str(error))) from None


def _promised_digest(call: Call[Any]) -> bytes | None:
    given = reading.header(call.request, DIGEST)
    if given is None:
        return None
    found = SHA256.fullmatch(given)
    if found is None:
        detail = "This must be sha-256=:…: with the digest in base64 (RFC 9530)."
        raise invalid(BadValue(where="header", pointer="/" + DIGEST, detail=detail))
    return base64.b64decode(found.group(1))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(_view(await call.services.store.read(files.get, call.account_id, call.path("id"))))


def _view(file: File) -> FileView:
    return FileView(
        id=file.id,
        name=file.name,
        content_type=file.content_type,
        size=file.size,
        sha256=file.sha256.hex(),
        expires_at=file.expires_at,
    )


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/files",
        scope=Scope.SEND,
        summary="Upload a file that letters are to bring",
        takes=schemas.FileQuery,
        does=upload,
        audit=does("file.upload"),
        gives=FileView,
        status=HTTPStatus.CREATED,
        headers={
            "Content-Type": "The file's own type; application/octet-stream if there is none.",
            "Content-Digest": "`sha-256=:…:` of the file (RFC 9530): then what arrives is checked against it.",
        },
        problems=(UNSUPPORTED_MEDIA_TYPE, TOO_MUCH_WAITING, DISK_NEARLY_FULL),
        raw=True,
        sees=Sees.ANY,
    ),
    Operation(
        method="GET",
        path="/v1/files/{id}",
        scope=Scope.READ,
        summary="What is known of an uploaded file",
        takes=schemas.Nothing,
        does=show,
        audit=reads("file.show", id="file_id"),
        gives=FileView,
        problems=(NOT_FOUND,),
        sees=Sees.ANY,
    ),
)
