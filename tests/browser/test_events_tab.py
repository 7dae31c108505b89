"""The Events tab as staff use it: reading, answering, what is new, on a phone, on paper, and in SELMA's frame."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, FrameLocator, Page, expect

from storage import Transaction, events, feeds, outbox
from storage.api_keys import Scope
from storage.messages import Direction
from tests.browser.conftest import PATIENCE_MS, fixture
from tests.browser.office import Office, open_office

# What is to happen in minutes happens at once.
FAST_TIMERS = "const set = setTimeout; window.setTimeout = (f, ms, ...a) => set(f, ms >= 60000 ? 50 : ms, ...a)"
PICTURES = os.environ.get("SELMA_PICTURES")  # a folder: then each test leaves what it saw


@fixture(scope="module")
async def office(chromium: Browser) -> AsyncIterator[Office]:
    async with open_office(chromium) as office:
        yield office


@fixture
async def context(office: Office) -> AsyncIterator[BrowserContext]:
    """A visitor. Whatever goes wrong in a page, or leads elsewhere, fails the test."""
    async with office.visitor() as context:
        yield context
    seen, office.witnesses = office.witnesses, []
    assert [one.errors for one in seen if one.errors] == []
    assert [one.outside for one in seen if one.outside] == []


async def look(page: Page, name: str) -> None:
    """A picture for people, if they want one."""
    if PICTURES:
        # A frame of another site is not painted beyond what is in view.
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=len(page.frames) == 1)


async def check_for_everybody(page: Page) -> None:
    """Nothing that axe knows keeps anybody out, of the page or of the frame in it."""
    ours = next((one for one in page.frames if "/embed/" in one.url), page.main_frame)
    # No script of axe's runs in the frames of mail, either: test_reading looks at what is in them.
    found = await Axe().run(ours, options={"iframes": False})  # type: ignore[arg-type]
    assert found.violations_count == 0, found.generate_report()


async def loads(page: Page) -> int:
    """How many times the page was asked: a mark on the window does not outlive a load."""
    return int(await page.evaluate("window.marks = (window.marks || 0) + 1"))


class TestReading:
    async def test_a_letter_and_its_reply_appear_on_the_open_page_by_themselves(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil("Ka pai, thank you.")
        page = await office.signed_in(context, pupil)
        await expect(page.get_by_text("No letters yet")).to_be_visible()
        await expect(page.locator("#live")).to_have_text("Live")
        await check_for_everybody(page)
        await look(page, "empty")
        assert await loads(page) == 1
        await office.write_to(pupil)
        await expect(page.locator(".message.out .chip")).to_have_text("Sent", timeout=PATIENCE_MS)
        await expect(page.locator(".message.in")).to_contain_text("Ka pai, thank you.")
        await expect(page.locator("#said")).to_contain_text("Your enrolment")
        await expect(page.locator(".thread").get_by_text("Unanswered")).to_be_visible()
        assert await loads(page) == 2

    async def test_what_is_put_in_above_does_not_move_what_somebody_reads(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil("A long answer.\n\n" + "And one thing more.\n\n" * 30)
        await office.corresponded(pupil, subject="First")
        page = await office.signed_in(context, pupil)
        await page.evaluate("document.querySelector('.whole').open = true")
        await expect(page.locator(".whole iframe").first).to_have_attribute("style", re.compile("height"))  # measured
        await page.evaluate("scrollTo({ top: 700, behavior: 'instant' })")
        # By its id: the answer to the second letter may be there, in the thread above, before we look again.
        read = page.locator(f"#{await page.locator('.message.in').get_attribute('id')}")
        before = await read.bounding_box()
        second = await office.corresponded(pupil, subject="Second")
        await expect(page.locator(".thread h2")).to_have_text(["Second", "First"], timeout=PATIENCE_MS)
        # What is in the closed thread above has a place for the browser, and none for the reader: it is no hold.
        above = page.locator("article.thread").first
        await expect(above.locator(".message")).to_have_count(2, timeout=PATIENCE_MS)
        await above.locator(".message.out").evaluate("one => { one.dataset.version = ''; one.style.height = '222px'; }")
        await office.school.gateway.store.write(
            events.record,
            office.school.key.account_id,
            "thread.updated",
            thread_id=second["thread_id"],
            now=office.school.gateway.clock.now(),
        )
        await expect(above.locator(".message.out")).not_to_have_attribute("style", re.compile("222px"))
        after = await read.bounding_box()
        assert before is not None
        assert after is not None
        assert abs(after["y"] - before["y"]) < 2
        await expect(page.locator("article.thread").nth(1).locator(".whole[open]")).to_have_count(1)
        await expect(page.locator("article.thread").first.locator(".mail").first).to_be_hidden()
        await expect(page.locator("#arrivals")).to_contain_text("Something new above")
        await look(page, "above")
        await page.locator("#arrivals").click()
        await expect(page.locator("#arrivals")).to_be_hidden()
        await expect(page.locator("article.thread").first.locator("summary").first).to_be_focused()

    async def test_an_older_thread_is_fetched_when_it_is_opened_by_keyboard(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil()
        for subject in ("First", "Second"):
            sent = await office.write_to(pupil, subject=subject, html=f"<p>the letter {subject}</p>")
            await office.until(lambda tx, sent=sent: _is_sent(tx, office, sent["id"]))  # type: ignore[misc]
        page = await office.signed_in(context, pupil)
        older = page.locator("article.thread").nth(1)
        await expect(older.locator(".mail")).to_have_count(0)
        await older.locator("summary").first.focus()
        await page.keyboard.press("Enter")
        await expect(older.locator(".mail").get_by_text("the letter First")).to_be_visible()
        await expect(older.get_by_text("Reply", exact=False).first).to_be_visible()

    async def test_a_page_whose_stream_broke_catches_up(self, context: BrowserContext, office: Office) -> None:
        pupil = office.pupil("Thanks")
        page = await office.signed_in(context, pupil)
        await expect(page.locator("#live")).to_have_text("Live")
        await page.evaluate("window.dispatchEvent(new Event('pagehide'))")
        await office.write_to(pupil)
        await page.evaluate("window.dispatchEvent(new Event('pageshow'))")
        await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)

    async def test_hostile_mail_stays_in_its_box(self, context: BrowserContext, office: Office) -> None:
        pupil = office.pupil("Thanks")
        hostile = (
            "<img src=x onerror=document.title=1><script>document.title=1</script><style>body{display:none}</style>"
            "<div style='position:fixed;inset:0'>over</div><a href='javascript:document.title=1'>link</a>"
            "<img src='https://outside.example/pixel'><form action=/sign-out><button>x</button></form>"
            "<table width=9000><tr><td>" + "wide" * 2000 + "</td></tr></table>"
        )
        await office.corresponded(pupil, html=hostile, subject="<img src=x onerror=document.title=1>")
        page = await office.signed_in(context, pupil)
        await expect(page.locator(".message.in")).to_be_visible()
        assert await page.title() == f"Student {pupil.id} · SELMA Mail"
        assert await page.evaluate("document.documentElement.scrollWidth") <= 1200
        assert await page.locator(".mail :is(script, style, form, button, [src], [style], [onerror])").count() == 0

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    async def test_it_can_be_read_on_a_phone_and_by_everybody_in_both_schemes(
        self, context: BrowserContext, office: Office, scheme: str
    ) -> None:
        pupil = office.pupil("Ngā mihi", name="Te Rangihīroa Whakaatu-Ngāti-Porou")
        await office.corresponded(pupil, subject="Averyverylongsubject" * 10)
        await office.corresponded(pupil, subject="Orientation week")
        page = await office.signed_in(context, pupil, "Jane Doe")
        await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        await page.locator(".answer > summary").first.click()
        await check_for_everybody(page)
        await look(page, f"wide-{scheme}")
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await check_for_everybody(page)
        await look(page, f"phone-{scheme}")

    async def test_on_paper_are_all_words_and_no_buttons(
        self, context: BrowserContext, office: Office, tmp_path: Path
    ) -> None:
        pupil = office.pupil("I will come.")
        await office.corresponded(pupil, subject="First")
        await office.corresponded(pupil, subject="Second")
        page = await office.signed_in(context, pupil, "Jane Doe")
        await page.get_by_role("link", name="Open all of these").click()
        await expect(page.locator(".message.in .mail").first).to_be_visible()
        await page.emulate_media(media="print")
        await look(page, "paper")
        assert await page.locator(":is(button, form, nav, summary.button):visible").count() == 0
        assert await page.locator(".message.in .mail:visible").count() >= 2
        paper = await page.pdf(path=Path(PICTURES or tmp_path) / "paper.pdf")
        assert paper.startswith(b"%PDF")


class TestAnswering:
    async def test_a_reply_is_followed_from_the_outbox_to_sent_items_and_is_answered(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil("First answer", "Second answer")
        sent = await office.corresponded(pupil)
        page = await office.signed_in(context, pupil, "Jane Doe")
        assert await loads(page) == 1
        await office.hold_the_post()
        await page.get_by_text("Reply to Hana Rewi").click()
        await expect(page.locator(".reply .route")).to_contain_text(pupil.address)
        await page.get_by_label("Your reply, Jane Doe").fill("Kia ora Hana,\n\n<b>see you</b> on Monday.")
        await page.get_by_role("button", name="Send reply").dblclick()
        ours = page.locator(".message.out").nth(1)
        await expect(ours.locator(".chip")).to_have_text("Queued")
        await expect(ours.locator(".mail")).to_contain_text("<b>see you</b> on Monday.")
        await expect(page.locator("#said")).to_have_text("Your reply is in the outbox.")
        await expect(page.get_by_role("button", name="Cancel it")).to_be_visible()
        await look(page, "queued")
        await office.release_the_post()
        await expect(ours.locator(".chip")).to_have_text("Sent", timeout=PATIENCE_MS)
        await expect(page.locator(".message.in").nth(1)).to_contain_text("Second answer", timeout=PATIENCE_MS)
        await expect(page.get_by_role("button", name="Cancel it")).to_have_count(0)
        await expect(page.locator(".newer")).to_be_hidden()
        assert await loads(page) == 2
        assert await _letters_out(office, sent["thread_id"]) == 2

    async def test_a_reply_that_fails_says_why_and_one_that_waits_can_be_cancelled(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil("An answer")
        await office.corresponded(pupil)
        page = await office.signed_in(context, pupil, "Jane Doe")
        await office.hold_the_post()
        try:
            await page.get_by_text("Reply to Hana Rewi").click()
            await page.get_by_label("Your reply").fill("This one fails")
            await page.get_by_role("button", name="Send reply").click()
            ours = page.locator(".message.out").nth(1)
            await office.fail(str(await ours.get_attribute("id")))
            await expect(ours.locator(".chip")).to_have_text("Not sent")
            await expect(ours).to_contain_text("Microsoft 365 does not accept one of the recipients.")
            await page.get_by_text("Reply to Hana Rewi").click()
            await page.get_by_label("Your reply").fill("This one is held back")
            await page.keyboard.press("Tab")
            await page.keyboard.press("Enter")
            await page.get_by_role("button", name="Cancel it").press("Enter")
            await expect(page.locator(".message.out").nth(2).locator(".chip")).to_have_text("Cancelled")
            await expect(page.locator(".answer > summary")).to_be_focused()
            await expect(page.locator("#said")).to_have_text("The letter is cancelled: Your enrolment")
            await look(page, "failed-and-cancelled")
            await check_for_everybody(page)
        finally:
            await office.release_the_post()

    async def test_what_was_written_outlives_a_reload_a_newer_message_and_a_lost_connection(
        self, context: BrowserContext, office: Office
    ) -> None:
        pupil = office.pupil("An answer")
        sent = await office.corresponded(pupil)
        page = await office.signed_in(context, pupil, "Jane Doe")
        await page.get_by_text("Reply to Hana Rewi").click()
        await page.get_by_label("Your reply").fill("Half a rep")
        await page.reload()
        await expect(page.get_by_label("Your reply")).to_have_value("Half a rep")
        office.school.sandbox.world.deliver(
            office.school.school.mailboxes[0], from_=pupil.address, subject="Something else", html="x"
        )
        await page.route("**/replies", lambda route: route.abort())
        witness = office.witnesses[-1]
        await page.get_by_role("button", name="Send reply").click()
        await expect(page.get_by_role("alert")).to_contain_text("The gateway cannot be reached now.")
        await look(page, "unreached")
        await page.unroute("**/replies")
        lost: list[str] = []

        async def lose_the_answer(route) -> None:  # type: ignore[no-untyped-def]
            lost.append((await route.fetch()).status)
            await route.abort()

        await page.route("**/replies", lose_the_answer)
        await page.get_by_role("button", name="Send reply").click()
        await expect(page.get_by_role("alert")).to_contain_text("It is sent once, however often you press.")
        assert lost == [200]
        await page.unroute("**/replies")
        await page.reload()
        await expect(page.get_by_label("Your reply")).to_have_value("Half a rep")
        await page.get_by_role("button", name="Send reply").click()
        await expect(page.get_by_label("Your reply")).to_have_value("")
        assert await _letters_out(office, sent["thread_id"]) == 2
        assert witness.errors == []

    async def test_all_of_it_works_without_script(self, office: Office) -> None:
        pupil = office.pupil("An answer")
        sent = await office.corresponded(pupil)
        async with office.visitor(java_script_enabled=False) as context:
            page = await office.signed_in(context, pupil)
            await page.get_by_text("Reply to Hana Rewi").click()
            await page.locator(".reply").get_by_label("Your name").fill("Tom Ariki")
            await page.get_by_label("Your reply").fill("From a browser without script")
            await page.get_by_role("button", name="Send reply").click()
            await expect(page.locator(".message.out").nth(1)).to_contain_text("Tom Ariki")
            await page.get_by_role("link", name="All threads of").click()
            await expect(page.get_by_text("You are Tom Ariki")).to_be_visible()
            await page.get_by_role("button", name="Mark as unread").click()
            await expect(page.locator(".thread .chip.new")).to_be_visible()
            await page.goto(f"{office.selma}/?src={await office.link(pupil)}")
            frame = page.frame_locator("iframe")
            await frame.get_by_text("Reply to Hana Rewi").click()
            await frame.get_by_label("Your reply, Jane Doe").fill("From a frame without script")
            await frame.get_by_role("button", name="Send reply").click()
            await expect(frame.locator(".message.out").nth(2)).to_contain_text("From a frame without script")
        assert await _letters_out(office, sent["thread_id"]) == 3
        office.witnesses.clear()


class TestWhatIsNew:
    async def test_two_members_of_staff_see_each_what_is_new_to_them(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("An answer")
        await office.corresponded(pupil, subject="First")
        await office.corresponded(pupil, subject="Second")
        jane = await office.signed_in(context, pupil, "Jane Doe")
        await expect(jane.locator(".thread.unread")).to_have_count(1)  # the one that stands open has been read
        second = jane.locator("article.thread").nth(1)
        await expect(second.locator(".chip.new")).to_have_text("1 unread")
        await expect(jane.locator(".new-line")).to_have_count(1)
        await second.locator("summary").first.click()
        await second.locator(".message").last.scroll_into_view_if_needed()
        await expect(jane.locator(".thread.unread")).to_have_count(0)
        await expect(jane.locator(".new-line")).to_have_count(2)
        async with office.visitor() as other:
            tom = await office.signed_in(other, pupil, "Tom Ariki")
            await expect(tom.locator("article.thread").nth(1).locator(".chip.new")).to_have_text("1 unread")
            await look(tom, "unread")
        await jane.reload()
        await expect(jane.locator(".chip.new")).to_have_count(0)
        await jane.get_by_role("button", name="Mark as unread").first.click()
        await expect(jane.locator(".thread.unread")).to_have_count(1)
        await jane.reload()
        await expect(jane.locator("article.thread").first.locator(".chip.new")).to_have_text("1 unread")
        await expect(jane.locator("article.thread").first.locator(".mail")).to_have_count(0)

    async def test_what_arrives_before_somebodys_eyes_is_marked_as_new_and_read(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("An answer")
        page = await office.signed_in(context, pupil, "Jane Doe")
        await office.write_to(pupil)
        await expect(page.locator(".message.in")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".new-line")).to_be_visible()
        await expect(page.locator(".thread.unread")).to_have_count(0)
        await page.reload()
        await expect(page.locator(".message.in")).to_be_visible()
        await expect(page.locator(".chip.new")).to_have_count(0)


class TestInAFrame:
    async def embedded(self, context: BrowserContext, office: Office, url: str) -> tuple[Page, FrameLocator]:
        page = office.watch(await context.new_page(), office.selma)
        await page.goto(f"{office.selma}/?src={url}")
        return page, page.frame_locator("iframe")

    async def test_the_whole_conversation_goes_on_in_selmas_frame_without_a_cookie(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("First answer", "Second answer")
        await office.corresponded(pupil)
        page, frame = await self.embedded(context, office, await office.link(pupil))
        await expect(frame.locator("#live")).to_have_text("Live")
        await expect(frame.locator(".chip.new")).to_have_text("1 unread")
        await expect(frame.get_by_role("banner")).to_have_count(0)
        await frame.get_by_text("Reply to Hana Rewi").click()
        await frame.get_by_label("Your reply, Jane Doe").fill("From SELMA itself")
        await frame.get_by_role("button", name="Send reply").click()
        await expect(frame.locator(".message.out").nth(1)).to_contain_text("From SELMA itself")
        await expect(frame.locator(".message.in").nth(1)).to_contain_text("Second answer", timeout=PATIENCE_MS)
        await expect(frame.locator(".thread.unread")).to_have_count(0)
        assert await context.cookies() == []
        await check_for_everybody(page)
        await look(page, "frame")
        await page.set_viewport_size({"width": 360, "height": 740})
        await look(page, "frame-phone")

    async def test_an_open_frame_renews_its_address_and_goes_on_with_the_new_one(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("An answer")
        await office.corresponded(pupil)
        page = office.watch(await context.new_page(), office.selma)
        await page.add_init_script(FAST_TIMERS)
        link = await office.link(pupil)
        async with page.expect_response(lambda answer: answer.url.endswith("/renew")):
            await page.goto(f"{office.selma}/?src={link}")
        frame = page.frames[1]
        await frame.wait_for_function("link => location.href !== link", arg=link)
        await frame.goto(frame.url)
        await expect(frame.locator(".message.in")).to_be_visible()

    async def test_a_host_that_was_not_named_is_refused_by_the_browser(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("An answer")
        await office.corresponded(pupil)
        page, said = await context.new_page(), []
        page.on("console", lambda message: said.append(message.text))
        async with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            await page.goto(f"{office.stranger}/?src={await office.link(pupil)}")
        assert "Your enrolment" not in "".join([await one.content() for one in page.frames])

    async def test_a_frame_is_over_when_the_key_is_revoked_and_says_so(
        self, office: Office, context: BrowserContext
    ) -> None:
        pupil = office.pupil("An answer")
        key_id, value = await office.new_key(Scope.READ)
        link = await office.link(pupil, can_reply=False, key=value)
        page, frame = await self.embedded(context, office, link)
        await expect(frame.locator("#live")).to_have_text("Live")
        await office.revoke(key_id)
        inner = page.frames[1]
        await inner.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
        await expect(frame.locator("#live")).to_contain_text("Over. Reload the page of SELMA.")
        office.witnesses[-1].errors = [one for one in office.witnesses[-1].errors if not one.startswith("410 ")]
        await inner.goto(link)
        await expect(frame.get_by_role("heading", name="This page was open for too long")).to_be_visible()
        office.witnesses[-1].errors = [one for one in office.witnesses[-1].errors if not one.startswith("410 ")]


async def test_a_page_whose_key_was_revoked_says_so(office: Office, context: BrowserContext) -> None:
    pupil = office.pupil()
    key_id, value = await office.new_key(Scope.READ)
    page = await context.new_page()
    await page.goto(f"{office.school.url}/sign-in?next={pupil.tab}")
    await page.get_by_label("API key").fill(value)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.locator("#live")).to_have_text("Live")
    await office.revoke(key_id)
    await page.evaluate("dispatchEvent(new Event('pagehide')); dispatchEvent(new Event('pageshow'))")
    await expect(page.locator("#live")).to_contain_text("Signed out", timeout=PATIENCE_MS)


def _is_sent(tx: Transaction, office: Office, message_id: str) -> bool:
    return outbox.get(tx, office.school.key.account_id, message_id).state == "sent"


async def _letters_out(office: Office, thread_id: str) -> int:
    found = await office.school.gateway.store.read(feeds.of_thread, thread_id)
    return sum(one.direction is Direction.OUT for one in found)
