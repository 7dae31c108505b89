from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subscriptions.notifications import (
    MAX_BODY_BYTES,
    MAX_RICH_BODY_BYTES,
    Change,
    ChangeType,
    Lifecycle,
    LifecycleEvent,
    Malformed,
    MalformedNotification,
    NotificationTooLarge,
    parse,
)

OUTLOOK = {
    "subscriptionId": "c6126aa3-0ed8-412f-a988-71e6cee627c4",
    "subscriptionExpirationDateTime": "2022-01-02T03:12:18.2257768+05:30",
    "changeType": "created",
    "resource": "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwNjQ4ZjIxAAA=",
    "resourceData": {
        "@odata.type": "#Microsoft.Graph.Message",
        "@odata.id": "Users/622eaaff-0683-4862-9de4-f2ec83c2bd98/Messages/AAMkAGUwNjQ4ZjIAAA=",
        "@odata.etag": 'W/"CQAAABYAAACQ2fKdhq8oSKEDSVrdi3lRAAGDUUXn"',
        "id": "AAMkAGUwNjQ4ZjIxAAA=",
    },
    "clientState": "secretClientValue",
    "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
}
MISSED = {
    "subscriptionId": "c6126aa3-0ed8-412f-a988-71e6cee627c4",
    "subscriptionExpirationDateTime": "2019-03-20T11:00:00.0000000Z",
    "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
    "clientState": "secretClientValue",
    "lifecycleEvent": "missed",
}
SAMPLES = Path(__file__).parent / "samples"


def body(*items: Any) -> bytes:
    return orjson.dumps({"value": list(items)})


def test_a_change_as_outlook_sends_it() -> None:
    assert parse(body(OUTLOOK)).items == [
        Change(
            subscription_id="c6126aa3-0ed8-412f-a988-71e6cee627c4",
            client_state="secretClientValue",
            tenant_id="84bd8158-6d4d-4958-8b9f-9d6445542f95",
            change_type=ChangeType.CREATED,
            message_id="AAMkAGUwNjQ4ZjIxAAA=",
        )
    ]


@pytest.mark.parametrize(
    ("word", "event"),
    [
        ("missed", LifecycleEvent.MISSED),
        ("subscriptionRemoved", LifecycleEvent.SUBSCRIPTION_REMOVED),
        ("reauthorizationRequired", LifecycleEvent.REAUTHORIZATION_REQUIRED),
        ("somethingNew", LifecycleEvent.UNKNOWN),
    ],
)
def test_lifecycle_events(word: str, event: LifecycleEvent) -> None:
    [item] = parse(body({**MISSED, "lifecycleEvent": word})).items
    assert isinstance(item, Lifecycle)
    assert item.event is event


@pytest.mark.parametrize("name", sorted(path.name for path in SAMPLES.glob("*.json")))
def test_every_notification_that_microsoft_documents_is_understood(name: str) -> None:
    [item] = parse((SAMPLES / name).read_bytes()).items
    assert isinstance(item, Lifecycle if name.startswith("lifecycle") else Change)


def test_both_kinds_may_come_together() -> None:
    assert [type(item) for item in parse(body(OUTLOOK, MISSED)).items] == [Change, Lifecycle]


def test_without_resource_data_the_message_is_unknown_and_nothing_is_read_from_the_resource() -> None:
    [item] = parse(body({name: value for name, value in OUTLOOK.items() if name != "resourceData"})).items
    assert isinstance(item, Change)
    assert item.message_id is None


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"clientState": None}, "clientState is missing"),
        ({"clientState": ""}, "clientState is missing"),
        ({"clientState": ["secretClientValue"]}, "clientState is not a string"),
        ({"clientState": {"$ne": ""}}, "clientState is not a string"),
        ({"clientState": "x" * 256}, "clientState is too long"),
        ({"subscriptionId": 7}, "subscriptionId is not a string"),
        ({"subscriptionId": None}, "subscriptionId is missing"),
        ({"tenantId": ["84bd8158-6d4d-4958-8b9f-9d6445542f95"]}, "tenantId is not a string"),
        ({"changeType": "exploded"}, "changeType is not one of Graph's"),
        ({"changeType": None}, "changeType is missing"),
        ({"resourceData": "AAMkAGUwNjQ4ZjIxAAA="}, "resourceData is not an object"),
        ({"resourceData": {"id": True}}, "id is not a string"),
        ({"resourceData": {"id": "x" * 600}}, "id is too long"),
        ({"resourceData": {"id": "a\u0000b"}}, "resourceData.id has control characters"),
        ({"lifecycleEvent": 3}, "lifecycleEvent is not a string"),
    ],
)
def test_a_bad_item_is_named_and_spoils_no_other(changed: dict[str, Any], why: str) -> None:
    items = parse(body(OUTLOOK, {**OUTLOOK, **changed}, OUTLOOK)).items
    assert [type(item) for item in items] == [Change, Malformed, Change]
    assert items[1] == Malformed(why)


@pytest.mark.parametrize("item", [None, 1, "x", [], [OUTLOOK]])
def test_an_item_that_is_no_object_is_bad(item: Any) -> None:
    assert parse(body(item)).items == [Malformed("the item is not an object")]


@pytest.mark.parametrize(
    "broken", [b"", b"{", b"\xff\xfe", b"null", b"[]", b"{}", b'{"value": {}}', b'{"value": null}', b"[" * 5000]
)
def test_what_is_no_collection_is_refused(broken: bytes) -> None:
    with pytest.raises(MalformedNotification):
        parse(broken)


def test_a_body_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(NotificationTooLarge):
        parse(b" " * (MAX_BODY_BYTES + 1))


def test_a_rich_body_may_be_longer_and_what_it_brings_is_passed_on_unread() -> None:
    sample = orjson.loads((SAMPLES / "change-notification-rich.json").read_bytes())
    sample["value"][0]["encryptedContent"]["data"] = "x" * MAX_BODY_BYTES
    long = orjson.dumps(sample)
    with pytest.raises(NotificationTooLarge):
        parse(long)
    read = parse(long, longest=MAX_RICH_BODY_BYTES)
    [item] = read.items
    assert isinstance(item, Change)
    assert item.encrypted_content == sample["value"][0]["encryptedContent"]
    assert read.validation_tokens == sample["validationTokens"]
    assert "xxxx" not in repr(read)


def test_more_items_than_graph_ever_sends_are_refused() -> None:
    assert len(parse(body(*[{}] * 1000)).items) == 1000
    with pytest.raises(NotificationTooLarge):
        parse(body(*[{}] * 1001))


def test_a_secret_is_not_shown() -> None:
    assert "secretClientValue" not in repr(parse(body(OUTLOOK, MISSED)).items)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=20,
)
MEMBERS = ["subscriptionId", "clientState", "tenantId", "changeType", "lifecycleEvent", "resourceData", "resource"]
MEMBERS += ["encryptedContent"]
ITEM = st.dictionaries(st.sampled_from(MEMBERS), JSON | st.just({"id": "AAMk"}) | st.just("created"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(anything: bytes) -> None:
    try:
        parse(anything)
    except MalformedNotification as error:
        assert str(error)  # noqa: PT017 - either is right, but only a sentence will do


@given(st.lists(ITEM | JSON, max_size=8), JSON)
def test_any_items_are_read_one_by_one(items: list[Any], tokens: Any) -> None:
    sent = orjson.dumps({"value": items, "validationTokens": tokens})
    read = parse(sent)
    assert len(read.items) == len(items)
    assert read.validation_tokens == orjson.loads(sent)["validationTokens"]


@given(JSON)
def test_any_json_is_read_or_refused(anything: Any) -> None:
    try:
        parse(orjson.dumps(anything))
    except MalformedNotification as error:
        assert str(error)  # noqa: PT017 - as above
