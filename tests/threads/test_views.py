"""What the API and the pages are given to show."""

from datetime import timedelta

import pytest

from gateway.graph import Body, BodyType
from gateway.threads.bodies import Bodies
from gateway.threads.views import conversation, feed, threads_of, to_json
from storage import NotFound
from storage.threads import Cursor, Object, ObjectType
from tests.threads.conftest import ADMISSIONS, AROHA, STRANGER, TANE, School

AROHAS_TAB = Object(type=ObjectType.STUDENT, id=AROHA)


async def test_a_conversation_shows_letter_and_reply_in_order_and_safe(school: School) -> None:
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items()
    school.arrive(
        "r1",
        sender=AROHA,
        conversation=letter.conversation,
        body=Body(content_type=BodyType.HTML, content="<p>Yes!<script>x</script></p><blockquote>Kia ora</blockquote>"),
        unique_body=Body(content_type=BodyType.HTML, content="<p>Yes!</p>"),
    )
    school.arrive("held", sender=STRANGER, conversation=letter.conversation)
    await school.pull()
    shown = to_json(await school.store.read(conversation, school.account_id, letter.thread_id, Bodies()))
    ours, reply = shown["messages"]
    assert (ours["direction"], ours["status"], ours["sent_at"]) == ("out", "sent", "2026-03-02T09:00:00Z")
    assert (reply["direction"], reply["status"], reply["received_at"]) == ("in", None, "2026-03-02T09:00:01Z")
    assert reply["from"] == {"name": "aroha", "address": AROHA}
    assert reply["html"] == "<p>Yes!</p><blockquote>Kia ora</blockquote>"
    assert reply["new_text"] == "Yes!"
    assert reply["text"] == "Yes!\n\nKia ora"
    assert reply["evidence"]["reason"] == "conversation"


async def test_a_thread_shows_all_that_a_list_needs(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation, text="Yes.")
    await school.pull()
    (shown,) = to_json(await school.store.read(threads_of, school.account_id, AROHAS_TAB, limit=10))
    assert shown == {
        "id": letter.thread_id,
        "mailbox": ADMISSIONS,
        "conversation_id": letter.conversation,
        "subject": "Your enrolment",
        "participants": [{"name": "aroha", "address": AROHA}],
        "objects": [{"type": "student", "id": AROHA}],
        "message_count": 2,
        "last_message_at": "2026-03-02T09:00:01Z",
        "last_direction": "in",
        "preview": "Yes.",
        "has_attachments": False,
        "unanswered": True,
        "unread": None,
    }


async def test_the_feed_is_newest_first_and_goes_on_where_a_page_ended(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.write_to(TANE)
    for number in range(3):
        school.arrive(f"r{number}", sender=AROHA, conversation=letter.conversation, text=f"{number}")
    await school.pull()
    first = await school.store.read(feed, school.account_id, AROHAS_TAB, limit=2)
    before = Cursor(at=first[-1].time, id=first[-1].id)
    rest = await school.store.read(feed, school.account_id, AROHAS_TAB, before=before, limit=10)
    assert [entry.preview for entry in (*first, *rest)] == ["2", "1", "0", "Kia ora"]
    assert {entry.thread_id for entry in (*first, *rest)} == {letter.thread_id}


async def test_a_thread_of_another_account_is_not_there(school: School) -> None:
    letter = await school.write_to(AROHA)
    with pytest.raises(NotFound):
        await school.store.read(conversation, "acc_other", letter.thread_id, Bodies())


async def test_a_letter_that_was_never_seen_in_sent_items_has_no_sent_time(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.clock.advance(timedelta(hours=1))
    shown = await school.store.read(conversation, school.account_id, letter.thread_id, Bodies())
    assert [(one.status, one.sent_at, one.received_at) for one in shown.messages] == [("queued", None, None)]
