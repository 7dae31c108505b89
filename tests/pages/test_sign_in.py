"""Who gets in, for how long, and by which link."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.housekeeping import Housekeeping
from gateway.http.pages.sessions import Sessions, local_path, read_ticket, sign_ticket, ticket_url
from storage import api_keys, mailboxes
from storage.api_keys import Scope
from tests.fakes.clock import A_MONDAY
from tests.http.scene import MAILBOX, Scene
from tests.pages.desk import Desk

KEY = b"k" * 32


@pytest.mark.parametrize("path", ["/", "/settings", "/objects", "/objects/student/S1/events"])
async def test_a_page_sends_a_stranger_to_sign_in_and_remembers_where_they_wanted_to_go(
    stranger: Desk, path: str
) -> None:
    answer = await stranger.browser.get(path)
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [path]


async def test_signing_in_with_a_key_leads_to_the_page_that_was_asked_for(stranger: Desk, scene: Scene) -> None:
    await stranger.open("/settings")
    answer = await stranger.send("/sign-in", key=f"  {scene.key}\n", next="/settings")
    assert answer.headers["location"] == "/settings"
    assert "Account-Level Configuration" in stranger.text


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_holds_no_key(stranger: Desk, scene: Scene) -> None:
    await stranger.open("/sign-in")
    answer = await stranger.send("/sign-in", key=scene.key)
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/", "Max-Age=43200"} <= set(cookie.split("; "))
    assert scene.key not in cookie
    assert "Secure" not in cookie


async def test_behind_https_the_cookie_travels_by_https_only_and_belongs_to_this_host_alone(scene: Scene) -> None:
    secured = scene.with_settings(public_url="https://gateway.test")
    async with secured.client(key="") as browser:
        answer = await browser.get("https://gateway.test/sign-in")
    assert answer.headers["set-cookie"].startswith("__Host-selma_session=")
    assert "; Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("key", ["", "selma_wrong", "x" * 5000, "<b>", "ā"])
async def test_a_wrong_key_is_told_in_one_sentence_and_not_repeated(stranger: Desk, key: str) -> None:
    await stranger.open("/sign-in")
    answer = await stranger.send("/sign-in", key=key)
    assert answer.status_code == 401
    assert "This key is unknown, was revoked, or is over." in stranger.text
    assert not key or key not in stranger.text or key in "<b>"


async def test_a_revoked_key_ends_its_sessions_at_once(stranger: Desk, scene: Scene) -> None:
    key_id = await stranger.sign_in(Scope.SETTINGS)
    assert (await stranger.browser.get("/settings")).status_code == 200
    await scene.store.write(api_keys.revoke, scene.account_id, key_id, now=scene.clock.now())
    assert (await stranger.browser.get("/settings")).status_code == 303


async def test_a_key_that_is_over_ends_its_sessions(stranger: Desk, scene: Scene) -> None:
    ends = scene.clock.now() + timedelta(minutes=1)
    await stranger.open("/sign-in")
    await stranger.send("/sign-in", key=await held_to(scene, expires_at=ends))
    assert (await stranger.browser.get("/settings")).status_code == 200
    scene.clock.advance(timedelta(minutes=1))
    assert (await stranger.browser.get("/settings")).status_code == 303


async def test_a_key_of_other_addresses_opens_nothing(stranger: Desk, scene: Scene) -> None:
    value = await held_to(scene, networks=[ip_network("198.51.100.0/24")])
    await stranger.open("/sign-in")
    answer = await stranger.send("/sign-in", key=value)
    assert answer.status_code == 403
    assert "may not be used from 127.0.0.1" in stranger.text
    key = await scene.store.read(api_keys.find, value)
    assert key is not None
    await stranger.browser.get(ticket_url(KEY, key.id, now=scene.clock.now()))
    assert (await stranger.browser.get("/settings")).status_code == 403


async def test_a_key_of_mailboxes_opens_no_page(stranger: Desk, scene: Scene) -> None:
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    value = await held_to(scene, mailbox_ids=[mailbox.id], scopes=frozenset({Scope.READ, Scope.SEND}))
    await stranger.open("/sign-in")
    answer = await stranger.send("/sign-in", key=value)
    assert answer.status_code == 403
    assert "This key is held to some mailboxes" in stranger.text
    key = await scene.store.read(api_keys.find, value)
    assert key is not None
    await stranger.browser.get(ticket_url(KEY, key.id, now=scene.clock.now()))
    for path in ("/objects", "/objects/student/S1001/events", "/reviews"):
        assert (await stranger.browser.get(path)).status_code == 403


async def held_to(scene: Scene, **limits: Any) -> str:
    value = api_keys.new_value()
    given = {"name": "SELMA", "scopes": frozenset(Scope), "value": value, "now": scene.clock.now()} | limits
    await scene.store.write(api_keys.create, scene.account_id, **given)
    return value


async def test_a_session_ends_after_twelve_hours(desk: Desk, scene: Scene) -> None:
    scene.clock.advance(timedelta(hours=11, minutes=59))
    assert (await desk.browser.get("/settings")).status_code == 200
    scene.clock.advance(timedelta(minutes=2))
    assert (await desk.browser.get("/settings")).status_code == 303


async def test_signing_out_takes_the_session_away(desk: Desk) -> None:
    await desk.open("/settings")
    await desk.send("/sign-out")
    assert (await desk.browser.get("/settings")).status_code == 303


async def test_a_copy_of_a_session_that_was_signed_out_of_opens_nothing(desk: Desk, scene: Scene) -> None:
    copied = f"selma_session={desk.browser.cookies['selma_session']}"
    await desk.open("/settings")
    async with scene.client(key="", cookie=copied) as thief:
        assert (await thief.get("/settings")).status_code == 200
        await desk.send("/sign-out")
        assert (await thief.get("/settings")).status_code == 303
        stream = await thief.get("/objects/student/S1001/events/stream")
        assert stream.status_code == 401
        scene.clock.advance(timedelta(hours=13))
        await Housekeeping(scene.store, scene.clock).run_due()
        assert (await thief.get("/settings")).status_code == 303
    assert (await scene.rows())["ended_sessions"] == 0


async def test_the_front_page_leads_to_what_the_key_may_see(stranger: Desk) -> None:
    await stranger.sign_in(Scope.SETTINGS)
    assert (await stranger.browser.get("/")).headers["location"] == "/settings"
    await stranger.sign_in(Scope.READ)
    assert (await stranger.browser.get("/")).headers["location"] == "/objects"


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        (Scope.READ, "/settings"),
        (Scope.SETTINGS, "/objects/student/S1/events"),
        (Scope.SEND, "/"),
        (Scope.METRICS, "/"),
    ],
)
async def test_a_key_without_the_scope_is_told_which_one_is_needed(stranger: Desk, scope: Scope, path: str) -> None:
    await stranger.sign_in(scope)
    page = await stranger.open(path)
    assert page.status_code == 403
    assert "It needs an API key with the scope" in page.text


async def test_a_link_signs_in_until_it_ends(stranger: Desk, scene: Scene) -> None:
    key = await scene.store.read(api_keys.find, scene.key)
    assert key is not None
    link = ticket_url(KEY, key.id, next="/objects/student/S1/events", now=scene.clock.now())
    answer = await stranger.browser.get(link)
    assert answer.headers["location"] == "/objects/student/S1/events"
    stranger.browser.cookies.clear()
    scene.clock.advance(timedelta(minutes=16))
    late = await stranger.browser.get(link)
    assert late.status_code == 401
    assert "This link is no longer good." in late.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example"])
async def test_neither_a_link_nor_the_form_leads_to_another_site(stranger: Desk, scene: Scene, elsewhere: str) -> None:
    key = await scene.store.read(api_keys.find, scene.key)
    assert key is not None
    link = ticket_url(KEY, key.id, next=elsewhere, now=scene.clock.now())
    assert (await stranger.browser.get(link)).headers["location"] == "/"
    page = await stranger.open(f"/sign-in?next={elsewhere}")
    assert "evil" not in page.text
    answer = await stranger.send("/sign-in", key=scene.key, next=elsewhere)
    assert answer.headers["location"] == "/"


async def test_an_ended_link_still_leads_on_whoever_is_signed_in(desk: Desk, scene: Scene) -> None:
    link = ticket_url(KEY, "key_1", next="/settings", now=scene.clock.now() - timedelta(days=1))
    assert (await desk.browser.get(link)).headers["location"] == "/settings"


async def test_a_ticket_of_another_gateway_or_of_a_revoked_key_opens_nothing(stranger: Desk, scene: Scene) -> None:
    for session_key, key_id in ((b"x" * 32, "key_1"), (KEY, "key_unknown")):
        answer = await stranger.browser.get(ticket_url(session_key, key_id, now=scene.clock.now()))
        assert answer.status_code == 401


def test_a_ticket_is_no_session_and_a_session_is_no_ticket() -> None:
    sessions = Sessions(KEY)
    session = sessions.open("key_1", now=A_MONDAY)
    assert sessions.read(sign_ticket(KEY, "key_1", now=A_MONDAY), now=A_MONDAY) is None
    assert read_ticket(KEY, sessions.seal(session), now=A_MONDAY) is None
    assert sessions.read(sessions.seal(session), now=A_MONDAY) == replace(session, expires_at=session.expires_at)


@pytest.mark.parametrize("cookie", ["", "x", "x.y", "a" * 10000, "eyJrZXkiOiJrIn0.AAAA"])
def test_a_forged_cookie_is_no_session(cookie: str) -> None:
    assert Sessions(KEY).read(cookie, now=A_MONDAY) is None


@pytest.mark.parametrize(
    ("wanted", "led_to"),
    [
        ("/settings#mailboxes", "/settings#mailboxes"),
        ("/objects/student/S%2F1/events?before=x", "/objects/student/S%2F1/events?before=x"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("/\t/evil.example", "/"),
        ("", "/"),
    ],
)
def test_signing_in_never_leads_away_from_here(wanted: str, led_to: str) -> None:
    assert local_path(wanted) == led_to
