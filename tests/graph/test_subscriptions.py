import json
from datetime import timedelta

import httpx
import pytest

from gateway.graph import BadRequest, Conflict, Encryption, ForeignUrl, GraphError, NotFound

from .fakes import A_MONDAY, GRAPH, Setting, answer, failure, sample

CREATED = answer(201, sample("subscription-create.response"))
WANTED = {
    "resource": "users/7/mailFolders('inbox')/messages",
    "change_type": "created,updated",
    "notification_url": "https://gateway.example/graph/notifications",
    "lifecycle_notification_url": "https://gateway.example/graph/lifecycle",
    "expiration_date_time": A_MONDAY + timedelta(minutes=10_000),
    "client_state": "s" * 43,
}


async def test_a_subscription_is_asked_for_in_graphs_words_with_immutable_ids():
    scene = Setting(CREATED)
    subscription = await scene.client.create_subscription(**WANTED)
    assert subscription.id == "7f105c7d-2dc5-4530-97cd-4e7ae6534c07"
    (request,) = scene.graph.requests
    assert json.loads(request.content) == {
        "changeType": "created,updated",
        "notificationUrl": "https://gateway.example/graph/notifications",
        "lifecycleNotificationUrl": "https://gateway.example/graph/lifecycle",
        "resource": "users/7/mailFolders('inbox')/messages",
        "expirationDateTime": "2026-03-09T07:40:00Z",
        "clientState": "s" * 43,
    }
    assert request.headers["prefer"] == 'IdType="ImmutableId"'
    assert request.extensions["timeout"]["read"] == 60.0


@pytest.mark.parametrize("trouble", [failure(503), failure(504), httpx.ReadTimeout("slow"), httpx.ReadError("reset")])
async def test_a_subscription_that_may_exist_is_not_made_again(trouble):
    scene = Setting(trouble, CREATED)
    with pytest.raises(GraphError):
        await scene.client.create_subscription(**WANTED)
    assert len(scene.graph.requests) == 1


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [("subscription-duplicate", 409, Conflict), ("subscription-validation", 400, BadRequest)],
)
async def test_a_refused_subscription_says_why(name, status, kind):
    with pytest.raises(kind):
        await Setting(answer(status, sample(f"error-{name}"))).client.create_subscription(**WANTED)


async def test_renewing_is_harmless_and_says_what_was_granted():
    scene = Setting(httpx.ReadTimeout("slow"), answer(200, sample("subscription-update.response")))
    renewed = await scene.client.renew_subscription("s-1", A_MONDAY)
    assert renewed.expiration_date_time.tzinfo is not None
    assert scene.graph.asked == ["PATCH /v1.0/subscriptions/s-1"] * 2
    assert json.loads(scene.graph.requests[0].content) == {"expirationDateTime": "2026-03-02T09:00:00Z"}


async def test_renewing_what_is_gone_is_not_found():
    with pytest.raises(NotFound):
        await Setting(answer(404, sample("error-subscription-gone"))).client.renew_subscription("s-1", A_MONDAY)


async def test_reauthorizing_is_an_empty_post():
    scene = Setting(answer(204))
    await scene.client.reauthorize_subscription("s-1")
    assert scene.graph.asked == ["POST /v1.0/subscriptions/s-1/reauthorize"]


async def test_all_pages_of_the_list_are_read():
    item = sample("subscription-list.response")["value"][0]
    first = {"value": [item], "@odata.nextLink": f"{GRAPH}/v1.0/subscriptions?$skiptoken=x"}
    scene = Setting(answer(200, first), answer(200, {"value": [{**item, "id": "other"}]}))
    assert [one.id for one in await scene.client.list_subscriptions()] == [item["id"], "other"]


async def test_a_list_of_another_server_is_refused():
    scene = Setting(answer(200, {"value": [], "@odata.nextLink": "http://graph.microsoft.com/v1.0/subscriptions"}))
    with pytest.raises(ForeignUrl):
        await scene.client.list_subscriptions()


async def test_resource_data_is_asked_for_in_graphs_words():
    scene = Setting(answer(201, sample("subscription-create-rich.response")))
    await scene.client.create_subscription(**WANTED, encryption=Encryption(certificate="MIID", certificate_id="c1"))
    body = json.loads(scene.graph.requests[0].content)
    assert body.items() >= {
        ("includeResourceData", True), ("encryptionCertificate", "MIID"), ("encryptionCertificateId", "c1")
    }  # fmt: skip


async def test_a_renewal_brings_a_new_certificate():
    scene = Setting(answer(200, sample("subscription-update.response")))
    encryption = Encryption(certificate="MIIE", certificate_id="c2")
    await scene.client.renew_subscription("s-1", A_MONDAY, encryption=encryption)
    assert json.loads(scene.graph.requests[0].content) == {
        "expirationDateTime": "2026-03-02T09:00:00Z",
        "encryptionCertificate": "MIIE",
        "encryptionCertificateId": "c2",
    }


async def test_one_subscription_is_read():
    scene = Setting(answer(200, sample("subscription-create.response")))
    assert (await scene.client.get_subscription("a/b")).change_type == "created"
    assert scene.graph.asked == ["GET /v1.0/subscriptions/a%2Fb"]


@pytest.mark.parametrize("outcome", [answer(204), failure(404, "ResourceNotFound")])
async def test_a_deleted_subscription_is_gone_whoever_deleted_it(outcome):
    await Setting(outcome).client.delete_subscription("s-1")
