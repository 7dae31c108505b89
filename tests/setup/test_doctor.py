"""Check Connection against the sandbox: everything that can be wrong is provoked, and its sentence read."""

import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.graph import Cloud, consent_url
from gateway.setup.account import AccountConfiguration, configure
from gateway.setup.check import ConnectionCheck
from gateway.setup.outside import Outside
from gateway.setup.report import Check, Verdict
from gateway.setup.rotation import Secret
from subscriptions.handshake import handshake_answer
from tests.setup.school import MINUTE, Scene, connected_school

PUBLIC_URL = "https://mail.school.example"
Answer = Callable[[httpx.Request], httpx.Response]


def echoes(request: httpx.Request) -> httpx.Response:
    """As the gateway does behind a good proxy."""
    answer = handshake_answer(request.url.params["validationToken"])
    return httpx.Response(200, content=answer.body, headers=dict(answer.headers))


@dataclass
class Doctor:
    scene: Scene
    outside: Answer = echoes
    skew: timedelta = timedelta(0)
    asked: list[httpx.Request] = field(default_factory=list)

    async def __call__(self) -> dict[str, Check]:
        check = ConnectionCheck(
            self.scene.store,
            self.scene.connections,
            self.scene.clock,
            public_url=PUBLIC_URL,
            outside=Outside(
                self.scene.clock, httpx.AsyncClient(transport=httpx.MockTransport(self._graph)), anybody=self._anybody
            ),
        )
        return {one.name: one for one in (await check.check(self.scene.account_id)).checks}

    def _anybody(self) -> httpx.AsyncClient:
        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(request)
            return self.outside(request)

        return httpx.AsyncClient(transport=httpx.MockTransport(answer))

    def _graph(self, request: httpx.Request) -> httpx.Response:
        told = self.scene.clock.now() - self.skew
        return httpx.Response(401, headers={"date": format_datetime(told, usegmt=True)})

    async def enter(self, **changes: Any) -> None:
        configuration: dict[str, Any] = {
            "tenant_id": self.scene.school.tenant_id,
            "client_id": self.scene.school.client_id,
            "client_secret": self.scene.school.client_secret,
        }
        await self.scene.store.write(
            configure,
            self.scene.account_id,
            AccountConfiguration(**(configuration | changes)),
            key=self.scene.key,
            now=self.scene.clock.now(),
        )


@pytest.fixture
async def doctor(tmp_path: Path) -> AsyncIterator[Doctor]:
    async with connected_school(tmp_path) as scene:
        yield Doctor(scene)


def verdicts(found: dict[str, Check]) -> dict[str, str]:
    return {name: check.verdict.value for name, check in found.items()}


async def test_a_well_connection_is_well_in_every_link(doctor: Doctor) -> None:
    found = await doctor()
    assert set(verdicts(found).values()) == {"ok"}
    assert list(found) == [
        *("configuration", "ids", "tenant", "app", "credential", "token", "permissions"),
        *("graph", "clock", "secret_expiry", "notifications"),
    ]


class TestSignIn:
    async def test_a_tenant_that_is_none(self, doctor: Doctor) -> None:
        await doctor.enter(tenant_id="84bd8158-6d4d-4958-8b9f-9d6445542f95")
        found = await doctor()
        assert found["tenant"].verdict is Verdict.FAIL
        assert "There is no such tenant. (AADSTS90002)" in found["tenant"].found
        assert "app" not in found

    async def test_an_app_that_is_not_in_it(self, doctor: Doctor) -> None:
        await doctor.enter(client_id="8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11")
        found = await doctor()
        assert (found["tenant"].verdict, found["app"].verdict) == (Verdict.OK, Verdict.FAIL)
        assert "AADSTS700016" in found["app"].found

    async def test_an_app_that_is_disabled(self, doctor: Doctor) -> None:
        doctor.scene.app.is_enabled = False
        assert "The app is disabled." in (await doctor())["app"].found

    async def test_a_wrong_secret(self, doctor: Doctor) -> None:
        doctor.scene.app.secrets.clear()
        found = await doctor()
        assert (found["app"].verdict, found["credential"].verdict) == (Verdict.OK, Verdict.FAIL)
        assert "not its Secret ID" in (found["credential"].cure or "")
        assert {"permissions", "graph"}.isdisjoint(found)

    async def test_an_expired_secret(self, doctor: Doctor) -> None:
        doctor.scene.clock.advance(doctor.scene.school.secret_expires_at - doctor.scene.clock.now() + MINUTE)
        found = await doctor()
        assert "The client secret has expired. (AADSTS7000222)" in found["credential"].found
        assert found["secret_expiry"].verdict is Verdict.FAIL

    async def test_a_new_secret_that_is_refused_while_the_old_one_serves(self, doctor: Doctor) -> None:
        value = doctor.scene.new_secret()
        await doctor.scene.rotation.add(doctor.scene.account_id, Secret(value=value))
        doctor.scene.revoke(value)
        found = await doctor()
        assert (found["credential"].verdict, found["token"].verdict) == (Verdict.WARN, Verdict.OK)
        assert "The one that stands by serves" in found["credential"].found

    async def test_an_entra_that_is_away_blames_no_link(self, doctor: Doctor) -> None:
        doctor.scene.way.is_down = True
        found = await doctor()
        assert {"tenant", "app", "credential"}.isdisjoint(found)
        assert "Entra could not be reached" in found["token"].found


class TestPermissions:
    async def test_missing_ones_are_named_with_the_page_to_consent_on(self, doctor: Doctor) -> None:
        doctor.scene.app.roles = frozenset({"Mail.Send"})
        check = (await doctor())["permissions"]
        assert check.found == "Granted: Mail.Send. Not in the token: User.ReadBasic.All, Mail.ReadWrite."
        school = doctor.scene.school
        link = f"https://login.microsoftonline.com/{school.tenant_id}/adminconsent?client_id={school.client_id}"
        assert link in (check.cure or "")

    async def test_more_than_is_needed_is_named_too(self, doctor: Doctor) -> None:
        doctor.scene.app.roles |= {"Mail.ReadWrite.All", "Directory.ReadWrite.All", "Application.Read.All"}
        check = (await doctor())["permissions"]
        assert check.verdict is Verdict.WARN
        assert "More than is needed: Directory.ReadWrite.All, Mail.ReadWrite.All." in check.found

    @pytest.mark.parametrize(
        ("cloud", "host"),
        [
            (Cloud.GLOBAL, "login.microsoftonline.com"),
            (Cloud.GCC_HIGH, "login.microsoftonline.us"),
            (Cloud.DOD, "login.microsoftonline.us"),
            (Cloud.CHINA, "login.partner.microsoftonline.cn"),
        ],
    )
    def test_consent_is_given_in_the_tenants_own_cloud(self, cloud: Cloud, host: str) -> None:
        assert consent_url(cloud, "school.example", "a&b") == (
            f"https://{host}/school.example/adminconsent?client_id=a%26b"
        )


class TestClock:
    @pytest.mark.parametrize(
        ("skew", "verdict", "sentence"),
        [
            (timedelta(seconds=1), Verdict.OK, "They agree."),
            (timedelta(seconds=-60), Verdict.OK, "They agree."),
            (timedelta(seconds=90), Verdict.WARN, "seconds ahead"),
            (timedelta(minutes=-4), Verdict.WARN, "4 minutes behind"),
            (timedelta(hours=1), Verdict.FAIL, "60 minutes ahead"),
        ],
    )
    async def test_it_is_compared_with_graphs(
        self, doctor: Doctor, skew: timedelta, verdict: Verdict, sentence: str
    ) -> None:
        doctor.skew = skew
        check = (await doctor())["clock"]
        assert (check.verdict, sentence in check.found) == (verdict, True)
        assert (check.cure is None) == (verdict is Verdict.OK)


def fails_with(cause: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no", request=request) from cause

    return answer


def times_out(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectTimeout("slow", request=request)


def untrusted() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError("certificate verify failed")
    error.verify_message = "self-signed certificate"
    return error


class TestHandshake:
    async def test_it_is_made_as_graph_makes_it(self, doctor: Doctor) -> None:
        check = (await doctor())["notifications"]
        assert check.verdict is Verdict.OK
        [request] = doctor.asked
        assert (request.method, request.url.path) == ("POST", "/graph/notifications")
        assert " " in request.url.params["validationToken"]
        assert "authorization" not in request.headers

    @pytest.mark.parametrize(
        ("outside", "sentence"),
        [
            (fails_with(untrusted()), "not trusted: self-signed certificate"),
            (fails_with(ssl.SSLError("wrong version number")), "TLS could not be agreed on"),
            (fails_with(socket.gaierror("unknown")), "name in the public address is not known"),
            (fails_with(ConnectionRefusedError()), "Nobody listens"),
            (times_out, "within 10 seconds"),
            (lambda request: httpx.Response(301, headers={"location": "https://x.example"}), "follows nobody"),
            (lambda request: httpx.Response(401), "asks callers who they are (401)"),
            (lambda request: httpx.Response(407), "asks callers who they are (407)"),
            (lambda request: httpx.Response(502), "does not reach the gateway (502)"),
            (lambda request: httpx.Response(404), "Another server answers there"),
            (lambda request: httpx.Response(200, html="<h1>Welcome</h1>"), "not the gateway's"),
            (
                lambda request: httpx.Response(200, text=json.dumps(request.url.params["validationToken"])),
                "not the gateway's",
            ),
        ],
    )
    async def test_what_stands_in_between_is_named(self, doctor: Doctor, outside: Answer, sentence: str) -> None:
        doctor.outside = outside
        check = (await doctor())["notifications"]
        assert check.verdict is Verdict.WARN
        assert sentence in check.found
        assert "sweeping" in check.found
        assert check.cure

    async def test_an_answer_that_is_too_slow_for_graph_is_named(self, doctor: Doctor) -> None:
        def slow(request: httpx.Request) -> httpx.Response:
            doctor.scene.clock.advance(timedelta(seconds=4))
            return echoes(request)

        doctor.outside = slow
        assert "slower than the 3 seconds" in (await doctor())["notifications"].found


async def test_it_works_without_a_credential_and_with_microsoft_away(doctor: Doctor) -> None:
    await doctor.scene.store.write(lambda tx: tx.execute("UPDATE credentials SET state = 'retired', ciphertext = x''"))
    doctor.scene.way.is_down = True
    found = await doctor()
    assert found["configuration"].found == "Missing: client secret."
    assert found["notifications"].verdict is Verdict.OK
