"""The pages' own files: read once, named with a digest of their content, so that browsers keep them for good."""

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from importlib.resources import files
from typing import Final, Self

from starlette.requests import Request
from starlette.responses import Response

from gateway.http.pages.errors import no_such_page

MEDIA_TYPES: Final = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file as it is served."""

    content: bytes
    media_type: str
    version: str


@dataclass(frozen=True, slots=True)
class Assets:
    """All of them, by name."""

    by_name: dict[str, Asset]

    @classmethod
    def load(cls) -> Self:
        """Read the files of this package."""
        folder = files("gateway.http.pages") / "static"
        return cls({entry.name: _asset(entry.name, entry.read_bytes()) for entry in folder.iterdir()})

    def url(self, name: str) -> str:
        """The address under which it never changes."""
        return f"/static/{name}?v={self.by_name[name].version}"

    async def serve(self, request: Request) -> Response:
        """`/static/{name}`."""
        asset = self.by_name.get(request.path_params["name"])
        if asset is None:
            raise no_such_page()
        etag = f'"{asset.version}"'
        named = request.query_params.get("v") == asset.version
        headers = {
            "etag": etag,
            "cache-control": "public, max-age=31536000, immutable" if named else "no-cache",
        }
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(asset.content, media_type=asset.media_type, headers=headers)


def _asset(name: str, content: bytes) -> Asset:
    return Asset(
        content=content,
        media_type=MEDIA_TYPES[name.rpartition(".")[2]],
        version=hashlib.sha256(content).hexdigest()[:12],
    )
