"""The matrix of `tests/http/test_matrix` for all that is no operation: who sees what by which door."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum
from ipaddress import ip_network
from typing import Any, Final

import httpx
import pytest
from starlette.routing import Route

from gateway.http.app import OPERATIONS
from gateway.http.pages.sessions import Embedded, Sessions, sign_embed
from storage import api_keys, mailboxes
from storage.api_keys import Scope
from storage.threads import Object, ObjectType
from tests.http.matrix import ATTACHMENT, NO_ID, Stage, set_stage
from tests.http.scene import MAILBOX, Scene
from tests.pages.desk import STUDENT

KEY: Final = b"k" * 32


class Door(Enum):
    """OPEN: to all. BEARER: for a key, as operations are. SESSION: for who signed in. FRAME: for who has the link."""

    OPEN = "open"
    BEARER = "bearer"
    SESSION = "session"
    FRAME = "frame"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`names` says what of the stage the path or the form names: by the name of the field, or of the path's part.

    `lasts`: it answers bit by bit, and is not asked where it would answer.
    """

    door: Door
    scope: Scope | None = None
    names: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    fetched: bool = False
    lasts: bool = False


def _open(*paths: str) -> dict[str, Page]:
    return dict.fromkeys(paths, Page(door=Door.OPEN))


def _signed_in(scope: Scope, *paths: str, **more: Any) -> dict[str, Page]:
    return {path: Page(door=Door.SESSION, scope=scope, **more) for path in paths}


def _of_a_record(beginning: str, **more: Any) -> dict[str, Page]:
    """The pages of one record's Events tab, by whichever door."""
    thread = {"thread_id": "thread"}
    at = f"{beginning}/threads/{{thread_id}}"
    forms = {
        f"POST {at}/replies": {"text": "Kia ora", "staff": "Jane Doe", "key": "k" * 32},
        f"POST {at}/cancel": {},
        f"POST {at}/read": {},
        f"POST {at}/unread": {},
    }
    pages = {
        f"GET {beginning}": Page(**more),
        f"GET {beginning}/stream": Page(**more, fetched=True, lasts=True),
        f"GET {at}": Page(**more, names=thread),
        f"GET {at}/part": Page(**more, names=thread, fetched=True),
        f"GET {beginning}/search": Page(**more),
    }
    pages |= {path: Page(**more, names=thread, form=form) for path, form in forms.items()}
    return pages | {path.replace("POST", "GET"): Page(**more) for path in forms}


SETTINGS_FORMS: Final[Mapping[str, Page]] = {
    "account": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"tenant_id": "x"}),
    "credentials": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"new_secret": ""}),
    "credentials/try": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "credential"}),
    "credentials/remove": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "credential"}),
    "least-privilege": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"kept_out": "x"}),
    "check": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
    "mailboxes": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"address": "x"}),
    "mailboxes/validate": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"address": "mailbox"}),
    "mailboxes/several": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"addresses": "x"}),
    "mailboxes/round-trip": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"address": "mailbox"}),
    "wishes": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"alert_address": "x"}),
    "snooze": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={"reason": ""}),
    "mailboxes/remove": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"address": "mailbox"}),
    "completeness": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
    "test-message": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"mailbox": "mailbox"}),
    "letters/retry": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "letter"}),
    "letters/close": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "letter"}),
    "letters/cancel": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "letter"}),
    "letters/batches/cancel": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "batch"}),
}
CONSOLE: Final[Mapping[str, Page]] = {
    "check": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
    "outbox/resume": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
    "mailboxes/resume": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "mailbox_id"}),
    "mailboxes/pull": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "mailbox_id"}),
    "mailboxes/again": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "mailbox_id"}),
    "mailboxes/round-trip": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "mailbox_id"}),
    "subscriptions/repair": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
    "webhooks/enable": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "webhook"}),
    "webhooks/redeliver": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}, names={"id": "webhook"}),
    "completeness": Page(door=Door.SESSION, scope=Scope.SETTINGS, form={}),
}
OWN, FRAMED = "/objects/{type}/{id}/events", "/embed/{token}/events"
OF_MESSAGE = f"{OWN}/messages/{{message_id}}"

PAGES: Final[Mapping[str, Page]] = {
    **_open("POST /graph/notifications", "POST /graph/lifecycle", "GET /healthz", "GET /readyz"),
    **_open("GET /openapi.json", "GET /docs", "GET /docs/style.css", "GET /problems", "GET /problems/{name}"),
    **_open("GET /static/{name}", "GET /sign-in", "POST /sign-in", "POST /sign-out"),
    "GET /metrics": Page(door=Door.BEARER, scope=Scope.METRICS),
    "GET /": Page(door=Door.SESSION),
    **_signed_in(Scope.SETTINGS, "GET /settings", "GET /settings/letters"),
    **{f"POST /settings/{path}": page for path, page in SETTINGS_FORMS.items()},
    **_signed_in(Scope.SETTINGS, *(f"GET /settings/{path}" for path in SETTINGS_FORMS)),
    **_signed_in(Scope.SETTINGS, "GET /settings/console", *(f"GET /settings/console/{path}" for path in CONSOLE)),
    **{f"POST /settings/console/{path}": page for path, page in CONSOLE.items()},
    **_signed_in(Scope.SETTINGS, "GET /settings/console/streams", fetched=True),
    **_signed_in(Scope.SETTINGS, "GET /settings/credentials/{id}/certificate", names={"id": "credential"}),
    **_signed_in(Scope.SETTINGS, "GET /settings/mailboxes/{id}/watching", names={"id": "mailbox_id"}, fetched=True),
    **_signed_in(Scope.SETTINGS, "GET /settings/mailboxes/{id}/round-trip", names={"id": "mailbox_id"}, fetched=True),
    **_signed_in(Scope.SETTINGS, "GET /settings/mailboxes/validations/{id}", names={"id": "validation"}, fetched=True),
    **_signed_in(Scope.SETTINGS, "GET /settings/test-message/{id}", names={"id": "letter"}, fetched=True),
    **_signed_in(Scope.SETTINGS, "GET /settings/letters/batches/{id}/progress", names={"id": "batch"}, fetched=True),
    **_signed_in(
        Scope.SETTINGS, *(f"GET /settings/letters/{part}" for part in ("way", "budgets", "waiting")), fetched=True
    ),
    **_signed_in(
        Scope.READ,
        "GET /objects",
        "GET /reviews",
        *(f"GET /reviews/{one}" for one in ("accept", "dismiss", "unlink", "undo")),
    ),
    **_signed_in(
        Scope.SEND, "POST /reviews/accept", "POST /reviews/dismiss", names={"id": "held"}, form={"by": "Jane"}
    ),
    **_signed_in(Scope.SEND, "POST /reviews/unlink", names={"id": "reply"}, form={"by": "Jane"}),
    **_signed_in(Scope.SEND, "POST /reviews/undo", names={"id": "act"}, form={"by": "Jane"}),
    **_signed_in(Scope.READ, f"GET {OF_MESSAGE}/body", names={"message_id": "reply"}, fetched=True),
    **_signed_in(
        Scope.READ, f"GET {OF_MESSAGE}/pictures/{{attachment_id}}", names={"message_id": "letter"}, fetched=True
    ),
    **_signed_in(Scope.READ, f"GET {OF_MESSAGE}/attachments/{{attachment_id}}", names={"message_id": "letter"}),
    **_of_a_record(OWN, door=Door.SESSION, scope=Scope.READ),
    **_signed_in(Scope.READ, f"GET {OWN}/name"),
    **_signed_in(Scope.READ, f"POST {OWN}/name", form={"staff": "Jane Doe"}),
    **_of_a_record(FRAMED, door=Door.FRAME),
    f"POST {FRAMED}/renew": Page(door=Door.FRAME, form={}),
    f"GET {FRAMED}/renew": Page(door=Door.FRAME),
}


def routes_of(scene: Scene) -> Iterator[str]:
    """Every method and path that is no operation."""
    operations = {re.sub(r":\w+", "", one.path) for one in OPERATIONS}
    for route in scene.app.router.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Route)
        path = re.sub(r":\w+", "", route.path)
        if path not in operations:
            yield from (f"{method} {path}" for method in (route.methods or set()) - {"HEAD"})


@pytest.fixture
async def stage(scene: Scene) -> Stage:
    """What there is to ask about."""
    found = await set_stage(scene)
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, found["mailbox"])
    return {**found, "mailbox_id": mailbox.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody with a key, who signed in with it and has a link that it made."""

    client: httpx.AsyncClient
    scene: Scene
    key_id: str
    what: Object = STUDENT

    async def ask(self, name: str, page: Page, stage: Stage, *, form_token: str | None = None) -> httpx.Response:
        """Go through the door of this page."""
        method, _, path = name.partition(" ")
        now, sessions = self.scene.clock.now(), Sessions(KEY)
        session = replace(sessions.open(self.key_id, now=now), staff="Jane Doe")
        named = {field: stage[thing] for field, thing in (page.names or {}).items()}
        embedded = Embedded(
            key_id=self.key_id,
            what=self.what,
            staff="Jane Doe",
            can_reply=True,
            made_at=now,
            ends_at=now + timedelta(minutes=5),
        )
        parts = {
            "type": "student",
            "id": "S1001",
            "thread_id": "thr_none",
            "attachment_id": ATTACHMENT,
            "token": sign_embed(KEY, embedded),
            "name": "pages.css",
        } | named
        asked: dict[str, Any] = {"headers": {"cookie": f"selma_session={sessions.seal(session)}"}}
        if method == "POST":
            token = sessions.form_token(session) if form_token is None else form_token
            asked["data"] = {**(page.form or {}), **named, "form_token": token}
        return await self.client.request(method, path.format(**parts), **asked)


async def a_key(scene: Scene, *, account_id: str | None = None, **given: Any) -> str:
    """Its id."""
    whose, now = account_id or scene.account_id, scene.clock.now()
    usual = {"name": "A key", "scopes": frozenset(Scope), "value": api_keys.new_value(), "now": now}
    return (await scene.store.write(api_keys.create, whose, **(usual | given))).id


def of(door: Door) -> list[tuple[str, Page]]:
    return [(name, page) for name, page in PAGES.items() if page.door is door]


def test_every_route_has_an_entry(scene: Scene) -> None:
    assert set(routes_of(scene)) == set(PAGES)


async def test_what_is_open_is_open_to_all(scene: Scene, stage: Stage) -> None:
    async with scene.client(key="") as anyone:
        for name, _ in of(Door.OPEN):
            method, _, path = name.partition(" ")
            answer = await anyone.request(method, path.format(name="not-found"))
            assert answer.status_code in (200, 202, 303, 400, 403, 404, 415), f"{name}: {answer.status_code}"
            assert told(answer, stage) == [], name


async def test_numbers_are_for_keys(scene: Scene) -> None:
    for limits in ({"scopes": frozenset(set(Scope) - {Scope.METRICS})}, {"networks": [ip_network("198.51.100.0/24")]}):
        value = api_keys.new_value()
        await a_key(scene, value=value, **limits)  # type: ignore[arg-type]
        async with scene.client(value) as client:
            assert (await client.get("/metrics")).status_code == 403
    async with scene.client(key="") as anyone:
        assert (await anyone.get("/metrics")).status_code == 401


async def assert_all(visitor: Visitor, door: Door, stage: Stage, expected: Any, **how: Any) -> None:
    """Every page behind this door answers so, and nothing is changed by asking."""
    before = await visitor.scene.rows()
    for name, page in of(door):
        answer = await visitor.ask(name, page, stage, **how)
        wanted = expected(page) if callable(expected) else expected
        assert answer.status_code == wanted, f"{name}: {answer.status_code}"
        if answer.status_code == 303 and wanted == 303:
            assert answer.headers["location"].startswith("/sign-in?next="), name
    assert await visitor.scene.rows() == before


def sign_in_first(page: Page) -> int:
    return 401 if page.fetched else 303


async def test_who_has_not_signed_in_is_sent_to_do_so(scene: Scene, stage: Stage) -> None:
    async with scene.client(key="") as client:
        await assert_all(Visitor(client=client, scene=scene, key_id="key_none"), Door.SESSION, stage, sign_in_first)
        await assert_all(Visitor(client=client, scene=scene, key_id="key_none"), Door.FRAME, stage, 410)


async def test_and_who_has_signed_in_with_a_key_that_is_over(scene: Scene, stage: Stage) -> None:
    key_id = await a_key(scene, expires_at=scene.clock.now() + timedelta(seconds=1))
    scene.clock.advance(timedelta(seconds=1))
    async with scene.client(key="") as client:
        visitor = Visitor(client=client, scene=scene, key_id=key_id)
        await assert_all(visitor, Door.SESSION, stage, sign_in_first)
        await assert_all(visitor, Door.FRAME, stage, 410)


async def test_a_key_of_other_addresses_or_of_mailboxes_opens_no_page(scene: Scene, stage: Stage) -> None:
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    elsewhere = await a_key(scene, networks=[ip_network("198.51.100.0/24")])
    limited = await a_key(scene, scopes=frozenset({Scope.READ, Scope.SEND}), mailbox_ids=[mailbox.id])
    async with scene.client(key="") as client:
        await assert_all(Visitor(client=client, scene=scene, key_id=elsewhere), Door.SESSION, stage, 403)
        before = await scene.rows()
        for name, page in of(Door.SESSION):
            if page.scope is not None:
                answer = await Visitor(client=client, scene=scene, key_id=limited).ask(name, page, stage)
                assert answer.status_code == 403, name
        assert await scene.rows() == before


async def test_a_key_without_the_scope_opens_no_page(scene: Scene, stage: Stage) -> None:
    async with scene.client(key="") as client:
        for scope in Scope:
            visitor = Visitor(
                client=client, scene=scene, key_id=await a_key(scene, scopes=frozenset(set(Scope) - {scope}))
            )
            before = await scene.rows()
            for name, page in of(Door.SESSION):
                if page.scope is scope:
                    assert (await visitor.ask(name, page, stage)).status_code == 403, name
            assert await scene.rows() == before


async def test_a_form_that_is_not_of_this_session_changes_nothing(scene: Scene, stage: Stage) -> None:
    before = await scene.rows()
    async with scene.client() as api, scene.client(key="") as client:
        key_id = (await api.get("/v1/keys")).json()["items"][0]["id"]
        visitor = Visitor(client=client, scene=scene, key_id=key_id)
        for name, page in of(Door.SESSION):
            if page.form is not None:
                assert (await visitor.ask(name, page, stage, form_token="x")).status_code == 403, name
    assert await scene.rows() == before


@pytest.mark.parametrize("door", [Door.SESSION, Door.FRAME])
async def test_another_accounts_things_and_missing_ones_look_the_same(scene: Scene, stage: Stage, door: Door) -> None:
    key_id = await a_key(scene, account_id=await scene.new_account("Another school"))
    before = await scene.rows()
    async with scene.client(key="", **{"x-request-id": "same"}) as client:
        visitor = Visitor(client=client, scene=scene, key_id=key_id)
        for name, page in of(door):
            if page.lasts:
                continue
            named = (page.names or {}).values()
            nothing = {**stage, **{thing: nowhere(thing) for thing in named}}
            theirs, missing = [await visitor.ask(name, page, one) for one in (stage, nothing)]
            assert looks(theirs, stage) == looks(missing, nothing), name
            assert told(theirs, {thing: value for thing, value in stage.items() if thing not in named}) == [], name
            assert page.names is None or theirs.status_code in (404, 422), f"{name}: {theirs.status_code}"
    own = {name: before[name] for name in ("chores", "audit")}  # a check of their own mailboxes, and the log of it
    assert {**await scene.rows(), **own} == before


async def test_an_embed_link_opens_the_threads_of_its_record_alone(scene: Scene, stage: Stage) -> None:
    async with scene.client() as api, scene.client(key="") as client:
        key_id = (await api.get("/v1/keys")).json()["items"][0]["id"]
        other = Object(type=ObjectType.STUDENT, id="S2")
        visitor = Visitor(client=client, scene=scene, key_id=key_id, what=other)
        for name, page in of(Door.FRAME):
            if page.names is not None:
                assert (await visitor.ask(name, page, stage)).status_code in (404, 422), name


def looks(answer: httpx.Response, stage: Stage) -> tuple[int, str, str]:
    """What can be seen of an answer, but for what was named in the question, and tokens."""
    text = answer.text
    for value in sorted(stage.values(), key=len, reverse=True):
        text = text.replace(value, "…") if len(value) > 9 else text
    shown = re.sub(r"/embed/[\w.-]+|\"[0-9a-f]{64}\"|\"[\w-]{20,}\"", "…", text)
    return answer.status_code, shown, answer.headers.get("location", "")


def told(answer: httpx.Response, stage: Stage) -> list[str]:
    """What of the stage can be read in an answer."""
    return [value for value in stage.values() if len(value) > 9 and value in answer.text]


def nowhere(thing: str) -> str:
    """The name of one that never was."""
    return "none@school.example" if thing == "mailbox" else NO_ID
