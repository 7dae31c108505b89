"""A person at a desk: a browser without script in front of a gateway, and the mail that comes in."""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx

from gateway.http.pages import ticket_url
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from storage import Transaction, api_keys, events, messages, threads
from storage.api_keys import Scope
from storage.ids import new_id
from storage.messages import BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address, Object, ObjectType
from tests.http.scene import MAILBOX, Scene

AROHA = Address(name="Aroha Ngata", address="aroha@student.example")
STUDENT = Object(type=ObjectType.STUDENT, id="S1001")
TAB = "/objects/student/S1001/events"
TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


@dataclass
class Desk:
    """`browser` keeps cookies and follows no redirect by itself."""

    scene: Scene
    browser: httpx.AsyncClient
    page: httpx.Response = field(init=False)

    @property
    def text(self) -> str:
        """What stands on the page, markup and all."""
        return self.page.text

    async def open(self, path: str) -> httpx.Response:
        """Go there, wherever it leads."""
        self.page = await self.browser.get(path, follow_redirects=True)
        return self.page

    async def send(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> httpx.Response:
        """Send a form of the page at hand, as a browser would, and go where that leads."""
        found = TOKEN.search(self.page.text)
        token = {"form_token": unescape(found[1])} if found else {}
        sent = {"origin": "http://gateway.test", "sec-fetch-site": "same-origin"} | (headers or {})
        answer = await self.browser.post(path, data=token | fields, headers=sent)
        self.page = answer
        if answer.is_redirect:
            self.page = await self.browser.get(urljoin(path, answer.headers["location"]), follow_redirects=True)
        return answer

    async def send_blind(self, path: str, **fields: str) -> httpx.Response:
        """Send a form that no page of ours gave."""
        return await self.browser.post(path, data=fields)

    async def sign_in(self, *scopes: Scope, account_id: str | None = None) -> str:
        """With a new key of these scopes, by default of all; its id."""
        value = await self.scene.new_key(*(scopes or tuple(Scope)), account_id=account_id)
        key = await self.scene.store.read(api_keys.find, value)
        assert key is not None
        path = ticket_url(self.scene.services.session_key, key.id, next="/objects", now=self.scene.clock.now())
        self.page = await self.browser.get(path)
        assert self.page.status_code == 303
        return key.id


async def letter(scene: Scene, *, account_id: str | None = None, **changes: Any) -> str:
    """Post a letter to Aroha, a second after whatever came before; its message id."""
    scene.clock.advance(timedelta(seconds=1))
    values: dict[str, Any] = {
        "sender": MAILBOX,
        "to": (AROHA,),
        "subject": "Your enrolment",
        "body_type": BodyType.HTML,
        "body": "<p>Kia ora</p>",
        "objects": (STUDENT,),
        "created_by": "Jane Doe",
    }
    new = NewLetter(**(values | changes))
    whose = account_id or scene.account_id
    taken = await scene.store.write(accept, whose, new, idempotency_key=None, now=scene.clock.now())
    return taken.message_id


async def reply(scene: Scene, answered: str, **changes: Any) -> str:
    """Mail comes in, in the thread of `answered`; its message id."""
    scene.clock.advance(timedelta(seconds=1))
    return await scene.store.write(_reply, scene, answered, changes)


async def thread_of(scene: Scene, message_id: str) -> str:
    """The id of the thread that a message stands in."""
    message = await scene.store.read(messages.get, scene.account_id, message_id)
    return message.thread_id


def _reply(tx: Transaction, scene: Scene, answered: str, changes: dict[str, Any]) -> str:
    letter, now = messages.get(tx, scene.account_id, answered), scene.clock.now()
    values: dict[str, Any] = {
        "id": new_id("msg", now),
        "account_id": scene.account_id,
        "mailbox_id": letter.mailbox_id,
        "thread_id": letter.thread_id,
        "direction": Direction.IN,
        "kind": Kind.MAIL,
        "placement": Placement.PLACED,
        "graph_id": None,
        "conversation_id": None,
        "internet_message_id": None,
        "subject": "Re: Your enrolment",
        "sender": AROHA,
        "recipients": Recipients(to=(Address(name=None, address=MAILBOX),)),
        "body_type": BodyType.TEXT,
        "body": "Thank you",
        "preview": "Thank you",
        "attachments": (),
        "evidence": None,
        "created_by": None,
        "message_at": now,
        "created_at": now,
    }
    message = Message(**(values | changes))
    messages.insert(tx, message)
    threads.summarise(tx, message.thread_id)
    events.record(tx, scene.account_id, "reply.received", thread_id=message.thread_id, message_id=message.id, now=now)
    return message.id
