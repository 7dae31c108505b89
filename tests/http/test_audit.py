"""Who did or read what: every operation and every page is in the audit log, or says why not."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from gateway.http.app import OPERATIONS
from gateway.http.auditing import MOST_WAITING, Audited, Trail, Unaudited, reads
from gateway.http.pages import page_routes
from gateway.http.pages.sessions import ticket_url
from gateway.http.routing import Operation
from storage import StorageUnavailable, Store, api_keys, audit
from storage.audit import Entry, Record
from storage.transaction import Transaction
from tests.fakes.clock import FakeClock
from tests.http.scene import MAILBOX, UNPROVED, Scene, a_letter

# What changes nothing that a school could want to know of later: everything else that is no GET is in the log.
NOTHING_DONE: frozenset[str] = frozenset()
# A declaration "records itself" is believed, so whoever makes one stands here; test_reviews, test_deciding and
# test_expiry try them.
RECORDED_INSIDE = {
    "POST /v1/account/snooze",
    "DELETE /v1/account/snooze",
    "POST /v1/reviews/{id}/accept",
    "POST /v1/reviews/{id}/dismiss",
    "POST /v1/messages/{id}/move",
    "POST /v1/messages/{id}/unlink",
    "POST /v1/acts/{id}/undo",
    "POST /v1/threads/{id}/objects",
    "DELETE /v1/threads/{id}/objects/{type}/{object_id:path}",
}
TELL_NO_MAIL = {
    "/v1/account/least-privilege",
    "/v1/webhooks",
    "/v1/webhooks/{id}",
    "/v1/webhooks/{id}/deliveries",
    "/v1/account",
    "/v1/mailboxes",
    "/v1/mailboxes/validations/{id}",
    "/v1/mailboxes/{address}",
    "/v1/mailboxes/{address}/round-trip",
    "/v1/mailboxes/{address}/round-trips",
    "/v1/subscriptions",
    "/v1/completeness",
    "/v1/status",
    "/v1/keys",
}


def name(operation: Operation[Any]) -> str:
    return f"{operation.method} {operation.path}"


async def log(scene: Scene) -> list[Record]:
    await scene.services.trail.flush()
    return list(reversed(await scene.store.read(audit.newest, scene.account_id, limit=1000)))


async def acts(scene: Scene) -> list[str]:
    return [one.act for one in await log(scene)]


def test_whatever_is_done_over_the_api_is_in_the_log() -> None:
    for operation in OPERATIONS:
        if operation.method != "GET" and name(operation) not in NOTHING_DONE:
            assert isinstance(operation.audit, Audited), (
                f"{name(operation)} does something: it must be in the audit log"
            )
            assert not operation.audit.is_reading


def test_whatever_tells_of_mail_is_in_the_log() -> None:
    silent = {one.path for one in OPERATIONS if one.method == "GET" and isinstance(one.audit, Unaudited)}
    assert silent == TELL_NO_MAIL


def test_what_records_itself_is_known() -> None:
    inside = {name(one) for one in OPERATIONS if isinstance(one.audit, Audited) and one.audit.by_itself}
    assert inside == RECORDED_INSIDE


def test_an_operation_cannot_be_declared_without_saying_what_the_log_calls_it() -> None:
    some = OPERATIONS[0]
    with pytest.raises(TypeError, match="audit"):
        Operation(  # type: ignore[call-arg]
            method="GET", path="/v1/x", scope=some.scope, summary="", takes=some.takes, does=some.does
        )


def test_a_page_cannot_be_declared_without_saying_what_the_log_calls_it(scene: Scene) -> None:
    """`guard.page` and `guard.in_frame` have no default; the rest has no visit, so nothing of a school."""
    open_to_all = {"/static/{name}", "/", "/sign-in", "/sign-out"}
    for route in page_routes(scene.services):
        assert isinstance(route, Route)
        assert route.path in open_to_all or _has_audit(route), f"{route.path} says nothing to the audit log"


def _has_audit(route: Route) -> bool:
    """The guard's endpoints close over what was declared."""
    seen: list[object] = [route.endpoint]
    for one in seen:
        for cell in getattr(one, "__closure__", None) or ():
            if isinstance(cell.cell_contents, Audited | Unaudited):
                return True
            if callable(cell.cell_contents):
                seen.append(cell.cell_contents)
    return False


async def test_what_is_done_stands_in_the_log_with_who_where_and_to_what(scene: Scene, api: httpx.AsyncClient) -> None:
    letter = (await api.post("/v1/messages", json=a_letter())).json()["id"]
    await api.post(f"/v1/messages/{letter}/cancel", headers={"selma-staff": "Moana%20Parata"})
    posted, cancelled = await log(scene)
    assert (posted.act, posted.actor.staff, posted.targets) == ("letter.post", "Jane Doe", {"message_id": letter})
    assert (cancelled.act, cancelled.actor.staff) == ("letter.cancel", "Moana Parata")
    assert (cancelled.actor.key_name, cancelled.actor.address) == ("SELMA", "127.0.0.1")
    assert cancelled.targets == {"message_id": letter}
    assert cancelled.created_at == scene.clock.now()


async def test_setting_up_stands_in_the_log_without_an_address(scene: Scene, api: httpx.AsyncClient) -> None:
    await api.post("/v1/mailboxes", json={"address": "new@school.example"})
    await api.post(f"/v1/mailboxes/{UNPROVED}/validate")
    await api.post(f"/v1/mailboxes/{MAILBOX}/test-message", json={})
    await api.delete(f"/v1/mailboxes/{UNPROVED}")
    await api.post("/v1/account/check")
    await api.post("/v1/completeness/check")
    found = await log(scene)
    assert [one.act for one in found] == [
        "mailbox.add",
        "mailbox.validate",
        "mailbox.test",
        "mailbox.remove",
        "account.check",
        "completeness.check",
    ]
    assert all("@" not in value for one in found for value in one.targets.values())
    assert all("mailbox_id" in one.targets for one in found[:4])


async def test_what_was_refused_was_not_done(scene: Scene, api: httpx.AsyncClient) -> None:
    await api.post("/v1/messages", json=a_letter(to=[]))
    await api.post("/v1/messages/msg_of_nobody/cancel")
    await api.get("/v1/threads/thr_of_nobody")
    assert await acts(scene) == []


async def test_an_act_that_fails_leaves_no_record_and_a_record_that_fails_no_act(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    await scene.store.write(
        lambda tx: tx.execute(
            "CREATE TEMP TRIGGER full BEFORE INSERT ON audit BEGIN SELECT raise(ABORT, 'disk full'); END"
        )
    )
    assert (await api.post("/v1/messages", json=a_letter())).status_code == 500
    await scene.store.write(lambda tx: tx.execute("DROP TRIGGER full"))
    assert (await api.get("/v1/messages")).json()["items"] == []


async def read(api: httpx.AsyncClient, *paths: str) -> None:
    for path in paths:
        assert (await api.get(path)).status_code == 200


async def a_thread(api: httpx.AsyncClient) -> tuple[str, str]:
    letter = (await api.post("/v1/messages", json=a_letter())).json()
    return letter["id"], letter["thread_id"]


async def test_reading_is_written_down_once_an_hour_for_each_reader_and_thing(
    scene: Scene, api: httpx.AsyncClient
) -> None:
    letter, thread = await a_thread(api)
    for _ in range(3):
        await read(api, f"/v1/threads/{thread}", f"/v1/messages/{letter}", "/v1/threads?q=kia", "/v1/threads")
    await api.get(f"/v1/threads/{thread}", headers={"selma-staff": "Jane Doe"})
    first = ["letter.post", "thread.read", "message.read", "thread.search", "thread.list", "thread.read"]
    assert await acts(scene) == first
    scene.clock.advance(timedelta(minutes=59))
    await read(api, f"/v1/threads/{thread}")
    assert await acts(scene) == first
    scene.clock.advance(timedelta(minutes=1))
    await read(api, f"/v1/threads/{thread}")
    assert await acts(scene) == [*first, "thread.read"]


async def test_the_words_that_were_searched_for_are_not_in_the_log(scene: Scene, api: httpx.AsyncClient) -> None:
    await read(api, "/v1/threads?q=zebra-pregnancy", "/v1/objects/student/S1001/threads?q=zebra-pregnancy")
    found = await log(scene)
    assert [one.act for one in found] == ["thread.search", "thread.search"]
    assert "zebra" not in str(found)
    assert found[1].targets == {"object_type": "student", "object_id": "S1001"}


async def test_whoever_reads_the_log_finds_all_that_came_before(api: httpx.AsyncClient) -> None:
    _, thread = await a_thread(api)
    await read(api, f"/v1/threads/{thread}")
    items = (await api.get("/v1/audit", params={"target": thread})).json()["items"]
    assert [(one["act"], one["via"]) for one in items] == [("thread.read", "api")]


async def test_pages_are_in_the_log_with_whoever_looks(scene: Scene, api: httpx.AsyncClient) -> None:
    _, thread = await a_thread(api)
    asked = {"object": {"type": "student", "id": "S1001"}, "staff": "Jane Doe"}
    link = (await api.post("/v1/embed-links", json=asked)).json()["url"]
    await read(api, link, link, f"{link}/threads/{thread}")
    _, granted, tab, opened = await log(scene)
    assert granted.act == "embed_link.create"
    assert (tab.act, tab.actor.via, tab.actor.staff) == ("object.read_events", "page", "Jane Doe")
    assert tab.targets == {"object_type": "student", "object_id": "S1001"}
    assert opened.act == "thread.read"
    assert opened.targets["thread_id"] == thread


async def test_signing_in_is_in_the_log(scene: Scene) -> None:
    key = await scene.store.read(lambda tx: api_keys.list_keys(tx, scene.account_id)[0])
    path = ticket_url(scene.services.session_key, key.id, next="/reviews", now=scene.clock.now())
    async with scene.client(key="") as browser:
        await browser.get(path, follow_redirects=True)
    assert await acts(scene) == ["key.sign_in", "review.list"]


async def test_a_name_that_cannot_be_one_is_refused(api: httpx.AsyncClient) -> None:
    for value in ("%0A", "", "%ff", "x" * 201):
        assert (await api.get("/v1/threads", headers={"selma-staff": value})).status_code == 422


class Full:
    """A store that takes nothing."""

    async def write(self, *args: object) -> None:
        raise StorageUnavailable("full")


def entries(scene: Scene, count: int) -> Sequence[Entry]:
    by, at = audit.SYSTEM, scene.clock.now()
    return [
        Entry(account_id=scene.account_id, actor=by, act="thread.read", targets={"thread_id": str(number)}, at=at)
        for number in range(count)
    ]


async def test_what_cannot_be_written_waits_and_when_too_much_waits_nothing_more_is_shown(
    scene: Scene, clock: FakeClock, store: Store
) -> None:
    trail = Trail(Full(), clock)  # type: ignore[arg-type]
    *waiting, one_too_many = entries(scene, MOST_WAITING + 1)
    for one in waiting:
        await trail.read(one)
    with pytest.raises(StorageUnavailable):
        await trail.read(one_too_many)
    trail._store = store
    await trail.read(one_too_many)
    await trail.flush()
    assert await store.read(_count) == MOST_WAITING + 1


def _count(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM audit").fetchone()[0])


def test_reading_is_declared_as_such() -> None:
    assert reads("thread.read").is_reading
