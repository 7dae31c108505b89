import asyncio
import functools
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm

from gateway.graph import UnexpectedAnswer
from gateway.graph.signing_keys import SigningKeys, SigningKeysUnavailable, keys_of

from .fakes import SkippingClock

LOGIN = "https://login.microsoftonline.com"
KEY_SET = f"{LOGIN}/common/discovery/keys"
DAY, MINUTE, MOMENT = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


@functools.cache
def public_key() -> rsa.RSAPublicKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()


def jwk(kid: str, **members: object) -> dict[str, Any]:
    return {**orjson.loads(RSAAlgorithm.to_jwk(public_key())), "kid": kid, "use": "sig", **members}


class Login:
    """A login server with some keys, or in trouble; counts how often they were fetched."""

    def __init__(self, *key_ids: str) -> None:
        self.key_ids = list(key_ids)
        self.jwks_uri: object = KEY_SET
        self.trouble: httpx.Response | Exception | None = None
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(str(request.url))
        if isinstance(self.trouble, Exception):
            raise self.trouble
        if self.trouble is not None:
            return httpx.Response(self.trouble.status_code, content=self.trouble.content)
        if request.url.path.endswith("openid-configuration"):
            return httpx.Response(
                200, json={"issuer": "https://sts.windows.net/{tenantid}/", "jwks_uri": self.jwks_uri}
            )
        return httpx.Response(200, json={"keys": [jwk(key_id) for key_id in self.key_ids]})

    @property
    def fetches(self) -> int:
        return sum(url.endswith("openid-configuration") for url in self.asked)


@pytest.fixture
def login() -> Login:
    return Login("k1", "k2")


@pytest.fixture
def clock() -> SkippingClock:
    return SkippingClock()


@pytest.fixture
def signing_keys(login: Login, clock: SkippingClock) -> SigningKeys:
    return SigningKeys(httpx.AsyncClient(transport=httpx.MockTransport(login)), LOGIN, clock=clock)


async def test_the_keys_come_from_where_the_configuration_says(signing_keys: SigningKeys, login: Login) -> None:
    keys = await signing_keys.keys(["k1"])
    assert {key_id: key.public_numbers() for key_id, key in keys.items()} == dict.fromkeys(
        ["k1", "k2"], public_key().public_numbers()
    )
    assert login.asked == [f"{LOGIN}/common/.well-known/openid-configuration", KEY_SET]


async def test_known_keys_are_kept_for_a_day(signing_keys: SigningKeys, login: Login, clock: SkippingClock) -> None:
    await signing_keys.keys(["k1"])
    clock.advance(DAY - MOMENT)
    await signing_keys.keys(["k2"])
    assert login.fetches == 1
    clock.advance(MOMENT)
    await signing_keys.keys(["k2"])
    assert login.fetches == 2


async def test_an_unknown_key_is_looked_for_at_most_once_a_minute(
    signing_keys: SigningKeys, login: Login, clock: SkippingClock
) -> None:
    await signing_keys.keys(["k1"])
    login.key_ids.append("k3")
    assert "k3" not in await signing_keys.keys(["k3"])
    clock.advance(MINUTE)
    assert "k3" in await signing_keys.keys(["k3"])
    for forged in range(50):
        await signing_keys.keys([f"forged {forged}"])
    assert login.fetches == 2


async def test_a_failed_search_for_an_unknown_key_leaves_the_known_ones_and_waits_a_minute(
    signing_keys: SigningKeys, login: Login, clock: SkippingClock
) -> None:
    await signing_keys.keys(["k1"])
    clock.advance(MINUTE)
    login.trouble = httpx.ConnectError("no")
    for _ in range(3):
        assert "k1" in await signing_keys.keys(["k3"])
    assert login.fetches == 2


async def test_many_who_want_keys_at_once_fetch_them_once(signing_keys: SigningKeys, login: Login) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(signing_keys.keys(["k1"]))
    assert login.fetches == 1


TROUBLE = [
    httpx.ConnectError("no"),
    httpx.ReadTimeout("late"),
    httpx.Response(503),
    httpx.Response(302),
    httpx.Response(200, content=b"<html>"),
    httpx.Response(200, content=b"[]"),
    httpx.Response(200, content=b"{}"),
]


@pytest.mark.parametrize("trouble", TROUBLE, ids=repr)
async def test_without_an_answer_there_are_no_keys_until_a_minute_has_passed(
    signing_keys: SigningKeys, login: Login, clock: SkippingClock, trouble: httpx.Response | Exception
) -> None:
    login.trouble = trouble
    for _ in range(3):
        with pytest.raises(SigningKeysUnavailable, match="cannot be fetched"):
            await signing_keys.keys(["k1"])
    login.trouble = None
    with pytest.raises(SigningKeysUnavailable):
        await signing_keys.keys(["k1"])
    assert login.fetches == 1
    clock.advance(MINUTE)
    assert "k1" in await signing_keys.keys(["k1"])


async def test_old_keys_do_not_stand_in_for_new_ones(
    signing_keys: SigningKeys, login: Login, clock: SkippingClock
) -> None:
    await signing_keys.keys(["k1"])
    clock.advance(DAY)
    login.trouble = httpx.Response(500)
    with pytest.raises(SigningKeysUnavailable):
        await signing_keys.keys(["k1"])


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example/keys", "http://login.microsoftonline.com/k", "", 5, None]
)
async def test_keys_of_another_server_are_not_asked_for(
    signing_keys: SigningKeys, login: Login, address: object
) -> None:
    login.jwks_uri = address
    with pytest.raises(SigningKeysUnavailable):
        await signing_keys.keys(["k1"])
    assert len(login.asked) == 1


def test_only_rsa_keys_for_signatures_are_read() -> None:
    others = [
        jwk("for encryption", use="enc"),
        jwk("unreadable", n="!"),
        jwk("numbers", n=5),
        {**jwk("x"), "kid": 5},
        {"kty": "EC", "kid": "curve", "crv": "P-256"},
        {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"},
    ]
    assert set(keys_of({"keys": [*others, jwk("k1")]})) == {"k1"}


@given(
    st.dictionaries(
        st.sampled_from(["kty", "kid", "use", "n", "e", "d", "x5c"]),
        st.none() | st.integers() | st.text() | st.sampled_from(["RSA", "sig", "AQAB"]) | st.lists(st.text()),
    )
)
def test_whatever_is_in_a_key_set_is_read_or_left_out(item: dict[str, Any]) -> None:
    assert set(keys_of({"keys": [item, jwk("k1")]})) >= {"k1"}


@pytest.mark.parametrize("payload", [{}, {"keys": {}}, {"keys": [5]}, {"keys": [{}] * 101}])
def test_what_is_no_key_set_is_no_answer(payload: dict[str, Any]) -> None:
    with pytest.raises(UnexpectedAnswer):
        keys_of(payload)
