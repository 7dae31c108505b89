import asyncio
import base64
import json
import threading
from datetime import timedelta
from urllib.parse import parse_qs

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import (
    Certificate,
    ClientSecret,
    Cloud,
    CredentialRefused,
    EntraUnavailable,
    FederatedAssertion,
    MsalTokens,
    TokenErrorKind,
    endpoints_for,
    roles_of,
)

from .fakes import A_MONDAY, SkippingClock, answer, sample

TENANT, CLIENT = "contoso.example", "11112222-bbbb-3333-cccc-4444dddd5555"


class Entra:
    """A token endpoint: gives token-1, token-2, …, or answers with what stands next in `answers`."""

    def __init__(self) -> None:
        self.answers: list[httpx.Response | Exception] = []
        self.requests: list[httpx.Request] = []
        self.granted = 0
        self.expires_in: object = 3599

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.answers:
            given = self.answers.pop(0)
            if isinstance(given, Exception):
                raise given
            return given
        self.granted += 1
        return answer(
            200, {**sample("token-success"), "access_token": f"token-{self.granted}", "expires_in": self.expires_in}
        )

    @property
    def last_form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.requests[-1].content.decode()).items()}


@pytest.fixture
def entra():
    return Entra()


@pytest.fixture
def clock():
    return SkippingClock()


@pytest.fixture
def make(entra, clock):
    def make_tokens(tenant=TENANT, credential=None, **urls):
        http = httpx.Client(transport=httpx.MockTransport(entra))
        endpoints = endpoints_for(Cloud.GLOBAL, **urls)
        return MsalTokens(tenant, CLIENT, credential or ClientSecret("s+e/c ret"), endpoints, http=http, clock=clock)

    return make_tokens


@pytest.fixture
def tokens(make):
    return make()


@pytest.fixture(scope="module")
def key_and_certificate():
    """A key and its self-signed certificate, PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(A_MONDAY)
        .not_valid_after(A_MONDAY + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    encoding, no_password = serialization.Encoding.PEM, serialization.NoEncryption()
    key_pem = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, no_password)
    return key_pem.decode(), certificate.public_bytes(encoding).decode()


async def test_the_request_is_the_documented_one_and_the_only_one(tokens, entra):
    assert await tokens.token() == "token-1"
    (request,) = entra.requests
    assert str(request.url) == "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"
    asked = {name: entra.last_form[name] for name in ("grant_type", "client_id", "client_secret", "scope")}
    assert asked == {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": "s+e/c ret",
        "scope": "https://graph.microsoft.com/.default",
    }


async def test_a_login_server_on_this_machine_is_asked_in_plain_http_for_graphs_own_scope(make, entra):
    tokens = make(login_url="http://127.0.0.1:8081", graph_url="http://127.0.0.1:8081")
    await tokens.token()
    assert str(entra.requests[0].url) == "http://127.0.0.1:8081/contoso.example/oauth2/v2.0/token"
    assert entra.last_form["scope"] == "https://graph.microsoft.com/.default"


async def test_a_region_in_the_environment_moves_no_request_elsewhere(make, entra, monkeypatch):
    monkeypatch.setenv("MSAL_FORCE_REGION", "westus")
    await make().token()
    assert {request.url.host for request in entra.requests} == {"login.microsoftonline.com"}


async def test_a_federated_assertion_is_read_for_each_token(make, entra, clock):
    assertions = iter(["first", "second"])
    tokens = make(credential=FederatedAssertion(lambda: next(assertions)))
    await tokens.token()
    assert entra.last_form["client_assertion"] == "first"
    assert entra.last_form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    clock.advance(timedelta(hours=1))
    await tokens.token()
    assert entra.last_form["client_assertion"] == "second"


async def test_a_federated_assertion_that_cannot_be_read_is_a_refused_credential(make, entra):
    def read():
        raise FileNotFoundError("/run/assertion")

    with pytest.raises(CredentialRefused) as refusal:
        await make(credential=FederatedAssertion(read)).token()
    assert refusal.value.kind is TokenErrorKind.ASSERTION_REFUSED
    assert entra.requests == []


async def test_a_certificate_signs_an_assertion_as_microsoft_describes_it(make, entra, key_and_certificate):
    key_pem, certificate_pem = key_and_certificate
    await make(credential=Certificate(private_key_pem=key_pem, certificate_pem=certificate_pem)).token()
    header, claims = (
        json.loads(base64.urlsafe_b64decode(part + "==")) for part in entra.last_form["client_assertion"].split(".")[:2]
    )
    assert (header["alg"], header["typ"]) == ("PS256", "JWT")
    assert "x5t#S256" in header
    assert claims["iss"] == claims["sub"] == CLIENT
    assert claims["aud"] == "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token"


async def test_a_key_or_certificate_that_is_none_is_a_refused_credential(make, entra, key_and_certificate):
    key_pem, certificate_pem = key_and_certificate
    for key, certificate in (("junk", certificate_pem), (key_pem, "junk"), (key_pem[:200], certificate_pem), ("", "")):
        with pytest.raises(CredentialRefused) as refusal:
            await make(credential=Certificate(private_key_pem=key, certificate_pem=certificate)).token()
        assert refusal.value.kind is TokenErrorKind.ASSERTION_REFUSED
    assert entra.requests == []


def test_a_secret_is_not_in_what_is_printed():
    assert "s3cret" not in repr(ClientSecret("s3cret"))


async def test_fifty_who_want_a_token_at_once_make_one_request(tokens, entra):
    assert set(await asyncio.gather(*(tokens.token() for _ in range(50)))) == {"token-1"}
    assert len(entra.requests) == 1


async def test_fifty_who_want_a_token_from_an_entra_that_refuses_make_one_request(tokens, entra):
    entra.answers = [answer(401, sample("token-error-7000222-expired-secret"))]
    failures = await asyncio.gather(*(tokens.token() for _ in range(50)), return_exceptions=True)
    assert {type(failure) for failure in failures} == {CredentialRefused}
    assert len({id(failure) for failure in failures}) == 50
    assert len(entra.requests) == 1


async def test_a_token_is_kept_until_five_minutes_before_its_end(tokens, entra, clock):
    await tokens.token()
    clock.advance(timedelta(seconds=3599) - timedelta(minutes=5, seconds=1))
    assert await tokens.token() == "token-1"
    clock.advance(timedelta(seconds=1))
    assert await tokens.token() == "token-2"


async def test_a_short_token_is_renewed_at_half_its_life_and_not_at_every_call(tokens, entra, clock):
    entra.expires_in = 60
    await tokens.token()
    clock.advance(timedelta(seconds=29))
    assert await tokens.token() == "token-1"
    clock.advance(timedelta(seconds=1))
    assert await tokens.token() == "token-2"


async def test_while_one_renews_the_others_go_on_with_the_old_token(tokens, clock, make):
    asked, may_answer = threading.Event(), threading.Event()

    def slow(request):
        if tokens_given:
            asked.set()
            may_answer.wait(10)
        tokens_given.append(1)
        return answer(200, {"access_token": f"token-{len(tokens_given)}", "expires_in": 3599})

    tokens_given: list[int] = []
    tokens = MsalTokens(
        TENANT,
        CLIENT,
        ClientSecret("s"),
        endpoints_for(Cloud.GLOBAL),
        http=httpx.Client(transport=httpx.MockTransport(slow)),
        clock=clock,
    )
    await tokens.token()
    clock.advance(timedelta(minutes=56))
    async with asyncio.TaskGroup() as group:
        renewal = group.create_task(tokens.token())
        await asyncio.to_thread(asked.wait, 10)
        assert await tokens.token() == "token-1"
        may_answer.set()
    assert renewal.result() == "token-2"


async def test_an_old_token_serves_to_its_end_while_entra_is_away(tokens, entra, clock):
    await tokens.token()
    clock.advance(timedelta(minutes=56))
    entra.answers = [httpx.ConnectError("refused"), httpx.ConnectError("refused")]
    assert await tokens.token() == "token-1"
    assert isinstance(tokens.failure, EntraUnavailable)
    clock.advance(timedelta(minutes=4))
    with pytest.raises(EntraUnavailable):
        await tokens.token()
    clock.advance(timedelta(seconds=5))
    assert await tokens.token() == "token-2"
    assert tokens.failure is None


async def test_a_refused_credential_is_seen_at_once_though_the_old_token_still_works(tokens, entra, clock):
    await tokens.token()
    clock.advance(timedelta(minutes=56))
    entra.answers = [answer(401, sample("token-error-7000222-expired-secret"))]
    with pytest.raises(CredentialRefused):
        await tokens.token()


async def test_the_same_wrong_request_is_made_once_a_minute_and_no_more(tokens, entra, clock):
    entra.answers = [answer(400, sample("token-error-7000215-invalid-secret"))] * 2
    for _ in range(59):
        with pytest.raises(CredentialRefused):
            await tokens.token()
        clock.advance(timedelta(seconds=1))
    assert len(entra.requests) == 1
    clock.advance(timedelta(seconds=1))
    with pytest.raises(CredentialRefused):
        await tokens.token()
    assert len(entra.requests) == 2
    clock.advance(timedelta(minutes=1))
    assert await tokens.token() == "token-1"


async def test_a_clock_that_jumps_back_does_not_make_an_error_last(tokens, entra, clock):
    entra.answers = [answer(400, sample("token-error-7000215-invalid-secret"))]
    with pytest.raises(CredentialRefused):
        await tokens.token()
    clock.advance(-timedelta(days=1))
    assert await tokens.token() == "token-1"


async def test_an_outage_is_remembered_as_long_as_entra_asks_within_reason(tokens, entra, clock):
    entra.answers = [answer(429, Retry_After="30")]
    with pytest.raises(EntraUnavailable) as outage:
        await tokens.token()
    assert outage.value.retry_after == timedelta(seconds=30)
    clock.advance(timedelta(seconds=29))
    with pytest.raises(EntraUnavailable):
        await tokens.token()
    assert len(entra.requests) == 1
    clock.advance(timedelta(seconds=1))
    assert await tokens.token() == "token-1"


async def test_a_token_that_graph_refused_is_replaced_once_however_many_report_it(tokens, entra):
    assert await tokens.token() == "token-1"
    again = await asyncio.gather(*(tokens.token(refused="token-1") for _ in range(10)))
    assert set(again) == {"token-2"}
    assert len(entra.requests) == 2


async def test_a_graph_that_refuses_every_token_does_not_make_entra_mint_them_in_a_loop(tokens, entra, clock):
    token = await tokens.token()
    for _ in range(20):
        token = await tokens.token(refused=token)
    assert len(entra.requests) == 2
    clock.advance(timedelta(minutes=1))
    assert await tokens.token(refused=token) == "token-3"


@pytest.mark.parametrize(
    ("name", "kind", "aadsts"),
    [
        ("53003-conditional-access", TokenErrorKind.POLICY, 53003),
        ("700016-unknown-app", TokenErrorKind.UNKNOWN_APP, 700016),
        ("7000215-invalid-secret", TokenErrorKind.SECRET_WRONG, 7000215),
        ("7000222-expired-secret", TokenErrorKind.SECRET_EXPIRED, 7000222),
        ("70011-invalid-scope", TokenErrorKind.OURS, 70011),
        ("90002-unknown-tenant", TokenErrorKind.UNKNOWN_TENANT, 90002),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_every_documented_refusal_is_named_in_plain_words(tokens, entra, name, kind, aadsts, status):
    entra.answers = [answer(status, sample(f"token-error-{name}"))]
    with pytest.raises(CredentialRefused) as refusal:
        await tokens.token()
    error = refusal.value
    assert (error.kind, error.aadsts, error.status) == (kind, aadsts, status)
    assert error.error == sample(f"token-error-{name}")["error"]
    assert error.correlation_id == "aaaa0000-bb11-2222-33cc-444444dddddd"
    assert error.description.startswith(f"AADSTS{aadsts}: ")
    assert "Trace ID" not in error.description
    assert error.explanation.endswith(".")
    assert error.cure.endswith(".")
    assert "description" not in error.log_fields()


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("name not resolved"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
        answer(503),
        answer(500, {"error": "server_error"}),
        answer(400, {"error": "temporarily_unavailable", "error_codes": [90033]}),
        answer(400, {"error": "invalid_grant", "error_codes": [90055]}),
        answer(200, {"access_token": ""}),
        answer(200, {"access_token": "t", "expires_in": "soon"}),
        answer(200, ["not", "an", "object"]),
        httpx.Response(200, content=b"<html>Sign in to the hotel's network</html>"),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/"}),
        answer(404, {"error": {"code": "NotFound"}}),
        httpx.Response(407),
    ],
)
async def test_what_is_no_verdict_of_entra_is_an_outage(tokens, entra, trouble):
    entra.answers = [trouble]
    with pytest.raises(EntraUnavailable) as outage:
        await tokens.token()
    assert outage.value.kind is TokenErrorKind.TRANSIENT
    assert len(entra.requests) == 1


@pytest.mark.parametrize("tenant", ["common", "Organizations", "consumers", "adfs", "", "a/b", "../x", "a b", "a?b"])
async def test_what_cannot_be_a_tenant_is_refused_without_asking(make, entra, tenant):
    with pytest.raises(CredentialRefused) as refusal:
        await make(tenant=tenant).token()
    assert refusal.value.kind is TokenErrorKind.UNKNOWN_TENANT
    assert entra.requests == []


async def test_an_expiry_written_as_a_numeral_is_understood(tokens, entra):
    entra.expires_in = "3599"
    assert await tokens.token() == "token-1"


def jwt(claims: object) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + ".sig"


def test_the_roles_of_a_token_are_read_for_a_diagnosis():
    assert roles_of(jwt({"roles": ["Mail.Send", "Mail.ReadWrite"]})) == {"Mail.Send", "Mail.ReadWrite"}
    assert roles_of(jwt({})) == frozenset()
    assert roles_of(jwt(["roles"])) == frozenset()


@given(st.text() | st.from_regex(r"[A-Za-z0-9_=-]*\.[A-Za-z0-9_=-]*\.x", fullmatch=True))
def test_an_opaque_token_has_no_roles_that_we_know_of(token):
    assert isinstance(roles_of(token), frozenset)
