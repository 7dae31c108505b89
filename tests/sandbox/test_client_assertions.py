"""The sandbox's Entra takes an assertion only from whom the app trusts, about the app, for this tenant, in its time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.sandbox import Sandbox
from gateway.sandbox.school import School
from gateway.setup import certificates
from tests.sandbox.conftest import ORIGIN, ManualClock

ISSUER, SUBJECT = "https://issuer.example", "system:serviceaccount:selma:gateway"
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Desk:
    anyone: httpx.AsyncClient
    pupils: School
    clock: ManualClock
    pair: certificates.KeyPair

    async def ask(self, assertion: str, **fields: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.pupils.client_id,
            "scope": "https://graph.microsoft.com/.default",
            "client_assertion_type": TYPE,
            "client_assertion": assertion,
        }
        return await self.anyone.post(f"/{self.pupils.tenant_id}/oauth2/v2.0/token", data=form | fields)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        return {
            "aud": f"{ORIGIN}/{self.pupils.tenant_id}/oauth2/v2.0/token",
            "iss": self.pupils.client_id,
            "sub": self.pupils.client_id,
            "jti": "1",
            "nbf": now,
            "exp": now + 600,
        } | changes

    def signed(self, claims: Mapping[str, Any], *, key: str | None = None, algorithm: str = "PS256") -> str:
        loaded = x509.load_pem_x509_certificate(self.pair.certificate_pem.encode())
        thumbprint = jwt.utils.base64url_encode(loaded.fingerprint(hashes.SHA256())).decode()
        header = {"x5t#S256": thumbprint}
        return jwt.encode(dict(claims), key or self.pair.private_key_pem, algorithm=algorithm, headers=header)

    def federated(self, **changes: Any) -> str:
        claims = self.claims(iss=ISSUER, sub=SUBJECT, aud="api://AzureADTokenExchange") | changes
        return jwt.encode(claims, self.pair.private_key_pem, algorithm="RS256")


@pytest.fixture
def desk(anyone: httpx.AsyncClient, pupils: School, clock: ManualClock) -> Desk:
    return Desk(anyone, pupils, clock, certificates.make("gateway", clock.now()))


async def upload(desk: Desk) -> str:
    body = {"client_id": desk.pupils.client_id, "certificate": desk.pair.certificate_pem}
    answer = await desk.anyone.post("/_sandbox/certificates", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["key_id"])


async def trust(desk: Desk) -> None:
    key = serialization.load_pem_private_key(desk.pair.private_key_pem.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = {"client_id": desk.pupils.client_id, "issuer": ISSUER, "subject": SUBJECT, "public_key": public.decode()}
    assert (await desk.anyone.post("/_sandbox/federated", json=body)).status_code == 201


def number(answer: httpx.Response) -> int:
    assert answer.status_code in (400, 401), answer.text
    return int(answer.json()["error_codes"][0])


async def test_an_uploaded_certificate_brings_a_token(desk: Desk) -> None:
    await upload(desk)
    answer = await desk.ask(desk.signed(desk.claims()))
    assert answer.status_code == 200
    assert answer.json()["access_token"]


async def test_one_that_was_never_uploaded_or_was_deleted_does_not(desk: Desk) -> None:
    assert number(await desk.ask(desk.signed(desk.claims()))) == 700027
    key_id = await upload(desk)
    gone = await desk.anyone.delete(f"/_sandbox/apps/{desk.pupils.client_id}/keys/{key_id}")
    assert gone.status_code == 204
    assert number(await desk.ask(desk.signed(desk.claims()))) == 700027


async def test_one_that_has_ended_does_not(desk: Desk) -> None:
    key_id = await upload(desk)
    await desk.anyone.post(f"/_sandbox/apps/{desk.pupils.client_id}/keys/{key_id}/expire")
    assert number(await desk.ask(desk.signed(desk.claims()))) == 700027


async def test_another_key_does_not_sign_for_it(desk: Desk) -> None:
    await upload(desk)
    other = certificates.make("other", desk.clock.now()).private_key_pem
    assert number(await desk.ask(desk.signed(desk.claims(), key=other))) == 50012


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"aud": "https://login.example/x/oauth2/v2.0/token"}, 700023),
        ({"sub": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11"}, 700021),
        ({"jti": ""}, 700021),
        ({"exp": None}, 700024),
        ({"exp": 1}, 700024),
        ({"nbf": 4_000_000_000, "exp": 4_000_000_600}, 700024),
        ({"exp": 4_000_000_000}, 700024),
    ],
)
async def test_every_claim_counts(desk: Desk, changes: dict[str, Any], refusal: int) -> None:
    await upload(desk)
    claims = {name: value for name, value in desk.claims(**changes).items() if value is not None}
    assert number(await desk.ask(desk.signed(claims))) == refusal


async def test_an_assertion_is_good_for_minutes_only(desk: Desk) -> None:
    await upload(desk)
    assertion = desk.signed(desk.claims())
    desk.clock.advance(timedelta(minutes=16))
    assert number(await desk.ask(assertion)) == 700024


async def test_the_type_must_be_said(desk: Desk) -> None:
    await upload(desk)
    assert number(await desk.ask(desk.signed(desk.claims()), client_assertion_type="jwt")) == 900144


async def test_a_trusted_issuer_speaks_for_the_app(desk: Desk) -> None:
    assert number(await desk.ask(desk.federated())) == 700211
    await trust(desk)
    assert (await desk.ask(desk.federated())).status_code == 200


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"iss": "https://another.example"}, 700211),
        ({"sub": "system:serviceaccount:selma:other"}, 700213),
        ({"aud": "api://elsewhere"}, 700212),
        ({"exp": 1}, 700024),
    ],
)
async def test_issuer_subject_and_audience_must_fit_to_the_letter(
    desk: Desk, changes: dict[str, Any], refusal: int
) -> None:
    await trust(desk)
    assert number(await desk.ask(desk.federated(**changes))) == refusal


async def test_an_admin_sees_the_keys_of_an_app_but_no_value(desk: Desk, sandbox: Sandbox) -> None:
    key_id = await upload(desk)
    shown = await desk.anyone.get(f"/_sandbox/apps/{desk.pupils.client_id}")
    assert [one["key_id"] for one in shown.json()["certificates"]] == [key_id]
    assert desk.pupils.client_secret not in shown.text
