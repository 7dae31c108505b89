from datetime import UTC, datetime

import pytest
from hypothesis import example, given

from gateway.graph import (
    AttachmentInfo,
    AttachmentKind,
    Body,
    BodyType,
    DeltaPage,
    GraphSubscription,
    MailFolder,
    Message,
    Recipient,
    Removed,
    UnexpectedAnswer,
    User,
)

from .fakes import SAMPLES, sample
from .strategies import almost_an

MESSAGES = [
    path.name.removesuffix(".json") for path in SAMPLES.glob("message-*.response.json") if "delta" not in path.name
]


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_every_sampled_message_is_read(name):
    assert Message.from_graph(sample(name)).id == sample(name)["id"]


def test_a_message_as_microsoft_shows_it():
    message = Message.from_graph(sample("message-get.response"))
    adele = Recipient(name="Adele Vance", address="adelev@contoso.OnMicrosoft.com")
    assert message.from_ == message.sender == adele
    assert message.to == (Recipient(name="Alex Wilber", address="AlexW@contoso.OnMicrosoft.com"),)
    assert (message.cc, message.bcc, message.reply_to) == ((), (), ())
    assert message.conversation_id == "AAQkADOUpag6yWs="
    assert message.internet_message_id == "<MWHPR6E1BE060@MWHPR1120.namprd22.prod.outlook.com>"
    assert message.received_at == datetime(2018, 9, 9, 3, 15, 8, tzinfo=UTC)
    assert message.is_draft is False
    assert message.body_html is not None
    assert "Nevada" in message.body_html
    assert message.body_text is None


def test_what_was_not_selected_is_none():
    message = Message.from_graph({"id": "m"})
    assert message == Message(id="m")
    assert (message.to, message.body, message.is_draft, message.internet_message_headers) == (None,) * 4


def test_an_extended_property_is_found_whatever_the_case_of_its_guid():
    message = Message.from_graph(sample("extended-property-get.response"))
    assert message.from_ is None
    assert message.extended_property("String {66F5A359-4659-4830-9070-00047EC6AC6E} Name Color") == "Green"
    assert message.extended_property("String 0x001A") is None


def test_headers_keep_their_order():
    message = Message.from_graph(sample("message-get-headers.response"))
    assert message.internet_message_headers is not None
    assert message.internet_message_headers[1] == ("Content-Type", "multipart/report")


def test_a_recipient_without_an_address_is_still_a_name():
    assert Recipient.from_graph({"emailAddress": {"name": "Undisclosed"}}) == Recipient(name="Undisclosed", address="")


def test_a_body_asked_for_as_text():
    assert Body.from_graph({"contentType": "Text", "content": "kia ora"}) == Body(
        content_type=BodyType.TEXT, content="kia ora"
    )


def test_attachments_are_told_apart_by_type():
    created = AttachmentInfo.from_graph(sample("attachment-create.response"))
    assert (created.kind, created.size, created.is_inline) == (AttachmentKind.FILE, 1008, False)
    assert AttachmentInfo.from_graph(sample("attachment-get.response")).kind is AttachmentKind.FILE
    item = AttachmentInfo.from_graph({"id": "a", "@odata.type": "#microsoft.graph.itemAttachment"})
    assert item.kind is AttachmentKind.ITEM


def test_the_pages_of_a_delta_round():
    first = DeltaPage.from_graph(sample("message-delta.response"))
    assert len(first.items) == 2
    assert first.delta_link is None
    assert first.next_link == sample("message-delta.response")["@odata.nextLink"]
    last = DeltaPage.from_graph(sample("message-delta-last.response"))
    assert last.next_link is None
    changes = DeltaPage.from_graph(sample("message-delta-changes.response"))
    assert isinstance(changes.items[0], Removed)
    assert changes.items[0].reason == "deleted"
    assert isinstance(changes.items[1], Message)


def test_links_stay_out_of_what_is_printed():
    assert "token" not in repr(DeltaPage.from_graph(sample("message-delta.response")))


def test_one_unreadable_item_does_not_spoil_its_page():
    page = DeltaPage.from_graph(
        {"value": [{"id": "good"}, {"id": "bad", "isDraft": "perhaps"}, 7, {}], "@odata.deltaLink": "l"}
    )
    assert page.items == (Message(id="good"),)
    assert [(item.id, item.problem) for item in page.unreadable] == [
        ("bad", "isDraft is not a boolean"),
        (None, "an item is not an object"),
        (None, "id is missing"),
    ]


@pytest.mark.parametrize("links", [{}, {"@odata.nextLink": "n", "@odata.deltaLink": "d"}, {"@odata.nextLink": ""}])
def test_a_delta_page_without_its_one_link_is_refused(links):
    with pytest.raises(UnexpectedAnswer):
        DeltaPage.from_graph({"value": [], **links})


def test_a_subscription_has_the_end_that_was_granted():
    created = GraphSubscription.from_graph(sample("subscription-create.response"))
    assert created.expiration_date_time == datetime(2016, 11, 20, 18, 23, 45, 935691, tzinfo=UTC)
    assert created.client_state == "secretClientValue"
    assert "secretClientValue" not in repr(created)
    listed = GraphSubscription.from_graph(sample("subscription-list.response")["value"][0])
    assert listed.client_state is None
    assert listed.change_type == "updated,deleted"


@pytest.mark.parametrize("name", ["create-apponly", "create-rich", "update"])
def test_every_sampled_subscription_is_read(name):
    assert GraphSubscription.from_graph(sample(f"subscription-{name}.response")).resource


def test_users_and_folders():
    assert User.from_graph(sample("user-get.response")).user_principal_name == "AdeleV@contoso.com"
    assert MailFolder.from_graph(sample("mailfolder-get.response")).total_item_count == 99


MESSAGE = almost_an(
    "id", "@odata.type", "subject", "from", "toRecipients", "replyTo", "isDraft", "receivedDateTime", "body",
    "uniqueBody", "hasAttachments", "internetMessageHeaders", "singleValueExtendedProperties", "attachments",
)  # fmt: skip


@given(MESSAGE)
@example({"id": "m", "receivedDateTime": "0001-01-01T00:00:00+14:00"})
def test_any_json_is_a_message_or_an_unexpected_answer(payload):
    try:
        assert Message.from_graph(payload).id == payload["id"]
    except UnexpectedAnswer as error:
        assert error.message  # noqa: PT017


@pytest.mark.parametrize("kind", [AttachmentInfo, DeltaPage, GraphSubscription, MailFolder, Recipient, User, Body])
@given(
    almost_an(
        "id", "value", "@odata.nextLink", "@odata.deltaLink", "resource", "expirationDateTime", "displayName", "size",
        "emailAddress", "content", "contentType", "@odata.type",
    )
)  # fmt: skip
def test_any_json_is_one_of_the_others_or_an_unexpected_answer(kind, payload):
    try:
        kind.from_graph(payload)
    except UnexpectedAnswer as error:
        assert error.message  # noqa: PT017
