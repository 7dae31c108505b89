"""A browser in front of a running gateway, with the school behind it."""

import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Response, async_playwright

from gateway.demo import Demo
from tests.end_to_end.conftest import api_client, running_school

# One browser serves all tests, so all of them, and what they need, run on one event loop.
fixture: Final = partial(pytest_asyncio.fixture, loop_scope="session")

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--test-third-party-cookie-phaseout",  # no cookies of others: what a frame in SELMA's pages must do without
]
PATIENCE_MS = 20_000


@dataclass
class Witness:
    """What went wrong in a page, and where it reached out to. `others` may be asked too."""

    origin: str
    others: Sequence[str] = ()
    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen to a page, and to those that open from it."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._asked)
        page.on("response", self._answered)

    def _heard(self, message: ConsoleMessage) -> None:
        # What a form's answer says by its status is said by `_answered`.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self.errors.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", "data:", *self.others)):
            self.outside.append(request.url)

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status != 422:
            self.errors.append(f"{response.status} {response.url}")


def system_chromium() -> str:
    """Where it is."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path is not None, "These tests need Chromium: see deploy/test."
    return path


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """The tests of this folder share a loop."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """The system's own Chromium. Each visitor has a context in it, which shares nothing with others."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=system_chromium(), args=ARGUMENTS)
        yield browser
        await browser.close()


@fixture
async def school() -> AsyncIterator[Demo]:
    """Gateway and sandbox."""
    async with running_school() as running:
        yield running


@fixture
async def api(school: Demo) -> AsyncIterator[httpx.AsyncClient]:
    """SELMA's client, with a key of all scopes."""
    async with api_client(school) as client:
        yield client


@fixture
async def witness(school: Demo) -> AsyncIterator[Witness]:
    """Whatever the test does: no error in the console, no answer but a good one, no request to anybody else."""
    watching = Witness(origin=school.url)
    yield watching
    assert watching.errors == []
    assert watching.outside == []


@fixture
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A visitor's own cookies."""
    context = await chromium.new_context(viewport={"width": 1200, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context
    await context.close()


@fixture
async def page(context: BrowserContext, witness: Witness) -> Page:
    """A tab of that visitor."""
    page = await context.new_page()
    witness.watch(page)
    return page
