from datetime import timedelta

import httpx
import pytest

from gateway.graph import AccessDenied, MessageRequest, NotFound, Throttled, Unavailable, UnexpectedAnswer

from .fakes import BatchGraph, Setting, answer, failure, sample

ADA = "ada@school.example"


def batching(outcomes):
    graph = BatchGraph(outcomes)
    return Setting(handler=graph), graph.batches


def wanted(*ids):
    return [MessageRequest(id=id, select=("id", "body"), expand_properties=("String 0x001A",)) for id in ids]


async def test_messages_are_read_twenty_to_a_batch_each_item_with_its_own_headers():
    scene, batches = batching({})
    got = await scene.client.get_messages(ADA, wanted(*(f"m{n}" for n in range(45))))
    assert [len(batch) for batch in batches] == [20, 20, 5]
    assert list(got) == [f"m{n}" for n in range(45)]
    assert all(message.id == id for id, message in got.items())
    assert batches[0][0]["method"] == "GET"
    assert batches[0][0]["headers"] == {"Prefer": 'IdType="ImmutableId"'}
    assert batches[0][0]["url"].startswith("/users/ada@school.example/messages/m0?$select=id%2Cbody&$expand=")
    assert [(call.route, call.items) for call in scene.calls] == [("$batch", 20), ("$batch", 20), ("$batch", 5)]


async def test_only_the_items_that_failed_in_passing_are_asked_again_after_the_longest_wait():
    throttled = {"status": 429, "headers": {"retry-after": "7"}, "body": sample("error-application-throttled")}
    busy = {"status": 503, "headers": {"Retry-After": "3"}, "body": None}
    gone = {"status": 404, "body": sample("error-item-not-found")}
    ok = {"status": 200, "body": {"id": "b"}}
    scene, batches = batching({"b": [throttled, ok], "c": [busy, {"status": 200, "body": {"id": "c"}}], "d": [gone]})
    got = await scene.client.get_messages(ADA, wanted("a", "b", "c", "d"))
    assert isinstance(got["d"], NotFound)
    assert [got[id].id for id in "abc"] == ["a", "b", "c"]
    assert [len(batch) for batch in batches] == [4, 2]
    assert timedelta(seconds=7) <= scene.clock.slept[0] <= timedelta(seconds=8)


async def test_whoever_counts_hears_of_each_wish_to_be_left_alone_of_an_item_too():
    throttled = {"status": 429, "headers": {"retry-after": "7"}, "body": sample("error-application-throttled")}
    scene, _ = batching({"b": [throttled, {"status": 200, "body": {"id": "b"}}], "c": [{"status": 404}]})
    await scene.client.get_messages(ADA, wanted("a", "b", "c"))
    assert [(type(error), error.retry_after) for error in scene.waits] == [(Throttled, timedelta(seconds=7))]
    scene = Setting(failure(503, retry_after="5"), failure(429), failure(502), answer(200, sample("user-get.response")))
    await scene.client.get_user(ADA)
    assert [(error.status, error.retry_after) for error in scene.waits] == [(503, timedelta(seconds=5)), (429, None)]


async def test_an_item_that_stays_busy_is_an_error_and_the_others_are_there():
    scene, batches = batching({"b": [{"status": 503}]})
    got = await scene.client.get_messages(ADA, wanted("a", "b"))
    assert isinstance(got["b"], Unavailable)
    assert got["a"].id == "a"
    assert len(batches) == 4


@pytest.mark.parametrize(
    "odd",
    [
        None,
        {},
        {"status": "yes"},
        {"status": True},
        {"status": 200},
        {"status": 200, "body": "%%%"},
        {"status": 200, "body": [1]},
        {"status": 204, "body": {}},
    ],
)
async def test_an_odd_item_is_unexpected_and_spoils_nothing(odd):
    scene, _ = batching({"b": [odd]})
    got = await scene.client.get_messages(ADA, wanted("a", "b"))
    assert isinstance(got["b"], UnexpectedAnswer)
    assert got["a"].id == "a"


async def test_a_body_in_base64_and_a_status_in_letters_are_read():
    scene, _ = batching({"b": [{"status": "200", "body": "eyJpZCI6ICJiIn0="}]})
    assert (await scene.client.get_messages(ADA, wanted("b")))["b"].id == "b"


async def test_a_batch_that_fails_as_a_whole_is_raised():
    scene = Setting(failure(403, "ErrorAccessDenied"))
    with pytest.raises(AccessDenied):
        await scene.client.get_messages(ADA, wanted("a"))


async def test_a_batch_of_reads_may_be_repeated():
    scene = Setting(httpx.ReadTimeout("slow"), answer(200, {"responses": []}))
    assert isinstance((await scene.client.get_messages(ADA, wanted("a")))["a"], UnexpectedAnswer)


async def test_no_messages_are_no_call():
    scene, batches = batching({})
    assert await scene.client.get_messages(ADA, []) == {}
    assert batches == []
