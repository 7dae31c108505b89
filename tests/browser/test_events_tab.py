"""The Events tab while letters go out and replies come in."""

import itertools
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from gateway.demo import Demo
from gateway.sandbox.correspondents import Correspondent
from gateway.sandbox.school import Student
from storage import api_keys, outbox
from tests.browser.conftest import PATIENCE_MS, Witness
from tests.end_to_end.conftest import until

NUMBERS = itertools.count(1)


async def post(school: Demo, api: httpx.AsyncClient, student: Student, **changes: Any) -> None:
    letter = {
        "from": school.school.mailboxes[0],
        "to": [{"name": student.name, "address": student.address}],
        "subject": "Your enrolment",
        "html": "<p>Kia ora</p>",
        "objects": [{"type": "student", "id": student.student_id}],
        "created_by": "Jane Doe",
    } | changes
    answer = await api.post("/v1/messages", json=letter, headers={"idempotency-key": f"browser-{next(NUMBERS)}"})
    assert answer.status_code == 202, answer.text


def tab(school: Demo, student: Student) -> str:
    return school.page(f"/objects/student/{student.student_id}/events")


async def loads(page: Page) -> int:
    """How many times the page was loaded: a mark on the window does not outlive it."""
    return int(await page.evaluate("window.marks = (window.marks || 0) + 1"))


async def test_a_letter_and_its_reply_appear_on_the_open_page_by_themselves(
    page: Page, school: Demo, api: httpx.AsyncClient
) -> None:
    student = school.school.students[0]
    await page.goto(tab(school, student))
    await expect(page.get_by_text("No letters yet")).to_be_visible()
    await expect(page.locator("#live")).to_have_text("Live")
    assert await loads(page) == 1
    await post(school, api, student)
    await expect(page.locator(".message.out .chip")).to_have_text("Sent", timeout=PATIENCE_MS)
    await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator("#said")).to_contain_text("Your enrolment")
    await expect(page.locator(".thread").get_by_text("Unanswered")).to_be_visible()
    assert await loads(page) == 2


async def test_a_new_thread_goes_to_the_top_and_leaves_the_reader_in_peace(
    page: Page, school: Demo, api: httpx.AsyncClient
) -> None:
    student = school.school.students[0]
    await post(school, api, student, subject="First")
    await page.goto(tab(school, student))
    await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)
    whole = page.locator(".whole").first
    await whole.locator("summary").click()
    await post(school, api, student, subject="Second")
    await expect(page.locator(".thread h2")).to_have_text(["Second", "First"], timeout=PATIENCE_MS)
    await expect(page.locator("article.thread").nth(1).locator(".whole[open]")).to_have_count(1)


async def test_an_older_thread_is_fetched_when_it_is_opened(page: Page, school: Demo, api: httpx.AsyncClient) -> None:
    student = school.school.students[1]
    quiet = Correspondent(address="quiet@elsewhere.example", name="Quiet", is_silent=True)
    school.sandbox.world.correspondents.add(quiet)
    for subject in ("First", "Second"):
        to = [{"name": quiet.name, "address": quiet.address}]
        await post(school, api, student, subject=subject, html=f"<p>the letter {subject}</p>", to=to)
    await until(school, lambda tx: outbox.counts(tx, school.key.account_id).get("sent") == 2)
    await page.goto(tab(school, student))
    older = page.locator("article.thread").nth(1)
    subject = await older.locator("h2").inner_text()
    await expect(older.locator(".mail")).to_have_count(0)
    await older.locator("summary").first.focus()
    await page.keyboard.press("Enter")
    await expect(older.locator(".mail").get_by_text(f"the letter {subject}")).to_be_visible()


async def test_a_page_whose_stream_broke_catches_up(
    page: Page, context: BrowserContext, school: Demo, api: httpx.AsyncClient
) -> None:
    student = school.school.students[0]
    await page.goto(tab(school, student))
    await expect(page.locator("#live")).to_have_text("Live")
    await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
    await post(school, api, student)
    await page.evaluate("window.dispatchEvent(new Event('pageshow'))")
    await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_page_whose_key_was_revoked_says_so(chromium: Browser, school: Demo, api: httpx.AsyncClient) -> None:
    student = school.school.students[0]
    page = await chromium.new_page()
    await page.goto(tab(school, student))
    await expect(page.locator("#live")).to_have_text("Live")
    store, clock = school.gateway.store, school.gateway.clock
    await store.write(api_keys.revoke, school.key.account_id, school.key.id, now=clock.now())
    school.sandbox.world.deliver(school.school.mailboxes[0], from_="x@else.example", subject="x", html="x")
    await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
    await page.evaluate("window.dispatchEvent(new Event('pageshow'))")
    await expect(page.locator("#live")).to_contain_text("Signed out", timeout=PATIENCE_MS)
    await page.close()


async def test_hostile_mail_stays_in_its_box(page: Page, school: Demo, api: httpx.AsyncClient) -> None:
    student = school.school.students[0]
    hostile = (
        "<img src=x onerror=document.title=1><script>document.title=1</script><style>body{display:none}</style>"
        "<div style='position:fixed;inset:0'>over</div><a href='javascript:document.title=1'>link</a>"
        "<img src='https://outside.example/pixel'><form action=/sign-out><button>x</button></form>"
        "<table width=9000><tr><td>" + "wide" * 2000 + "</td></tr></table>"
    )
    await post(school, api, student, html=hostile, subject="<img src=x onerror=document.title=1>")
    await page.goto(tab(school, student))
    await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)
    assert await page.title() == "Student S1001 · SELMA Mail"
    assert await page.evaluate("document.documentElement.scrollWidth") <= 1200
    assert await page.locator(".mail :is(script, style, form, button, [src], [style], [onerror])").count() == 0


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_tab_fits_every_width_in_both_schemes(
    chromium: Browser, school: Demo, api: httpx.AsyncClient, witness: Witness, width: int, scheme: str
) -> None:
    student = school.school.students[0]
    await post(school, api, student, subject="Averyverylongsubject" * 10)
    context = await chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    witness.watch(page)
    await page.goto(tab(school, student))
    await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await context.close()
