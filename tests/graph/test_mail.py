import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from gateway.graph import (
    ForeignUrl,
    Gone,
    GraphError,
    NotFound,
    UnexpectedAnswer,
)

from .fakes import A_MONDAY, GRAPH, Setting, Tokens, answer, failure, sample

ADA = "ada@school.example"
DRAFT = answer(201, sample("message-create.response"))
FOUND = "id,conversationId,internetMessageId,isDraft,parentFolderId,sentDateTime,createdDateTime"
EVIL = "https://evil.example/v1.0/users?$skiptoken=x"


def options(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(str(request.url)).query).items()}


async def test_a_folder_is_found_by_its_well_known_name():
    scene = Setting(answer(200, sample("mailfolder-get.response")))
    assert (await scene.client.get_folder(ADA, "inbox")).id == "id-value"
    assert scene.graph.asked == ["GET /v1.0/users/ada@school.example/mailFolders/inbox?$select=id%2CdisplayName"]


async def test_a_draft_is_made_of_the_payload_and_gives_its_conversation():
    scene = Setting(DRAFT)
    draft = await scene.client.create_draft(ADA, {"subject": "Kia ora"})
    assert draft.conversation_id == "AAQkADNlNFdXGBnqtY="
    assert draft.is_draft is True
    (request,) = scene.graph.requests
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.content) == {"subject": "Kia ora"}


async def test_a_reply_is_a_draft_of_the_message_it_answers():
    scene = Setting(answer(201, sample("message-createreply.response")))
    reply = await scene.client.create_reply(ADA, "A+/=", {"toRecipients": []})
    assert reply.conversation_id == "SDSFSmFSDGI5LWZhYjc4fsdfsd="
    assert scene.graph.asked == ["POST /v1.0/users/ada@school.example/messages/A%2B%2F%3D/createReply"]
    assert json.loads(scene.graph.requests[0].content) == {"message": {"toRecipients": []}}
    assert scene.calls[0].route == "users/{id}/messages/{id}/createReply"


async def test_a_reply_may_be_answered_with_200_and_nothing_else():
    created = sample("message-createreply.response")
    assert (await Setting(answer(200, created)).client.create_reply(ADA, "m", {})).is_draft is True
    with pytest.raises(UnexpectedAnswer):
        await Setting(answer(202, created)).client.create_reply(ADA, "m", {})


async def test_a_message_is_changed_as_often_as_it_takes():
    scene = Setting(httpx.ReadTimeout("slow"), answer(200, sample("message-get.response")))
    await scene.client.update_message(ADA, "m", {"subject": "Kia ora"})
    assert scene.graph.asked == ["PATCH /v1.0/users/ada@school.example/messages/m"] * 2
    assert json.loads(scene.graph.requests[1].content) == {"subject": "Kia ora"}


@pytest.mark.parametrize("status", [200, 202])
async def test_only_201_is_a_draft(status):
    with pytest.raises(UnexpectedAnswer):
        await Setting(answer(status, sample("message-create.response"))).client.create_draft(ADA, {})


@pytest.mark.parametrize("trouble", [failure(503), failure(500), failure(504), httpx.ReadTimeout("slow")])
async def test_a_draft_that_may_exist_is_not_made_again(trouble):
    scene = Setting(trouble)
    with pytest.raises(GraphError):
        await scene.client.create_draft(ADA, {})
    with pytest.raises(GraphError):
        await scene.client.create_reply(ADA, "m", {})
    assert len(scene.graph.requests) == 2


@pytest.mark.parametrize("trouble", [failure(429), failure(503, Retry_After="1"), httpx.ConnectError("refused")])
async def test_a_draft_that_was_refused_is_made_again(trouble):
    scene = Setting(trouble, DRAFT)
    await scene.client.create_draft(ADA, {})
    assert len(scene.graph.requests) == 2


async def test_send_is_an_empty_post():
    scene = Setting(answer(202))
    await scene.client.send_draft(ADA, "A+/=")
    assert scene.graph.asked == ["POST /v1.0/users/ada@school.example/messages/A%2B%2F%3D/send"]
    assert scene.graph.requests[0].headers["content-length"] == "0"
    assert scene.graph.requests[0].content == b""
    assert scene.calls[0].route == "users/{id}/messages/{id}/send"


async def test_a_202_with_retry_after_is_sent():
    scene = Setting(answer(202, Retry_After="30"))
    await scene.client.send_draft(ADA, "m")
    assert len(scene.graph.requests) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        failure(401),
        failure(429, Retry_After="1"),
        failure(503, Retry_After="1"),
        failure(404, "ErrorItemNotFound"),
        failure(500),
        answer(200),
        answer(204),
        answer(302, Location=GRAPH),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed"),
    ],
)
async def test_send_is_never_repeated_and_anything_but_202_is_no_success(trouble):
    scene = Setting(trouble, answer(202), tokens=Tokens("t1", "t2"))
    with pytest.raises(GraphError):
        await scene.client.send_draft(ADA, "m")
    assert len(scene.graph.requests) == 1
    assert scene.clock.slept == []


async def test_deleting_what_is_gone_is_done_but_not_from_a_mailbox_that_is_none():
    await Setting(answer(204)).client.delete_message(ADA, "m")
    await Setting(failure(404, "ErrorItemNotFound")).client.delete_message(ADA, "m")
    with pytest.raises(NotFound):
        await Setting(failure(404, "MailboxNotEnabledForRESTAPI")).client.delete_message(ADA, "m")


async def test_a_tag_is_sought_in_one_folder_or_everywhere():
    scene = Setting(answer(200, {"value": [{"id": "m", "isDraft": True}]}))
    (found,) = await scene.client.find_by_tag(ADA, "String {0a} Name O'Tag", "ab12", folder="drafts")
    assert found.is_draft is True
    (request,) = scene.graph.requests
    assert request.url.path == "/v1.0/users/ada@school.example/mailFolders/drafts/messages"
    assert options(request) == {
        "$filter": "singleValueExtendedProperties/Any(ep: ep/id eq 'String {0a} Name O''Tag' and ep/value eq 'ab12')",
        "$select": FOUND,
        "$top": "100",
    }
    await scene.client.find_by_tag(ADA, "String {0a} Name Tag", "ab12")
    assert scene.graph.requests[1].url.path == "/v1.0/users/ada@school.example/messages"


async def test_a_message_id_is_sought_with_every_sign_encoded():
    scene = Setting(answer(200, {"value": []}))
    assert await scene.client.find_by_internet_message_id(ADA, "<a+b#c@d>") == []
    assert "%3Ca%2Bb%23c%40d%3E" in scene.graph.asked[0]


async def test_a_conversation_is_filtered_here_and_sorted_nowhere():
    scene = Setting(answer(200, {"value": [{"id": "2"}, {"id": "1"}]}))
    assert [message.id for message in await scene.client.find_by_conversation(ADA, "AAQk'=")] == ["2", "1"]
    assert options(scene.graph.requests[0])["$filter"] == "conversationId eq 'AAQk''='"
    assert "$orderby" not in options(scene.graph.requests[0])


async def test_a_list_is_read_to_its_last_page_by_links_as_they_are():
    link = f"{GRAPH}/v1.0/users('a')/messages?$skiptoken=x%2Fy+z"
    scene = Setting(
        answer(200, {"value": [{"id": "1"}], "@odata.nextLink": link}), answer(200, {"value": [{"id": "2"}]})
    )
    assert [message.id for message in await scene.client.find_by_conversation(ADA, "c")] == ["1", "2"]
    assert scene.graph.asked[1] == "GET /v1.0/users('a')/messages?$skiptoken=x%2Fy+z"
    assert scene.graph.requests[1].headers["prefer"] == 'IdType="ImmutableId"'


async def test_a_list_that_leads_elsewhere_is_refused_and_nothing_is_sent_there():
    scene = Setting(answer(200, {"value": [], "@odata.nextLink": EVIL}))
    with pytest.raises(ForeignUrl):
        await scene.client.find_by_conversation(ADA, "c")
    assert {request.url.host for request in scene.graph.requests} == {"graph.microsoft.com"}


async def test_a_list_that_runs_in_a_circle_ends():
    scene = Setting(answer(200, {"value": [], "@odata.nextLink": f"{GRAPH}/v1.0/x"}))
    with pytest.raises(UnexpectedAnswer):
        await scene.client.find_by_conversation(ADA, "c")
    assert len(scene.graph.requests) == 2


async def test_a_message_is_had_with_chosen_properties_and_body():
    scene = Setting(answer(200, sample("message-get-text.response")))
    message = await scene.client.get_message(
        ADA, "m=", select=["id", "body"], expand_properties=["String 0x001A", "String 0x1042"], body_type="text"
    )
    assert message.body_text is not None
    (request,) = scene.graph.requests
    assert options(request) == {
        "$select": "id,body",
        "$expand": "singleValueExtendedProperties($filter=id eq 'String 0x001A' or id eq 'String 0x1042')",
    }
    assert request.headers["prefer"] == 'IdType="ImmutableId", outlook.body-content-type="text"'


async def test_the_first_delta_round_is_bounded_and_asks_for_its_page_size():
    scene = Setting(answer(200, sample("message-delta.response")))
    page = await scene.client.delta(ADA, "inbox", since=A_MONDAY, select=["subject"], page_size=2)
    assert page.next_link is not None
    (request,) = scene.graph.requests
    assert request.url.path == "/v1.0/users/ada@school.example/mailFolders/inbox/messages/delta"
    assert options(request) == {"$select": "subject", "$filter": "receivedDateTime ge 2026-03-02T09:00:00Z"}
    assert request.headers["prefer"] == 'IdType="ImmutableId", odata.maxpagesize=2'


async def test_the_first_delta_round_expands_our_properties_and_the_links_carry_them_on():
    scene = Setting(answer(200, sample("message-delta.response")))
    page = await scene.client.delta(ADA, "sentitems", select=["id"], expand_properties=["String {0a} Name Tag"])
    expanded = "singleValueExtendedProperties($filter=id eq 'String {0a} Name Tag')"
    assert options(scene.graph.requests[0]) == {"$select": "id", "$expand": expanded}
    await scene.client.delta(ADA, "sentitems", link=page.next_link, select=["id"], expand_properties=["String 0x001A"])
    assert str(scene.graph.requests[1].url) == page.next_link


async def test_a_delta_link_is_followed_as_it_is_with_the_same_headers():
    scene = Setting(answer(200, sample("message-delta-last.response")))
    link = sample("message-delta.response")["@odata.nextLink"]
    await scene.client.delta(ADA, "inbox", link=link, select=["subject"])
    assert str(scene.graph.requests[0].url) == link
    assert scene.graph.requests[0].headers["prefer"] == 'IdType="ImmutableId", odata.maxpagesize=50'
    assert scene.calls[0].route == "users/{id}/mailFolders/{id}/messages/delta"


@pytest.mark.parametrize("status", [410, 400, 404])
async def test_a_dead_delta_link_is_gone_whatever_its_status(status):
    with pytest.raises(Gone):
        await Setting(answer(status, sample("error-sync-state-not-found"))).client.delta(ADA, "inbox", select=["id"])


async def test_a_delta_link_of_another_server_is_never_contacted():
    scene = Setting(answer(200, sample("message-delta.response")))
    with pytest.raises(ForeignUrl):
        await scene.client.delta(ADA, "inbox", link=EVIL, select=["id"])
    assert scene.graph.requests == []


async def test_of_a_message_as_mime_no_more_is_read_than_is_wanted():
    scene = Setting(httpx.Response(200, content=b"From: ada" * 100), httpx.Response(200, content=b"From: ada"))
    assert await scene.client.get_mime(ADA, "m/1", limit=20) == (b"From: ada" * 3)[:20]
    assert await scene.client.get_mime(ADA, "m/1", limit=20) == b"From: ada"
    assert scene.graph.asked == ["GET /v1.0/users/ada@school.example/messages/m%2F1/$value"] * 2
