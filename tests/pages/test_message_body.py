"""A message's frame, its pictures and its attachments, as the page's own addresses give them."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

from gateway.graph import Throttled
from gateway.http.pages.sessions import PASS_LIVES
from gateway.threads.attachments import GoneFromMailbox
from storage import api_keys
from storage.api_keys import Scope
from storage.messages import Attachment, BodyType, Placement
from storage.threads import Object, ObjectType
from tests.http.scene import Scene
from tests.pages.desk import TAB, Desk, letter, reply

RICH = (
    "<p style='color:red'>in <b>red</b></p><script>alert(1)</script>"
    "<img src='cid:logo@x' alt=logo><img src='https://outside.example/pixel'>"
)


def file(id: str = "a-1", **changes: Any) -> Attachment:
    fields = {"name": "form.pdf", "content_type": "application/pdf", "size": 9, "is_inline": False, "content_id": None}
    return Attachment(**({"id": id} | fields | changes))


LOGO = file("a-2", name="logo.png", content_type="image/png", is_inline=True, content_id="<logo@x>")


async def received(scene: Scene, **changes: Any) -> str:
    values = {"body": RICH, "body_type": BodyType.HTML, "attachments": (file(), LOGO)} | changes
    message_id = await reply(scene, await letter(scene), **values)
    for one in values["attachments"]:
        scene.attachments.holds[(message_id, one.id)] = (one, [b"some ", b"bytes"])
    return message_id


def frame_of(page: str, message_id: str) -> str:
    return unescape(re.findall(rf'<iframe[^>]* src="([^"]*{message_id}[^"]*)"', page)[-1])


def link_of(page: str, message_id: str) -> str:
    return unescape(re.findall(rf'<a class="file" href="([^"]*{message_id}[^"]*)"', page)[0])


async def test_the_frame_is_fenced_in_twice(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    page = (await desk.open(TAB)).text
    (frame,) = re.findall(rf"<iframe[^>]*{message_id}[^>]*>", page)
    sandbox = 'sandbox="allow-popups allow-popups-to-escape-sandbox allow-same-origin"'
    assert sandbox in frame
    assert 'referrerpolicy="no-referrer"' in frame
    answer = await desk.open(frame_of(page, message_id))
    policy = answer.headers["content-security-policy"]
    assert sandbox.replace('="', " ").rstrip('"') in policy
    assert "default-src 'none'; img-src 'self';" in policy
    assert "script-src" not in policy
    assert "form-action 'none'; frame-ancestors 'self'" in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


async def test_the_frame_has_the_mail_made_safe_with_its_own_pictures(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    body = (await desk.open(frame_of((await desk.open(TAB)).text, message_id))).text
    assert '<p style="color:red">in <b>red</b></p>' in body
    assert "alert" not in body
    assert "outside.example" not in body
    assert "1 picture not loaded" in body
    source = unescape(re.findall(r'<img src="([^"]+)"', body)[0])
    assert source.startswith(f"{TAB}/messages/{message_id}/pictures/a-2?pass=")
    shown = await desk.open(source)
    assert (shown.content, shown.headers["content-type"]) == (b"some bytes", "image/png")
    assert shown.headers["content-disposition"] == "inline"
    assert "sandbox" in shown.headers["content-security-policy"]


async def test_pictures_elsewhere_are_loaded_when_the_reader_asks(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    body = await desk.open(frame_of((await desk.open(TAB)).text, message_id))
    asked = await desk.open(unescape(re.findall(r'<a href="([^"]+)" target="_self">Show pictures', body.text)[0]))
    assert '<img src="https://outside.example/pixel">' in asked.text
    assert "img-src 'self' https:;" in asked.headers["content-security-policy"]
    assert asked.headers["referrer-policy"] == "no-referrer"
    assert "not loaded" not in asked.text


async def test_only_a_picture_is_given_out_as_one(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    base = f"{TAB}/messages/{message_id}"
    assert (await desk.open(f"{base}/pictures/a-1")).status_code == 404
    svg = file("a-3", content_type="image/svg+xml")
    scene.attachments.holds[(message_id, "a-3")] = (svg, [b"<svg/>"])
    assert (await desk.open(f"{base}/pictures/a-3")).status_code == 404
    assert scene.attachments.closed == 2


async def test_an_attachment_is_a_link_that_saves(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    answer = await desk.open(link_of((await desk.open(TAB)).text, message_id))
    assert answer.content == b"some bytes"
    assert answer.headers["content-disposition"] == 'attachment; filename="form.pdf"'


async def test_trouble_with_an_attachment_is_told_on_a_page(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    link = link_of((await desk.open(TAB)).text, message_id)
    scene.attachments.fails = GoneFromMailbox()
    gone = await desk.open(link)
    assert gone.status_code == 404
    assert "no longer has this attachment" in gone.text
    scene.attachments.fails = Throttled(status=429, retry_after=timedelta(seconds=9))
    busy = await desk.open(link)
    assert busy.status_code == 503
    assert "Try again in a moment" in busy.text


async def test_a_pass_opens_its_message_without_a_cookie_and_nothing_else(desk: Desk, scene: Scene) -> None:
    one, other = await received(scene), await received(scene)
    page = (await desk.open(TAB)).text
    address = frame_of(page, other)
    async with scene.client(key="") as nobody:
        assert (await nobody.get(address)).status_code == 200
        assert (await nobody.get(address.replace(other, one))).status_code == 401
        assert (await nobody.get(address.replace("S1001", "S1002"))).status_code == 404
        assert (await nobody.get(TAB)).status_code == 303
        scene.clock.advance(PASS_LIVES)
        late = await nobody.get(address)
    assert late.status_code == 401
    assert "Reload it to read the message" in late.text
    assert "frame-ancestors 'self'" in late.headers["content-security-policy"]
    assert (await desk.open(address)).status_code == 200  # the session is still good


async def test_a_pass_ends_with_its_key(stranger: Desk, scene: Scene) -> None:
    key_id = await stranger.sign_in()
    message_id = await received(scene)
    address = frame_of((await stranger.open(TAB)).text, message_id)
    await scene.store.write(api_keys.revoke, scene.account_id, key_id, now=scene.clock.now())
    async with scene.client(key="") as nobody:
        assert (await nobody.get(address)).status_code == 401


async def test_a_forged_pass_opens_nothing(stranger: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    for forged in ("", "x", "eyJrZXkiOiJ4In0.x"):
        assert (await stranger.open(f"{TAB}/messages/{message_id}/body?pass={forged}")).status_code == 401


async def test_a_key_that_may_not_read_sees_no_message(stranger: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    await stranger.sign_in(Scope.SETTINGS)
    assert (await stranger.open(f"{TAB}/messages/{message_id}/body")).status_code == 403


async def test_what_is_not_on_this_tab_is_not_there(desk: Desk, scene: Scene) -> None:
    other = await letter(scene, objects=(Object(type=ObjectType.STUDENT, id="S2"),))
    dismissed = await received(scene, placement=Placement.DISMISSED)
    for message_id in (other, dismissed, "msg_none"):
        for path in ("body", "attachments/a-1", "pictures/a-1"):
            assert (await desk.open(f"{TAB}/messages/{message_id}/{path}")).status_code == 404


async def test_another_accounts_message_is_not_there(stranger: Desk, scene: Scene) -> None:
    message_id = await received(scene)
    await stranger.sign_in(account_id=await scene.new_account("Other school"))
    assert (await stranger.open(f"{TAB}/messages/{message_id}/body")).status_code == 404


async def test_a_held_mail_can_be_read_by_who_reviews_it(desk: Desk, scene: Scene) -> None:
    message_id = await received(scene, placement=Placement.HELD)
    assert "in <b>red</b>" in (await desk.open(f"{TAB}/messages/{message_id}/body")).text


async def test_files_show_what_they_are(desk: Desk, scene: Scene) -> None:
    files = (
        file("a-1", name="photo \u202egpj.exe", content_type="image/jpeg"),
        file("a-2", name="invoice.pdf.html"),
        file("a-3", name="The plan.docx", kind="reference"),
        file("a-4", name="Fwd: plan", kind="item", content_type=""),
        file("a/5=", name="letter.docx"),
    )
    link = '<a href="https://school.sharepoint.example/x">The plan.docx</a>'
    await received(scene, body=f"<p>{link}</p>", attachments=files)
    page = (await desk.open(TAB)).text
    assert "\u202e" not in page
    assert ">photo gpj.exe</bdi>" in page
    assert page.count(">Can run</span>") == 2
    assert 'href="https://school.sharepoint.example/x" target="_blank" rel="noopener noreferrer"' in page
    assert "In the cloud, at school.sharepoint.example" in page
    assert "Attached message" in page
    assert "/attachments/a%2F5%3D?pass=" in page
    assert "Word document" in page
