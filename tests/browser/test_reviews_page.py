"""The review tray: a stranger answers, and somebody with a keyboard decides."""

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from gateway.demo import Demo
from gateway.sandbox.model import Address
from storage import Transaction, feeds, outbox, placements, threads
from storage.threads import Object, ObjectType, Thread
from tests.browser.conftest import PATIENCE_MS, Witness
from tests.browser.posting import post, tab
from tests.browser.test_letters_page import walk_to
from tests.end_to_end.conftest import until

PAGE = "/reviews"


async def a_stranger_answers(school: Demo, api: httpx.AsyncClient, *, subject: str = "A question") -> None:
    """A letter goes out to the first student, and somebody nobody knows writes as if it had been for them."""
    student, store, account_id = school.school.students[0], school.gateway.store, school.key.account_id
    await post(school, api, student)
    await until(school, lambda tx: outbox.counts(tx, account_id).get("sent", 0) > 0)
    (letter,) = await store.read(feeds.letters, account_id, limit=1)
    school.sandbox.world.deliver(
        school.school.mailboxes[0],
        from_=Address(name="A stranger", address="stranger@elsewhere.example"),
        subject=subject,
        html="<p>May I have this place?</p><script>alert(1)</script>",
        references=(letter.internet_message_id or "",),
    )
    await until(school, lambda tx: bool(placements.held(tx, account_id, limit=1)))


async def threads_of_the_first_student(school: Demo) -> list[Thread]:
    what = Object(type=ObjectType.STUDENT, id=school.school.students[0].student_id)
    return await school.gateway.store.read(threads.of_object, school.key.account_id, what, limit=10)


async def violations(page: Page) -> list[str]:
    found = await Axe().run(page)
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found.response["violations"]]


async def test_a_strangers_mail_is_accepted_undone_and_begins_a_thread_by_keyboard(
    page: Page, school: Demo, api: httpx.AsyncClient
) -> None:
    await a_stranger_answers(school, api)
    student = school.school.students[0]
    await page.goto(tab(school, student))
    await expect(page.get_by_text("1 message waits for review")).to_be_visible()
    await page.goto(school.page(PAGE))
    await expect(page.get_by_role("heading", name="A stranger")).to_be_visible()
    await expect(page.get_by_text("came in another conversation, and its sender does not take part")).to_be_visible()
    await expect(page.get_by_text("May I have this place?")).to_be_visible()
    assert await violations(page) == []
    await walk_to(page, "Accept “A question”")
    for key in ("Enter", "Tab", *"Jane Doe", "Enter"):
        await page.keyboard.press(key)
    await expect(page.get_by_role("status")).to_contain_text("was accepted and stands in the thread")
    await expect(page.get_by_text("Nothing waits for review")).to_be_visible()
    assert await violations(page) == []
    await page.get_by_role("status").get_by_role("link").click()
    await expect(page.locator(".message.in .mail").get_by_text("May I have this place?")).to_be_visible()
    await page.go_back()
    await page.get_by_role("status").get_by_role("button", name="Undo").press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("is where it was")
    await walk_to(page, "Accept into another thread")
    await page.keyboard.press("Enter")
    await page.get_by_label("Thread").select_option("new")
    assert await violations(page) == []
    await page.get_by_role("button", name="Accept it there").press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("was accepted")
    assert len(await threads_of_the_first_student(school)) == 2


async def test_a_mail_in_the_wrong_thread_is_sent_back_moved_and_taken_back_again(
    page: Page, school: Demo, api: httpx.AsyncClient
) -> None:
    student = school.school.students[0]
    await post(school, api, student, subject="Your enrolment")
    await until(school, lambda tx: bool(replies_to(tx, school)))
    await page.goto(tab(school, student))
    await page.get_by_text("Does it not belong here?").click()
    assert await violations(page) == []
    await page.locator("form[action='/reviews/unlink']").get_by_label("Your name").fill("Jane Doe")
    await page.get_by_role("button", name="Send it back for review").click()
    said = page.get_by_role("status")
    await expect(said).to_contain_text("was sent back for review")
    await page.get_by_text("Accept into another thread").click()
    await page.get_by_label("Thread").select_option("new")
    await page.get_by_role("button", name="Accept it there").click()
    await expect(said).to_contain_text("was accepted and stands in the thread")
    assert len(await threads_of_the_first_student(school)) == 2
    await said.get_by_role("button", name="Undo").click()
    await expect(said).to_contain_text("is where it was")


def replies_to(tx: Transaction, school: Demo) -> list[Thread]:
    """The threads of the first student in which the other side had the last word."""
    what = Object(type=ObjectType.STUDENT, id=school.school.students[0].student_id)
    return [one for one in threads.of_object(tx, school.key.account_id, what, limit=10) if one.message_count > 1]


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1200, "light")])
async def test_the_tray_fits_every_width_in_both_schemes(
    chromium: Browser, school: Demo, api: httpx.AsyncClient, witness: Witness, width: int, scheme: str
) -> None:
    await a_stranger_answers(school, api, subject="Averyverylongsubject" * 10)
    context = await chromium.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=False,
    )
    page = await context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    witness.watch(page)
    await page.goto(school.page(PAGE))
    await page.get_by_text("Accept into another thread").click()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await page.get_by_text("Dismiss").click()
    await page.get_by_label("Your name").last.fill("Jane Doe")
    await page.get_by_role("button", name="It belongs nowhere").click()
    await expect(page.get_by_role("status")).to_contain_text("was dismissed")
    await context.close()
