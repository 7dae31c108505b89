"""Where a webhook may be: on the public internet, or in a network that the operator has named.

Whoever may set a webhook could otherwise make the gateway speak to what only it can reach: the cloud's metadata, the
school's own servers (server-side request forgery; OWASP API7:2023). A name is looked up here, its addresses are judged,
and the connection goes to the very address that was judged: a name that changes its mind between the two gains nothing.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

import httpx

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

# The IANA registries of special addresses have more than every Python knows.
NEVER_PUBLIC: Final = tuple(ipaddress.ip_network(one) for one in ("192.0.0.0/24", "64:ff9b:1::/48", "fec0::/10"))
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052
LONGEST_URL: Final = 2048


class TargetRefused(Exception):
    """A place that must not be spoken to; the text says why."""


def check_url(text: str, allowed: Sequence[Network]) -> str:
    """The URL as given. Raises `ValueError` with a sentence for whoever entered it; names are looked up later."""
    parts = _split(text)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("This must be an address such as https://selma.school.example/events.")
    if parts.username is not None or parts.password is not None:
        raise ValueError("A name or password cannot stand in the address: what is sent is signed instead.")
    if parts.fragment:
        raise ValueError("Leave out the part behind “#”: it never leaves a browser.")
    literal = _literal(parts.hostname)
    if literal is not None and not may_be_reached(literal, allowed):
        raise ValueError(refusal(literal))
    if parts.scheme == "http" and (literal is None or not _is_in(literal, allowed)):
        raise ValueError("This must begin with https://. Plain http is for networks in GATEWAY_WEBHOOK_NETWORKS.")
    return text


def may_be_reached(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether it is public, or in a network that the operator named."""
    inner = _inner(address)
    is_public = inner.is_global and not inner.is_multicast and not _is_in(inner, NEVER_PUBLIC)
    return is_public or _is_in(inner, allowed)


def refusal(address: Address) -> str:
    """What to tell whoever wants to go there."""
    return (
        f"{address} is not on the public internet. If the receiver is meant to be there, the gateway’s operator can "
        "name its network in GATEWAY_WEBHOOK_NETWORKS."
    )


def networks(text: str) -> tuple[Network, ...]:
    """A list such as `10.20.0.0/16, fd00:20::/64`. Raises `ValueError` with a sentence."""
    found = []
    for one in text.replace(",", " ").split():
        try:
            found.append(ipaddress.ip_network(one))
        except ValueError as error:
            raise ValueError(f"“{one}” is not a network such as 10.20.0.0/16 ({error}).") from None
    return tuple(found)


async def looked_up(host: str, port: int) -> Sequence[str]:
    """All addresses of a name, in the order in which the machine would try them. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Guarded(httpx.AsyncBaseTransport):
    """Sends a request to an address that was judged, under the name that it was meant for.

    Connections are kept under their address alone, so one of these serves one host. Raises `TargetRefused`.
    """

    def __init__(self, inner: httpx.AsyncBaseTransport, allowed: Sequence[Network], resolve: Resolve) -> None:
        self._inner = inner
        self._allowed = allowed
        self._resolve = resolve

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As the transport behind it."""
        host = request.url.host
        address = await self._judged(host, request.url.port or (443 if request.url.scheme == "https" else 80))
        if request.url.scheme != "https" and not _is_in(address, self._allowed):
            raise TargetRefused("Plain http is for networks in GATEWAY_WEBHOOK_NETWORKS.")
        request.extensions = {**request.extensions, "sni_hostname": host}
        request.url = request.url.copy_with(host=str(address))
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        """Close what is behind it."""
        await self._inner.aclose()

    async def _judged(self, host: str, port: int) -> Address:
        """The first address, when all of them may be reached: a name with one foot inside is up to no good."""
        literal = _literal(host)
        try:
            found = [literal] if literal else [ipaddress.ip_address(one) for one in await self._resolve(host, port)]
        except (OSError, ValueError) as error:
            raise httpx.ConnectError(f"{host} could not be looked up") from error
        for one in found:
            if not may_be_reached(one, self._allowed):
                raise TargetRefused(refusal(one))
        if not found:
            raise httpx.ConnectError(f"{host} has no address")
        return found[0]


def _split(text: str) -> SplitResult:
    if len(text) > LONGEST_URL:
        raise ValueError(f"An address has at most {LONGEST_URL:,} characters.")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("An address has only printable ASCII: write other characters percent-encoded.")
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is no number
        httpx.URL(text)
    except (ValueError, httpx.InvalidURL):
        raise ValueError("This is not a well-formed address.") from None
    return parts


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None


def _inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does: RFC 4291, 3056, 4380 and 6052."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address


def _is_in(address: Address, allowed: Sequence[Network]) -> bool:
    return any(address.version == one.version and address in one for one in allowed)
