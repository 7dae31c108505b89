"""Answering from the page of a thread, by somebody without script; and what our script is told instead."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from storage import Transaction, feeds, mailboxes, messages, outbox
from storage.api_keys import Scope
from storage.mailboxes import MailboxState
from storage.messages import Direction
from storage.threads import Address
from tests.http.scene import MAILBOX, Scene
from tests.pages.desk import AROHA, TAB, Desk, letter, reply, thread_of

SCRIPT = {"accept": "application/json"}


async def a_conversation(scene: Scene) -> str:
    """A letter and an answer to it, which can be answered; the thread's id."""
    sent = await letter(scene)
    await reply(scene, sent, graph_id="AAMk2")
    return await thread_of(scene, sent)


def written_in(page: str) -> dict[str, str]:
    """The hidden fields of the reply's form, as a browser would send them back."""
    form = page.split('class="reply"')[1].split("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'name="(key|original)" value="([^"]*)"', form)}


async def answer(desk: Desk, thread: str, text: str, headers: dict[str, str] | None = None, **fields: str) -> Any:
    return await desk.send(
        f"{TAB}/threads/{thread}/replies",
        headers,
        **{"staff": "Jane Doe", **written_in(desk.text), "text": text, **fields},
    )


async def letters_out(scene: Scene, thread: str) -> list[messages.Message]:
    found = await scene.store.read(feeds.of_thread, thread)
    return [one for one in found if one.direction is Direction.OUT][1:]


async def test_a_reply_is_in_the_outbox_when_the_page_comes_back(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    said = await answer(desk, thread, "Kia ora Aroha,\n\nsee you <b>there</b>: https://school.example/map")
    [sent] = await letters_out(scene, thread)
    assert said.headers["location"] == f"{TAB}/threads/{thread}#{sent.id}"
    assert (sent.created_by, sent.recipients.to) == ("Jane Doe", (AROHA,))
    assert sent.subject == "Re: Your enrolment"
    assert "Kia ora Aroha,<br><br>see you &lt;b&gt;there&lt;/b&gt;" in sent.body
    assert 'href="https://school.example/map"' in sent.body
    assert ">Queued</span>" in desk.text


async def test_a_name_once_written_is_kept(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    assert 'name="staff" value=""' in desk.text
    await answer(desk, thread, "Kia ora")
    assert "You are <b>Jane Doe</b>" in desk.text
    await answer(desk, thread, "Again", staff="")
    assert [one.created_by for one in await letters_out(scene, thread)] == ["Jane Doe", "Jane Doe"]


async def test_a_form_sent_twice_is_one_letter(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    form = desk.page
    for _ in range(3):
        desk.page = form
        assert (await answer(desk, thread, "Kia ora")).status_code == 303
    assert len(await letters_out(scene, thread)) == 1


async def test_a_sent_form_with_other_words_is_not_sent_and_says_so(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    form = desk.page
    await answer(desk, thread, "Kia ora")
    desk.page = form
    said = await answer(desk, thread, "Kia ora, and one thing more")
    assert said.status_code == 422
    assert "This reply was sent before" in desk.text
    assert "and one thing more</textarea>" in desk.text
    assert len(await letters_out(scene, thread)) == 1
    await answer(desk, thread, "One thing more")
    assert len(await letters_out(scene, thread)) == 2


async def test_the_reply_goes_to_those_whom_the_page_named_whoever_writes_meanwhile(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    form = desk.page
    first = (await scene.store.read(feeds.of_thread, thread))[0]
    other = Address(name="Somebody", address="somebody@elsewhere.example")
    await reply(scene, first.id, graph_id="AAMk3", sender=other)
    desk.page = form
    await answer(desk, thread, "Kia ora")
    [sent] = await letters_out(scene, thread)
    assert sent.recipients.to == (AROHA,)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"text": " \n "}, "Write something first."),
        ({"text": "x" * 50_001}, "at most 50,000 characters"),
        ({"text": "a\x00b"}, "which mail cannot carry"),
        ({"staff": ""}, "Write your name"),
        ({"staff": "a\nb\x07"}, "Write your name"),
        ({"key": "short"}, "The form did not come whole"),
        ({"original": ""}, "The form did not come whole"),
        ({"original": "msg_gone"}, "The form did not come whole"),
    ],
)
async def test_what_cannot_be_sent_says_why_and_nothing_written_is_lost(
    desk: Desk, scene: Scene, fields: dict[str, str], says: str
) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    said = await answer(desk, thread, **({"text": "Kia ora <koe>"} | fields))
    assert said.status_code == 422
    assert says in desk.text
    if "text" not in fields:
        assert "Kia ora &lt;koe&gt;</textarea>" in desk.text
    assert await letters_out(scene, thread) == []


async def test_a_message_of_another_thread_cannot_be_answered_from_this_one(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    elsewhere = await letter(scene, objects=(), subject="Another")
    theirs = await reply(scene, elsewhere, graph_id="AAMk9")
    await desk.open(f"{TAB}/threads/{thread}")
    assert (await answer(desk, thread, "Kia ora", original=theirs)).status_code == 422
    assert await letters_out(scene, thread) == []


async def test_a_thread_of_another_record_cannot_be_answered_here(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    fields = {**written_in(desk.text), "text": "Kia ora", "staff": "Jane Doe"}
    assert (await desk.send(f"/objects/student/S9/events/threads/{thread}/replies", **fields)).status_code == 404


async def test_before_the_letter_has_left_the_page_says_why_it_cannot_be_answered(desk: Desk, scene: Scene) -> None:
    await letter(scene)
    await desk.open(TAB)
    assert "its letter has not been seen in Sent Items" in desk.text
    assert "<textarea" not in desk.text


async def test_where_the_mailbox_sends_nothing_there_is_no_form(desk: Desk, scene: Scene) -> None:
    await a_conversation(scene)

    def lose(tx: Transaction) -> None:
        box = mailboxes.get_by_address(tx, scene.account_id, MAILBOX)
        mailboxes.mark_refused(tx, box.id, {"explanation": "x"})
        assert mailboxes.get(tx, box.id).state is MailboxState.REFUSED

    await scene.store.write(lose)
    await desk.open(TAB)
    assert f"Nothing can be sent from {MAILBOX} now" in desk.text
    assert "<textarea" not in desk.text


async def test_a_key_that_may_only_read_has_no_form_and_sends_nothing(stranger: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await stranger.sign_in(Scope.READ)
    await stranger.open(TAB)
    assert "<textarea" not in stranger.text
    for act in ("replies", "cancel"):
        assert (await stranger.send(f"{TAB}/threads/{thread}/{act}", text="x")).status_code == 403


async def test_a_letter_that_has_not_left_can_be_cancelled(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    thread = await thread_of(scene, sent)
    await desk.open(TAB)
    assert "has not left yet" in desk.text
    await desk.send(f"{TAB}/threads/{thread}/cancel", letter=sent)
    assert ">Cancelled</span>" in desk.text
    row = await scene.store.read(outbox.get, scene.account_id, sent)
    assert row.state == "cancelled"
    assert (await desk.send(f"{TAB}/threads/{thread}/cancel", letter=sent)).status_code == 409


async def test_a_letter_of_another_thread_is_not_cancelled_from_this_one(desk: Desk, scene: Scene) -> None:
    sent, other = await letter(scene), await letter(scene, objects=())
    await desk.open(TAB)
    said = await desk.send(f"{TAB}/threads/{await thread_of(scene, sent)}/cancel", letter=other)
    assert said.status_code == 404
    assert (await scene.store.read(outbox.get, scene.account_id, other)).state == "accepted"


class TestToldToTheScript:
    async def test_a_reply_and_the_key_of_the_next(self, desk: Desk, scene: Scene) -> None:
        thread = await a_conversation(scene)
        await desk.open(TAB)
        before = written_in(desk.text)
        said: httpx.Response = await answer(desk, thread, "Kia ora", SCRIPT)
        [sent] = await letters_out(scene, thread)
        assert said.json()["message_id"] == sent.id
        assert said.json()["key"] != before["key"]

    async def test_what_was_wrong(self, desk: Desk, scene: Scene) -> None:
        thread = await a_conversation(scene)
        await desk.open(TAB)
        said: httpx.Response = await answer(desk, thread, " ", SCRIPT)
        assert (said.status_code, said.json()) == (422, {"problem": "Write something first."})


async def test_another_sites_form_writes_nothing(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    await desk.open(TAB)
    fields = {**written_in(desk.text), "text": "Kia ora", "staff": "Jane Doe"}
    for act in ("replies", "cancel", "read", "unread"):
        path = f"{TAB}/threads/{thread}/{act}"
        assert (await desk.send_blind(path, **fields)).status_code == 403
        crossing = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
        page = desk.page
        assert (await desk.send(path, crossing, **fields)).status_code == 403
        desk.page = page
    assert await letters_out(scene, thread) == []


async def test_a_forms_address_opened_as_a_page_leads_back(desk: Desk, scene: Scene) -> None:
    thread = await a_conversation(scene)
    for path in (f"{TAB}/threads/{thread}/replies", f"{TAB}/name"):
        assert str((await desk.open(path)).url.path) == TAB
