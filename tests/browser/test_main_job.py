"""The main job as people see it: a new admin connects the school, a letter goes out, its reply appears."""

import asyncio
from collections.abc import AsyncIterator

import httpx
from playwright.async_api import Browser, Page, expect

from gateway.demo import Both, both, make_key
from gateway.sandbox import Behaviour, Sandbox
from gateway.settings import Settings
from tests.browser.conftest import PATIENCE_MS, Witness, fixture


@fixture
async def running() -> AsyncIterator[Both]:
    """Gateway and sandbox on loopback sockets; nobody has connected them yet."""
    sandbox = Sandbox(behaviour=Behaviour.at_once())
    async with both(Settings(port=0), sandbox=sandbox, stop=asyncio.Event()) as pair:
        yield pair


@fixture
async def page(chromium: Browser, running: Both) -> AsyncIterator[Page]:
    """A new admin's tab. Whatever goes wrong in it, or leads elsewhere, fails the test."""
    witness = Witness(origin=running.settings.url)
    page = await chromium.new_page()
    page.set_default_timeout(PATIENCE_MS)
    witness.watch(page)
    yield page
    assert witness.errors == []
    assert witness.outside == []


async def test_a_school_is_connected_and_a_reply_appears_without_a_reload(running: Both, page: Page) -> None:
    url, school = running.settings.url, running.school
    _, key = await make_key(running.gateway)
    mailbox, student = school.mailboxes[0], school.students[0]

    await page.goto(f"{url}/settings")
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("Tenant ID").fill(school.tenant_id)
    await page.get_by_label("Client ID").fill(school.client_id)
    await page.get_by_label("Client secret key").fill(school.client_secret)
    await page.get_by_label("Secret expiry date").fill(school.secret_expires_at.date().isoformat())
    await page.get_by_role("button", name="Save").click()

    await page.get_by_role("button", name="Check connection").click()
    await expect(page.get_by_text("The connection works.")).to_be_visible()

    await page.get_by_label("Add a mailbox").fill(mailbox)
    await page.get_by_role("button", name="Add and validate").click()
    await expect(page.get_by_text("Validated", exact=True)).to_be_visible()
    assert school.client_secret not in await page.content()

    await page.get_by_role("button", name="Send test email").click()
    await expect(page.locator("#tracking").get_by_text("Sent", exact=True)).to_be_visible(timeout=PATIENCE_MS)

    await page.goto(f"{url}/objects/student/{student.student_id}/events")
    await expect(page.get_by_text("No letters yet")).to_be_visible()
    await page.evaluate("window.staysTheSame = true")
    letter = {
        "from": mailbox,
        "to": [{"name": student.name, "address": student.address}],
        "subject": "Your enrolment",
        "html": "<p>Kia ora</p><script>document.title = 'broken into'</script>",
        "objects": [{"type": "student", "id": student.student_id}],
        "created_by": "Jane Doe",
    }
    async with httpx.AsyncClient(trust_env=False) as selma:
        headers = {"authorization": f"Bearer {key}", "idempotency-key": "one"}
        answer = await selma.post(f"{url}/v1/messages", json=letter, headers=headers)
    assert answer.status_code == 202

    thread = page.get_by_role("article").filter(has_text="Your enrolment").first
    await expect(thread.get_by_text("Jane Doe")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_text("2 messages")).to_be_visible(timeout=PATIENCE_MS)
    await expect(thread.get_by_role("article", name="Reply received: Māia Parata")).to_contain_text("Kia ora")
    assert await page.evaluate("window.staysTheSame") is True
    assert "broken into" not in await page.title()
