"""Rich notifications as the sandbox sends them; that they open is shown by the gateway's own tests."""

import base64
import functools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from gateway.sandbox import Behaviour, Sandbox
from gateway.sandbox.school import School
from gateway.sandbox.tokens import TokenMint

from .conftest import Receiver, at, subscription_to

OFFICE = "office@school.example"
SUBSCRIPTIONS = "/v1.0/subscriptions"
SELECT = "?$select=subject,conversationId,internetMessageId"


@functools.cache
def certificate(bits: int) -> str:
    key, day = rsa.generate_private_key(public_exponent=65537, key_size=bits), datetime(2026, 11, 1, tzinfo=UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a subscriber")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(day)
    made = builder.not_valid_after(day + timedelta(days=365)).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()


def rich_subscription(sandbox: Sandbox, *, query: str = SELECT, **fields: Any) -> dict[str, Any]:
    body = subscription_to(sandbox)
    return {
        **body,
        "resource": body["resource"] + query,
        "expirationDateTime": (sandbox.clock.now() + timedelta(minutes=1400)).isoformat(),
        "includeResourceData": True,
        "encryptionCertificate": certificate(2048),
        "encryptionCertificateId": "c1",
        **fields,
    }


async def told(sandbox: Sandbox, receiver: Receiver) -> dict[str, Any]:
    """The request in which a new message is told."""
    sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Hello")
    await sandbox.settle()
    return receiver.requests[-1]


@pytest.fixture
async def subscribed(sandbox: Sandbox, graph: httpx.AsyncClient) -> None:
    answer = await graph.post(SUBSCRIPTIONS, json=rich_subscription(sandbox))
    assert answer.status_code == 201, answer.text


@pytest.mark.usefixtures("subscribed")
async def test_the_members_are_those_of_microsofts_sample(sandbox: Sandbox, receiver: Receiver) -> None:
    body = await told(sandbox, receiver)
    (item,) = body["value"]
    assert item["encryptedContent"].keys() == {
        "data", "dataKey", "dataSignature", "encryptionCertificateId", "encryptionCertificateThumbprint"
    }  # fmt: skip
    assert item["encryptedContent"]["encryptionCertificateId"] == "c1"
    assert item["resourceData"]["id"]


@pytest.mark.usefixtures("subscribed")
@pytest.mark.parametrize("is_version_2", [False, True])
async def test_one_token_tells_who_sends_for_which_app(
    sandbox: Sandbox, receiver: Receiver, pupils: School, is_version_2: bool
) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), validation_tokens_of_version_2=is_version_2)
    (token,) = (await told(sandbox, receiver))["validationTokens"]
    claims = TokenMint().read(token)
    caller = claims["azp" if is_version_2 else "appid"]
    assert (claims["aud"], claims["tid"]) == (pupils.client_id, pupils.tenant_id)
    assert caller == "0bf30f3b-4a52-48df-9a82-234910c4a086"


@pytest.mark.usefixtures("subscribed")
async def test_tokens_are_null_where_change_tracking_is_not_let_in(sandbox: Sandbox, receiver: Receiver) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), validation_tokens=False)
    assert (await told(sandbox, receiver))["validationTokens"] is None


@pytest.mark.usefixtures("subscribed")
async def test_what_is_gone_has_no_content_and_needs_no_token(
    sandbox: Sandbox, receiver: Receiver, graph: httpx.AsyncClient, office: str
) -> None:
    await told(sandbox, receiver)
    message_id = receiver.notifications[0]["resourceData"]["id"]
    await graph.delete(f"{office}/messages/{at(message_id)}")
    await sandbox.settle()
    (item,) = receiver.requests[-1]["value"]
    assert (item["changeType"], "encryptedContent" in item) == ("deleted", False)
    assert "validationTokens" not in receiver.requests[-1]


async def test_plain_notifications_have_no_tokens(
    sandbox: Sandbox, receiver: Receiver, graph: httpx.AsyncClient
) -> None:
    assert (await graph.post(SUBSCRIPTIONS, json=subscription_to(sandbox))).status_code == 201
    assert (await told(sandbox, receiver)).keys() == {"value"}


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("no $select", {"query": ""}),
    ("a body in $select", {"query": "?$select=subject,Body"}),
    ("an option that is not taken", {"query": f"{SELECT}&$top=5"}),
    ("no certificate", {"encryptionCertificate": None}),
    ("something that is no certificate", {"encryptionCertificate": "MIIDMzCCAhugAwIBAgIQE7D+++Dk1hKQBqWA=="}),
    ("a small key", {"encryptionCertificate": certificate(1024)}),
    ("more than a day", {"expirationDateTime": "2026-11-25T02:01:00Z"}),
]


@pytest.mark.parametrize("fields", [case[1] for case in REFUSED], ids=[case[0] for case in REFUSED])
async def test_resource_data_is_refused_for(sandbox: Sandbox, graph: httpx.AsyncClient, fields: dict[str, Any]) -> None:
    answer = await graph.post(SUBSCRIPTIONS, json=rich_subscription(sandbox, **fields))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "ExtensionError")


async def test_a_renewal_brings_another_certificate_or_is_refused_for_one_that_is_none(
    sandbox: Sandbox, receiver: Receiver, graph: httpx.AsyncClient
) -> None:
    created = (await graph.post(SUBSCRIPTIONS, json=rich_subscription(sandbox))).json()
    path = f"{SUBSCRIPTIONS}/{created['id']}"
    assert (await graph.patch(path, json={"encryptionCertificate": "MIID"})).status_code == 400
    other = {"encryptionCertificate": certificate(3072), "encryptionCertificateId": "c2"}
    assert (await graph.patch(path, json=other)).status_code == 200
    (item,) = (await told(sandbox, receiver))["value"]
    assert item["encryptedContent"]["encryptionCertificateId"] == "c2"
    assert len(base64.b64decode(item["encryptedContent"]["dataKey"])) == 3072 // 8


async def test_the_keys_of_all_tenants_are_where_the_common_configuration_says(anyone: httpx.AsyncClient) -> None:
    configuration = (await anyone.get("/common/.well-known/openid-configuration")).json()
    keys = (await anyone.get(configuration["jwks_uri"])).json()["keys"]
    assert [key["kid"] for key in keys] == [TokenMint().key_id]
