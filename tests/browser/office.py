"""An office at work: one school and SELMA's own pages around ours, kept for all tests of a module.

Each test writes to a pupil of its own, so that none sees another's mail.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from html import escape
from typing import Any

import httpx
from playwright.async_api import Browser, BrowserContext, Page
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from gateway.demo import Demo
from gateway.sandbox.correspondents import Correspondent
from gateway.sending.reasons import problem
from gateway.sending.record import write_down
from gateway.serving import listen, server_for
from storage import Transaction, accounts, api_keys, outbox
from storage.api_keys import Scope
from tests.browser.conftest import PATIENCE_MS, Witness
from tests.end_to_end.conftest import api_client, running_school, until

NUMBERS = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pupil:
    """Somebody the school writes to, known to this test alone."""

    id: str
    name: str
    address: str

    @property
    def tab(self) -> str:
        """The path of the pupil's Events tab."""
        return f"/objects/student/{self.id}/events"


@dataclass
class Office:
    """`selma` and `stranger` are the origins of two sites that put our page into a frame; only the first may."""

    school: Demo
    api: httpx.AsyncClient
    browser: Browser
    selma: str
    stranger: str
    witnesses: list[Witness] = field(default_factory=list)

    def pupil(self, *says: str, name: str = "Hana Rewi", **habits: Any) -> Pupil:
        """A new one, who answers with these words, the last of them ever again; without any, never."""
        number = next(NUMBERS)
        address = f"pupil{number}@student.example"
        person = Correspondent(address=address, name=name, says=says or ("-",), is_silent=not says, **habits)
        self.school.sandbox.world.correspondents.add(person)
        return Pupil(id=f"P{number}", name=name, address=address)

    async def write_to(self, pupil: Pupil, **changes: Any) -> dict[str, Any]:
        """SELMA posts a letter to a pupil; what it got in answer."""
        letter = {
            "from": self.school.school.mailboxes[0],
            "to": [{"name": pupil.name, "address": pupil.address}],
            "subject": "Your enrolment",
            "html": "<p>Kia ora</p>",
            "objects": [{"type": "student", "id": pupil.id}],
            "created_by": "Jane Doe",
        } | changes
        answer = await self.api.post(
            "/v1/messages", json=letter, headers={"idempotency-key": f"office-{next(NUMBERS)}"}
        )
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def corresponded(self, pupil: Pupil, **changes: Any) -> dict[str, Any]:
        """A letter to a pupil, sent and answered."""
        accepted = await self.write_to(pupil, **changes)
        await self.until(lambda tx: _messages_in(tx, accepted["thread_id"]) == 2)
        return accepted

    async def until(self, holds: Callable[[Transaction], bool]) -> None:
        """Wait until a question to the store is answered with yes."""
        await until(self.school, holds)

    async def new_key(self, *scopes: Scope) -> tuple[str, str]:
        """Another API key of the school: its id and its value."""
        value = api_keys.new_value()
        key = await self.school.gateway.store.write(
            api_keys.create,
            self.school.key.account_id,
            name="another",
            scopes=frozenset(scopes),
            value=value,
            now=self.school.gateway.clock.now(),
        )
        return key.id, value

    async def revoke(self, key_id: str) -> None:
        """From now on the key is refused."""
        now = self.school.gateway.clock.now()
        await self.school.gateway.store.write(api_keys.revoke, self.school.key.account_id, key_id, now=now)

    async def link(self, pupil: Pupil, *, key: str | None = None, **changes: Any) -> str:
        """An embed link to a pupil's tab, by default made with a key that may do all."""
        body = {"object": {"type": "student", "id": pupil.id}, "staff": "Jane Doe", "can_reply": True} | changes
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        answer = await self.api.post("/v1/embed-links", json=body, headers=headers)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["url"])

    async def hold_the_post(self) -> None:
        """Let no letter leave."""
        far = self.school.gateway.clock.now().replace(year=2100)
        await self.school.gateway.store.write(accounts.pause_outbox, self.school.key.account_id, far)

    async def release_the_post(self) -> None:
        """Let letters leave again."""
        await self.school.gateway.store.write(accounts.resume_outbox, self.school.key.account_id)

    async def fail(self, message_id: str) -> None:
        """A letter that waits turns out to be one that cannot be sent."""

        def refuse(tx: Transaction) -> None:
            now, letter = self.school.gateway.clock.now(), outbox.get(tx, self.school.key.account_id, message_id)
            failed = replace(letter, state="failed", problem=problem("recipients"), next_attempt_at=None)
            write_down(tx, letter, failed, now)

        await self.school.gateway.store.write(refuse)

    @asynccontextmanager
    async def visitor(self, **options: Any) -> AsyncIterator[BrowserContext]:
        """Somebody with cookies of their own."""
        context = await self.browser.new_context(**({"viewport": {"width": 1200, "height": 900}} | options))
        context.set_default_timeout(PATIENCE_MS)
        yield context
        await context.close()

    def watch(self, page: Page, *others: str) -> Page:
        """Whatever goes wrong in the page fails the test, and so does a request to anybody but us and `others`."""
        witness = Witness(origin=self.school.url, others=others)
        witness.watch(page)
        self.witnesses.append(witness)
        return page

    async def signed_in(self, context: BrowserContext, pupil: Pupil, staff: str | None = None) -> Page:
        """A tab of somebody who is signed in, on a pupil's Events page."""
        page = self.watch(await context.new_page())
        await page.goto(self.school.page(pupil.tab))
        if staff is not None:
            await page.get_by_label("Your name").first.fill(staff)
            await page.get_by_role("button", name="Save").click()
        return page


def _messages_in(tx: Transaction, thread_id: str) -> int:
    row = tx.execute("SELECT message_count FROM threads WHERE id = :id", {"id": thread_id}).fetchone()
    return int(row[0])


async def _frame(request: Request) -> HTMLResponse:
    """A page of SELMA's, with ours in a frame."""
    source = escape(request.query_params["src"])
    style = "body{margin:0}iframe{border:0;width:100%;height:95vh}"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>SELMA</title><style>{style}</style><main><h1>SELMA</h1>'
        f'<iframe title="Events" src="{source}"></iframe></main>'
    )


@asynccontextmanager
async def open_office(browser: Browser) -> AsyncIterator[Office]:
    """The school, and two sites of others."""
    sites = Starlette(routes=[Route("/", _frame)])
    with listen("127.0.0.1", 0) as selma, listen("127.0.0.1", 0) as stranger:
        # By another name than the gateway's 127.0.0.1, so that the browser takes them for another site.
        origins = [f"http://localhost:{listener.getsockname()[1]}" for listener in (selma, stranger)]
        server = server_for(sites)
        async with (
            running_school(embed_hosts=(origins[0],)) as school,
            api_client(school) as api,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(server.serve(sockets=[selma, stranger]))
            yield Office(school=school, api=api, browser=browser, selma=origins[0], stranger=origins[1])
            server.should_exit = True
