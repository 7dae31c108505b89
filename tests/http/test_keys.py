"""API keys: what each is held to, how it is made and taken back, and how often it may come."""

from datetime import timedelta
from typing import Any

import httpx
import pytest

from gateway.http.callers import Callers
from storage import StorageUnavailable, api_keys, mailboxes
from storage.api_keys import Scope
from tests.fakes.clock import A_MONDAY
from tests.http.scene import MAILBOX, Scene, a_letter
from tests.http.shape import assert_bad_values, assert_problem
from tests.pages.desk import letter, thread_of

LIBRARY = "library@school.example"


@pytest.fixture
async def two(scene: Scene) -> Scene:
    """The school has two mailboxes that letters leave from."""

    def prove(tx: Any) -> None:
        found = mailboxes.get_by_address(tx, scene.account_id, LIBRARY)
        mailboxes.mark_validated(tx, found.id, user_id="u-2", display_name=None, now=scene.clock.now())

    await scene.store.write(prove)
    return scene


async def made(client: httpx.AsyncClient, **wanted: Any) -> dict[str, Any]:
    answer = await client.post("/v1/keys", json={"name": "SELMA", "scopes": ["send", "read"]} | wanted)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json()
    return key


async def test_a_key_is_shown_once_and_does_what_it_may(scene: Scene, api: httpx.AsyncClient) -> None:
    key = await made(api, scopes=["read"])
    async with scene.client(key["key"]) as client:
        assert (await client.get("/v1/messages")).status_code == 200
        assert_problem(await client.post("/v1/messages", json=a_letter()), 403, "missing-scope")
    listed = (await api.get("/v1/keys")).json()["items"]
    assert {name: value for name, value in key.items() if name != "key"} in listed
    assert key["key"] not in str(listed)


async def test_a_key_is_revoked_at_once_and_once(scene: Scene, api: httpx.AsyncClient) -> None:
    key = await made(api)
    async with scene.client(key["key"]) as client:
        assert (await api.delete(f"/v1/keys/{key['id']}")).status_code == 204
        assert_problem(await client.get("/v1/messages"), 401, "not-authenticated")
    assert_problem(await api.delete(f"/v1/keys/{key['id']}"), 404, "not-found")


async def test_who_made_and_revoked_a_key_is_in_the_audit_log(scene: Scene, api: httpx.AsyncClient) -> None:
    key = await made(api)
    await api.delete(f"/v1/keys/{key['id']}")
    found = (await api.get("/v1/audit", params={"target": key["id"]})).json()["items"]
    assert [(one["act"], one["key_name"]) for one in found] == [("key.revoke", "SELMA"), ("key.create", "SELMA")]
    assert key["key"] not in str(found)


@pytest.mark.parametrize(
    ("maker", "wanted", "pointers"),
    [
        ({"scopes": ["settings"]}, {"scopes": ["settings", "read"]}, {"/scopes"}),
        ({"networks": ["127.0.0.0/8"]}, {}, {"/networks"}),
        ({"networks": ["127.0.0.0/8"]}, {"networks": ["127.0.0.1", "10.0.0.1"]}, {"/networks"}),
        ({"networks": ["127.0.0.0/8"]}, {"networks": ["::/0"]}, {"/networks"}),
        ({"expires_at": "2030-01-01T00:00:00Z"}, {}, {"/expires_at"}),
        ({"expires_at": "2030-01-01T00:00:00Z"}, {"expires_at": "2030-01-01T00:00:01Z"}, {"/expires_at"}),
    ],
)
async def test_a_key_cannot_make_one_that_may_do_more(
    scene: Scene, api: httpx.AsyncClient, maker: dict[str, Any], wanted: dict[str, Any], pointers: set[str]
) -> None:
    key = await made(api, **({"scopes": ["settings", "send", "read"]} | maker))
    async with scene.client(key["key"]) as client:
        answer = await client.post("/v1/keys", json={"name": "More", "scopes": ["settings"]} | wanted)
        less = await made(client, **({"scopes": ["settings"], "networks": ["127.0.0.1"]} | _life(maker)))
    problem = assert_problem(answer, 403, "more-than-its-maker")
    assert {one["pointer"] for one in problem["errors"]} == pointers
    assert less["scopes"] == ["settings"]


def _life(maker: dict[str, Any]) -> dict[str, Any]:
    return {"expires_at": maker["expires_at"]} if "expires_at" in maker else {}


@pytest.mark.parametrize(
    ("wanted", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["everything"]}, "/scopes/0"),
        ({"name": " "}, "/name"),
        ({"mailboxes": ["nobody@school.example"]}, "/mailboxes"),
        ({"mailboxes": [MAILBOX], "scopes": ["read", "settings"]}, "/mailboxes"),
        ({"mailboxes": []}, "/mailboxes"),
        ({"networks": ["198.51.100.7/24"]}, "/networks/0"),
        ({"networks": ["everywhere"]}, "/networks/0"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "tomorrow"}, "/expires_at"),
    ],
)
async def test_a_key_that_cannot_be_is_refused(
    scene: Scene, api: httpx.AsyncClient, wanted: dict[str, Any], pointer: str
) -> None:
    before = await scene.rows()
    answer = await api.post("/v1/keys", json={"name": "SELMA", "scopes": ["read"]} | wanted)
    assert_bad_values(answer, pointer)
    assert await scene.rows() == before


async def test_a_key_is_over_from_its_moment_on(scene: Scene, api: httpx.AsyncClient) -> None:
    ends = scene.clock.now() + timedelta(hours=1)
    key = await made(api, expires_at=ends.isoformat())
    async with scene.client(key["key"]) as client:
        scene.clock.advance(timedelta(minutes=59))
        assert (await client.get("/v1/messages")).status_code == 200
        scene.clock.advance(timedelta(minutes=1))
        assert_problem(await client.get("/v1/messages"), 401, "not-authenticated")


class TestNetworks:
    @staticmethod
    async def ask(scene: Scene, key: str, peer: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(scene.app, client=(peer, 4711))
        sent = {"authorization": f"Bearer {key}"} | {name.replace("_", "-"): text for name, text in headers.items()}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway.test", headers=sent) as client:
            return await client.get("/v1/messages")

    @pytest.mark.parametrize("peer", ["198.51.100.7", "198.51.100.255", "::ffff:198.51.100.7", "2001:db8::1"])
    async def test_a_key_is_good_from_its_networks(self, scene: Scene, api: httpx.AsyncClient, peer: str) -> None:
        key = await made(api, networks=["198.51.100.0/24", "2001:db8::/64"])
        assert (await self.ask(scene, key["key"], peer)).status_code == 200

    @pytest.mark.parametrize("peer", ["198.51.101.7", "::1", "2001:db8:1::1", "unknown"])
    async def test_from_elsewhere_it_is_refused_and_the_address_is_named(
        self, scene: Scene, api: httpx.AsyncClient, peer: str
    ) -> None:
        key = await made(api, networks=["198.51.100.0/24", "2001:db8::/64"])
        problem = assert_problem(await self.ask(scene, key["key"], peer), 403, "address-not-allowed")
        assert peer == "unknown" or peer in problem["detail"]

    async def test_what_a_caller_says_of_its_address_counts_from_a_trusted_proxy_alone(
        self, scene: Scene, api: httpx.AsyncClient
    ) -> None:
        key = (await made(api, networks=["198.51.100.7"]))["key"]
        said = "198.51.100.7"
        assert (await self.ask(scene, key, "127.0.0.1", x_forwarded_for=said)).status_code == 403
        proxied = scene.with_settings(trusted_proxies=(api_keys.ip_network("127.0.0.0/8"),))
        assert (await self.ask(proxied, key, "127.0.0.1", x_forwarded_for=said)).status_code == 200
        assert (await self.ask(proxied, key, "203.0.113.9", x_forwarded_for=said)).status_code == 403
        # What stands before the last address is the caller's own claim.
        claimed = f"{said}, 203.0.113.9"
        assert (await self.ask(proxied, key, "127.0.0.1", x_forwarded_for=claimed)).status_code == 403


class TestMailboxes:
    async def test_letters_may_leave_from_its_mailboxes_alone(self, two: Scene, api: httpx.AsyncClient) -> None:
        key = await made(api, mailboxes=[MAILBOX])
        async with two.client(key["key"], **{"x-request-id": "same"}) as client:
            assert (await client.post("/v1/messages", json=a_letter())).status_code == 202
            theirs = await client.post("/v1/messages", json=a_letter(**{"from": LIBRARY}))
            unknown = await client.post("/v1/messages", json=a_letter(**{"from": "nobody@school.example"}))
            batch = {"letters": [a_letter(), a_letter(**{"from": LIBRARY})]}
            posted = await client.post("/v1/batches", json=batch)
        assert_problem(theirs, 422, "unknown-mailbox")
        assert theirs.text.replace(LIBRARY, "nobody@school.example") == unknown.text
        assert assert_problem(posted, 422, "unknown-mailbox")["errors"][0]["pointer"] == "/letters/1/from"

    async def test_it_sees_an_account_of_its_mailboxes_alone(self, two: Scene, api: httpx.AsyncClient) -> None:
        ours, theirs = await letter(two), await letter(two, sender=LIBRARY)
        key = await made(api, mailboxes=[MAILBOX])
        student = "/v1/objects/student/S1001"
        async with two.client(key["key"]) as client:
            for path in ("/v1/messages", "/v1/threads", f"{student}/threads", f"{student}/events"):
                everything, seen = (await api.get(path)).json()["items"], (await client.get(path)).json()["items"]
                assert len(everything) == 2, path
                assert len(seen) == 1, path
                assert seen[0] in everything, path
            found = (await client.get("/v1/threads", params={"q": "enrolment"})).json()["items"]
            assert [one["id"] for one in found] == [await thread_of(two, ours)]
            elsewhere = await client.get("/v1/threads", params={"q": "enrolment", "mailbox": LIBRARY})
            assert elsewhere.json()["items"] == []
            assert [one["mailbox"] for one in (await client.get("/v1/completeness")).json()["items"]] == [MAILBOX]
            assert (await client.get(f"/v1/messages/{ours}")).status_code == 200
            assert_problem(await client.get(f"/v1/messages/{theirs}"), 404, "not-found")

    async def test_a_key_of_several_mailboxes_says_in_which_to_look(self, two: Scene, api: httpx.AsyncClient) -> None:
        await letter(two)
        key = await made(api, mailboxes=[MAILBOX, LIBRARY])
        async with two.client(key["key"]) as client:
            assert_bad_values(await client.get("/v1/threads"), "/mailbox", where="query")
            assert len((await client.get("/v1/threads", params={"mailbox": MAILBOX})).json()["items"]) == 1

    async def test_a_batch_is_seen_when_all_its_letters_are(self, two: Scene, api: httpx.AsyncClient) -> None:
        key = await made(api, mailboxes=[MAILBOX])
        both = (await api.post("/v1/batches", json={"letters": [a_letter(), a_letter(**{"from": LIBRARY})]})).json()
        async with two.client(key["key"]) as client:
            own = (await client.post("/v1/batches", json={"letters": [a_letter()]})).json()
            assert (await client.get(f"/v1/batches/{own['id']}")).status_code == 200
            for method, path in (("GET", ""), ("POST", "/cancel")):
                answer = await client.request(method, f"/v1/batches/{both['id']}{path}")
                assert_problem(answer, 404, "not-found")
        assert (await api.get(f"/v1/batches/{both['id']}")).json()["counts"] == {"queued": 2}

    async def test_a_message_is_not_moved_into_what_the_key_does_not_see(
        self, two: Scene, api: httpx.AsyncClient
    ) -> None:
        ours, theirs = await letter(two), await letter(two, sender=LIBRARY)
        key = await made(api, mailboxes=[MAILBOX])
        async with two.client(key["key"]) as client:
            move = {"by": "Jane Doe", "thread_id": await thread_of(two, theirs)}
            answer = await client.post(f"/v1/messages/{ours}/move", json=move)
            assert assert_problem(answer, 404, "not-found")["detail"] == "There is no such thread."


class TestQuota:
    async def test_every_answer_to_a_key_says_what_is_left_to_it(self, scene: Scene) -> None:
        few = scene.with_settings(requests_per_minute=3)
        async with few.client() as client:
            good, missing = await client.get("/v1/messages"), await client.get("/v1/messages/none")
            assert good.headers["ratelimit-policy"] == missing.headers["ratelimit-policy"] == '"requests";q=3;w=60'
            assert good.headers["ratelimit"] == '"requests";r=2;t=60'
            scene.clock.advance(timedelta(seconds=20))
            assert (await client.get("/v1/messages")).headers["ratelimit"] == '"requests";r=0;t=40'
            over = await client.get("/v1/messages")
            assert_problem(over, 429, "too-many-requests")
            assert (over.headers["retry-after"], over.headers["ratelimit"]) == ("40", '"requests";r=0;t=40')
            scene.clock.advance(timedelta(seconds=40))
            assert (await client.get("/v1/messages")).status_code == 200

    async def test_each_key_has_its_own_and_strangers_and_graph_have_none(self, scene: Scene) -> None:
        few = scene.with_settings(requests_per_minute=1)
        other = await scene.new_key(Scope.READ)
        async with few.client() as client, few.client(other) as second, few.client(key="") as nobody:
            assert (await client.get("/v1/messages")).status_code == 200
            assert (await client.get("/metrics")).status_code == 429
            assert (await second.get("/v1/messages")).status_code == 200
            for _ in range(5):
                assert (await nobody.post("/graph/notifications", content=b"{}")).status_code == 202
                assert (await nobody.get("/healthz")).status_code == 200
                refused = await nobody.get("/v1/messages")
                assert refused.status_code == 401
                assert "ratelimit" not in refused.headers

    async def test_without_a_limit_nothing_is_said_of_one(self, scene: Scene) -> None:
        async with scene.with_settings(requests_per_minute=0).client() as client:
            assert "ratelimit" not in (await client.get("/v1/messages")).headers

    def test_a_clock_that_was_put_back_begins_anew(self) -> None:
        callers = Callers()
        callers.came("k", limit=1, now=A_MONDAY)
        assert callers.came("k", limit=1, now=A_MONDAY).is_over
        assert not callers.came("k", limit=1, now=A_MONDAY - timedelta(seconds=1)).is_over


class TestLastUse:
    async def test_the_last_use_is_kept_to_the_minute(self, scene: Scene, api: httpx.AsyncClient) -> None:
        scene.clock.advance(timedelta(seconds=71))
        await api.get("/v1/messages")
        await scene.services.callers.keep(scene.store)
        (key,) = (await api.get("/v1/keys")).json()["items"]
        at = scene.clock.now().replace(second=0, microsecond=0)
        assert key["last_used_at"] == at.isoformat().replace("+00:00", "Z")

    async def test_many_uses_within_a_minute_are_one_write(self, scene: Scene, api: httpx.AsyncClient) -> None:
        writes = 0

        class Counted:
            async def write(self, work: Any, used: Any) -> None:
                nonlocal writes
                writes += 1

        for _ in range(3):
            await api.get("/v1/messages")
            await scene.services.callers.keep(Counted())  # type: ignore[arg-type]
        assert writes == 1

    async def test_what_could_not_be_kept_is_kept_later(self, scene: Scene, api: httpx.AsyncClient) -> None:
        class Full:
            async def write(self, work: Any, used: Any) -> None:
                raise StorageUnavailable("The disk is full.")

        await api.get("/v1/messages")
        with pytest.raises(StorageUnavailable):
            await scene.services.callers.keep(Full())  # type: ignore[arg-type]
        await scene.services.callers.keep(scene.store)
        (key,) = (await api.get("/v1/keys")).json()["items"]
        assert key["last_used_at"] is not None


class TestPages:
    async def test_a_key_that_is_held_to_mailboxes_opens_no_page(self, two: Scene, api: httpx.AsyncClient) -> None:
        key = await made(api, mailboxes=[MAILBOX])
        async with two.client(key["key"]) as client:
            body = {"object": {"type": "student", "id": "S1001"}, "staff": "Jane Doe"}
            assert_problem(await client.post("/v1/embed-links", json=body), 403, "limited-key")
            for path in ("/v1/events", "/v1/events/stream", "/v1/batches"):
                assert_problem(await client.get(path), 403, "limited-key")
