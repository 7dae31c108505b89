"""The letters page while letters go out, by somebody with a keyboard."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.demo import Demo
from gateway.sending.accept import accept, accept_batch
from gateway.sending.posted import NewLetter
from gateway.sending.reasons import problem
from storage import Transaction, outbox
from storage.messages import BodyType
from storage.threads import Address, Object, ObjectType
from tests.browser.conftest import PATIENCE_MS, Witness
from tests.end_to_end.conftest import until

PAGE = "/settings/letters"


def a_letter(school: Demo, subject: str) -> NewLetter:
    student = school.school.students[0]
    return NewLetter(
        sender=school.school.mailboxes[0],
        to=(Address(name=student.name, address=student.address),),
        subject=subject,
        body_type=BodyType.TEXT,
        body="Kia ora",
        objects=(Object(type=ObjectType.STUDENT, id=student.student_id),),
    )


async def undecided(school: Demo, subject: str) -> str:
    """A letter that was sent, as a gateway that never saw it in Sent Items would keep it."""
    store, account_id = school.gateway.store, school.key.account_id
    taken = await store.write(
        accept, account_id, a_letter(school, subject), idempotency_key=None, now=school.gateway.clock.now()
    )
    await until(school, lambda tx: outbox.get(tx, account_id, taken.message_id).state == "sent")

    def doubt(tx: Transaction) -> None:
        letter = outbox.get(tx, account_id, taken.message_id)
        outbox.save(tx, replace(letter, state="needs_review", sent_at=None, problem=problem("not_found")))

    await store.write(doubt)
    return taken.message_id


async def post_batch(school: Demo, letters: Sequence[NewLetter]) -> str:
    taken = await school.gateway.store.write(
        accept_batch,
        school.key.account_id,
        letters,
        name="Offers 2027",
        created_by="Jane Doe",
        idempotency_key=None,
        now=school.gateway.clock.now(),
    )
    return taken.batch_id


async def walk_to(page: Page, name: str) -> None:
    """Press Tab until the element with this name has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if name in await page.evaluate("document.activeElement.textContent"):
            return
    pytest.fail(f"Tab does not lead to {name!r}.")


async def test_a_letter_that_needs_a_decision_is_closed_by_keyboard(page: Page, school: Demo) -> None:
    message_id = await undecided(school, "Your enrolment")
    await page.goto(school.page(PAGE))
    await expect(page.get_by_role("heading", name="Your enrolment")).to_be_visible()
    await walk_to(page, "1 letter needs a decision")
    await page.keyboard.press("Enter")
    await walk_to(page, "Close “Your enrolment”")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("The letter is closed. Nothing more is done with it.")
    await expect(page.get_by_text("No letter waits for a decision.")).to_be_visible()
    letter = await school.gateway.store.read(outbox.get, school.key.account_id, message_id)
    assert letter.state == "cancelled"


async def test_sending_anew_is_asked_about_first(page: Page, school: Demo) -> None:
    message_id = await undecided(school, "Your enrolment")
    await page.goto(school.page(PAGE))
    await expect(page.get_by_role("button", name="Send this letter anew")).to_be_hidden()
    await walk_to(page, "Send anew “Your enrolment”")
    await page.keyboard.press("Enter")
    await expect(page.get_by_text("gets this letter twice")).to_be_visible()
    await walk_to(page, "Send this letter anew")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("The letter is back in the outbox")
    await until(school, lambda tx: outbox.get(tx, school.key.account_id, message_id).state == "sent")


async def test_a_batchs_progress_moves_by_itself(page: Page, school: Demo) -> None:
    held = school.gateway.clock.now().replace(year=2100)
    letters = [replace(a_letter(school, f"Offer {number}"), send_at=held) for number in range(4)]
    batch_id = await post_batch(school, letters)
    await page.goto(school.page(PAGE))
    progress = page.get_by_role("progressbar", name="Offers 2027")
    await expect(progress).to_have_attribute("value", "0")
    await page.evaluate("window.staysTheSame = true")

    def release(tx: Transaction) -> None:
        for letter in outbox.of_batch(tx, school.key.account_id, batch_id, limit=2):
            outbox.save(tx, replace(letter, next_attempt_at=school.gateway.clock.now()))

    await school.gateway.store.write(release)
    await expect(progress).to_have_attribute("value", "2", timeout=PATIENCE_MS)
    await expect(page.get_by_text("2 of 4 done")).to_be_visible()
    await expect(page.locator(".batch").get_by_text("Sent 2")).to_be_visible()
    assert await page.evaluate("window.staysTheSame") is True


async def test_what_is_about_to_be_confirmed_is_not_taken_away(page: Page, school: Demo) -> None:
    held = school.gateway.clock.now().replace(year=2100)
    await post_batch(school, [replace(a_letter(school, "Offer"), send_at=held)])
    await page.goto(school.page(PAGE))
    waiting = page.locator("#waiting")
    await waiting.locator("summary").click()
    await expect(waiting.get_by_role("button", name="Cancel this letter")).to_be_visible()
    await post_batch(school, [replace(a_letter(school, "Another"), send_at=held)])
    await expect(page.locator("#mailboxes").get_by_text("2 letters")).to_be_visible(timeout=PATIENCE_MS)
    await waiting.get_by_role("button", name="Cancel this letter").click()
    await expect(page.get_by_role("status")).to_have_text("The letter is cancelled. It is not sent.")


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_every_width_in_both_schemes(
    chromium: Browser, school: Demo, witness: Witness, width: int, scheme: str
) -> None:
    await undecided(school, "Averyverylongsubject" * 12)
    await post_batch(school, [a_letter(school, "Averyverylongsubject" * 12)] * 40)
    context = await chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    witness.watch(page)
    await page.goto(school.page(PAGE))
    await expect(page.get_by_role("progressbar")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await context.close()
