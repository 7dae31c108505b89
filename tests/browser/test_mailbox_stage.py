"""Mailbox Set-up as a new admin goes through it, by keyboard alone, with everything in the way that can be."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect

from gateway.demo import Demo
from gateway.sandbox.model import App
from gateway.setup.account import AccountConfiguration
from storage import Transaction, accounts, api_keys
from storage.api_keys import Scope
from tests.browser.conftest import PATIENCE_MS, Witness, fixture

PICTURES = os.environ.get("SELMA_PICTURES")  # a folder: then the test leaves what it saw
MOST_TABS = 120
OFFICE, ADMISSIONS = "office@school.example", "admissions@school.example"
OWN = "library@school.example"  # no other account of the gateway watches it

# What an admin reads of each with the guide's three permissions, and with User.Read.All beside them.
SENTENCES = {
    "nobody@school.example": ("There is no user with this address in the tenant.",) * 2,
    "enrolments@school.example": (
        "There is no user with this address in the tenant.",
        "It is another address of registrar@school.example; letters are posted from that one.",
    ),
    "principal@school.example": (
        "There is a user, but no mailbox that Graph can open: it has no Exchange Online licence, or it is inactive",
        "There is a user, but no mailbox: no licence of Exchange Online is assigned to it.",
    ),
    "workshop@school.example": (
        "There is a user, but no mailbox that Graph can open",
        "This user is synchronised from the school's own servers",
    ),
    "leavers@school.example": (
        "There is a user, but no mailbox that Graph can open",
        "The user has a licence of Exchange Online, but its mailbox is not served",
    ),
    "archive@school.example": (
        "A user who was deleted in the last 30 days is not found either: restore it first.",
        "This user was deleted within the last 30 days, and its mailbox with it.",
    ),
    "relief@partner.example": ("This is a guest: the mailbox is with another organisation",) * 2,
}


class Admin:
    """Somebody new with an account of their own, whose hands stay on the keyboard."""

    def __init__(self, page: Page, school: Demo, account_id: str) -> None:
        self.page, self.school, self.account_id = page, school, account_id

    @property
    def app(self) -> App:
        return self.school.sandbox.world.directory.apps[self.school.school.client_id]

    async def tab_to(self, wanted: Locator) -> None:
        for _ in range(MOST_TABS):
            await self.page.keyboard.press("Tab")
            if await wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(f"{wanted} is not reached by Tab")

    async def press(self, wanted: Locator) -> None:
        await self.tab_to(wanted)
        await self.page.keyboard.press("Enter")

    async def type_into(self, wanted: Locator, text: str) -> None:
        await self.tab_to(wanted)
        await self.page.keyboard.press("Control+A")
        await self.page.keyboard.insert_text(text)

    async def paste(self, addresses: str) -> None:
        """Into the field for several, and see them all tried."""
        await self.page.goto(f"{self.school.url}/settings")
        await self.press(self.page.get_by_text("Add several at once"))
        await self.type_into(self.page.get_by_label("Addresses", exact=True), addresses)
        await self.press(self.page.get_by_role("button", name="Add and validate all"))

    def tried(self, address: str) -> Locator:
        return self.page.locator("#validation .mailbox").filter(has=self.page.get_by_text(address, exact=True))

    def mailbox(self, address: str) -> Locator:
        return self.page.locator(".mailbox").filter(has=self.page.get_by_role("heading", name=address, exact=True))

    async def allow(self, *roles: str) -> None:
        """Consent to exactly these, as far as mail and people go. A token that was given knows nothing of it."""
        self.app.roles = frozenset(roles)
        await self.school.gateway.connections.forget(self.account_id)

    async def look(self, name: str) -> None:
        found = await Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        if PICTURES:
            await self.page.screenshot(path=Path(PICTURES) / f"mailboxes-{name}.png", full_page=True)


@fixture
async def admin(chromium: Browser, school: Demo, witness: Witness) -> AsyncIterator[Admin]:
    value, now = api_keys.new_value(), school.gateway.clock.now()

    def add(tx: Transaction) -> str:
        account = accounts.add(tx, "Library", now=now)
        api_keys.create(tx, account.id, name="admin", scopes=frozenset({Scope.SETTINGS}), value=value, now=now)
        return account.id

    account_id = await school.gateway.store.write(add)
    configuration = AccountConfiguration(
        tenant_id=school.school.tenant_id,
        client_id=school.school.client_id,
        client_secret=school.school.client_secret,
        secret_expires_at=now + timedelta(days=20),
        time_zone="Pacific/Auckland",
    )
    await school.gateway.setup.configure_account(account_id, configuration)
    context = await chromium.new_context(viewport={"width": 1000, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    witness.watch(page)
    await page.goto(school.url)
    await page.get_by_label("API key").focus()
    await page.keyboard.insert_text(value)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Mailbox Set-up")).to_be_visible()
    yield Admin(page, school, account_id)
    await context.close()


async def test_each_kind_of_mailbox_is_told_with_its_cure_and_shared_ones_are_welcome(admin: Admin) -> None:
    await admin.paste("\n".join([OFFICE, "international@school.example", *SENTENCES]))
    await expect(admin.page.get_by_text("9 addresses tried.")).to_be_visible(timeout=PATIENCE_MS)
    for address in (OFFICE, "international@school.example"):
        await expect(admin.tried(address).locator(".chip")).to_have_text("Validated")
    for address, (sentence, _) in SENTENCES.items():
        await expect(admin.tried(address)).to_contain_text(sentence)
    await admin.look("three-permissions")
    await admin.allow("User.ReadBasic.All", "User.Read.All", "Mail.Send", "Mail.ReadWrite")
    await admin.paste(", ".join(SENTENCES))
    await expect(admin.page.get_by_text("7 addresses tried.")).to_be_visible(timeout=PATIENCE_MS)
    for address, (_, sentence) in SENTENCES.items():
        await expect(admin.tried(address)).to_contain_text(sentence)
    await admin.look("whole-profiles")
    await admin.press(admin.page.get_by_role("link", name="Show the mailboxes as they stand now"))
    await expect(admin.mailbox("registrar@school.example")).to_contain_text("Also known as enrolments@school.example")
    await admin.look("list")


async def test_a_policy_a_scope_and_a_missing_permission_are_told_apart_where_one_mailbox_is_validated(
    admin: Admin,
) -> None:
    await admin.allow("User.ReadBasic.All", "Mail.Send", "Mail.ReadWrite")
    admin.school.sandbox.world.restrict(admin.app, [OFFICE])
    address = admin.page.get_by_label("Add a mailbox")
    await admin.type_into(address, ADMISSIONS)
    await admin.page.keyboard.press("Enter")
    await expect(admin.mailbox(ADMISSIONS)).to_contain_text("an application access policy leaves it out")
    await admin.look("policy")
    again = admin.mailbox(ADMISSIONS).get_by_role("button", name="Validate again")
    admin.school.sandbox.world.restrict(admin.app, None)
    await admin.allow("User.ReadBasic.All")
    await admin.press(again)
    await expect(admin.mailbox(ADMISSIONS)).to_contain_text("Mail.ReadWrite is not among the permissions")
    admin.school.sandbox.world.scope(admin.app, [OFFICE])
    await admin.type_into(address, OFFICE)
    await admin.page.keyboard.press("Enter")
    await expect(admin.mailbox(OFFICE).locator(".chip").first).to_have_text("Validated")
    await admin.press(again)
    await expect(admin.mailbox(ADMISSIONS)).to_contain_text("this mailbox is outside their scope")
    await admin.allow("User.ReadBasic.All", "Mail.Read", "Mail.Send")
    await admin.press(again)
    await expect(admin.mailbox(ADMISSIONS)).to_contain_text("only Mail.Read is granted, not Mail.ReadWrite")
    await admin.look("read-only")


async def test_a_round_trip_is_followed_and_a_warning_put_off_by_keyboard(admin: Admin) -> None:
    admin.school.sandbox.world.add_user(OWN, "Library")
    await admin.type_into(admin.page.get_by_label("Add a mailbox"), OWN)
    await admin.page.keyboard.press("Enter")
    await expect(admin.mailbox(OWN).locator(".watching .chip")).to_have_text("Live", timeout=PATIENCE_MS)
    await admin.press(admin.page.get_by_role("button", name=f"Try a round trip of {OWN}"))
    await expect(admin.page.get_by_text("The mailbox has written to itself.")).to_be_visible()
    part = admin.mailbox(OWN).locator(".round-trip")
    await expect(part.locator(".chip")).to_have_text("Back in time", timeout=PATIENCE_MS)
    await expect(part.locator("rect.passed")).to_have_count(1)
    await admin.press(part.get_by_text("Its stations"))
    await expect(part.locator(".reached")).to_have_count(7)
    await admin.press(part.get_by_text("Each of them"))
    await expect(part.get_by_role("cell", name="Back in time")).to_be_visible()
    await admin.look("round-trip")
    await admin.page.reload()
    await admin.press(admin.page.get_by_text("Put this off until the next warning"))
    await admin.type_into(admin.page.get_by_label("Why"), "The new secret is ordered.")
    await admin.page.keyboard.press("Enter")
    await expect(admin.page.get_by_text("admin put this warning off until")).to_be_visible()
    await admin.type_into(admin.page.get_by_label("Warn by email"), "it@school.example")
    await admin.tab_to(admin.page.get_by_label("Let each mailbox write to itself every morning"))
    await admin.page.keyboard.press("Space")
    await admin.press(admin.page.locator("#wishes").get_by_role("button", name="Apply"))
    await expect(admin.page.get_by_label("Let each mailbox write")).not_to_be_checked()
    await admin.look("wishes")
