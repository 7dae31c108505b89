"""An admin replaces the secret by a certificate, and limits the app, on a narrow screen, by the page alone."""

from dataclasses import dataclass

from playwright.async_api import Browser, Page, expect

from gateway.demo import Demo
from tests.browser.conftest import PATIENCE_MS, Witness, fixture

WIDTH = 390
HEAD = "headmaster@school.example"


@dataclass
class Admin:
    page: Page
    school: Demo

    async def fits(self) -> bool:
        return bool(await self.page.evaluate(f"document.documentElement.scrollWidth <= {WIDTH}"))


@fixture
async def admin(chromium: Browser, school: Demo, witness: Witness) -> Admin:
    context = await chromium.new_context(viewport={"width": WIDTH, "height": 844})
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    witness.watch(page)
    await page.goto(school.page("/settings"))
    return Admin(page, school)


async def test_from_a_secret_to_a_certificate_and_to_least_privilege(admin: Admin) -> None:
    page, world = admin.page, admin.school.sandbox.world
    app = world.directory.apps[admin.school.school.client_id]
    await page.get_by_text("Replace the credential without a stop").click()
    await page.get_by_label("New client secret").fill("wrong~value-0123456789")
    await page.get_by_role("button", name="Try and use it").first.click()
    await expect(page.get_by_text("Entra does not accept the client secret. (AADSTS7000215)")).to_be_visible()

    await page.get_by_role("button", name="Make a certificate").click()
    await expect(page.get_by_text("The certificate is made.")).to_be_visible()
    assert await admin.fits()
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download the certificate").click()
    file = await (await downloading.value).path()
    world.directory.add_certificate(app, file.read_text())
    await page.get_by_role("button", name="Try it, and use it").click()
    await expect(page.get_by_text("It serves from now on")).to_be_visible()
    await expect(page.locator("#credentials .chip")).to_have_text(["In use", "Stands by"])

    world.add_user(HEAD, "Headmaster")
    await page.get_by_label("A mailbox that the gateway must not open").fill(HEAD)
    await page.get_by_role("button", name="Try it", exact=True).click()
    await expect(page.get_by_text(f"The gateway can open {HEAD}")).to_be_visible()
    await page.get_by_text("Commands: RBAC for Applications").click()
    await expect(page.get_by_text("New-ManagementScope")).to_be_visible()
    assert await admin.fits()
    world.restrict(app, admin.school.school.mailboxes)
    await page.get_by_role("button", name="Try it", exact=True).click()
    await expect(page.get_by_text("Refused, as it must be")).to_be_visible()
    await expect(page.get_by_text(f"The gateway can open {HEAD}")).to_have_count(0)
