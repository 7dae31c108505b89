"""Hostile mail on the real page: many messages in a thread, all opened, with a witness to whatever happens."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from playwright.async_api import BrowserContext, Dialog, Frame, Page, Request

from gateway.demo import Demo
from storage import Transaction, mailboxes, messages, threads
from storage.ids import new_id
from storage.messages import Attachment, BodyType, Direction, Kind, Message, Placement, Recipients
from storage.threads import Address, Object, ObjectType

FRAMES_MS: Final = 120_000

# Opens whatever is folded, and asks for every frame at once instead of when it is scrolled to.
OPEN_ALL: Final = """() => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  for (const one of document.querySelectorAll("iframe")) one.loading = "eager";
}"""
ALL_HERE: Final = """() => [...document.querySelectorAll("iframe")].every(one =>
  one.contentDocument && one.contentDocument.URL !== "about:blank" && one.contentDocument.readyState === "complete")"""
# A reader's mouse and keyboard on everything that is there, and what could run or lead away.
TOUCH: Final = """() => {
  const pages = [...document.querySelectorAll("iframe")].map(one => one.contentDocument);
  const inside = pages.flatMap(one => [...one.querySelectorAll("body *")]);
  const every = [...inside, ...document.querySelectorAll(".thread *")];
  const bad = [];
  for (const one of every) {
    for (const type of ["pointerenter", "mouseover", "mouseenter", "mousemove", "focus", "focusin", "wheel", "toggle"])
      one.dispatchEvent(new Event(type, {bubbles: true}));
    for (const {name, value} of one.attributes) {
      const leads = ["href", "src", "action", "formaction", "xlink:href", "srcdoc", "data"].includes(name);
      if (/^on/i.test(name) || leads && !/^(https?:|mailto:|tel:|[/])/i.test(value)) bad.push(`${name}=${value}`);
    }
  }
  const never = ["script", "style", "form", "input", "button", "object", "embed", "base", "meta", "link", "math"];
  never.push("template", "video", "audio", "frameset", "frame", "dialog");
  for (const one of pages.flatMap(one => [...one.querySelectorAll([...never, "svg", "iframe"].join())]))
    if (!one.closest("head")) bad.push(one.outerHTML);
  // The page's own form, one to each message: what mail brings stands in frames and in .mail, never there.
  const own = "details > .why > form[action='/reviews/unlink']";
  for (const one of document.querySelectorAll(`.message :is(${never.join()})`))
    if (!one.closest(own)) bad.push(one.outerHTML);
  return {frames: pages.length, bad: bad.slice(0, 20), title: document.title};
}"""


@dataclass
class Happened:
    """What no mail may bring about."""

    origin: str
    dialogs: list[str] = field(default_factory=list)
    navigations: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)
    markup: list[str] = field(default_factory=list)
    frames: int = 0

    @property
    def nothing(self) -> bool:
        """Whether none of it came about."""
        return not (self.dialogs or self.navigations or self.outside or self.markup)

    def watch(self, context: BrowserContext, page: Page) -> None:
        """From now on."""
        context.on("page", lambda popup: self.navigations.append(f"a new page: {popup.url}"))
        context.on("request", self._asked)
        context.on("dialog", self._spoken)
        page.on("framenavigated", self._moved)

    async def _spoken(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        await dialog.dismiss()

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.origin + "/", "data:")):
            self.outside.append(request.url)

    def _moved(self, frame: Frame) -> None:
        is_own = frame.url.startswith(f"{self.origin}/objects/student/")
        if frame.url != "about:blank" and not (is_own and (frame.parent_frame is None or "/body?" in frame.url)):
            self.navigations.append(frame.url)


async def shown(school: Demo, page: Page, happened: Happened, student: str, payloads: Sequence[str]) -> None:
    """One thread with a message for each payload: in its body, its new part, its subject, and all names."""
    now = school.gateway.clock.now()
    thread_id = await school.gateway.store.write(_thread, school.key.account_id, student, payloads, now=now)
    await page.goto(school.page(f"/objects/student/{student}/events/threads/{thread_id}"))
    title = await page.title()
    await page.evaluate(OPEN_ALL)
    await page.wait_for_function(ALL_HERE, timeout=FRAMES_MS)
    found: dict[str, Any] = await page.evaluate(TOUCH)
    happened.frames += found["frames"]
    happened.markup += found["bad"]
    if found["title"] != title:
        happened.markup.append(f"the title became {found['title']}")


def _thread(tx: Transaction, account_id: str, student: str, payloads: Sequence[str], *, now: datetime) -> str:
    mailbox = mailboxes.list_mailboxes(tx, account_id)[0]
    thread_id = threads.create(tx, account_id, mailbox.id, subject=payloads[0], now=now)
    threads.link(tx, account_id, thread_id, [Object(type=ObjectType.STUDENT, id=student)])
    for payload in payloads:
        messages.insert(tx, _message(account_id, mailbox.id, thread_id, payload, now))
    threads.summarise(tx, thread_id)
    return thread_id


def _message(account_id: str, mailbox_id: str, thread_id: str, payload: str, now: datetime) -> Message:
    person = Address(name=payload, address=payload)
    file = Attachment(
        id=payload or "x", name=payload, content_type=payload, size=5, is_inline=False, content_id=payload
    )
    return Message(
        id=new_id("msg", now),
        account_id=account_id,
        mailbox_id=mailbox_id,
        thread_id=thread_id,
        direction=Direction.IN,
        kind=Kind.MAIL,
        placement=Placement.PLACED,
        graph_id=None,
        conversation_id=None,
        internet_message_id=None,
        subject=payload,
        sender=person,
        recipients=Recipients(to=(person,)),
        body_type=BodyType.HTML,
        body=f"<p>before</p>{payload}<p>after</p>",
        preview=payload,
        attachments=(file,),
        evidence=None,
        created_by=payload,
        message_at=now,
        created_at=now,
        new_text="something else",
        new_html=payload,
    )
