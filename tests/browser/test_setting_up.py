"""The guide's fourth stage, as a new admin goes through it."""

from datetime import timedelta

import pytest
from playwright.async_api import Browser, Page, expect

from gateway.demo import Demo
from storage import Transaction, accounts, api_keys
from storage.api_keys import Scope
from tests.browser.conftest import PATIENCE_MS, Witness

NEW_MAILBOX = "library@school.example"


async def new_admin(school: Demo) -> str:
    """Another account on this gateway, nothing of it set up yet; the key of its admin."""
    value = api_keys.new_value()

    def add(tx: Transaction) -> None:
        now = school.gateway.clock.now()
        account = accounts.add(tx, "Library", now=now)
        api_keys.create(tx, account.id, name="admin", scopes=frozenset({Scope.SETTINGS}), value=value, now=now)

    await school.gateway.store.write(add)
    school.sandbox.world.add_user(NEW_MAILBOX, "Library")
    return value


async def go_through(page: Page, school: Demo, key: str) -> None:
    """Sign in, enter the account, check, add a mailbox, send the test email."""
    await page.goto(school.url)
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()

    await page.get_by_label("Tenant ID").fill(school.school.tenant_id)
    await page.get_by_label("Client ID").fill(school.school.client_id)
    await page.get_by_label("Client secret key").fill(school.school.client_secret)
    in_100_days = (school.gateway.clock.now() + timedelta(days=100)).date()
    await page.get_by_label("Secret expiry date").fill(in_100_days.isoformat())
    await page.get_by_label("Time zone").select_option("Pacific/Auckland")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved. Now check the connection.")).to_be_visible()
    assert school.school.client_secret not in await page.content()

    await page.get_by_role("button", name="Check connection").click()
    await expect(page.get_by_text("The connection works.")).to_be_visible()
    await expect(page.locator(".check.ok")).to_have_count(11)

    await page.get_by_label("Add a mailbox").fill(NEW_MAILBOX)
    await page.get_by_role("button", name="Add and validate").click()
    await expect(page.locator(".mailbox").get_by_text("Validated", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Send test email").click()


async def test_from_signing_in_to_the_test_email_without_a_reload(page: Page, school: Demo, witness: Witness) -> None:
    await go_through(page, school, await new_admin(school))
    await expect(page.locator("#tracking .chip")).to_have_text("Sent", timeout=PATIENCE_MS)
    await expect(page.locator("#tracking .reached")).to_have_count(4)
    await expect(page.locator(".watching .chip")).to_have_text("Live", timeout=PATIENCE_MS)


async def test_the_same_way_without_any_script(chromium: Browser, school: Demo, witness: Witness) -> None:
    context = await chromium.new_context(java_script_enabled=False)
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    witness.watch(page)
    await go_through(page, school, await new_admin(school))
    await expect(page.locator("#tracking")).to_be_visible()
    await page.get_by_text("Remove library@school.example").click()
    await page.get_by_role("button", name="Remove this mailbox").click()
    await expect(page.get_by_text("The mailbox was removed.")).to_be_visible()
    await context.close()


async def test_bad_values_are_told_beside_their_fields_and_what_was_typed_stays(page: Page, school: Demo) -> None:
    await page.goto(school.page("/settings"))
    await page.get_by_text("Change these values").click()
    await page.get_by_label("Tenant ID").fill("our tenant")
    await page.get_by_label("Client ID").fill("")
    await page.get_by_label("Client secret key").fill(school.school.client_id)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("3 values cannot be taken yet.")).to_be_visible()
    await expect(page.get_by_label("Tenant ID")).to_have_value("our tenant")
    await expect(page.get_by_label("Client secret key")).to_have_value("")
    await expect(page.get_by_text("This is the Secret ID, not the secret.")).to_be_visible()
    await page.get_by_role("link", name="Client ID").click()
    await expect(page.get_by_label("Client ID")).to_be_focused()


@pytest.mark.parametrize("width", [1200, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_page_fits_every_width_in_both_schemes(
    chromium: Browser, school: Demo, witness: Witness, width: int, scheme: str
) -> None:
    context = await chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    witness.watch(page)
    await page.goto(school.page("/settings"))
    await page.get_by_role("button", name="Check connection").click()
    await expect(page.get_by_text("The connection works.")).to_be_visible(timeout=PATIENCE_MS)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    await context.close()
