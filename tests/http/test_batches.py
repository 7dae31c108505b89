"""`/v1/batches`: many letters in one request, and how far they have come."""

from typing import Any

import httpx
import pytest

from tests.http.scene import ALL_SCOPES, UNPROVED, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem


def a_batch(count: int = 3, **changes: Any) -> dict[str, Any]:
    letters = [a_letter(subject=f"Offer {number}") for number in range(count)]
    return {"name": "Offers 2027", "created_by": "Jane Doe", "letters": letters} | changes


async def test_a_good_batch_is_accepted_with_a_forecast_and_the_ids_of_its_letters(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/batches", json=a_batch(90), headers={"idempotency-key": "k"})
    assert answer.status_code == 202, answer.text
    accepted = answer.json()
    assert (accepted["status"], accepted["letters"], accepted["note"]) == ("queued", 90, None)
    assert accepted["done_by"] == "2026-03-02T09:02:00Z"
    subjects = [(await api.get(f"/v1/messages/{one}")).json()["subject"] for one in accepted["messages"][:3]]
    assert subjects == ["Offer 0", "Offer 1", "Offer 2"]
    assert answer.headers["location"] == f"/v1/batches/{accepted['id']}"


async def test_its_progress_is_at_its_location(api: httpx.AsyncClient) -> None:
    accepted = await api.post("/v1/batches", json=a_batch(40))
    [first, second, *_] = accepted.json()["messages"]
    for message_id in (first, second):
        await api.post(f"/v1/messages/{message_id}/cancel")
    shown = (await api.get(accepted.headers["location"])).json()
    assert shown == {
        "id": accepted.json()["id"],
        "name": "Offers 2027",
        "created_by": "Jane Doe",
        "status": "sending",
        "letters": 40,
        "counts": {"queued": 38, "cancelled": 2},
        "done_by": "2026-03-02T09:01:00Z",
        "created_at": "2026-03-02T09:00:00Z",
    }


async def test_cancelled_as_a_whole_it_is_finished(api: httpx.AsyncClient) -> None:
    accepted = await api.post("/v1/batches", json=a_batch())
    shown = (await api.post(f"{accepted.headers['location']}/cancel")).json()
    assert (shown["status"], shown["counts"], shown["done_by"]) == ("finished", {"cancelled": 3}, None)
    assert (await api.post(f"{accepted.headers['location']}/cancel")).json() == shown


async def test_its_letters_are_a_list_of_their_own(api: httpx.AsyncClient) -> None:
    await api.post("/v1/messages", json=a_letter())
    accepted = (await api.post("/v1/batches", json=a_batch(5))).json()
    seen: list[str] = []
    after: str | None = None
    while True:
        query = {"batch": accepted["id"], "limit": 2} | ({} if after is None else {"after": after})
        page = (await api.get("/v1/messages", params=query)).json()
        seen += [one["id"] for one in page["items"]]
        assert {one["batch_id"] for one in page["items"]} == {accepted["id"]}
        after = page["next"]
        if after is None:
            break
    assert sorted(seen) == sorted(accepted["messages"])


async def test_batches_are_listed_newest_first(scene: Scene, api: httpx.AsyncClient) -> None:
    ids = []
    for name in ("first", "second"):
        ids.append((await api.post("/v1/batches", json=a_batch(name=name))).json()["id"])
        scene.clock.advance(scene.services.settings.sweep_interval)
    page = (await api.get("/v1/batches", params={"limit": 1})).json()
    assert [one["id"] for one in page["items"]] == ids[1:]
    rest = (await api.get("/v1/batches", params={"after": page["next"]})).json()
    assert [one["id"] for one in rest["items"]] == ids[:1]


async def test_the_same_key_gets_the_same_answer_whatever_has_happened_since(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    key = {"idempotency-key": "k"}
    first = await api.post("/v1/batches", json=a_batch(), headers=key)
    rows = await scene.rows()
    await api.post(f"{first.headers['location']}/cancel")
    scene.clock.advance(scene.services.settings.sweep_interval)
    again = await api.post("/v1/batches", json=a_batch(), headers=key)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert (await scene.rows())["outbox"] == rows["outbox"]
    other = await api.post("/v1/batches", json=a_batch(2), headers=key)
    assert_problem(other, 422, "idempotency-key-reused")


async def test_without_a_key_it_says_that_a_repeat_is_a_second_mailing(api: httpx.AsyncClient) -> None:
    assert "makes a second" in (await api.post("/v1/batches", json=a_batch())).json()["note"]


@pytest.mark.parametrize(
    ("letter", "pointer"),
    [
        (a_letter(subject=...), "/letters/1/subject"),
        (a_letter(to=[]), "/letters/1/to"),
        (a_letter(objects=...), "/letters/1/objects"),
        (a_letter(text="both"), "/letters/1/text"),
        (a_letter(extra=1), "/letters/1/extra"),
        ("no letter", "/letters/1"),
    ],
)
async def test_a_bad_letter_is_named_by_its_place_and_nothing_is_kept(
    scene: Scene, api: httpx.AsyncClient, letter: Any, pointer: str
) -> None:
    before = await scene.rows()
    assert_bad_values(await api.post("/v1/batches", json=a_batch(letters=[a_letter(), letter])), pointer)
    assert await scene.rows() == before


async def test_a_letter_from_a_mailbox_that_is_not_validated_keeps_all_out(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/batches", json=a_batch(letters=[a_letter(), a_letter(**{"from": UNPROVED})]))
    problem = assert_problem(answer, 422, "mailbox-not-validated")
    assert problem["errors"] == [
        {"in": "body", "pointer": "/letters/1/from", "detail": problem["detail"]},
    ]
    assert await scene.rows() == before


@pytest.mark.parametrize("count", [0, 5001])
async def test_there_is_a_letter_in_it_and_not_too_many(api: httpx.AsyncClient, count: int) -> None:
    answer = await api.post("/v1/batches", json=a_batch(letters=[a_letter()] * count))
    assert_bad_values(answer, "/letters")


async def test_thousands_of_letters_are_taken(api: httpx.AsyncClient) -> None:
    answer = await api.post("/v1/batches", json=a_batch(5000))
    assert (answer.status_code, len(set(answer.json()["messages"]))) == (202, 5000)


async def test_another_accounts_batch_is_not_there(scene: Scene, api: httpx.AsyncClient) -> None:
    accepted = await api.post("/v1/batches", json=a_batch())
    key = await scene.new_key(*ALL_SCOPES, account_id=await scene.new_account("Other school"))
    async with scene.client(key=key) as stranger:
        assert_problem(await stranger.get(accepted.headers["location"]), 404, "not-found")
        assert_problem(await stranger.post(f"{accepted.headers['location']}/cancel"), 404, "not-found")
