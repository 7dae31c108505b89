"""The headers of every answer: each method of each route is asked, by nobody and by somebody who may do all.

A route that is added is asked too, and its answers have the strictest headers unless its path stands here.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Any, Final

import httpx
import pytest
from starlette.routing import Route

from gateway.http.headers import ALWAYS_TLS, NOTHING, STRICTEST
from storage import mailboxes
from tests.http.matrix import AN_ATTACHMENT, ATTACHMENT, BY_NAME, MATRIX, request_for, set_stage
from tests.http.scene import Scene
from tests.pages.test_matrix import OF_MESSAGE, PAGES, Visitor, a_key

SELMA: Final = "https://selma.school.example"
PUBLIC: Final = "https://mail.school.example"

# Nothing of anybody's: what is the same for all may be kept by browsers.
KEPT: Final = {"/static/{name}"}
MAIL: Final = f"{OF_MESSAGE}/body"
PICTURE: Final = f"{OF_MESSAGE}/pictures/{{attachment_id}}"
# In a frame around mail stands the tab, and around that, SELMA.
FRAMES: Final = {MAIL: f"'self' {SELMA}"}
# What others wrote or attached is shown as in a sandbox.
SANDBOXED: Final = {
    MAIL,
    PICTURE,
    f"{OF_MESSAGE}/attachments/{{attachment_id}}",
    "/v1/messages/{id}/attachments/{attachment_id}",
}
METHODS: Final = ("GET", "POST", "TRACE")
OWN_PROXY: Final[dict[str, Any]] = {"trusted_proxies": (ip_network("127.0.0.1/32"),)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer of a route, by the route's path."""

    path: str
    asked: str
    headers: httpx.Headers
    status: int

    @property
    def is_page(self) -> bool:
        return self.headers.get("content-type", "").startswith("text/html")

    @property
    def policy(self) -> dict[str, str]:
        """The content policy's directives; one that stands twice fails, for browsers heed only the first."""
        pairs = [one.strip().partition(" ")[::2] for one in self.headers["content-security-policy"].split(";")]
        assert len(dict(pairs)) == len(pairs), self
        return dict(pairs)


def plain(route: Route) -> str:
    return re.sub(r":\w+", "", route.path)


def routes_of(scene: Scene) -> Iterator[Route]:
    for route in scene.app.router.routes:  # type: ignore[attr-defined]
        assert isinstance(route, Route), f"{route}: what is mounted is not looked into here"
        yield route


async def ask_as_nobody(scene: Scene, client: httpx.AsyncClient) -> AsyncIterator[Answer]:
    """Each route by METHODS, also those that it has not; and what is no route."""
    paths = {plain(route) for route in routes_of(scene)}
    for path in sorted(paths | {"/nothing", "/v1/nothing", "/embed/x/nothing"}):
        for method in METHODS:
            found = await client.request(method, re.sub(r"{\w+}", "x", path))
            yield Answer(path=path, asked=f"{method} {path}", headers=found.headers, status=found.status_code)


async def ask_as_one_who_may(scene: Scene) -> AsyncIterator[Answer]:
    """Each route by its own door, with what it asks for."""
    set_up = await set_stage(scene)
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, set_up["mailbox"])
    stage = {**set_up, "mailbox_id": mailbox.id}
    key_id = await a_key(scene)
    async with scene.client() as api, scene.client(key="") as browser:
        visitor = Visitor(client=browser, scene=scene, key_id=key_id)
        for name, page in PAGES.items():
            found = await visitor.ask(name, page, stage)
            path = name.partition(" ")[2]
            yield Answer(path=path, asked=name, headers=found.headers, status=found.status_code)
        picture = replace(AN_ATTACHMENT, name="crest.png", content_type="image/png")
        scene.attachments.holds[(stage["letter"], ATTACHMENT)] = (picture, [b"\x89PNG\r\n\x1a\n"])
        found = await visitor.ask(f"GET {PICTURE}", PAGES[f"GET {PICTURE}"], stage)
        yield Answer(path=PICTURE, asked=f"GET {PICTURE}", headers=found.headers, status=found.status_code)
        for name, entry in sorted(MATRIX.items(), key=lambda one: one[0].startswith("DELETE")):
            found = await api.request(**request_for(BY_NAME[name], entry, stage))
            path = re.sub(r":\w+", "", name.partition(" ")[2])
            yield Answer(path=path, asked=name, headers=found.headers, status=found.status_code)


def check(answer: Answer, *, over_tls: bool = False) -> None:
    """All that holds for any answer, and no exception but those above."""
    headers, policy = answer.headers, answer.policy
    for name in ("x-content-type-options", "permissions-policy", "cross-origin-resource-policy"):
        assert headers.get_list(name) == [STRICTEST[name]], f"{answer.asked}: {name}"
    assert headers.get_list(ALWAYS_TLS[0]) == ([ALWAYS_TLS[1]] if over_tls else []), answer
    kept = answer.path in KEPT and answer.status in (200, 304)
    assert (headers["cache-control"] == "no-store") is not kept, answer
    own_pages = (
        answer.is_page and answer.path != MAIL and not answer.path.startswith("/embed") and answer.path != "/docs"
    )
    assert headers["referrer-policy"] == ("same-origin" if own_pages else "no-referrer"), answer
    assert (policy["default-src"], policy["base-uri"]) == ("'none'", "'none'"), answer
    assert policy["form-action"] in ("'none'", "'self'"), answer
    assert policy.get("script-src", "'self'") == "'self'", answer
    unsafe = {name: value for name, value in policy.items() if "unsafe" in value or "*" in value}
    assert unsafe == ({"style-src-attr": "'unsafe-inline'"} if answer.path == MAIL and answer.is_page else {}), answer
    may_frame = FRAMES.get(answer.path) if answer.is_page else None
    if answer.is_page and answer.path.startswith("/embed"):
        may_frame = SELMA
    assert policy["frame-ancestors"] == (may_frame or "'none'"), answer
    sandboxed = "sandbox" in policy
    assert not sandboxed or "allow-scripts" not in policy["sandbox"], answer
    assert headers.get("cross-origin-opener-policy") == (None if sandboxed else "same-origin"), answer
    assert "access-control-allow-origin" not in headers, answer
    assert "server" not in headers, answer
    assert "x-powered-by" not in headers, answer
    body = headers.get("content-length", "1") != "0" and answer.status not in (204, 303, 304)
    assert not body or "content-type" in headers, answer
    if headers.get("content-type", "").startswith("text/"):
        assert "charset=utf-8" in headers["content-type"].lower(), answer


async def test_every_answer_of_every_route_has_the_strict_headers(scene: Scene) -> None:
    framed = scene.with_settings(embed_hosts=(SELMA,))
    framed.services.stopping.set()  # streams end with their first line
    asked: set[str] = set()
    sandboxed: set[str] = set()
    async for answer in ask_as_one_who_may(framed):
        check(answer)
        asked.add(re.sub(r":\w+", "", answer.asked))
        if answer.status == 200 and "sandbox" in answer.policy:
            sandboxed.add(answer.path)
    named = {f"{method} {plain(one)}" for one in routes_of(framed) for method in (one.methods or set()) - {"HEAD"}}
    assert asked >= named
    assert sandboxed == SANDBOXED


async def test_so_has_every_answer_to_those_who_may_not_and_behind_tls_browsers_come_by_tls_alone(scene: Scene) -> None:
    behind = scene.with_settings(embed_hosts=(SELMA,), public_url=PUBLIC, **OWN_PROXY)
    async with behind.client(key="", **{"x-forwarded-proto": "https"}) as nobody:
        async for answer in ask_as_nobody(behind, nobody):
            check(answer, over_tls=True)
            assert not answer.asked.startswith("TRACE") or answer.status in (404, 405), answer


async def test_a_gateway_that_is_looked_at_by_http_is_not_locked_out(scene: Scene) -> None:
    for settings, proto in (
        ({"public_url": PUBLIC, **OWN_PROXY}, "http"),
        ({"public_url": PUBLIC}, "https"),  # anybody can say so
        ({"public_url": "http://127.0.0.1:8080", **OWN_PROXY}, "https"),
        (OWN_PROXY, "https"),
    ):
        async with scene.with_settings(**settings).client(key="", **{"x-forwarded-proto": proto}) as nobody:
            assert ALWAYS_TLS[0] not in (await nobody.get("/sign-in")).headers, settings


@pytest.mark.parametrize("public_url", [PUBLIC, None])
async def test_cookies_are_for_this_host_alone_and_for_no_script(scene: Scene, public_url: str | None) -> None:
    there = scene.with_settings(public_url=public_url)
    async with there.client(key="", origin=PUBLIC if public_url else "http://gateway.test") as browser:
        browser.base_url = httpx.URL(public_url or "http://gateway.test")
        shown = await browser.get("/sign-in")
        token = shown.text.split('name="form_token" value="')[1].split('"')[0]
        entered = await browser.post("/sign-in", data={"form_token": token, "key": there.key})
        page = await browser.get("/settings")
        token = page.text.split('name="form_token" value="')[1].split('"')[0]
        left = await browser.post("/sign-out", data={"form_token": token})
    assert [one.status_code for one in (shown, entered, page, left)] == [200, 303, 200, 303]
    for answer in (shown, entered, left):
        (cookie,) = answer.headers.get_list("set-cookie")
        name, *attributes = re.split(r"; ?", cookie)
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(attributes)
        assert not any(one.startswith("Domain") for one in attributes)
        assert name.startswith("__Host-") is ("Secure" in attributes) is (public_url is not None)
    assert "set-cookie" not in page.headers
    assert left.headers["clear-site-data"] == '"storage"'


def test_the_strictest_policy_covers_what_does_not_follow_its_default() -> None:
    directives = {one.strip().split(" ")[0] for one in NOTHING.split(";")}
    assert directives == {"default-src", "base-uri", "form-action", "frame-ancestors"}
