import functools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.validation_tokens import (
    MAX_TOKENS,
    App,
    Issuers,
    Token,
    TokensRefused,
    UnknownKey,
    proven,
    tokens_from_graph,
)

SAMPLES = Path(__file__).parent / "samples" / "rich"
GLOBAL = Issuers(v1="https://sts.windows.net", v2="https://login.microsoftonline.com")
STRANGER = "11111111-2222-4333-8444-555555555555"


@functools.cache
def key(name: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def claims_of(version: str, **changes: object) -> dict[str, Any]:
    """Microsoft's sample, with some claims changed; None leaves one out."""
    sample = orjson.loads((SAMPLES / f"validation-token-claims-{version}.json").read_bytes())
    return {name: value for name, value in (sample | changes).items() if value is not None}


def app_of(claims: dict[str, Any]) -> App:
    return App(client_id=UUID(claims["aud"]), tenant_id=UUID(claims["tid"]))


V1, V2 = app_of(claims_of("v1")), app_of(claims_of("v2"))


def signed(claims: dict[str, Any], *, name: str = "k1", kid: str | None = None) -> str:
    return jwt.encode(claims, key(name), algorithm="RS256", headers={"kid": kid or name})


def noon_of(claims: dict[str, Any]) -> datetime:
    """A moment within the sample's life."""
    return datetime.fromtimestamp(claims_of("v1" if claims["ver"] == "1.0" else "v2")["nbf"], UTC) + timedelta(hours=1)


def judge(*tokens: str, now: datetime, apps: tuple[App, ...] = (V1, V2)) -> frozenset[App]:
    return proven(tokens_from_graph(list(tokens)), {"k1": key("k1").public_key()}, apps=apps, issuers=GLOBAL, now=now)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_token_as_microsoft_documents_it_proves_its_app_and_tenant(version: str) -> None:
    claims = claims_of(version)
    assert judge(signed(claims), now=noon_of(claims)) == {app_of(claims)}


REFUSED: list[tuple[str, dict[str, object], str]] = [
    ("another audience", {"aud": STRANGER}, "aud and tid"),
    ("many audiences", {"aud": [str(V1.client_id)]}, "aud"),
    ("another tenant by an issuer that fits", {"tid": STRANGER, "iss": f"https://sts.windows.net/{STRANGER}/"}, "tid"),
    ("another tenant than the issuer's", {"tid": str(V2.tenant_id)}, "iss"),
    ("another issuer", {"iss": f"https://sts.windows.example/{V1.tenant_id}/"}, "iss"),
    ("an issuer of the other version", {"iss": f"https://login.microsoftonline.com/{V1.tenant_id}/v2.0"}, "iss"),
    ("an issuer with more behind it", {"iss": f"https://sts.windows.net/{V1.tenant_id}/x"}, "iss"),
    ("no issuer", {"iss": None}, "iss"),
    ("another caller", {"appid": STRANGER}, "caller"),
    ("the caller in the other version's claim", {"appid": None, "azp": claims_of("v1")["appid"]}, "appid"),
    ("no version", {"ver": None}, "ver"),
    ("a version that nobody has documented", {"ver": "3.0"}, "iss"),
    ("no end", {"exp": None}, "exp"),
    ("an end that is no number", {"exp": "tomorrow"}, "exp"),
    ("an end that is true", {"exp": True}, "exp"),
    ("no beginning", {"nbf": None}, "nbf"),
    ("a tenant that is no id", {"tid": "school.example", "iss": "https://sts.windows.net/school.example/"}, "tid"),
]


@pytest.mark.parametrize(("changes", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_token_is_refused_for(changes: dict[str, object], why: str) -> None:
    claims = claims_of("v1", **changes)
    with pytest.raises(TokensRefused, match=why):
        judge(signed(claims), now=noon_of(claims_of("v1")))


def test_a_token_of_version_2_is_refused_for_another_caller() -> None:
    claims = claims_of("v2", azp=STRANGER)
    with pytest.raises(TokensRefused, match="caller"):
        judge(signed(claims), now=noon_of(claims))


def test_an_hour_of_life_has_five_minutes_of_grace_at_either_end() -> None:
    begin = noon_of(claims_of("v1"))
    token = signed(claims_of("v1", nbf=int(begin.timestamp()), exp=int(begin.timestamp()) + 3600))
    end, grace, moment = begin + timedelta(hours=1), timedelta(minutes=5), timedelta(seconds=1)
    for now in (begin - grace, end + grace - moment):
        assert judge(token, now=now) == {V1}
    with pytest.raises(TokensRefused, match="not valid yet"):
        judge(token, now=begin - grace - moment)
    with pytest.raises(TokensRefused, match="expired"):
        judge(token, now=end + grace)


def test_one_bad_token_spoils_the_good_ones() -> None:
    good, now = claims_of("v1"), noon_of(claims_of("v1"))
    other = claims_of("v2", nbf=good["nbf"], exp=good["exp"])
    assert judge(signed(good), signed(other), now=now) == {V1, V2}
    with pytest.raises(TokensRefused):
        judge(signed(good), signed(other), now=now, apps=(V1,))


def test_our_app_in_anothers_tenant_is_not_ours() -> None:
    claims = claims_of("v1")
    crossed = App(client_id=V1.client_id, tenant_id=V2.tenant_id), App(client_id=V2.client_id, tenant_id=V1.tenant_id)
    with pytest.raises(TokensRefused, match="aud and tid"):
        judge(signed(claims), now=noon_of(claims), apps=crossed)


def test_ids_are_compared_as_ids() -> None:
    claims = claims_of("v1", aud=str(V1.client_id).upper())
    assert judge(signed(claims), now=noon_of(claims)) == {V1}


def test_a_signature_by_another_key_is_refused() -> None:
    claims = claims_of("v1")
    with pytest.raises(TokensRefused, match="signature"):
        judge(signed(claims, name="k2", kid="k1"), now=noon_of(claims))


def test_a_key_that_is_not_known_is_told_apart() -> None:
    claims = claims_of("v1")
    with pytest.raises(UnknownKey):
        judge(signed(claims, name="k2"), now=noon_of(claims))


def test_no_other_algorithm_is_taken() -> None:
    claims = claims_of("v1")
    forged = [
        jwt.encode(claims, None, algorithm="none", headers={"kid": "k1"}),
        jwt.encode(claims, "a secret of the sender's own choice", algorithm="HS256", headers={"kid": "k1"}),
        jwt.encode(claims, key("k1"), algorithm="RS512", headers={"kid": "k1"}),
        jwt.encode(claims, key("k1"), algorithm="RS256"),
    ]
    for token in forged:
        with pytest.raises(TokensRefused, match="RS256"):
            judge(token, now=noon_of(claims))


def test_encrypted_content_without_tokens_is_refused() -> None:
    for nothing in (None, [], "", {}, [None], ["x" * 9000]):
        with pytest.raises(TokensRefused):
            tokens_from_graph(nothing)
    with pytest.raises(TokensRefused):
        proven([], {}, apps=[V1], issuers=GLOBAL, now=noon_of(claims_of("v1")))


def test_a_flood_of_tokens_is_refused_before_any_is_read() -> None:
    with pytest.raises(TokensRefused, match="more than"):
        tokens_from_graph(["x"] * (MAX_TOKENS + 1))


def test_claims_that_are_no_object_are_refused() -> None:
    token = jwt.PyJWS().encode(b"[]", key("k1"), algorithm="RS256", headers={"kid": "k1"})
    with pytest.raises(TokensRefused, match="object"):
        judge(token, now=noon_of(claims_of("v1")))


@given(st.text() | st.lists(st.text(), min_size=2, max_size=4).map(".".join))
def test_any_text_is_read_as_a_token_or_refused(text: str) -> None:
    with pytest.raises(TokensRefused):
        Token.from_graph(text)


@given(data=st.data())
def test_a_change_to_any_character_of_a_token_is_refused(data: st.DataObject) -> None:
    claims = claims_of("v1")
    token = signed(claims)
    at = data.draw(st.integers(0, len(token) - 2))  # in the last, base64 leaves bits over that mean nothing
    other = data.draw(st.sampled_from("Aa0_-.=+/ é").filter(lambda character: character != token[at]))
    with pytest.raises(TokensRefused):
        judge(token[:at] + other + token[at + 1 :], now=noon_of(claims))
