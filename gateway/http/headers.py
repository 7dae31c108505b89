"""The headers that every answer has, so that a browser does nothing with it that was not meant.

An answer that needs more than the strictest brings its own: pages their content policy, the pages' own files that they
may be kept. What is meant by each header: https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
"""

from collections.abc import Mapping, Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# `base-uri` and `form-action` do not follow `default-src`, nor does `frame-ancestors`.
NOTHING: Final = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

# What the pages never ask for, and so nothing that got into one may.
UNUSED: Final = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)

STRICTEST: Final[Mapping[str, str]] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": ", ".join(f"{one}=()" for one in UNUSED),
    "content-security-policy": NOTHING,
    "cache-control": "no-store",
}
APART_FROM_OPENERS: Final = ("cross-origin-opener-policy", "same-origin")

# A year is what browsers' preload lists and ASVS 3.4.1 ask for.
ALWAYS_TLS: Final = ("strict-transport-security", "max-age=31536000; includeSubDomains")

Raw = tuple[bytes, bytes]


class SecurityHeaders:
    """Gives an answer the strictest headers, except those that it brings itself.

    `public_url` says whether people come by https. Whether this request did says the connection, or a trusted proxy.
    """

    def __init__(self, app: ASGIApp, *, public_url: str | None) -> None:
        self._app = app
        self._is_https = (public_url or "").startswith("https:")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        over_tls = self._is_https and scope.get("scheme") == "https"

        async def hardened(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = hardened_headers(message["headers"], over_tls=over_tls)
            await send(message)

        await self._app(scope, receive, hardened)


def hardened_headers(given: Sequence[Raw], *, over_tls: bool) -> list[Raw]:
    """`given` and all that is wanting. Names in `given` are in lower case, as ASGI has them."""
    brought = dict(given)
    added = [pair for pair in _STRICTEST if pair[0] not in brought]
    # A sandboxed document in a tab of its own may have no opener policy: by the standard it is then a network error.
    # https://html.spec.whatwg.org/multipage/browsing-the-web.html#attempt-to-populate-the-history-entry's-document
    if b"sandbox" not in brought.get(b"content-security-policy", b""):
        added.append(_APART)
    if over_tls:
        added.append(_TLS)
    return [*given, *added]


def _raw(name: str, value: str) -> Raw:
    return name.encode(), value.encode()


_STRICTEST: Final = tuple(_raw(*pair) for pair in STRICTEST.items())
_APART: Final = _raw(*APART_FROM_OPENERS)
_TLS: Final = _raw(*ALWAYS_TLS)
