"""A form counts only when a page of the same session sent it."""

import pytest

from tests.http.scene import Scene
from tests.pages.desk import Desk

FORMS = [
    "/settings/account",
    "/settings/check",
    "/settings/mailboxes",
    "/settings/mailboxes/validate",
    "/settings/mailboxes/remove",
    "/settings/test-message",
    "/settings/letters/retry",
    "/settings/letters/close",
    "/settings/letters/cancel",
    "/settings/letters/batches/cancel",
    "/sign-out",
]


@pytest.mark.parametrize("form", FORMS)
async def test_a_form_without_the_sessions_token_changes_nothing(desk: Desk, scene: Scene, form: str) -> None:
    before = await scene.rows()
    for token in ({}, {"form_token": ""}, {"form_token": "0" * 64}, {"form_token": "ā"}):
        answer = await desk.browser.post(form, data=token | {"address": "new@school.example"})
        assert answer.status_code == 403
        assert "Nothing was changed" in answer.text
    assert await scene.rows() == before


async def test_the_token_of_another_session_does_not_count(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    async with scene.client(key="") as browser:
        other = Desk(scene, browser)
        await other.sign_in()
        other.page = desk.page
        answer = await other.send("/settings/mailboxes", address="new@school.example")
    assert answer.status_code == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://gateway.test.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_from_another_site_is_refused_even_with_the_token(desk: Desk, headers: dict[str, str]) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes", headers=headers, address="new@school.example")
    assert answer.status_code == 403


async def test_a_stranger_cannot_be_signed_in_by_another_sites_form(stranger: Desk, scene: Scene) -> None:
    answer = await stranger.send_blind("/sign-in", key=scene.key)
    assert answer.status_code == 403
    await stranger.open("/sign-in")
    answer = await stranger.send("/sign-in", headers={"origin": "https://evil.example"}, key=scene.key)
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 415),
        ("multipart/form-data; boundary=x", b"--x--", 415),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(60)), 400),
        ("application/x-www-form-urlencoded", b"a=%ff", 400),
        ("application/x-www-form-urlencoded", b"\xff", 400),
    ],
)
async def test_what_is_no_form_is_refused_with_a_page(desk: Desk, content_type: str, body: bytes, status: int) -> None:
    answer = await desk.browser.post("/settings/mailboxes", content=body, headers={"content-type": content_type})
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")


@pytest.mark.parametrize("form", [form for form in FORMS if form.startswith("/settings")])
async def test_a_forms_address_opened_as_a_page_leads_back_to_its_page(desk: Desk, form: str) -> None:
    answer = await desk.browser.get(form)
    page = "/settings/letters" if form.startswith("/settings/letters") else "/settings"
    assert answer.headers["location"].partition("#")[0] == page


async def test_pages_allow_nothing_from_elsewhere_and_are_not_kept_by_caches(desk: Desk) -> None:
    for path in ("/settings", "/settings/letters", "/objects", "/objects/student/S1/events", "/sign-in"):
        headers = (await desk.browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


async def test_files_of_the_pages_are_kept_for_good_under_the_name_of_their_content(desk: Desk) -> None:
    page = await desk.open("/settings")
    address = page.text.split('<link rel="stylesheet" href="')[1].split('"')[0]
    named = await desk.browser.get(address)
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert named.headers["content-type"].startswith("text/css")
    plain = await desk.browser.get(address.split("?")[0])
    assert plain.headers["cache-control"] == "no-cache"
    again = await desk.browser.get(address.split("?")[0], headers={"if-none-match": plain.headers["etag"]})
    assert again.status_code == 304
    assert (await desk.browser.get("/static/nothing.css")).status_code == 404
    assert (await desk.browser.get("/static/..%2f__init__.py")).status_code == 404
