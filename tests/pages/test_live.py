"""The stream behind an Events page: it names the threads that changed, and loses none."""

from collections.abc import Callable
from datetime import timedelta

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.pages.live import BATCH, News, messages, position
from storage import Transaction, api_keys, events
from storage.threads import Object, ObjectType
from tests.http.listening import Listening, listening, until_asleep
from tests.http.scene import Scene
from tests.pages.desk import TAB, Desk, letter, reply, thread_of

STREAM = f"{TAB}/stream"
OTHER = Object(type=ObjectType.STUDENT, id="S2")


def cookie(desk: Desk) -> str:
    return "; ".join(f"{name}={value}" for name, value in desk.browser.cookies.items())


async def told(stream: Listening) -> tuple[str, str]:
    data = orjson.loads((await stream.next_event())["data"])
    return data["thread_id"], data["type"]


async def seq(scene: Scene) -> int:
    return await scene.store.read(events.last_seq, scene.account_id)


async def test_a_reply_is_told_as_soon_as_it_is_stored(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    async with listening(scene.app, STREAM, cookie=cookie(desk)) as stream:
        assert await stream.next() == "retry: 2000\n\n"
        assert stream.headers["content-type"].startswith("text/event-stream")
        await until_asleep(scene.clock)
        await reply(scene, sent)
        assert await told(stream) == (await thread_of(scene, sent), "reply.received")


async def test_what_happened_between_the_page_and_its_stream_is_not_lost(desk: Desk, scene: Scene) -> None:
    await desk.open(TAB)
    after = desk.text.split('data-seq="')[1].split('"')[0]
    sent = await letter(scene)
    async with listening(scene.app, f"{STREAM}?after={after}", cookie=cookie(desk)) as stream:
        assert (await told(stream))[0] == await thread_of(scene, sent)


async def test_a_stream_goes_on_from_what_the_browser_heard_last(desk: Desk, scene: Scene) -> None:
    first = await letter(scene)
    heard = await seq(scene)
    second = await letter(scene)
    async with listening(scene.app, f"{STREAM}?after=0", cookie=cookie(desk), last_event_id=str(heard)) as stream:
        assert (await told(stream))[0] == await thread_of(scene, second)
    async with listening(scene.app, f"{STREAM}?after=0", cookie=cookie(desk)) as stream:
        assert (await told(stream))[0] == await thread_of(scene, first)


async def test_only_this_objects_threads_of_this_account_are_told(desk: Desk, scene: Scene) -> None:
    after = await seq(scene)
    await letter(scene, objects=(OTHER,))
    await letter(scene, account_id=await scene.new_account("Other school"))
    ours = await letter(scene)
    async with listening(scene.app, f"{STREAM}?after={after}", cookie=cookie(desk)) as stream:
        assert (await told(stream))[0] == await thread_of(scene, ours)


async def test_many_changes_of_one_thread_are_told_once(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    for _ in range(5):
        await reply(scene, sent)
    last = await letter(scene)
    async with listening(scene.app, f"{STREAM}?after=0", cookie=cookie(desk)) as stream:
        assert await told(stream) == (await thread_of(scene, sent), "reply.received")
        assert await told(stream) == (await thread_of(scene, last), "message.accepted")


async def test_a_backlog_longer_than_a_batch_is_told_to_its_end(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    thread = await thread_of(scene, sent)
    await scene.store.write(_many, scene, thread)
    last = await letter(scene)
    async with listening(scene.app, f"{STREAM}?after=0", cookie=cookie(desk)) as stream:
        while (await told(stream))[0] == thread:
            pass
        assert await thread_of(scene, last) != thread


def _many(tx: Transaction, scene: Scene, thread_id: str) -> None:
    for _ in range(BATCH * 2):
        events.record(tx, scene.account_id, "thread.updated", thread_id=thread_id, now=scene.clock.now())


async def test_a_quiet_stream_gives_a_sign_of_life(desk: Desk, scene: Scene) -> None:
    async with listening(scene.app, STREAM, cookie=cookie(desk)) as stream:
        await stream.next()
        await until_asleep(scene.clock)
        scene.clock.advance(timedelta(seconds=15))
        assert await stream.next() == ": still here\n\n"


async def _stop(scene: Scene, key_id: str) -> None:
    scene.services.stopping.set()


async def _revoke(scene: Scene, key_id: str) -> None:
    await scene.store.write(api_keys.revoke, scene.account_id, key_id, now=scene.clock.now())
    scene.clock.advance(timedelta(seconds=15))


async def _grow_old(scene: Scene, key_id: str) -> None:
    scene.clock.advance(timedelta(hours=12))


@pytest.mark.parametrize("end", [_stop, _revoke, _grow_old])
async def test_a_stream_ends_with_the_server_the_key_and_the_session(
    stranger: Desk, scene: Scene, end: Callable[..., object]
) -> None:
    key_id = await stranger.sign_in()
    async with listening(scene.app, STREAM, cookie=cookie(stranger)) as stream:
        await stream.next()
        await until_asleep(scene.clock)
        await end(scene, key_id)  # type: ignore[misc]
        await stream.over.wait()


async def test_a_stranger_hears_nothing(stranger: Desk) -> None:
    answer: httpx.Response = await stranger.browser.get(STREAM)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("last_event_id", "given", "at"),
    [("7", "3", 7), (None, "3", 3), ("x", "3", 3), ("-1", None, None), ("", "", None), ("9" * 19, None, 2**63 - 1)],
)
def test_where_a_stream_begins(last_event_id: str | None, given: str | None, at: int | None) -> None:
    assert position(last_event_id, given) == at


@given(threads=st.dictionaries(st.from_regex(r"thr_[0-9a-f]{4}", fullmatch=True), st.text(), max_size=5))
def test_a_break_between_two_messages_of_a_batch_loses_neither(threads: dict[str, str]) -> None:
    lines = messages(News(seq=9, threads=threads, all_read=True))
    assert ["id: 9" in line for line in lines] == [False] * (len(lines) - 1) + [True] * bool(lines)
    assert all(line.endswith("\n\n") and "\n\n" not in line[:-2] for line in lines)
