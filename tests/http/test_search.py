"""`GET /v1/threads?q=` and within an object: finding a letter or a reply again."""

import httpx
import pytest

from storage.api_keys import Scope
from storage.messages import Placement
from tests.http.scene import MAILBOX, Scene
from tests.http.shape import assert_bad_values
from tests.http.test_threads import post, reply, whole_list

ENROLMENT = "/v1/objects/enrolment/E77/threads"


async def found(api: httpx.AsyncClient, path: str = "/v1/threads", **query: str) -> list[str]:
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["items"]]


async def test_a_hit_is_a_thread_with_the_messages_that_have_the_words(scene: Scene, api: httpx.AsyncClient) -> None:
    thread_id = await post(scene, api, html="<p>Ngā mihi, the <b>fee</b> is &lt;due&gt;</p>")
    await post(scene, api, html="<p>Kia ora</p>")
    await reply(scene, thread_id)
    page = (await api.get("/v1/threads", params={"q": "fee due"})).json()
    [hit] = page["items"]
    assert (hit["id"], hit["message_count"], hit["unanswered"], page["next"]) == (thread_id, 2, True, None)
    [match] = hit["matches"]
    assert (match["direction"], match["from"]["address"]) == ("out", MAILBOX)
    assert match["places"] == [
        {
            "field": "text",
            "pieces": [
                {"text": "Ngā mihi, the ", "hit": False},
                {"text": "fee", "hit": True},
                {"text": " is <", "hit": False},
                {"text": "due", "hit": True},
                {"text": ">", "hit": False},
            ],
        }
    ]


async def test_a_reply_is_found_as_soon_as_it_is_stored_and_what_is_held_is_not(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    thread_id = await post(scene, api)
    await reply(scene, thread_id, Placement.HELD)
    assert await found(api, q='"thank you"') == []
    await reply(scene, await post(scene, api))
    assert len(await found(api, q='"thank you"')) == 1


async def test_filters_narrow_what_is_found(scene: Scene, api: httpx.AsyncClient) -> None:
    answered = await post(scene, api, html="<p>One offer</p>")
    waiting = await post(scene, api, html="<p>Another offer</p>")
    await reply(scene, waiting)
    assert await found(api, q="offer") == [waiting, answered]
    assert await found(api, q="offer", unanswered="true") == [waiting]
    assert await found(api, unanswered="false") == [answered]
    assert await found(api, direction="in") == [waiting]
    assert await found(api, q="offer", direction="in") == []
    assert await found(api, mailbox=MAILBOX.upper(), q="another") == [waiting]
    assert await found(api, mailbox="nobody@school.example") == []
    assert await found(api, **{"from": "2026-03-02T09:00:02Z", "q": "offer"}) == [waiting]
    assert await found(api, to="2026-03-02T09:00:02Z", q="offer") == [answered]
    assert await found(api, **{"from": "2026-03-02", "to": "2026-03-02", "q": "offer"}) == [waiting, answered]
    assert await found(api, to="2026-03-01") == []


async def test_a_search_within_an_object_stays_there(scene: Scene, api: httpx.AsyncClient) -> None:
    here = await post(scene, api, subject="An offer")
    there = await post(scene, api, subject="An offer", objects=[{"type": "student", "id": "S2"}])
    assert await found(api, ENROLMENT, q="offer") == [here]
    assert await found(api, q="offer", object_type="student", object_id="S2") == [there]
    assert await found(api, "/v1/objects/student/S3/threads", q="offer") == []


async def test_pages_of_hits_are_complete_and_without_repeats(scene: Scene, api: httpx.AsyncClient) -> None:
    posted = [await post(scene, api, subject=f"Offer {number}") for number in range(5)]
    await reply(scene, posted[0])
    hits = await whole_list(api, "/v1/threads", 2, q="offer")
    assert [one["id"] for one in hits] == posted[::-1]
    assert [one["id"] for one in await whole_list(api, "/v1/threads", 2, q="enrolment")] == [posted[0]]  # by the reply
    assert [one["id"] for one in await whole_list(api, ENROLMENT, 2, direction="out")] == posted[::-1]


async def test_days_are_those_of_the_school(scene: Scene, api: httpx.AsyncClient) -> None:
    letter = await post(scene, api, subject="Offer")  # at nine on Monday in UTC, which is Sunday night in Honolulu
    await scene.store.write(lambda tx: tx.execute("UPDATE accounts SET time_zone = 'Pacific/Honolulu'") and None)
    for query in ({"q": "offer"}, {}):
        assert await found(api, **{"from": "2026-03-01", "to": "2026-03-01", **query}) == [letter]
        assert await found(api, **{"from": "2026-03-02", **query}) == []


async def test_a_list_without_words_has_no_matches(scene: Scene, api: httpx.AsyncClient) -> None:
    await post(scene, api)
    for query in ("", "?q=", "?q=%20", f"?mailbox={MAILBOX}"):
        [one] = (await api.get(f"/v1/threads{query}")).json()["items"]
        assert one["matches"] == []


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"q": "x" * 501}, "/q"),
        ({"from": "yesterday"}, "/from"),
        ({"from": "2026-02-30"}, "/from"),
        ({"to": "9999-12-31"}, "/to"),
        ({"mailbox": "office"}, "/mailbox"),
        ({"direction": "up"}, "/direction"),
        ({"unanswered": "perhaps"}, "/unanswered"),
        ({"object_type": "student"}, "/object_id"),
        ({"object_id": "S1"}, "/object_type"),
        ({"object_type": "pupil", "object_id": "S1"}, "/object_type"),
        ({"query": "offer"}, "/query"),
    ],
)
async def test_a_bad_value_is_named(api: httpx.AsyncClient, query: dict[str, str], pointer: str) -> None:
    assert_bad_values(await api.get("/v1/threads", params=query), pointer, where="query")


async def test_a_cursor_of_another_kind_of_list_is_refused(scene: Scene, api: httpx.AsyncClient) -> None:
    for _ in range(3):
        await post(scene, api, subject="Offer")
    of_list = (await api.get("/v1/threads?limit=1")).json()["next"]
    of_search = (await api.get("/v1/threads?limit=1&q=offer")).json()["next"]
    assert_bad_values(await api.get("/v1/threads", params={"q": "x", "after": of_list}), "/after", where="query")
    assert_bad_values(await api.get("/v1/threads", params={"after": of_search}), "/after", where="query")


async def test_another_account_finds_nothing(scene: Scene, api: httpx.AsyncClient) -> None:
    await post(scene, api, subject="Offer")
    async with scene.client(
        key=await scene.new_key(Scope.READ, account_id=await scene.new_account("Another"))
    ) as other:
        assert await found(other, q="offer") == []
