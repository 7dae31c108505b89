"""Every payload has the keys and types of Microsoft's own, and no property that its metadata does not declare."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.sandbox import Address, Sandbox
from gateway.sandbox.model import Message
from gateway.sandbox.notifier import LifecycleEvent
from gateway.sandbox.school import School

from .conftest import TAG, Receiver, at, draft_of, letter, subscription_to
from .shapes import differences, sample, violations

FILE = {
    "@odata.type": "#microsoft.graph.fileAttachment",
    "name": "offer.pdf",
    "contentType": "application/pdf",
    "contentBytes": "SGVsbG8=",
}


@dataclass
class Office:
    """The office's mailbox, with a message in its Inbox, and a client for it."""

    graph: httpx.AsyncClient
    sandbox: Sandbox
    path: str
    received: Message
    pupils: School

    async def get(self, rest: str, **headers: str) -> dict[str, Any]:
        answer = await self.graph.get(f"{self.path}{rest}", headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@pytest.fixture
def scene(sandbox: Sandbox, graph: httpx.AsyncClient, office: str, pupils: School) -> Office:
    received = sandbox.world.deliver(
        "office@school.example",
        from_=Address(name="Hēmi Walker", address="hemi@parents.example"),
        subject="Lost jacket",
        html="<p>Mōrena!</p>",
        headers=[("x-mailer", "Paper")],
    )
    return Office(graph, sandbox, office, received, pupils)


async def _created(scene: Office) -> dict[str, Any]:
    return await draft_of(scene.graph, scene.path)


async def _received(scene: Office) -> dict[str, Any]:
    return await scene.get(f"/messages/{at(scene.received.id)}")


async def _as_text(scene: Office) -> dict[str, Any]:
    path = f"/messages/{at(scene.received.id)}?$select=subject,body,bodyPreview,uniqueBody"
    return await scene.get(path, Prefer='outlook.body-content-type="text"')


async def _headers(scene: Office) -> dict[str, Any]:
    return await scene.get(f"/messages/{at(scene.received.id)}?$select=internetMessageHeaders")


async def _listed(scene: Office) -> dict[str, Any]:
    return await scene.get("/messages?$select=sender,subject")


async def _reply(scene: Office) -> dict[str, Any]:
    answer = await scene.graph.post(f"{scene.path}/messages/{at(scene.received.id)}/createReply")
    assert answer.status_code == 201
    return dict(answer.json())


async def _property(scene: Office) -> dict[str, Any]:
    draft = await draft_of(scene.graph, scene.path, tag="green")
    expand = f"singleValueExtendedProperties($filter=id eq '{TAG}')"
    return await scene.get(f"/messages/{at(draft['id'])}?$expand={expand}")


async def _delta_page(scene: Office) -> dict[str, Any]:
    path = "/mailFolders('inbox')/messages/delta?$select=subject,isRead,sender"
    return await scene.get(path, Prefer="odata.maxpagesize=1")


async def _delta_last(scene: Office) -> dict[str, Any]:
    return await scene.get("/mailFolders('inbox')/messages/delta?$select=subject,isRead,sender")


async def _folder(scene: Office) -> dict[str, Any]:
    return await scene.get("/mailFolders/inbox")


async def _attachment(scene: Office) -> dict[str, Any]:
    draft = await draft_of(scene.graph, scene.path)
    answer = await scene.graph.post(f"{scene.path}/messages/{at(draft['id'])}/attachments", json=FILE)
    assert answer.status_code == 201
    return dict(answer.json())


async def _attachments(scene: Office) -> dict[str, Any]:
    answer = await scene.graph.post(f"{scene.path}/messages", json={**letter(), "attachments": [FILE]})
    return await scene.get(f"/messages/{at(answer.json()['id'])}/attachments")


async def _attachment_selected(scene: Office) -> dict[str, Any]:
    answer = await scene.graph.post(f"{scene.path}/messages", json={**letter(), "attachments": [FILE]})
    message = f"/messages/{at(answer.json()['id'])}"
    attachment = (await scene.get(f"{message}/attachments"))["value"][0]
    select = "lastModifiedDateTime,name,contentType,size,isInline"
    return await scene.get(f"{message}/attachments/{at(attachment['id'])}?$select={select}")


async def _subscribed(scene: Office) -> dict[str, Any]:
    answer = await scene.graph.post("/v1.0/subscriptions", json=subscription_to(scene.sandbox))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _renewed(scene: Office) -> dict[str, Any]:
    subscription = await _subscribed(scene)
    later = (scene.sandbox.clock.now() + timedelta(days=5)).isoformat()
    answer = await scene.graph.patch(f"/v1.0/subscriptions/{subscription['id']}", json={"expirationDateTime": later})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _subscriptions(scene: Office) -> dict[str, Any]:
    await _subscribed(scene)
    return dict((await scene.graph.get("/v1.0/subscriptions")).json())


async def _session(scene: Office) -> dict[str, Any]:
    draft = await draft_of(scene.graph, scene.path)
    answer = await scene.graph.post(
        f"{scene.path}/messages/{at(draft['id'])}/attachments/createUploadSession",
        json={"AttachmentItem": {"attachmentType": "file", "name": "flower", "size": 3483322}},
    )
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _chunk(scene: Office) -> dict[str, Any]:
    url = (await _session(scene))["uploadUrl"]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(scene.sandbox.app)) as bare:
        answer = await bare.put(url, content=b"x" * 2097152, headers={"Content-Range": "bytes 0-2097151/3483322"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def _batch(scene: Office) -> dict[str, Any]:
    requests = [{"id": "1", "method": "GET", "url": f"{scene.path.removeprefix('/v1.0')}/messages"}]
    return dict((await scene.graph.post("/v1.0/$batch", json={"requests": requests})).json())


NOT_IN_A_BASIC_PROFILE = frozenset({"businessPhones", "jobTitle", "mobilePhone", "officeLocation", "preferredLanguage"})


async def _user(scene: Office) -> dict[str, Any]:
    return await scene.get("")


PAYLOADS: list[tuple[Callable[[Office], Awaitable[dict[str, Any]]], str, str]] = [
    (_created, "message-create.response", "message"),
    (_received, "message-get.response", "message"),
    (_as_text, "message-get-text.response", "message"),
    (_headers, "message-get-headers.response", "message"),
    (_listed, "messages-list.response", "message"),
    (_reply, "message-createreply.response", "message"),
    (_property, "extended-property-get.response", "message"),
    (_delta_page, "message-delta.response", "message"),
    (_delta_last, "message-delta-last.response", "message"),
    (_folder, "mailfolder-get.response", "mailFolder"),
    (_attachment, "attachment-create.response", "fileAttachment"),
    (_attachments, "attachments-list.response", "fileAttachment"),
    (_attachment_selected, "attachment-get.response", "fileAttachment"),
    (_subscribed, "subscription-create.response", "subscription"),
    (_subscribed, "subscription-create-apponly.response", "subscription"),
    (_renewed, "subscription-update.response", "subscription"),
    (_subscriptions, "subscription-list.response", "subscription"),
    (_session, "upload-session.response", "uploadSession"),
    (_user, "user-get.response", "user"),
]
DOCS_ONLY = NOT_IN_A_BASIC_PROFILE | {"@odata.id", "sender", "from"}


@pytest.mark.parametrize(("make", "name", "type_name"), PAYLOADS, ids=[name for _, name, _ in PAYLOADS])
async def test_a_payload_has_the_shape_of_microsofts_and_only_declared_properties(
    scene: Office, make: Callable[[Office], Awaitable[dict[str, Any]]], name: str, type_name: str
) -> None:
    payload = await make(scene)
    optional = DOCS_ONLY if name in ("extended-property-get.response", "user-get.response") else frozenset()
    assert differences(payload, sample(name), optional=optional) == []
    entities = payload.get("value", [payload])
    assert entities
    assert [found for entity in entities for found in violations(entity, type_name)] == []


async def test_a_chunk_and_a_batch_have_the_shape_of_microsofts(scene: Office) -> None:
    assert differences(await _chunk(scene), sample("upload-chunk.response")) == []
    headers = frozenset({"x-ms-resource-unit", "OData-Version", "@odata.id", "@odata.type", "displayName", "error"})
    answered = (await _batch(scene))["responses"][0]
    assert differences(answered, sample("batch.response")["responses"][0], optional=headers) == []


async def test_what_left_a_folder_is_told_as_removed(scene: Office) -> None:
    link = (await scene.get("/mailFolders('inbox')/messages/delta"))["@odata.deltaLink"]
    scene.sandbox.world.mailbox("office@school.example").remove(scene.received)
    gone = (await scene.graph.get(link)).json()
    expected = sample("message-delta-changes.response")
    expected["value"] = expected["value"][:1]
    assert differences(gone, expected) == []


async def test_notifications_have_the_shape_of_microsofts(scene: Office, receiver: Receiver) -> None:
    subscription = await _subscribed(scene)
    scene.sandbox.world.deliver("office@school.example", from_="a@b.example", subject="Hello")
    for event in LifecycleEvent:
        scene.sandbox.tell_lifecycle(subscription["id"], event)
    await scene.sandbox.settle()
    changes, *lifecycle = sorted(receiver.requests, key=lambda body: "lifecycleEvent" in body["value"][0])
    assert differences(changes, sample("change-notification-outlook")) == []
    assert [item["lifecycleEvent"] for item in lifecycle[0]["value"]] == list(LifecycleEvent)
    for item in lifecycle[0]["value"]:
        assert item.keys() == sample(f"lifecycle-{item['lifecycleEvent']}")["value"][0].keys()


TOKEN_ERRORS: list[tuple[str, dict[str, str], int]] = [
    ("token-error-90002-unknown-tenant", {"tenant": "no-such-tenant.example"}, 400),
    ("token-error-700016-unknown-app", {"client_id": "11112222-bbbb-3333-cccc-4444dddd5555"}, 400),
    ("token-error-7000215-invalid-secret", {"client_secret": "the id of the secret"}, 401),
    ("token-error-7000222-expired-secret", {"expired": "yes"}, 401),
    ("token-error-70011-invalid-scope", {"scope": "https://example.contoso.com/activity.read"}, 400),
]


@pytest.mark.parametrize(("name", "change", "status"), TOKEN_ERRORS, ids=[name for name, _, _ in TOKEN_ERRORS])
async def test_a_token_is_refused_in_entras_words(
    sandbox: Sandbox, pupils: School, anyone: httpx.AsyncClient, name: str, change: dict[str, str], status: int
) -> None:
    form = {
        "tenant": pupils.tenant_id,
        "grant_type": "client_credentials",
        "client_id": pupils.client_id,
        "client_secret": pupils.client_secret,
        "scope": "https://graph.microsoft.com/.default",
        **change,
    }
    if "expired" in form:
        sandbox.clock.advance(timedelta(days=201))  # type: ignore[attr-defined]
    answer = await anyone.post(f"/{form.pop('tenant')}/oauth2/v2.0/token", data=form)
    expected = sample(name)
    assert answer.status_code == status
    assert answer.json().keys() == expected.keys()
    assert differences(answer.json(), expected) == []
    assert (answer.json()["error"], answer.json()["error_codes"]) == (expected["error"], expected["error_codes"])
    assert len(answer.json()["error_description"].split("\r\n")) == 4


async def test_a_token_comes_as_entra_gives_it(pupils: School, anyone: httpx.AsyncClient) -> None:
    answer = await anyone.post(
        f"/{pupils.tenant_id}/oauth2/v2.0/token",
        data={"grant_type": "client_credentials", "scope": "https://graph.microsoft.com/.default"},
        auth=(pupils.client_id, pupils.client_secret.replace("~", "%7E")),
    )
    assert answer.status_code == 200, answer.text
    assert differences(answer.json(), sample("token-success")) == []
