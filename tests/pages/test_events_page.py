"""The Events tab, as somebody without script sees it."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.http.pages.rendering import time_tag
from gateway.sending.accept import accept_batch
from gateway.sending.posted import NewLetter
from storage import Transaction, accounts, messages, outbox
from storage.messages import Attachment, BodyType, Direction, Kind, Placement
from storage.threads import Address, Object, ObjectType
from tests.http.scene import CLIENT, MAILBOX, TENANT, Scene
from tests.pages.desk import AROHA, TAB, Desk, letter, reply, thread_of

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


async def test_whoever_asks_why_a_mail_is_here_is_told(desk: Desk, scene: Scene) -> None:
    evidence = {"reason": "references", "sender_is_participant": True, "decision": {"act": "move", "by": "Jane <b>"}}
    await reply(scene, await letter(scene), evidence=evidence)
    page = (await desk.open(TAB)).text
    assert page.count("Why is this here?") == 1, "of a letter of ours nobody asks"
    assert "It names a letter of this thread that it answers" in page
    assert "Jane &lt;b&gt; moved it into this thread." in page


async def test_before_the_first_letter_the_page_says_what_will_stand_there(desk: Desk) -> None:
    page = await desk.open(TAB)
    assert page.status_code == 200
    assert "<h1>Student S1001</h1>" in page.text
    assert "No letters yet" in page.text


async def test_a_thread_shows_its_messages_in_order_with_who_when_and_how_it_stands(desk: Desk, scene: Scene) -> None:
    await reply(scene, await letter(scene))
    page = (await desk.open(TAB)).text
    assert page.index("Kia ora</div>") < page.index("Thank you</div>")
    assert "Jane Doe" in page
    assert "aroha@student.example" in page
    assert ">Queued</span>" in page
    assert ">Unanswered</span>" in page
    assert "Letter sent: " in page
    assert "Reply received: " in page
    assert "2 messages" in page


async def test_what_was_made_readable_for_a_page_is_there_for_the_next(desk: Desk, scene: Scene) -> None:
    await reply(scene, await letter(scene))
    for _ in range(2):
        page = (await desk.open(TAB)).text
        assert page.index("Kia ora</div>") < page.index("Thank you</div>")
        assert len(scene.services.bodies) == 2


async def test_times_are_shown_in_the_accounts_zone_and_told_in_utc(desk: Desk, scene: Scene) -> None:
    await scene.store.write(_in_auckland, scene)
    await letter(scene)
    page = (await desk.open(TAB)).text
    assert (
        '<time datetime="2026-03-02T09:00:01Z" title="Monday, 2 March 2026 at 22:00:01 NZDT">2 Mar 2026, 22:00</time>'
        in page
    )
    assert "Times are in Pacific/Auckland." in page


def _in_auckland(tx: Transaction, scene: Scene) -> None:
    accounts.configure(
        tx,
        scene.account_id,
        tenant_id=TENANT,
        client_id=CLIENT,
        cloud="global",
        time_zone="Pacific/Auckland",
        now=scene.clock.now(),
    )


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-04-04T13:30:00Z", "5 Apr 2026, 02:30 NZDT"),  # clocks go back: this hour comes twice
        ("2026-04-04T14:30:00Z", "5 Apr 2026, 02:30 NZST"),
        ("2026-04-04T15:30:00Z", "5 Apr 2026, 03:30"),
        ("2026-09-26T13:59:59Z", "27 Sep 2026, 01:59"),  # and forward: the hour from two is left out
        ("2026-09-26T14:00:00Z", "27 Sep 2026, 03:00"),
    ],
)
def test_on_the_days_when_clocks_change_each_time_is_told_from_the_others(moment: str, shown: str) -> None:
    tag = time_tag(datetime.fromisoformat(moment), ZoneInfo("Pacific/Auckland"))
    assert f'datetime="{moment}"' in tag
    assert f">{shown}</time>" in tag


async def test_a_letter_of_a_batch_under_way_says_how_far_the_batch_is(desk: Desk, scene: Scene) -> None:
    def post(tx: Transaction) -> None:
        letters = [
            NewLetter(
                sender=MAILBOX,
                to=(AROHA,),
                subject=f"Offer {number}",
                body_type=BodyType.TEXT,
                body="Kia ora",
                objects=(Object(type=ObjectType.STUDENT, id=f"S100{number}"),),
            )
            for number in range(3)
        ]
        accept_batch(
            tx, scene.account_id, letters, name="Offers", created_by=None, idempotency_key=None, now=scene.clock.now()
        )

    await scene.store.write(post)
    page = " ".join((await desk.open(TAB)).text.split())
    assert ">Offers</a> is being sent: 0 of 3 done, the rest by <time" in page


async def test_threads_stand_newest_first_and_only_the_newest_is_opened(desk: Desk, scene: Scene) -> None:
    first = await thread_of(scene, await letter(scene, subject="First", body="<p>one</p>"))
    second = await thread_of(scene, await letter(scene, subject="Second", body="<p>two</p>"))
    page = (await desk.open(TAB)).text
    assert re.findall(r'<article class="thread[^"]*" id="([^"]+)"', page) == [second, first]
    assert "<div>two</div>" in page
    assert "<div>one</div>" not in page
    assert f'href="{TAB}/threads/{first}"' in page
    assert "<div>one</div>" in (await desk.open(f"{TAB}/threads/{first}")).text
    part = (await desk.open(f"{TAB}/threads/{first}/part")).text
    assert part.lstrip().startswith("<article")
    assert "<div>one</div>" in part


async def test_the_script_can_sort_threads_as_the_store_does_also_those_of_the_same_moment(
    desk: Desk, scene: Scene
) -> None:
    for number in range(6):
        await letter(scene, subject=f"Letter {number}")
        scene.clock.advance(timedelta(seconds=-1 if number % 2 else 0))
    ranks = re.findall(r'data-rank="([^"]+)"', (await desk.open(TAB)).text)
    assert ranks == sorted(set(ranks), reverse=True)
    assert len(ranks) == 6


async def test_older_threads_are_a_page_away(desk: Desk, scene: Scene) -> None:
    for number in range(45):
        await letter(scene, subject=f"Letter {number:02}")
    seen: list[str] = []
    path = TAB
    while path:
        page = (await desk.open(path)).text
        seen += re.findall(r"<h2[^>]*>Letter (\d\d)</h2>", page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1] if older else ""
    assert seen == [f"{number:02}" for number in reversed(range(45))]


@pytest.mark.parametrize("before", ["x", "", "W10", "bnVsbA", "WzEsMl0"])
async def test_a_made_up_position_is_an_error_page_or_the_newest(desk: Desk, before: str) -> None:
    page = await desk.open(f"{TAB}?before={before}")
    assert page.status_code in (200, 422)
    assert page.headers["content-type"].startswith("text/html")


async def test_what_waits_for_review_is_counted_and_not_shown(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent, placement=Placement.HELD, body="a stranger's words")
    page = (await desk.open(TAB)).text
    assert "1 message waits for review and is not shown here." in page
    assert "a stranger" not in page
    await reply(scene, sent, placement=Placement.HELD, body="a stranger's words")
    assert "2 messages wait for review and are not shown here." in (await desk.open(TAB)).text


async def test_hostile_names_subjects_bodies_and_files_stay_text(desk: Desk, scene: Scene) -> None:
    person = Address(name=HOSTILE, address='"><script>x</script>@evil.example')
    file = Attachment(id=None, name=HOSTILE, content_type=HOSTILE, size=5, is_inline=False, content_id=None)
    sent = await letter(
        scene, subject=HOSTILE, created_by=HOSTILE, to=(person,), cc=(person,), body=f"<p>{HOSTILE}</p>"
    )
    await reply(
        scene,
        sent,
        sender=person,
        subject=HOSTILE,
        preview=HOSTILE,
        body=HOSTILE,
        new_text=HOSTILE,
        attachments=(file,),
    )
    await reply(scene, sent, body_type=BodyType.HTML, body=f"{HOSTILE}<style>*{{}}</style><form action=/sign-out>")
    thread = await thread_of(scene, sent)
    for path in (TAB, f"{TAB}/threads/{thread}", f"{TAB}/threads/{thread}/part"):
        page = (await desk.open(path)).text
        scripts = re.findall(r"<script[^>]*>", page)
        assert all(one.startswith('<script src="/static/') for one in scripts)
        tags = re.findall(r"<[a-z][^>]*>", page)
        assert not [tag for tag in tags if re.search(r"\son\w+=", re.sub(r'"[^"]*"', '""', tag))]
        assert "<style" not in page
        ours = re.findall(r'<form (?:role="search" )?(?:class="[^"]*" )?method="(?:post|get)" action="(/[^"]*)"', page)
        assert page.count("<form") == len(ours)


@pytest.mark.parametrize("path", ["/objects/%3Cscript%3E/1/events", "/objects/teacher/1/events", "/objects/x"])
async def test_a_kind_of_record_that_selma_does_not_have_has_no_page(desk: Desk, path: str) -> None:
    assert (await desk.open(path)).status_code == 404


async def test_ids_with_slashes_and_markup_lead_to_their_own_page(desk: Desk, scene: Scene) -> None:
    strange = Object(type=ObjectType.ENROLMENT, id="2027/1 <b>&ü")
    sent = await letter(scene, objects=(strange,))
    page = await desk.open("/objects?type=enrolment&id=2027/1 %3Cb%3E%26ü")
    assert "<h1>Enrolment 2027/1 &lt;b&gt;&amp;ü</h1>" in page.text
    assert "Your enrolment" in page.text
    base = re.findall(r'data-base="([^"]+)"', page.text)[0]
    thread = await thread_of(scene, sent)
    assert (await desk.open(f"{base}/threads/{thread}")).status_code == 200


async def test_another_accounts_threads_are_not_there(stranger: Desk, scene: Scene) -> None:
    thread = await thread_of(scene, await letter(scene))
    await stranger.sign_in(account_id=await scene.new_account("Other school"))
    assert "No letters yet" in (await stranger.open(TAB)).text
    assert (await stranger.open(f"{TAB}/threads/{thread}")).status_code == 404
    assert (await stranger.open(f"{TAB}/threads/{thread}/part")).status_code == 404


async def test_a_thread_stands_only_on_the_tabs_of_its_objects(desk: Desk, scene: Scene) -> None:
    thread = await thread_of(scene, await letter(scene))
    assert (await desk.open(f"/objects/student/S9/events/threads/{thread}")).status_code == 404


@pytest.mark.parametrize(
    ("state", "word"),
    [("submitting", "Sending"), ("submitted", "Submitted"), ("sent", "Sent"), ("cancelled", "Cancelled")],
)
async def test_a_letters_state_is_told_in_a_word(desk: Desk, scene: Scene, state: str, word: str) -> None:
    await scene.store.write(_in_state, await letter(scene), state, None)
    assert f">{word}</span>" in (await desk.open(TAB)).text


@pytest.mark.parametrize(("state", "word"), [("failed", "Not sent"), ("needs_review", "Needs review")])
async def test_a_letter_in_trouble_says_why_and_what_to_do(desk: Desk, scene: Scene, state: str, word: str) -> None:
    problem = {"code": "recipients", "explanation": "An address is refused.", "cure": "Check it."}
    await scene.store.write(_in_state, await letter(scene), state, problem)
    page = (await desk.open(TAB)).text
    assert f">{word}</span>" in page
    assert "An address is refused. Check it." in page


def _in_state(tx: Transaction, message_id: str, state: str, problem: dict[str, Any] | None) -> None:
    row = outbox.find(tx, message_id)
    assert row is not None
    over = state in ("sent", "failed", "needs_review", "cancelled")
    outbox.save(
        tx,
        replace(
            row,
            state=state,
            submits=1,
            problem=problem,
            next_attempt_at=None if over else row.next_attempt_at,
            sent_at=row.created_at if state == "sent" else None,
        ),
    )


async def test_a_reply_shows_what_is_new_first_and_the_whole_on_request(desk: Desk, scene: Scene) -> None:
    body = "<p>I will come.</p><blockquote>Your letter</blockquote>"
    await reply(scene, await letter(scene), body_type=BodyType.HTML, body=body, new_text="I will come.")
    page = (await desk.open(TAB)).text
    new, whole = page.split("Show the whole message")
    assert "I will come." in new
    assert "Your letter" not in page
    frame = unescape(re.findall(r'<iframe[^>]* src="([^"]+)"', whole)[0])
    assert "<blockquote>Your letter</blockquote>" in (await desk.open(frame)).text


async def test_automatic_replies_and_bounces_are_told_apart_from_replies(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent, kind=Kind.AUTOMATIC)
    await reply(scene, sent, kind=Kind.BOUNCE, sender=None)
    page = (await desk.open(TAB)).text
    assert ">Automatic reply</span>" in page
    assert ">Delivery failure</span>" in page
    assert "Unknown sender" in page


@pytest.mark.parametrize(
    ("kind", "what", "words"),
    [
        (Kind.RECEIPT, "delayed", "Delivery delayed"),
        (Kind.RECEIPT, "read", "Read receipt"),
        (Kind.CALENDAR, "accepted", "Invitation accepted"),
        (Kind.CALENDAR, None, "Calendar message"),
        (Kind.RECEIPT, "something of a later release", "Receipt"),
    ],
)
async def test_receipts_and_calendar_answers_are_called_what_they_are(
    desk: Desk, scene: Scene, kind: Kind, what: str | None, words: str
) -> None:
    await reply(scene, await letter(scene), kind=kind, evidence={"reason": "conversation", "what": what})
    assert f">{words}</span>" in (await desk.open(TAB)).text


async def test_a_late_letter_says_so_though_it_is_sent(desk: Desk, scene: Scene) -> None:
    late = await letter(scene)
    why = {"code": "delayed", "explanation": "It has not arrived yet.", "recipients": []}
    await scene.store.write(_in_state, late, "sent", why)
    page = (await desk.open(TAB)).text
    assert ">Sent, delayed</span>" in page
    assert "It has not arrived yet." in page


async def test_attachments_are_listed_with_their_size_but_pictures_in_the_text_are_not(
    desk: Desk, scene: Scene
) -> None:
    def file(name: str, size: int, content_id: str | None = None) -> Attachment:
        return Attachment(
            id=name, name=name, content_type="image/png", size=size, is_inline=True, content_id=content_id
        )

    files = (file("form.pdf", 27_400), file("photo.png", 2_300_000, "elsewhere"), file("logo.png", 5, "<Logo@x>"))
    body = "<p>Thank you <img src='cid:logo%40x'></p>"
    await reply(scene, await letter(scene), attachments=files, body=body, body_type=BodyType.HTML)
    page = (await desk.open(TAB)).text
    assert "form.pdf" in page
    assert "27 KB" in page
    assert "2.3 MB" in page
    assert "logo.png" not in page


async def test_a_subject_that_only_gained_a_prefix_is_not_repeated(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    await reply(scene, sent, subject="AW: Re: Your Enrolment")
    assert "AW: Re:" not in (await desk.open(TAB)).text
    await reply(scene, sent, subject="Re: Question: a room?")
    assert "Re: Question: a room?" in (await desk.open(TAB)).text


async def test_of_a_long_thread_the_earlier_messages_are_folded(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    for _ in range(7):
        await reply(scene, sent)
    page = (await desk.open(TAB)).text
    folds = re.findall(r'<article class="message.*?<details( open)?>', page, re.DOTALL)
    assert folds == [""] * 5 + [" open"] * 3


async def test_mail_written_in_outlook_has_no_state_and_names_its_mailbox(desk: Desk, scene: Scene) -> None:
    sender = Address(name="Admissions", address="admissions@school.example")
    await reply(scene, await letter(scene), direction=Direction.OUT, sender=sender, body="From Outlook")
    page = (await desk.open(TAB)).text
    assert page.count('class="message out') == 2
    assert page.count(">Queued</span>") == 1


async def test_a_thread_without_a_subject_can_still_be_opened(desk: Desk, scene: Scene) -> None:
    await letter(scene, subject="")
    assert "(no subject)" in (await desk.open(TAB)).text


async def test_many_people_are_named_shortly(desk: Desk, scene: Scene) -> None:
    people = tuple(Address(name=f"Person {number}", address=f"p{number}@student.example") for number in range(9))
    await letter(scene, to=(AROHA, *people))
    page = (await desk.open(TAB)).text
    assert "and 6 more" in page
    assert "and 5 more" in page


async def test_a_letter_of_the_outbox_is_shown_as_stored(desk: Desk, scene: Scene) -> None:
    sent = await letter(scene)
    stored = await scene.store.read(messages.get, scene.account_id, sent)
    assert f'id="{stored.id}"' in (await desk.open(TAB)).text
