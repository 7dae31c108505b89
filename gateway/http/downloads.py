"""What strangers attached, given out so that a browser saves it and never opens it as part of this site."""

import asyncio
import re
import unicodedata
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.http.headers import NOTHING
from gateway.waiting import first_of

LONGEST_NAME: Final = 120  # characters; a file system takes 255 bytes
LONGEST_EXTENSION: Final = 16
STALLED_S: Final = 60.0  # a reader who takes nothing for so long has gone away

# What a browser may be told of a file. The rest, HTML, SVG and XML with it, is bytes: it is the sender's claim anyway.
TOLD: Final = re.compile(
    r"image/(?:png|jpeg|gif|webp|bmp|tiff|heic)|audio/[\w.+-]+|video/[\w.+-]+|text/(?:plain|csv|calendar)|message/rfc822"
    r"|application/(?:pdf|msword|rtf|zip|octet-stream|vnd\.(?:ms-|openxmlformats-officedocument|oasis)[\w.+-]*)",
    re.I | re.ASCII,
)
HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": f"{NOTHING}; sandbox",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}

# Not in file names on Windows: https://learn.microsoft.com/windows/win32/fileio/naming-a-file
_FORBIDDEN: Final = re.compile(r'[/\\:*?"<>|]')
_RESERVED: Final = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)", re.I)
# Characters that cannot be seen, or that turn others round, so that "exe.fdp" reads "pdf.exe".
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe_name(name: str, *, fallback: str = "attachment") -> str:
    """A name that any file system takes and that shows what the file is."""
    seen = "".join(one for one in unicodedata.normalize("NFC", name) if unicodedata.category(one) not in _UNSEEN)
    plain = " ".join(_FORBIDDEN.sub("_", seen).split()).strip(". ")
    if len(plain) > LONGEST_NAME:
        stem, dot, extension = plain.rpartition(".")
        kept = dot + extension if stem and len(extension) <= LONGEST_EXTENSION else ""
        plain = plain[: LONGEST_NAME - len(kept)].rstrip(". ") + kept
    if not plain:
        return fallback
    return f"_{plain}" if _RESERVED.match(plain) else plain


def item_name(name: str, first: bytes) -> str:
    """The name of an attached Outlook item, which has no extension, by how its bytes begin.

    Source: https://learn.microsoft.com/graph/api/attachment-get
    """
    begins = first[:20].lstrip().upper()
    if begins.startswith(b"BEGIN:VCARD"):
        extension = ".vcf"
    elif begins.startswith(b"BEGIN:VCALENDAR"):
        extension = ".ics"
    else:
        extension = ".eml"
    plain = safe_name(name, fallback="message")
    return plain if plain.lower().endswith(extension) else plain + extension


def told_type(content_type: str) -> str:
    """The type that a browser is told."""
    given = content_type.partition(";")[0].strip()
    return given.lower() if TOLD.fullmatch(given) else "application/octet-stream"


def disposition(name: str) -> str:
    """`Content-Disposition` for saving: https://www.rfc-editor.org/rfc/rfc6266, with RFC 8187 for what is not ASCII."""
    ascii_only = re.sub(r"[^ !#-$&-~]", "_", name)
    plain = f'attachment; filename="{ascii_only}"'
    return plain if ascii_only == name else f"{plain}; filename*=UTF-8''{quote(name, safe='')}"


class Passing(Response):
    """Bytes passed on as they come. Whoever hangs up, or takes nothing for STALLED_S, ends it for the source too.

    A source that `breaks` breaks the connection, so that nobody takes a part for the whole.
    """

    def __init__(
        self,
        first: bytes,
        rest: AsyncGenerator[bytes, None],
        *,
        headers: Mapping[str, str],
        breaks: type[Exception],
    ) -> None:
        self.status_code = HTTPStatus.OK
        self.background = None
        self.init_headers(headers)
        self._first = first
        self._rest = rest
        self._breaks = breaks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._rest):
            if scope["method"] == "HEAD":
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await send({"type": "http.response.body", "body": b""})
            else:
                await first_of(self._send_all(send), _hung_up(receive))

    async def _send_all(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            await self._send(send, self._first)
            async for chunk in self._rest:
                await self._send(send, chunk)
        except (self._breaks, TimeoutError):
            return  # without an end, so the server closes the connection
        await send({"type": "http.response.body", "body": b""})

    async def _send(self, send: Send, chunk: bytes) -> None:
        async with asyncio.timeout(STALLED_S):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
