"""Export, erasure and retention over the API. What they do has tests of its own, in tests/privacy."""

import io
import json
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.backups.making import Order as BackupOrder
from gateway.backups.making import make
from gateway.backups.manifest import Reason
from gateway.backups.shelf import Rules, Shelf
from storage import audit, chores
from storage.api_keys import Scope
from tests.http.scene import Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem

STUDENT = {"type": "student", "id": "S1001"}
ENROLMENT = {"type": "enrolment", "id": "E77"}
ORDER = {"objects": [STUDENT, ENROLMENT], "reason": "Request 14", "by": "Jane Doe"}
EXPORT = "/v1/objects/student/S1001/export"


async def a_cancelled_letter(api: httpx.AsyncClient) -> dict[str, Any]:
    letter: dict[str, Any] = (await api.post("/v1/messages", json=a_letter(subject="An offer for canary"))).json()
    await api.post(f"/v1/messages/{letter['id']}/cancel")
    return letter


async def test_an_export_is_a_zip_with_the_records_letters(scene: Scene, api: httpx.AsyncClient) -> None:
    letter = await a_cancelled_letter(api)
    answer = await api.get(EXPORT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''student-S1001.zip"
    found = zipfile.ZipFile(io.BytesIO(answer.content))
    told = json.loads(found.read("manifest.json"))
    assert [one["id"] for one in told["messages"]] == [letter["id"]]
    newest = (await scene.store.read(audit.newest, scene.account_id, limit=1))[0]
    assert (newest.act, newest.targets) == ("object.export", {"object_type": "student", "object_id": "S1001"})


async def test_an_erasure_answers_with_its_receipt(scene: Scene, api: httpx.AsyncClient) -> None:
    letter = await a_cancelled_letter(api)
    planned = (await api.post("/v1/erasures", json=ORDER | {"dry_run": True})).json()
    assert (planned["id"], planned["threads"]) == (None, [letter["thread_id"]])
    assert (await api.get(f"/v1/messages/{letter['id']}")).status_code == 200
    answer = await api.post("/v1/erasures", json=ORDER)
    receipt = answer.json()
    assert answer.headers["location"] == f"/v1/erasures/{receipt['id']}"
    assert (receipt["threads"], receipt["messages"], receipt["by"]) == (
        [letter["thread_id"]],
        [letter["id"]],
        "Jane Doe",
    )
    assert (receipt["proof"]["left"], receipt["proof"]["left_in_index"]) == (0, 0)
    assert "canary" not in answer.text
    assert_problem(await api.get(f"/v1/messages/{letter['id']}"), 404, "not-found")
    assert (await api.get(f"/v1/erasures/{receipt['id']}")).json() == receipt
    assert (await api.get("/v1/erasures")).json() == {"items": [receipt], "next": None}
    acts = [one.act for one in await scene.store.read(audit.newest, scene.account_id, limit=9)]
    assert acts.count("erasure.do") == 1
    assert acts.count("erasure.preview") == 1
    (event,) = [one for one in (await api.get("/v1/events")).json()["items"] if one["type"] == "erasure.done"]
    assert event["data"] == {"erasure_id": receipt["id"], "threads": 1, "messages": 1}


async def test_a_receipt_says_which_backups_still_hold_what_was_erased(scene: Scene, tmp_path: Path) -> None:
    shelf = Shelf(folder=tmp_path / "backups", rules=Rules(daily=7, weekly=0))
    scene = replace(scene, services=replace(scene.services, privacy=replace(scene.services.privacy, shelf=shelf)))
    [file, *_] = scene.store.files
    order = BackupOrder(database=file, shelf=shelf, recipients=(), reason=Reason.SCHEDULED, reserve_bytes=0)
    before = make(order, scene.clock.now())
    async with scene.client() as api:
        scene.clock.advance(timedelta(hours=1))
        planned = (await api.post("/v1/erasures", json=ORDER | {"dry_run": True})).json()
        receipt = (await api.post("/v1/erasures", json=ORDER)).json()
        scene.clock.advance(timedelta(hours=1))
        make(order, scene.clock.now())
        shown = (await api.get(f"/v1/erasures/{receipt['id']}")).json()
        before.path.unlink()
        later = (await api.get(f"/v1/erasures/{receipt['id']}")).json()
    holds = {"name": before.path.name, "made_at": "2026-03-02T09:00:00Z", "kept_until": "2026-03-09T09:00:00Z"}
    assert planned["backups"] == receipt["backups"] == shown["backups"] == [holds]
    assert later["backups"] == []


async def test_a_letter_that_waits_to_leave_is_named(api: httpx.AsyncClient) -> None:
    letter = (await api.post("/v1/messages", json=a_letter())).json()
    planned = (await api.post("/v1/erasures", json=ORDER | {"dry_run": True})).json()
    assert planned["under_way"] == [letter["id"]]
    problem = assert_problem(await api.post("/v1/erasures", json=ORDER), 409, "conflict")
    assert letter["id"] in problem["detail"]


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"objects": []}, "/objects"),
        ({"address": "aroha@student.example"}, "/objects"),
        ({"objects": [{"type": "pupil", "id": "1"}]}, "/objects/0/type"),
        ({"reason": " "}, "/reason"),
        ({"by": ""}, "/by"),
    ],
    ids=str,
)
async def test_an_order_that_is_not_clear_is_refused(
    api: httpx.AsyncClient, change: dict[str, Any], pointer: str
) -> None:
    assert_bad_values(await api.post("/v1/erasures", json=ORDER | change), pointer)


async def test_nobody_erases_or_exports_what_is_another_accounts(scene: Scene, api: httpx.AsyncClient) -> None:
    letter = await a_cancelled_letter(api)
    receipt = (await api.post("/v1/erasures", json=ORDER | {"objects": [{"type": "class", "id": "1"}]})).json()
    other = await scene.new_key(*Scope, account_id=await scene.new_account("Another school"))
    async with scene.client(other) as stranger:
        assert (await stranger.post("/v1/erasures", json=ORDER)).json()["threads"] == []
        by_address = {"address": "aroha@student.example", "reason": "x", "by": "x"}
        assert (await stranger.post("/v1/erasures", json=by_address)).json()["messages"] == []
        assert (
            json.loads(zipfile.ZipFile(io.BytesIO((await stranger.get(EXPORT)).content)).read("manifest.json"))[
                "messages"
            ]
            == []
        )
        assert_problem(await stranger.get(f"/v1/erasures/{receipt['id']}"), 404, "not-found")
    assert (await api.get(f"/v1/messages/{letter['id']}")).status_code == 200


async def test_rules_are_set_whole_and_the_chore_is_due_at_once(scene: Scene, api: httpx.AsyncClient) -> None:
    assert set((await api.get("/v1/retention")).json().values()) == {None}
    await api.put("/v1/retention", json={"threads": 365})
    answer = await api.put("/v1/retention", json={"class": 30, "audit": 1095})
    told = {name: days for name, days in answer.json().items() if days is not None}
    assert told == {"class": 30, "audit": 1095}
    assert (await api.get("/v1/retention")).json() == answer.json()
    preview = (await api.get("/v1/retention/preview")).json()
    assert preview == {"threads": 0, "messages": 0, "oldest": None, "newest": None, "audit_rows": 0}
    assert await scene.store.read(chores.due_at, scene.account_id, "retention") == scene.clock.now()
    assert_bad_values(await api.put("/v1/retention", json={"threads": 0}), "/threads")
