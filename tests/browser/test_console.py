"""The console: each stream is brought to a stop, read on the page, and set going again by its button.

The page is watched at work: it is loaded once for each button, and follows what comes of it by itself.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Locator, Page, expect

from gateway.demo import Demo
from gateway.host.webhooks import test as attempt
from gateway.sandbox.faults import Fault
from gateway.sending.accept import accept
from storage import Transaction, accounts, folders, mailboxes, outbox, subscriptions
from storage.accounts import TokenState
from storage.folders import Folder, WellKnown
from tests.browser.conftest import PATIENCE_MS, Witness, fixture
from tests.browser.test_letters_page import a_letter, undecided, walk_to
from tests.end_to_end.conftest import running_school

PICTURES = os.environ.get("SELMA_PICTURES")  # a folder: then the test leaves what it saw
PAGE = "/settings/console"
A_LOOK_MS = 5000


@fixture
async def school() -> AsyncIterator[Demo]:
    """Its SELMA takes events on this machine, once it is there."""
    async with running_school(webhook_networks=(ip_network("127.0.0.0/8"),)) as running:
        yield running


class Operator:
    """Somebody in front of the page, and what goes on behind it."""

    def __init__(self, page: Page, school: Demo) -> None:
        self.page, self.school, self.account_id = page, school, school.key.account_id
        self.address = school.school.mailboxes[0]

    async def open(self) -> None:
        await self.page.clock.install()
        await self.page.goto(self.school.page(PAGE))

    def stream(self, name: str) -> Locator:
        return self.page.locator(f"#{name}")

    async def sees(self, name: str, word: str, sentence: str) -> None:
        """As soon as the page has looked often enough; each look is the page's own."""
        wanted = self.stream(name).filter(has=self.page.locator(".chip", has_text=word)).filter(has_text=sentence)
        try:
            async with asyncio.timeout(PATIENCE_MS / 1000):
                while not await wanted.count():
                    await self.page_looks()
        except TimeoutError:
            await expect(self.stream(name)).to_contain_text(sentence)
            await expect(self.stream(name).locator(".chip")).to_have_text(word)

    async def page_looks(self) -> None:
        """Its time goes on until it has asked, and was answered."""
        async with self.page.expect_response("**/streams"):
            await self.page.clock.run_for(A_LOOK_MS)

    async def press(self, name: str, label: str, said: str) -> None:
        await self.stream(name).get_by_role("button", name=label).first.click()
        await expect(self.page.locator(".said")).to_contain_text(said)

    def fails(self, match: str, status: int, code: str) -> None:
        self.school.sandbox.faults.add(Fault(match=match, status=status, code=code, times=None))

    def mend(self) -> None:
        self.school.sandbox.faults.clear()

    def inbox(self, tx: Transaction) -> Folder:
        mailbox = mailboxes.get_by_address(tx, self.account_id, self.address)
        return next(one for one in folders.of_mailbox(tx, mailbox.id) if one.well_known is WellKnown.INBOX)

    async def look(self, name: str) -> None:
        found = await Axe().run(self.page)
        assert found.violations_count == 0, found.generate_report()
        if PICTURES:
            await self.page.screenshot(path=Path(PICTURES) / f"console-{name}.png", full_page=True)


@fixture
async def operator(page: Page, school: Demo) -> Operator:
    return Operator(page, school)


async def test_each_stream_that_is_stuck_is_read_helped_and_seen_to_flow(
    operator: Operator, chromium: Browser, witness: Witness
) -> None:
    await operator.open()
    await expect(operator.page.get_by_role("status").first).to_contain_text("Nothing is stuck")
    await operator.look("calm")
    await _letters(operator)
    await _mail(operator)
    await _notifications(operator)
    await _events(operator)
    await _completeness(operator)
    await _credential_and_round_trip(operator)
    await operator.page.clock.run_for(A_LOOK_MS)
    await expect(operator.page.locator(".overall")).to_have_text(
        "Nothing is stuck: everything that is in use is flowing."
    )
    await _with_a_phone_in_the_dark(operator, chromium, witness)


async def _letters(operator: Operator) -> None:
    """The mailbox has lost its licence, and gets it back."""
    operator.fails(r"^POST .*/messages$", 404, "MailboxNotEnabledForRESTAPI")
    store = operator.school.gateway.store
    new = a_letter(operator.school, "Your enrolment")
    now = operator.school.gateway.clock.now()
    taken = await store.write(accept, operator.account_id, new, idempotency_key=None, now=now)

    await operator.sees("letters", "Stuck", f"{operator.address} is paused. Microsoft 365 cannot serve this mailbox")
    operator.mend()
    await operator.press("letters", "Try again now", "Resumed")
    await operator.sees("letters", "Flowing", "No letter waits.")
    assert (await store.read(outbox.get, operator.account_id, taken.message_id)).submits == 1


async def _mail(operator: Operator) -> None:
    """The Inbox cannot be read: once is a hiccup, three times is not."""
    operator.fails(r"^GET .*/delta", 404, "ErrorItemNotFound")
    gateway = operator.school.gateway
    await gateway.store.write(folders.pull_soon, await _inbox_id(operator), gateway.clock.now())
    trouble = f"{operator.address}: Microsoft 365 does not find this mailbox."
    await operator.sees("replies", "Look at this", trouble)
    while "Stuck" not in await operator.stream("replies").inner_text():
        await operator.press("replies", "Read it now", "The mailbox is being read.")
        await operator.page_looks()
    await operator.sees("replies", "Stuck", trouble)
    operator.mend()
    await operator.press("replies", "Read it now", "The mailbox is being read.")
    await operator.sees("replies", "Flowing", "New mail is taken in as it comes.")


async def _inbox_id(operator: Operator) -> str:
    return (await operator.school.gateway.store.read(operator.inbox)).id


async def _notifications(operator: Operator) -> None:
    """Microsoft 365 removes a subscription and gives no other."""
    folder_id = await _inbox_id(operator)

    operator.fails(r"^POST .*/subscriptions$", 403, "ExtensionError")
    live = await operator.school.gateway.store.read(subscriptions.current_of_folder, folder_id)
    assert live is not None
    assert live.subscription_id is not None
    operator.school.sandbox.revoke_subscription(live.subscription_id)
    await operator.sees("watching", "Look at this", "notifications are being set up")
    await operator.press("watching", "Repair", "The subscriptions are compared")
    await operator.sees("watching", "Stuck", "Until that is mended, mail is found by looking every 10 minutes.")
    operator.mend()
    await operator.press("watching", "Repair", "The subscriptions are compared")
    await operator.sees("watching", "Flowing", "subscriptions live")


async def _events(operator: Operator) -> None:
    """SELMA says that its webhook is gone, and it is there again."""
    answers = [b"410 Gone"]

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split()[0]))
        writer.write(b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % answers[-1])
        await writer.drain()
        writer.close()

    gateway = operator.school.gateway
    async with await asyncio.start_server(receive, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}/"
        made = await gateway.webhooks.add(operator.account_id, url=url, description="SELMA", types=["batch.finished"])
        await gateway.store.write(attempt, operator.account_id, made.webhook.id, now=gateway.clock.now())
        await operator.sees("events", "Stuck", "SELMA said that it is gone")
        answers.append(b"204 No Content")
        await operator.press("events", "Deliver again now", "What waits is being delivered.")
        await operator.sees("events", "Flowing", "SELMA takes events as they happen.")


async def _completeness(operator: Operator) -> None:
    """A check breaks off, and the next goes through."""

    operator.fails(r"^GET .*/messages\b", 403, "ErrorAccessDenied")
    await operator.press("completeness", "Check now", "The mailboxes are compared")
    await operator.sees("completeness", "Stuck", "could not be compared")
    operator.mend()
    await operator.press("completeness", "Check now", "The mailboxes are compared")
    await operator.sees("completeness", "Flowing", "Nothing was missing")


async def _credential_and_round_trip(operator: Operator) -> None:
    """Entra refuses the credential, and is asked again; then the mailbox writes to itself, by keyboard."""
    refused = {"code": "secret_expired", "explanation": "The client secret has expired.", "cure": "Add a new one."}
    gateway = operator.school.gateway
    now = gateway.clock.now()
    await gateway.store.write(accounts.record_token, operator.account_id, TokenState.REFUSED, problem=refused, now=now)
    await operator.sees("credential", "Stuck", "The client secret has expired. Add a new one.")
    await operator.press("credential", "Check the connection", "The connection is well.")
    await operator.sees("credential", "Flowing", "The client secret expires on")
    await walk_to(operator.page, "Start one")
    await operator.page.keyboard.press("Enter")
    await expect(operator.page.locator(".said")).to_contain_text("The mailbox has written to itself")
    await operator.sees("round_trips", "Flowing", "came back")


async def _with_a_phone_in_the_dark(at_the_desk: Operator, chromium: Browser, witness: Witness) -> None:
    """The page leaves alone what is about to be pressed, and says so when it is not answered."""
    context = await chromium.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)
    operator = Operator(await context.new_page(), at_the_desk.school)
    page = operator.page
    witness.watch(page)
    await operator.open()
    link = operator.stream("letters").get_by_role("link", name="Letters")
    await link.focus()
    await undecided(operator.school, "Averyverylongsubject" * 12)
    await operator.page_looks()
    await expect(page.locator(".overall")).to_contain_text("Stuck: Letters out.")
    await expect(link).to_be_focused()
    await expect(operator.stream("letters").locator(".chip")).to_have_text("Flowing")
    await link.evaluate("element => element.blur()")
    await operator.sees("letters", "Stuck", "1 letter needs a decision")
    assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await operator.look("phone")
    await page.route("**/streams", lambda route: route.abort())
    await page.clock.run_for(A_LOOK_MS)
    await expect(page.get_by_text("The gateway does not answer now")).to_be_visible()
    await page.unroute("**/streams")
    await operator.page_looks()
    await expect(page.get_by_text("The gateway does not answer now")).to_be_hidden()
    await operator.stream("letters").get_by_role("link", name="Decide").click()
    await expect(page.get_by_role("heading", name="Needs a decision")).to_be_visible()
    await context.close()
