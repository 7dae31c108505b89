"""Calls of the client and the budget of the mailbox they are about."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from gateway.graph import Limits, MessageRequest, OverBudget, Throttled, Unreachable

from .fakes import BatchGraph, Setting, SkippingClock, Tokens, answer, failure, sample

ADA = "ada@school.example"
BEN = "ben@school.example"
UPLOAD_URL = "https://outlook.office.com/api/v2.0/AttachmentSessions('s')?authtoken=a"
FOLDER = answer(200, sample("mailfolder-get.response"))
EVERYTHING = Limits()


def left(scene: Setting, user: str = ADA):
    return scene.budgets.of(user).left(scene.clock.now())


def spent(scene: Setting, user: str = ADA) -> tuple[int, int]:
    """Requests and bytes."""
    now = left(scene, user)
    return EVERYTHING.requests - now.requests, EVERYTHING.upload_bytes - now.upload_bytes


class Gate:
    """A Graph that answers nobody until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.under_way: dict[str, int] = {}
        self.most: dict[str, int] = {}

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        user = request.url.path.split("/")[3]
        self.under_way[user] = self.under_way.get(user, 0) + 1
        self.most[user] = max(self.most.get(user, 0), self.under_way[user])
        await self.opened.wait()
        self.under_way[user] -= 1
        return answer(200, sample("mailfolder-get.response"))


async def test_four_calls_at_once_reach_a_mailbox_and_another_mailbox_has_its_own_four():
    gate = Gate()
    scene = Setting(handler=gate)
    async with asyncio.TaskGroup() as group:
        for user in [ADA] * 6 + [BEN] * 6:
            group.create_task(scene.client.get_folder(user, "inbox"))
        for _ in range(100):
            await asyncio.sleep(0)
        assert gate.under_way == {ADA: 4, BEN: 4}
        gate.opened.set()
    assert gate.most == {ADA: 4, BEN: 4}
    assert len(scene.calls) == 12


async def test_the_wait_between_two_tries_holds_no_place():
    class WatchingClock(SkippingClock):
        async def sleep(self, duration):
            places.append(left(scene).places)
            await super().sleep(duration)

    places = []
    scene = Setting(failure(503), failure(503), FOLDER, clock=WatchingClock())
    await scene.client.get_folder(ADA, "inbox")
    assert places == [4, 4]
    assert spent(scene) == (3, 0)


async def test_a_second_try_with_another_token_is_a_request_of_its_own():
    scene = Setting(failure(401), FOLDER, tokens=Tokens("t1", "t2"))
    await scene.client.get_folder(ADA, "inbox")
    assert spent(scene) == (2, 0)


async def test_a_stream_keeps_its_place_until_it_is_closed():
    scene = Setting(httpx.Response(200, content=b"PDF"))
    stream = scene.client.attachment_bytes(ADA, "m", "a")
    assert left(scene).places == 4
    assert await anext(stream) == b"PDF"
    assert left(scene).places == 3
    await stream.aclose()
    assert left(scene).places == 4


@pytest.mark.parametrize("trouble", [failure(404), httpx.ReadTimeout("slow"), answer(200, {})])
async def test_a_place_is_given_back_whatever_becomes_of_the_call(trouble):
    scene = Setting(trouble)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whichever
        await scene.client.get_folder(ADA, "inbox")
    assert left(scene).places == 4


async def test_a_mailbox_is_left_alone_for_as_long_as_graph_asks():
    scene = Setting(failure(429, Retry_After="120"), FOLDER)
    with pytest.raises(Throttled):
        await scene.client.get_folder(ADA, "inbox")
    for call in (scene.client.get_folder(ADA, "inbox"), scene.client.send_draft(ADA, "m")):
        with pytest.raises(OverBudget) as refused:
            await call
        assert refused.value.retry_after == timedelta(seconds=120)
    assert len(scene.graph.requests) == 1
    assert scene.clock.slept == []
    await scene.client.get_folder(BEN, "inbox")
    scene.clock.advance(timedelta(seconds=120))
    await scene.client.get_folder(ADA, "inbox")
    assert len(scene.graph.requests) == 3


async def test_an_item_of_a_batch_that_is_throttled_closes_its_mailbox():
    throttled = {"status": 429, "headers": {"retry-after": "60"}, "body": sample("error-application-throttled")}
    scene = Setting(handler=BatchGraph({"a": [throttled]}))
    got = await scene.client.get_messages(ADA, [MessageRequest(id="a", select=("id",))])
    assert isinstance(got["a"], Throttled)
    assert left(scene).closed_until == scene.clock.now() + timedelta(seconds=60)


async def test_a_batch_counts_as_many_requests_as_it_holds():
    scene = Setting(handler=BatchGraph({}))
    await scene.client.get_messages(ADA, [MessageRequest(id=f"m{n}", select=("id",)) for n in range(20)])
    assert spent(scene)[0] == 20


async def test_what_is_uploaded_is_counted_through_graph_and_past_it():
    scene = Setting(answer(201))
    await scene.client.upload_piece(UPLOAD_URL, b"x" * 1000, offset=0, total=1000, user=ADA)
    assert spent(scene) == (1, 1000)
    scene = Setting(answer(201, sample("message-create.response")))
    await scene.client.create_draft(ADA, {"subject": "Kia ora"})
    assert spent(scene) == (1, len(b'{"subject":"Kia ora"}'))


async def test_a_throttled_piece_closes_the_mailbox_too():
    scene = Setting(failure(429, Retry_After="30"))
    with pytest.raises(Throttled):
        await scene.client.upload_piece(UPLOAD_URL, b"x", offset=0, total=1, user=ADA)
    assert left(scene).closed_until is not None


async def test_a_call_about_no_mailbox_takes_nothing_of_any():
    scene = Setting(answer(200, sample("user-get.response")))
    await scene.client.get_user(ADA)
    assert scene.budgets.all() == {}


async def test_over_budget_is_not_asked_again_by_the_client():
    scene = Setting(httpx.ConnectError("refused"))
    with pytest.raises(Unreachable):
        await scene.client.send_draft(ADA, "m")
    scene.budgets.of(ADA).closed_for(timedelta(seconds=11))
    with pytest.raises(OverBudget) as refused:
        await scene.client.get_folder(ADA, "inbox")
    assert scene.clock.slept == []
    assert refused.value.log_fields() == {"error": "OverBudget", "retry_after_s": 11.0}
