"""The whole way of a rich notification: a sandbox that encrypts and signs, and the gateway's reading of it."""

import asyncio
import functools
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.graph import Cloud, Encryption, GraphClient, SigningKeys
from gateway.rich import Opener, issuers_of, threads
from gateway.sandbox import Behaviour, Sandbox, school
from subscriptions.addresses import resource_of
from subscriptions.rich import EncryptionCertificate, NotEncrypted, UnknownCertificate
from subscriptions.validation_tokens import App, TokensRefused
from tests.fakes.clock import A_MONDAY, FakeClock
from tests.graph.fakes import Tokens

GRAPH = "https://graph.microsoft.com"
OFFICE = "office@school.example"


@functools.cache
def certificate() -> EncryptionCertificate:
    return EncryptionCertificate.new(A_MONDAY, timedelta(days=365))


class Scene:
    """A school whose office has a rich subscription, and what was posted for it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.posted: list[dict[str, Any]] = []
        subscriber = Starlette(routes=[Route("/{path:path}", self._take, methods=["POST"])])
        self.sandbox = Sandbox(
            clock=self.clock,
            http=httpx.AsyncClient(transport=httpx.ASGITransport(subscriber)),
            behaviour=Behaviour.at_once(),
        )
        self.school = school.build(self.sandbox)
        self.app = App(client_id=UUID(self.school.client_id), tenant_id=UUID(self.school.tenant_id))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.sandbox.app))
        self.opener = self.opener_of(Cloud.GLOBAL, self.http)

    def opener_of(self, cloud: Cloud, login: httpx.AsyncClient) -> Opener:
        return Opener(SigningKeys(login, GRAPH, clock=self.clock), issuers_of(cloud), clock=self.clock)

    async def _take(self, request: Request) -> Response:
        if token := request.query_params.get("validationToken"):
            return PlainTextResponse(token)
        self.posted.append(orjson.loads(await request.body()))
        return Response(status_code=202)

    async def subscribe(self) -> None:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.school.client_id,
            "client_secret": self.school.client_secret,
            "scope": f"{GRAPH}/.default",
        }
        token = await self.http.post(f"{GRAPH}/{self.school.tenant_id}/oauth2/v2.0/token", data=form)
        client = GraphClient(self.http, Tokens(token.json()["access_token"]), GRAPH, clock=self.clock)
        await client.create_subscription(
            resource=f"{resource_of(OFFICE, 'inbox')}?$select=id,conversationId,internetMessageId",
            change_type="created",
            notification_url="https://gateway.example/graph/notifications",
            lifecycle_notification_url=None,
            expiration_date_time=self.clock.now() + timedelta(minutes=1400),
            client_state="a secret",
            encryption=Encryption(certificate=certificate().certificate, certificate_id=certificate().id),
        )

    async def told(self) -> tuple[Any, dict[str, Any]]:
        """A message that comes in, and the request that tells of it."""
        message = self.sandbox.world.deliver(OFFICE, from_="maia@student.example", subject="Kia ora")
        await self.sandbox.settle()
        return message, self.posted[-1]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    async with scene.http, scene.sandbox.running():
        await scene.subscribe()
        yield scene


@pytest.mark.parametrize("is_version_2", [False, True])
async def test_a_rich_notification_is_proven_and_opened(scene: Scene, is_version_2: bool) -> None:
    scene.sandbox.world.behaviour = replace(Behaviour.at_once(), validation_tokens_of_version_2=is_version_2)
    message, posted = await scene.told()
    assert await scene.opener.proven(posted["validationTokens"], [scene.app]) == {scene.app}
    (item,) = posted["value"]
    (properties,) = await scene.opener.opened([item["encryptedContent"]], {certificate().id: certificate().key()})
    assert isinstance(properties, dict)
    assert properties["conversationId"] == message.conversation_id
    assert properties["internetMessageId"] == message.internet_message_id
    assert (properties["id"], item["resourceData"]["id"]) == (message.immutable_id, message.immutable_id)


async def test_what_is_proven_for_another_app_is_refused(scene: Scene) -> None:
    _, posted = await scene.told()
    with pytest.raises(TokensRefused):
        await scene.opener.proven(posted["validationTokens"], [replace(scene.app, client_id=uuid4())])


async def test_content_without_tokens_is_refused(scene: Scene) -> None:
    scene.sandbox.world.behaviour = replace(Behaviour.at_once(), validation_tokens=False)
    _, posted = await scene.told()
    with pytest.raises(TokensRefused, match="without"):
        await scene.opener.proven(posted["validationTokens"], [scene.app])


async def test_tokens_prove_nothing_while_the_keys_are_not_to_be_had(scene: Scene) -> None:
    _, posted = await scene.told()
    silent = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(503)))
    opener = scene.opener_of(Cloud.GLOBAL, silent)
    with pytest.raises(TokensRefused, match="cannot be fetched"):
        await opener.proven(posted["validationTokens"], [scene.app])


async def test_another_clouds_tokens_are_refused(scene: Scene) -> None:
    _, posted = await scene.told()
    opener = scene.opener_of(Cloud.CHINA, scene.http)
    with pytest.raises(TokensRefused, match="iss"):
        await opener.proven(posted["validationTokens"], [scene.app])


async def test_one_that_does_not_open_spoils_no_other(scene: Scene) -> None:
    _, posted = await scene.told()
    content = posted["value"][0]["encryptedContent"]
    contents = [None, {**content, "encryptionCertificateId": "another"}, content]
    none, another, good = await scene.opener.opened(contents, {certificate().id: certificate().key()})
    assert isinstance(none, NotEncrypted)
    assert isinstance(another, UnknownCertificate)
    assert isinstance(good, dict)


# The processor


@pytest.mark.parametrize(("processors", "at_once"), [(1, 1), (2, 1), (8, 7)])
def test_one_processor_is_left_to_the_loop(processors: int, at_once: int) -> None:
    assert threads(processors) == at_once


class Slow(Mapping[str, Any]):
    """Keys that are found when somebody lets them be."""

    def __init__(self) -> None:
        self.asked, self.found = threading.Event(), threading.Event()

    def __getitem__(self, key: str) -> Any:
        self.asked.set()
        assert self.found.wait(10)
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


async def test_a_request_is_opened_when_the_one_before_it_leaves_the_thread(scene: Scene) -> None:
    keys = SigningKeys(scene.http, GRAPH, clock=scene.clock)
    opener = Opener(keys, issuers_of(Cloud.GLOBAL), clock=scene.clock, at_once=1)
    content = {"data": "AAAA", "dataKey": "AAAA", "dataSignature": "AAAA", "encryptionCertificateId": "one"}
    first, second = Slow(), Slow()
    async with asyncio.TaskGroup() as group:
        group.create_task(opener.opened([content], first))
        await asyncio.to_thread(first.asked.wait, 10)
        second.found.set()
        waiting = group.create_task(opener.opened([content], second))
        await asyncio.to_thread(lambda: None)  # there are threads to be had
        assert not second.asked.is_set()
        assert not waiting.done()
        first.found.set()
        [outcome] = await waiting
    assert isinstance(outcome, UnknownCertificate)
