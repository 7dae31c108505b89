"""Microsoft's own client drives the sandbox over a real socket, as it drives the real service."""

import asyncio
import base64
import socket
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from gateway.sandbox import Behaviour, Sandbox, school
from gateway.sandbox.school import School

from .conftest import TAG, tagged

with warnings.catch_warnings():  # the SDK warns of itself
    warnings.simplefilter("ignore", DeprecationWarning)
    from kiota_abstractions.authentication import (
        AccessTokenProvider,
        AllowedHostsValidator,
        BaseBearerTokenAuthenticationProvider,
    )
    from kiota_abstractions.base_request_configuration import RequestConfiguration
    from kiota_abstractions.headers_collection import HeadersCollection
    from msgraph import GraphRequestAdapter, GraphServiceClient
    from msgraph.generated.models.attachment_item import AttachmentItem
    from msgraph.generated.models.attachment_type import AttachmentType
    from msgraph.generated.models.body_type import BodyType
    from msgraph.generated.models.email_address import EmailAddress
    from msgraph.generated.models.file_attachment import FileAttachment
    from msgraph.generated.models.item_body import ItemBody
    from msgraph.generated.models.message import Message
    from msgraph.generated.models.o_data_errors.o_data_error import ODataError
    from msgraph.generated.models.recipient import Recipient
    from msgraph.generated.models.single_value_legacy_extended_property import SingleValueLegacyExtendedProperty
    from msgraph.generated.models.subscription import Subscription
    from msgraph.generated.users.item.mail_folders.item.messages.delta.delta_request_builder import DeltaRequestBuilder
    from msgraph.generated.users.item.messages.item.attachments.create_upload_session import (
        create_upload_session_post_request_body as upload_body,
    )
    from msgraph.generated.users.item.messages.item.create_reply import create_reply_post_request_body as reply_body
    from msgraph.generated.users.item.messages.messages_request_builder import MessagesRequestBuilder
    from msgraph_core import GraphClientFactory

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

OFFICE = "office@school.example"


class SandboxToken(AccessTokenProvider):  # type: ignore[misc]
    """Gets a token as the documentation says, by one form post."""

    def __init__(self, url: str, pupils: School) -> None:
        self._url = url
        self._pupils = pupils

    async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(
                f"{self._url}/{self._pupils.tenant_id}/oauth2/v2.0/token",
                data={
                    "grant_type": "client_credentials",
                    "client_id": self._pupils.client_id,
                    "client_secret": self._pupils.client_secret,
                    "scope": "https://graph.microsoft.com/.default",
                },
            )
        return str(answer.json()["access_token"])

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["127.0.0.1"])


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """An app on a loopback port, in this loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True


@dataclass
class Scene:
    """A client of Microsoft's, the sandbox behind it, and a subscriber."""

    client: GraphServiceClient
    sandbox: Sandbox
    subscriber: str
    told: list[dict[str, Any]]

    @property
    def office(self) -> Any:
        return self.client.users.by_user_id(OFFICE)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    told: list[dict[str, Any]] = []

    async def receive(request: Request) -> Response:
        if "validationToken" in request.query_params:
            return PlainTextResponse(request.query_params["validationToken"])
        told.extend((await request.json())["value"])
        return Response(status_code=202)

    sandbox = Sandbox(behaviour=Behaviour.at_once())
    pupils = school.build(sandbox)
    receiver = Starlette(routes=[Route("/notifications", receive, methods=["POST"])])
    async with served(sandbox.app) as url, served(receiver) as subscriber:
        transport = httpx.AsyncHTTPTransport()
        client = httpx.AsyncClient(transport=transport, trust_env=False)
        with_middleware = GraphClientFactory.create_with_default_middleware(client=client)
        provider = BaseBearerTokenAuthenticationProvider(SandboxToken(url, pupils))
        adapter = GraphRequestAdapter(provider, with_middleware)
        adapter.base_url = f"{url}/v1.0"
        yield Scene(GraphServiceClient(request_adapter=adapter), sandbox, f"{subscriber}/notifications", told)
        await transport.aclose()  # the middleware does not pass the closing on


def letter(tag: str = "sdk-1") -> Message:
    return Message(
        subject="Your enrolment",
        body=ItemBody(content_type=BodyType.Html, content="<p>Kia ora</p>"),
        to_recipients=[Recipient(email_address=EmailAddress(address="maia.parata@student.example"))],
        single_value_extended_properties=[SingleValueLegacyExtendedProperty(id=TAG, value=tag)],
    )


def immutable() -> RequestConfiguration[Any]:
    headers = HeadersCollection()
    headers.try_add("Prefer", 'IdType="ImmutableId"')
    return RequestConfiguration(headers=headers)


async def test_it_looks_up_users_and_folders(scene: Scene) -> None:
    user = await scene.office.get()
    inbox = await scene.office.mail_folders.by_mail_folder_id("inbox").get()
    folders = await scene.office.mail_folders.get()
    users = await scene.client.users.get()
    assert user.mail == OFFICE
    assert inbox.display_name == "Inbox"
    assert "Sent Items" in [folder.display_name for folder in folders.value]
    assert OFFICE in [each.mail for each in users.value]


async def test_it_drafts_sends_and_finds_the_letter_in_sent_items_by_its_tag(scene: Scene) -> None:
    draft = await scene.office.messages.post(letter())
    assert draft.is_draft
    await scene.office.messages.by_message_id(draft.id).send.post()
    await scene.sandbox.settle()
    by_tag = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(filter=tagged("sdk-1"))
    found = await scene.office.mail_folders.by_mail_folder_id("sentitems").messages.get(
        RequestConfiguration(query_parameters=by_tag)
    )
    assert [message.internet_message_id for message in found.value] == [draft.internet_message_id]
    by_conversation = MessagesRequestBuilder.MessagesRequestBuilderGetQueryParameters(
        filter=f"conversationId eq '{draft.conversation_id}' and isDraft eq false"
    )
    thread = await scene.office.messages.get(RequestConfiguration(query_parameters=by_conversation))
    assert {message.subject for message in thread.value} == {"Your enrolment", "Re: Your enrolment"}


async def test_it_adds_lists_and_removes_attachments(scene: Scene) -> None:
    draft = await scene.office.messages.post(letter())
    attachments = scene.office.messages.by_message_id(draft.id).attachments
    made = await attachments.post(
        FileAttachment(
            odata_type="#microsoft.graph.fileAttachment",
            name="offer.pdf",
            content_type="application/pdf",
            content_bytes=base64.b64encode(b"an offer"),
        )
    )
    listed = await attachments.get()
    assert [(each.name, each.id) for each in listed.value] == [("offer.pdf", made.id)]
    await attachments.by_attachment_id(made.id).delete()
    assert (await attachments.get()).value == []


async def test_it_drafts_a_reply_and_opens_an_upload_session(scene: Scene) -> None:
    question = scene.sandbox.world.deliver(OFFICE, from_="a@b.example", subject="A question")
    reply = await scene.office.messages.by_message_id(question.id).create_reply.post(
        reply_body.CreateReplyPostRequestBody()
    )
    assert (reply.subject, reply.is_draft, reply.conversation_id) == ("Re: A question", True, question.conversation_id)
    size = 3 * 1024 * 1024
    session = await scene.office.messages.by_message_id(reply.id).attachments.create_upload_session.post(
        upload_body.CreateUploadSessionPostRequestBody(
            attachment_item=AttachmentItem(attachment_type=AttachmentType.File, name="plan.pdf", size=size)
        )
    )
    assert session.next_expected_ranges == ["0-"]
    assert session.expiration_date_time > scene.sandbox.clock.now()
    async with httpx.AsyncClient(trust_env=False) as client:
        whole = {"Content-Range": f"bytes 0-{size - 1}/{size}"}
        assert (await client.put(session.upload_url, content=b"a" * size, headers=whole)).status_code == 201
    listed = await scene.office.messages.by_message_id(reply.id).attachments.get()
    assert [each.name for each in listed.value] == ["plan.pdf"]


async def test_it_walks_a_delta_by_pages_and_then_sees_only_what_is_new(scene: Scene) -> None:
    for number in range(5):
        scene.sandbox.world.deliver(OFFICE, from_="a@b.example", subject=f"Mail {number}")
    delta = scene.office.mail_folders.by_mail_folder_id("inbox").messages.delta
    options = DeltaRequestBuilder.DeltaRequestBuilderGetQueryParameters(select=["subject"], top=2)
    page = await delta.get(RequestConfiguration(query_parameters=options))
    subjects = [message.subject for message in page.value]
    while page.odata_next_link:
        page = await delta.with_url(page.odata_next_link).get()
        subjects += [message.subject for message in page.value]
    assert subjects == ["Lost jacket, Room 4", *(f"Mail {number}" for number in range(5))]
    scene.sandbox.world.deliver(OFFICE, from_="a@b.example", subject="News")
    again = await delta.with_url(page.odata_delta_link).get()
    assert [message.subject for message in again.value] == ["News"]


async def test_it_subscribes_renews_is_told_and_unsubscribes(scene: Scene) -> None:
    now = scene.sandbox.clock.now()
    made = await scene.client.subscriptions.post(
        Subscription(
            change_type="created",
            notification_url=scene.subscriber,
            resource=f"users/{OFFICE}/mailFolders('inbox')/messages",
            expiration_date_time=now + timedelta(days=3),
            client_state="a secret",
        ),
        immutable(),
    )
    subscription = scene.client.subscriptions.by_subscription_id(made.id)
    renewed = await subscription.patch(Subscription(expiration_date_time=now + timedelta(days=6)))
    assert renewed.expiration_date_time > made.expiration_date_time
    arrived = scene.sandbox.world.deliver(OFFICE, from_="a@b.example", subject="News")
    await scene.sandbox.settle()
    assert [item["resourceData"]["id"] for item in scene.told] == [arrived.immutable_id]
    read = await scene.office.messages.by_message_id(scene.told[0]["resourceData"]["id"]).get()
    assert read.subject == "News"
    assert [each.id for each in (await scene.client.subscriptions.get()).value] == [made.id]
    await subscription.delete()
    with pytest.raises(ODataError) as gone:
        await subscription.get()
    assert gone.value.response_status_code == 404


async def test_it_sends_a_batch(scene: Scene) -> None:
    from msgraph_core.requests.batch_request_content import BatchRequestContent
    from msgraph_core.requests.batch_request_item import BatchRequestItem

    inbox = scene.office.mail_folders.by_mail_folder_id("inbox").to_get_request_information()
    nobody = scene.client.users.by_user_id("nobody@school.example").to_get_request_information()
    first, second = BatchRequestItem(inbox), BatchRequestItem(nobody)
    content = BatchRequestContent({first.id: first, second.id: second})
    answer = await scene.client.batch.post(content)
    assert answer.get_response_by_id(first.id).status == 200
    assert answer.get_response_by_id(second.id).status == 404


async def test_it_reads_refusals_as_graphs(scene: Scene) -> None:
    with pytest.raises(ODataError) as refused:
        await scene.office.messages.by_message_id("nonsense").get()
    assert refused.value.error.code == "ErrorInvalidIdMalformed"
    assert refused.value.error.inner_error.request_id
