"""Nowhere but the public internet, and where the operator allows: also after looking up a name."""

import ipaddress

import httpx
import pytest

from gateway.host.post import Poster
from gateway.host.targets import Guarded, TargetRefused, check_url, may_be_reached, networks

PRIVATE = [
    "127.0.0.1",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # the metadata of a cloud's machine
    "100.64.0.1",  # RFC 6598
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "64:ff9b:1::1",
    "fec0::1",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",  # NAT64 of 127.0.0.1
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",  # 6to4 of 127.0.0.1
    "2001:0:1:1:1:1:80ff:fffe",  # Teredo, and behind it 127.0.0.1
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_refused_when_it_is_entered(address: str) -> None:
    assert not may_be_reached(ipaddress.ip_address(address), ())
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(ValueError, match="GATEWAY_WEBHOOK_NETWORKS"):
        check_url(f"https://{host}/events", ())


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07::1", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_taken(address: str) -> None:
    assert may_be_reached(ipaddress.ip_address(address), ())


@pytest.mark.parametrize(
    "url",
    [
        "",
        "selma.example",
        "ftp://selma.example/",
        "http://selma.example/",
        "https://",
        "https:///path",
        "https://user:pass@selma.example/",
        "https://selma.example/#part",
        "https://selma.example:port/",
        "https://selma.example:99999/",
        "https://selma.example/ space",
        "https://selma.example/\r\nHost: other",
        "https://schüler.example/",
        "https://" + "a" * 3000 + ".example/",
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused_with_a_sentence(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w+ .*\."):
        check_url(url, ())


def test_the_operator_may_allow_a_network_and_plain_http_in_it() -> None:
    allowed = networks("10.20.0.0/16, fd00:20::/64")
    assert check_url("http://10.20.1.1/events", allowed)
    assert check_url("https://[fd00:20::5]/events", allowed)
    with pytest.raises(ValueError, match="not on the public internet"):
        check_url("https://10.21.0.1/", allowed)
    with pytest.raises(ValueError, match="https"):
        check_url("http://93.184.215.14/", allowed)
    with pytest.raises(ValueError, match="not a network"):
        networks("10.20.0.1/16")


class Inner(httpx.AsyncBaseTransport):
    def __init__(self) -> None:
        self.seen: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        return httpx.Response(204, stream=httpx.ByteStream(b""))


async def ask(url: str, found: list[str], allowed: str = "") -> httpx.Request:
    async def resolve(host: str, port: int) -> list[str]:
        return found

    inner = Inner()
    async with httpx.AsyncClient(transport=Guarded(inner, networks(allowed), resolve)) as client:
        await client.post(url)
    return inner.seen[0]


async def test_the_connection_goes_to_the_address_that_was_judged_under_the_name_that_was_meant() -> None:
    request = await ask("https://selma.example/events", ["93.184.215.14"])
    assert request.url == "https://93.184.215.14/events"
    assert request.headers["host"] == "selma.example"
    assert request.extensions["sni_hostname"] == "selma.example"


@pytest.mark.parametrize("found", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:10.0.0.1"]])
async def test_a_name_that_leads_inside_is_refused_even_if_it_leads_outside_too(found: list[str]) -> None:
    with pytest.raises(TargetRefused, match="not on the public internet"):
        await ask("https://selma.example/events", found)


async def test_plain_http_to_a_name_is_for_allowed_networks() -> None:
    assert (await ask("http://selma.example/", ["10.20.0.1"], "10.20.0.0/16")).url.host == "10.20.0.1"
    with pytest.raises(TargetRefused, match="Plain http"):
        await ask("http://selma.example/", ["93.184.215.14"], "10.20.0.0/16")


@pytest.mark.parametrize("found", [[], ["no address"]])
async def test_a_name_without_an_address_is_told_in_plain_words(found: list[str]) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        if not found:
            raise OSError("unknown")
        return found

    answer = await Poster((), behind=Inner, resolve=resolve).post("https://selma.example/", {}, "{}")
    assert answer.status is None
    assert answer.problem == "It could not be reached: selma.example could not be looked up."
