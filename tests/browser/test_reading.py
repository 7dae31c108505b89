"""One message, as staff read it: the new part, the whole in its frame, pictures, attachments; usable by everybody."""

import asyncio
import base64
from datetime import UTC, datetime

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Download, Page, Route, expect

from gateway.demo import Demo
from gateway.sandbox.correspondents import Correspondent
from gateway.sandbox.model import Attachment
from storage import Transaction, outbox
from tests.browser.conftest import PATIENCE_MS, Witness, fixture
from tests.browser.posting import post, tab
from tests.end_to_end.conftest import until

DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC"
PNG = base64.b64decode(DOT)
# What can be asked of a part of a page; that a page has a heading and landmarks is looked for in the page.
OF_PARTS = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
LETTER = (
    "<table width=600 bgcolor='#003344'><tr><td><font color=white>Tasman College</font></td></tr></table>"
    "<p style='color:#a00'>Please bring:</p><ul><li>your passport</li><li><b>the form</b></li></ul>"
    "<p><img src='cid:dot@school' alt='a dot' width=40 height=40>"
    "<img src='https://outside.example/p.png' alt='far'></p>"
    "<p>See <a href='https://school.example/'>our page</a>.</p>"
)
ATTACHED = [
    {"name": "dot.png", "content_type": "image/png", "content": DOT, "content_id": "dot@school"},
    {"name": "Ngā mihi.pdf", "content_type": "application/pdf", "content": "JVBERi0xLjc="},
]
REPLY = (
    "<p>Ka pai, I will come. See https://school.example/form</p>"
    '<hr style="display:inline-block;width:98%" tabindex="-1">'
    "<div><b>From:</b> Admissions<br><b>Sent:</b> Monday<br><b>Subject:</b> Your enrolment</div><p>the old letter</p>"
)


@fixture
async def conversation(school: Demo, api: httpx.AsyncClient) -> str:
    """A letter with a picture and a file, and an answer with files of all kinds; the address of the tab."""
    student, box = school.school.students[0], school.school.mailboxes[0]
    school.sandbox.world.correspondents.add(Correspondent(address=student.address, name=student.name, is_silent=True))
    await post(school, api, student, html=LETTER, attachments=ATTACHED)
    await until(school, lambda tx: outbox.counts(tx, school.key.account_id).get("sent") == 1)
    (sent,) = school.sandbox.world.ledger
    school.sandbox.world.deliver(
        box,
        from_=student.address,
        subject="Re: Your enrolment",
        html=REPLY,
        in_reply_to=sent.internet_message_id,
        attachments=[
            of_kind("file", "passport.pdf", b"%PDF-1.7 " * 50_000),
            of_kind("file", "photo \u202egpj.exe", b"MZ"),
            of_kind("item", "Fwd: the plan", b"Received: from x\r\n\r\nhello"),
            of_kind("reference", "The plan.docx", b""),
        ],
    )
    await until(school, lambda tx: _messages(tx) == 2)
    return tab(school, student)


def of_kind(kind: str, name: str, content: bytes) -> Attachment:
    return Attachment(
        id=f"{kind}-{len(name)}",
        name=name,
        content_type="application/octet-stream",
        content=content,
        kind=kind,
        last_modified_date_time=datetime(2026, 3, 2, tzinfo=UTC),
    )


def _messages(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM messages").fetchone()[0])


async def fit(page: Page) -> list[bool]:
    """Of every frame in sight whether all that is in it can be seen, once they are all there."""
    here = "one => !one.checkVisibility() || one.style.height"
    await page.wait_for_function(f"() => [...document.querySelectorAll('iframe')].every({here})", timeout=PATIENCE_MS)
    shown = "[...document.querySelectorAll('iframe')].filter(one => one.checkVisibility())"
    found: list[bool] = await page.evaluate(
        f"{shown}.map(one => one.offsetHeight >= one.contentDocument.documentElement.scrollHeight)"
    )
    return found


async def test_a_letter_and_its_answer_are_read_with_pictures_and_files(
    page: Page, school: Demo, witness: Witness, conversation: str
) -> None:
    asked: list[dict[str, str]] = []

    async def outside(route: Route) -> None:
        asked.append(await route.request.all_headers())
        await route.fulfill(body=PNG, content_type="image/png")

    await page.route("https://outside.example/**", outside)
    await page.goto(conversation)
    letter, reply = page.locator(".message.out"), page.locator(".message.in")
    await expect(letter).to_be_visible()
    frame = letter.frame_locator("iframe")
    await expect(frame.get_by_text("Please bring:")).to_have_css("color", "rgb(170, 0, 0)")
    await expect(frame.get_by_role("img", name="a dot")).to_have_js_property("naturalWidth", 1)
    await expect(frame.get_by_text("1 picture not loaded")).to_be_visible()
    assert await fit(page) == [True]
    assert (asked, witness.outside) == ([], [])

    await frame.get_by_role("link", name="Show pictures").click()
    await expect(frame.get_by_role("img", name="far")).to_have_js_property("naturalWidth", 1)
    assert len(asked) == 1
    assert not {"referer", "cookie"} & asked[0].keys()
    witness.outside.clear()

    await expect(reply.locator(".mail")).to_have_text("Ka pai, I will come. See https://school.example/form")
    assert await page.get_by_text("the old letter").count() == 0
    await reply.get_by_text("Show the whole message").click()
    await expect(reply.frame_locator("iframe").get_by_text("the old letter")).to_be_visible()
    assert await fit(page) == [True, True]

    downloads: asyncio.Queue[Download] = asyncio.Queue()
    page.on("download", lambda one: downloads.put_nowait(one))  # the tab that was to open closes before it is one
    assert await saved(page, downloads, "passport.pdf") == ("passport.pdf", b"%PDF-1.7 " * 50_000)
    assert await saved(page, downloads, "Ngā mihi.pdf") == ("Ngā mihi.pdf", b"%PDF-1.7")
    assert (await saved(page, downloads, "Fwd_ the plan"))[0] == "Fwd_ the plan.eml"
    await expect(reply.locator("li").filter(has_text="photo gpj.exe").get_by_text("Can run")).to_be_visible()
    await expect(reply.locator("li").filter(has_text="The plan.docx").get_by_text("In the cloud")).to_be_visible()
    forgive_looking_in(witness)


def forgive_looking_in(witness: Witness) -> None:
    """To look into a frame, playwright runs a script in it, which is blocked as any other is."""
    witness.errors[:] = [one for one in witness.errors if not one.startswith("Blocked script execution")]


async def saved(page: Page, downloads: asyncio.Queue[Download], name: str) -> tuple[str, bytes]:
    """What the browser saves when somebody follows the link."""
    await page.get_by_role("link", name=name, exact=True).click()
    async with asyncio.timeout(PATIENCE_MS / 1000):
        download = await downloads.get()
    return download.suggested_filename, (await download.path()).read_bytes()


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (390, "dark")])
async def test_everybody_can_use_it(
    chromium: Browser, school: Demo, witness: Witness, conversation: str, width: int, scheme: str
) -> None:
    context = await chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = await context.new_page()
    witness.watch(page)
    await page.goto(conversation)
    await page.locator(".message.in").get_by_text("Show the whole message").click()
    await fit(page)
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    axe = Axe()
    found = await axe.run(page, options={"iframes": False})
    assert found.response["violations"] == []
    sources = await page.evaluate("[...document.querySelectorAll('iframe')].map(one => one.src)")
    bare = await context.new_page()  # no script of axe runs in a frame: what is in it is looked at outside
    for source in sources:
        await bare.set_content(await (await context.request.get(source)).text())
        assert (await axe.run(bare, options=OF_PARTS)).response["violations"] == []
    await context.close()


async def test_a_page_with_a_huge_mail_is_there_at_once(page: Page, school: Demo, api: httpx.AsyncClient) -> None:
    student = school.school.students[1]
    await post(school, api, student, html=f"<p>{'Kia ora. ' * 370_000}</p>", send_at="2099-01-01T00:00:00Z")
    await page.goto(tab(school, student))
    await expect(page.locator(".message .mail")).to_contain_text("Kia ora.")
    assert len(await page.content()) < 50_000
    await page.get_by_text("Show the whole message").click()
    await fit(page)
    assert await page.evaluate("document.querySelector('iframe').contentDocument.body.textContent.length") > 3_000_000
