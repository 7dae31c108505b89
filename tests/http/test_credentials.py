"""`/v1/account/credentials`: what can be added, tried and forgotten, and that no secret ever comes out."""

from typing import Any

import httpx
import pytest

from gateway.graph import EntraUnavailable, TokenErrorKind
from gateway.graph.token_errors import token_error_from
from gateway.setup import certificates
from tests.http.scene import ALL_SCOPES, CLIENT, MAILBOX, TENANT, Scene
from tests.http.shape import assert_bad_values, assert_problem

OLD, NEW = "Zk8Q~the.old.secret-0123456789", "Yp3R~the.new.secret-0123456789"
WRONG = token_error_from({"error": "invalid_client", "error_codes": [7000215]}, status=401)


@pytest.fixture
async def connected(api: httpx.AsyncClient) -> httpx.AsyncClient:
    account = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": OLD, "secret_expires_at": "2026-12-31"}
    assert (await api.put("/v1/account", json=account)).status_code == 200
    return api


async def slots(api: httpx.AsyncClient) -> list[dict[str, Any]]:
    answer = await api.get("/v1/account")
    assert OLD not in answer.text
    assert NEW not in answer.text
    assert "PRIVATE KEY" not in answer.text
    found: list[dict[str, Any]] = answer.json()["credentials"]
    return found


async def test_a_secret_that_entra_takes_takes_over(connected: httpx.AsyncClient) -> None:
    body = {"kind": "client_secret", "client_secret": NEW, "expires_at": "2027-02-01"}
    answer = await connected.post("/v1/account/credentials", json=body)
    assert answer.status_code == 201
    assert NEW not in answer.text
    shown = await slots(connected)
    assert [(one["state"], one["hint"]) for one in shown] == [("active", "Yp3"), ("standby", "Zk8")]
    assert shown[0]["expires_at"] == "2027-02-01T00:00:00Z"
    assert shown[0]["last_used_at"] is not None


async def test_one_that_entra_refuses_is_told_with_the_reason_and_not_stored(
    scene: Scene, connected: httpx.AsyncClient
) -> None:
    before, scene.setup.entra.refuses = await scene.rows(), WRONG
    answer = await connected.post("/v1/account/credentials", json={"kind": "client_secret", "client_secret": NEW})
    detail = assert_problem(answer, 422, "credential-refused")["detail"]
    assert "AADSTS7000215" in detail
    assert "Secret ID" in detail
    assert await scene.rows() == before


async def test_it_is_kept_when_that_is_asked_for_and_tried_again_later(
    scene: Scene, connected: httpx.AsyncClient
) -> None:
    scene.setup.entra.refuses = WRONG
    body = {"kind": "client_secret", "client_secret": NEW, "keep_if_refused": True}
    assert_problem(await connected.post("/v1/account/credentials", json=body), 422, "credential-refused")
    [_, pending] = await slots(connected)
    assert (pending["state"], pending["problem"]["aadsts"]) == ("pending", 7000215)
    url = f"/v1/account/credentials/{pending['id']}/try"
    assert_problem(await connected.post(url), 422, "credential-refused")
    scene.setup.entra.refuses = None
    assert (await connected.post(url)).json()["state"] == "active"
    assert_problem(await connected.post(url), 409, "conflict")


async def test_an_entra_that_is_away_is_no_verdict(scene: Scene, connected: httpx.AsyncClient) -> None:
    scene.setup.entra.refuses = EntraUnavailable(kind=TokenErrorKind.TRANSIENT)
    answer = await connected.post("/v1/account/credentials", json={"kind": "client_secret", "client_secret": NEW})
    assert_problem(answer, 502, "microsoft-365")


async def test_a_certificate_is_made_and_its_public_part_shown(connected: httpx.AsyncClient) -> None:
    made = (await connected.post("/v1/account/credentials", json={"kind": "certificate"})).json()
    assert made["state"] == "pending"
    assert made["certificate"].startswith("-----BEGIN CERTIFICATE-----")
    assert made["thumbprint"] == certificates.facts(made["certificate"]).sha1
    await connected.post(f"/v1/account/credentials/{made['id']}/try")
    assert [one["kind"] for one in await slots(connected)] == ["certificate", "client_secret"]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/kind"),
        ({"kind": "password"}, "/kind"),
        ({"kind": "client_secret"}, "/client_secret"),
        ({"kind": "client_secret", "client_secret": CLIENT}, "/client_secret"),
        ({"kind": "client_secret", "client_secret": NEW, "expires_at": "2020-01-01"}, "/expires_at"),
        ({"kind": "client_secret", "client_secret": OLD}, "/client_secret"),
        ({"kind": "client_secret", "client_secret": NEW, "certificate": "x"}, "/certificate"),
        ({"kind": "certificate", "certificate": "x"}, "/private_key"),
        ({"kind": "certificate", "certificate": "x", "private_key": "x"}, "/certificate"),
        ({"kind": "federated"}, "/assertion_file"),
        ({"kind": "federated", "assertion_file": "token"}, "/assertion_file"),
        ({"kind": "federated", "assertion_file": "/nowhere/token"}, "/assertion_file"),
    ],
)
async def test_what_cannot_be_right_is_named(
    scene: Scene, connected: httpx.AsyncClient, body: dict[str, Any], pointer: str
) -> None:
    before = await scene.rows()
    answer = await connected.post("/v1/account/credentials", json=body)
    assert_bad_values(answer, pointer)
    assert NEW not in answer.text
    assert await scene.rows() == before


async def test_the_only_one_cannot_be_forgotten_and_an_old_one_can(connected: httpx.AsyncClient) -> None:
    [only] = await slots(connected)
    assert_problem(await connected.delete(f"/v1/account/credentials/{only['id']}"), 409, "conflict")
    await connected.post("/v1/account/credentials", json={"kind": "client_secret", "client_secret": NEW})
    assert (await connected.delete(f"/v1/account/credentials/{only['id']}")).status_code == 204
    assert [one["hint"] for one in await slots(connected)] == ["Yp3"]
    assert_problem(await connected.delete(f"/v1/account/credentials/{only['id']}"), 404, "not-found")


async def test_another_accounts_credentials_are_out_of_reach(scene: Scene, connected: httpx.AsyncClient) -> None:
    [ours] = await slots(connected)
    async with scene.client(await scene.new_key(*ALL_SCOPES, account_id=await scene.new_account("South"))) as stranger:
        for method, suffix in (("DELETE", ""), ("POST", "/try")):
            answer = await stranger.request(method, f"/v1/account/credentials/{ours['id']}{suffix}")
            assert_problem(answer, 404, "not-found")


class TestLeastPrivilege:
    async def test_the_commands_are_for_the_validated_mailboxes(self, connected: httpx.AsyncClient) -> None:
        shown = (await connected.get("/v1/account/least-privilege")).json()
        assert (shown["mailboxes"], shown["proof"]) == ([MAILBOX], None)
        assert f"'{MAILBOX}'" in shown["rbac"]
        assert "New-ApplicationAccessPolicy" in shown["application_access_policy"]

    async def test_a_mailbox_that_opens_is_said_to(self, connected: httpx.AsyncClient) -> None:
        proof = (await connected.post("/v1/account/least-privilege", json={"address": "head@school.example"})).json()
        assert (proof["state"], proof["proved_at"]) == ("readable", None)
        assert (await connected.get("/v1/account/least-privilege")).json()["proof"] == proof

    async def test_one_of_ours_is_no_proof(self, connected: httpx.AsyncClient) -> None:
        assert_bad_values(await connected.post("/v1/account/least-privilege", json={"address": MAILBOX}), "/address")

    async def test_before_the_account_is_connected_there_is_nothing_to_limit(self, api: httpx.AsyncClient) -> None:
        assert_problem(await api.get("/v1/account/least-privilege"), 409, "conflict")
