"""Reports and the letters they are about: the right one turns, and says why and for whom; never a wrong one."""

from typing import Any

import pytest

from gateway.graph import AccessDenied, Unavailable
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from gateway.threads import deciding
from gateway.threads.deciding import Into
from gateway.threads.views import message_view
from storage import answerers, events, messages, outbox, threads
from storage.audit import Actor, Via
from storage.messages import BodyType, Kind, Placement
from storage.outbox import Letter as Sending
from storage.threads import Address
from tests.threads.conftest import ADMISSIONS, AROHA, STRANGER, TANE, Letter, School

NDR = "REPORT.IPM.Note.NDR"
THEIR_SYSTEM = "mailer-daemon@mx.student.example"
MUM = "mum@home.example"
JANE = Actor(via=Via.SYSTEM, staff="Jane Doe")


def report(
    letter: Letter | None = None,
    *,
    recipients: tuple[str, ...] = (AROHA,),
    action: str = "failed",
    status: str = "5.1.1",
    returned: str = "",
) -> bytes:
    """A delivery report; with a letter it returns its headers."""
    about = "\n\n".join(f"Final-Recipient: rfc822;{one}\nAction: {action}\nStatus: {status}" for one in recipients)
    back = f"Message-ID: {letter.message_id}" if letter is not None else returned
    return (
        f'From: {THEIR_SYSTEM}\nContent-Type: multipart/report; report-type=delivery-status; boundary="x"\n\n'
        f"--x\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mx\n\n{about}\n\n"
        f"--x\nContent-Type: text/rfc822-headers\n\nSubject: Your enrolment\n{back}\n\n--x--\n"
    ).encode()


def arrives(school: School, id: str, mime: bytes | None, **fields: Any) -> None:
    """A report comes into the Inbox, by default one that answers nothing and is in no conversation of ours."""
    school.arrive(id, **{"sender": THEIR_SYSTEM, "message_class": NDR, "subject": "Undelivered Mail", **fields})
    if mime is not None:
        school.mail.mime[id] = mime


async def sent(school: School, student: str = AROHA, **options: Any) -> Letter:
    letter = await school.write_to(student, **options)
    letter.seen_in_sent_items()
    await school.sweep()
    return letter


async def sending(school: School, letter: Letter) -> Sending:
    return await school.store.read(outbox.get, school.account_id, letter.id)


async def problem_of(school: School, letter: Letter) -> dict[str, Any]:
    return (await sending(school, letter)).problem or {}


async def test_a_report_that_answers_nothing_finds_its_letter_by_what_it_returns(school: School) -> None:
    letter = await sent(school)
    arrives(school, "b1", report(letter, status="5.2.2"))
    await school.sweep()
    (stored,) = await school.thread(letter.thread_id)
    assert stored.kind is Kind.BOUNCE
    problem = await problem_of(school, letter)
    assert (problem["code"], problem["explanation"]) == ("mailbox_full", "The recipient’s mailbox is full.")
    (detail,) = problem["recipients"]
    assert (detail["address"], detail["status"], detail["permanent"]) == (AROHA, "5.2.2", True)


async def test_our_own_header_finds_it_when_the_message_id_has_changed_on_the_way(school: School) -> None:
    letter = await sent(school)
    arrives(school, "b1", report(returned=f"Message-ID: <another@relay.example>\nx-selma-send-uid: {letter.tag}"))
    await school.sweep()
    assert (await sending(school, letter)).state == "bounced"


async def test_a_report_about_somebody_elses_letter_leaves_no_trace(school: School) -> None:
    await sent(school)
    arrives(school, "b1", report(returned="Message-ID: <not-ours@school.example>"))
    await school.sweep()
    assert await school.stored() == []
    assert school.mail.read_whole.count("b1") == 0


async def test_only_what_may_be_a_report_is_read_as_mime(school: School) -> None:
    letter = await sent(school)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.arrive("u1", sender=STRANGER, subject="Undelivered Mail")
    await school.sweep()
    assert school.mail.read_as_mime == []


async def test_what_is_told_of_a_bounce_names_nobody(school: School) -> None:
    letter = await sent(school)
    arrives(school, "b1", report(letter))
    await school.sweep()
    found = await school.store.read(events.after, school.account_id, 0, limit=100)
    (event,) = [one for one in found if one.type == "message.bounced"]
    assert event.data == {"status": "bounced", "code": "no_such_address", "concerned": 1, "recipients": 1}


async def test_staff_see_why_on_the_letter_itself(school: School) -> None:
    letter = await sent(school)
    arrives(school, "b1", report(letter))
    await school.sweep()
    message = await school.store.read(messages.get, school.account_id, letter.id)
    view = message_view(message)
    assert (view.status, (view.problem or {})["explanation"]) == ("bounced", "There is no such address.")


class TestSeveralRecipients:
    async def post(self, school: School) -> Letter:
        people = tuple(Address(name=None, address=one) for one in (AROHA, TANE, MUM))
        posted = NewLetter(
            sender=ADMISSIONS, to=people[:2], cc=people[2:], subject="All", body_type=BodyType.TEXT, body="Kia ora"
        )
        first = await school.store.write(
            accept, school.account_id, posted, idempotency_key=None, now=school.clock.now()
        )
        letter = await school.store.read(outbox.get, school.account_id, first.message_id)
        told = Letter(
            school=school,
            id=letter.message_id,
            thread_id=letter.thread_id,
            sender=ADMISSIONS,
            student=AROHA,
            conversation="conv-all",
            message_id="<all@school.example>",
            graph_id="draft-all",
            tag=letter.send_uid,
        )
        told.seen_in_sent_items()
        await school.sweep()
        return told

    async def test_the_letter_says_which_of_them_was_not_reached(self, school: School) -> None:
        letter = await self.post(school)
        arrives(school, "b1", report(letter, recipients=(TANE,)))
        await school.sweep()
        problem = await problem_of(school, letter)
        assert problem["explanation"] == f"Not delivered to 1 of its 3 recipients. {TANE}: There is no such address."
        assert [one["address"] for one in problem["recipients"]] == [TANE]

    async def test_a_second_report_adds_to_the_first_and_is_told(self, school: School) -> None:
        letter = await self.post(school)
        for id, who, status in (("b1", TANE, "5.1.1"), ("b2", MUM, "5.2.2"), ("b3", MUM, "5.2.2")):
            arrives(school, id, report(letter, recipients=(who,), status=status))
            await school.sweep()
        problem = await problem_of(school, letter)
        assert [(one["address"], one["code"]) for one in problem["recipients"]] == [
            (TANE, "no_such_address"),
            (MUM, "mailbox_full"),
        ]
        assert problem["explanation"].startswith("Not delivered to 2 of its 3 recipients.")
        assert (await school.told()).count("message.bounced") == 2

    async def test_a_report_that_names_none_says_so(self, school: School) -> None:
        letter = await self.post(school)
        arrives(school, "b1", None, conversation=letter.conversation, answers=[letter.message_id])
        await school.sweep()
        problem = await problem_of(school, letter)
        assert (problem["recipients"], problem["of"]) == ([], 3)
        assert "one or more of its recipients" in problem["explanation"]


class TestNeverTheWrongLetter:
    async def test_of_two_letters_of_a_thread_the_returned_one_turns(self, school: School) -> None:
        first = await sent(school, conversation="one")
        second = await sent(school, conversation="one", student=TANE)
        arrives(school, "b1", report(second, recipients=(TANE,)), conversation="one")
        await school.sweep()
        assert [(await sending(school, one)).state for one in (first, second)] == ["sent", "bounced"]

    async def test_a_report_about_somebody_who_takes_no_part_waits_for_a_person(self, school: School) -> None:
        letter = await sent(school)
        arrives(school, "b1", report(recipients=(TANE,)), conversation=letter.conversation)
        await school.sweep()
        (held,) = await school.stored()
        assert held.placement is Placement.HELD
        assert (await sending(school, letter)).state == "sent"

    async def test_reports_do_not_make_their_own_conversation_ours(self, school: School) -> None:
        letter = await sent(school)
        arrives(school, "b1", report(letter), conversation="all reports of the school")
        await school.sweep()
        arrives(school, "b2", report(returned="Message-ID: <x@y>"), conversation="all reports of the school")
        await school.sweep()
        assert [one.graph_id for one in await school.stored()] == ["b1"]
        mailbox_id = school.mailbox_ids[ADMISSIONS]
        assert await school.store.read(threads.by_conversation, mailbox_id, "all reports of the school") is None

    async def test_where_two_letters_may_be_meant_none_turns_and_the_report_stands(self, school: School) -> None:
        first = await sent(school)
        await school.store.write(join_threads, await sent(school), first.thread_id)
        arrives(school, "b1", None, conversation=first.conversation)
        await school.sweep()
        found = [one for one in await school.thread(first.thread_id) if one.kind is Kind.BOUNCE]
        assert len(found) == 1
        assert "message.bounced" not in await school.told()


def join_threads(tx: Any, letter: Letter, thread_id: str) -> None:
    tx.execute("UPDATE messages SET thread_id = :to WHERE id = :id", {"to": thread_id, "id": letter.id})


class TestDelays:
    async def test_a_late_letter_stays_what_it_is_and_says_that_it_is_late(self, school: School) -> None:
        letter = await sent(school)
        late = report(letter, action="delayed", status="4.4.1")
        arrives(school, "d1", late, message_class="REPORT.IPM.Note.Delayed.DR")
        await school.sweep()
        (stored,) = await school.thread(letter.thread_id)
        assert (stored.kind, (stored.evidence or {})["what"]) == (Kind.RECEIPT, "delayed")
        now = await sending(school, letter)
        assert (now.state, (now.problem or {})["code"]) == ("sent", "delayed")
        told = await school.told()
        assert "message.delayed" in told
        assert "message.bounced" not in told

    async def test_what_was_late_and_then_failed_has_bounced(self, school: School) -> None:
        letter = await sent(school)
        arrives(school, "d1", report(letter, action="delayed", status="4.4.1"))
        await school.sweep()
        arrives(school, "b1", report(letter, status="4.4.7"))
        await school.sweep()
        now = await sending(school, letter)
        assert (now.state, (now.problem or {})["code"]) == ("bounced", "expired")

    async def test_a_delay_that_is_told_after_the_failure_changes_nothing(self, school: School) -> None:
        letter = await sent(school)
        arrives(school, "b1", report(letter))
        await school.sweep()
        arrives(school, "d1", report(letter, action="delayed", status="4.4.1"))
        await school.sweep()
        now = await sending(school, letter)
        assert (now.state, (now.problem or {})["code"]) == ("bounced", "no_such_address")
        assert len(await school.thread(letter.thread_id)) == 2


class TestTroubleWithReadingIt:
    async def test_of_a_report_in_our_conversation_the_text_must_do(self, school: School) -> None:
        letter = await sent(school)
        school.mail.unreadable_mime["b1"] = Unavailable(status=503)
        arrives(
            school, "b1", None, conversation=letter.conversation, text=f"{AROHA}\n550 5.7.1 not wanted, undeliverable"
        )
        await school.sweep()
        assert (await problem_of(school, letter))["code"] == "refused"

    @pytest.mark.parametrize("trouble", [Unavailable(status=503), AccessDenied(status=403)], ids=["503", "403"])
    async def test_one_whose_letter_is_not_known_without_it_is_looked_at_again(
        self, school: School, trouble: Exception
    ) -> None:
        letter = await sent(school)
        school.mail.unreadable_mime["b1"] = trouble  # type: ignore[assignment]
        arrives(school, "b1", report(letter))
        await school.sweep()
        assert await school.stored() == []
        school.mail.unreadable_mime.clear()
        await school.sweep()
        assert [one.graph_id for one in await school.stored()] == ["b1"]
        assert (await sending(school, letter)).state == "bounced"


class TestWhoAnswersByMachine:
    async def in_a_row(self, school: School, address: str) -> int:
        return await school.store.read(answerers.in_a_row, school.account_id, address)

    async def test_automatic_answers_are_counted_until_a_person_writes(self, school: School) -> None:
        letter = await sent(school)
        away = [("Auto-Submitted", "auto-replied")]
        for number in range(2):
            school.arrive(f"a{number}", sender=AROHA.upper(), conversation=letter.conversation, headers=away)
            await school.sweep()
        assert await self.in_a_row(school, AROHA) == 2
        school.arrive("r1", sender=AROHA, conversation=letter.conversation)
        await school.sweep()
        assert await self.in_a_row(school, AROHA) == 0

    async def test_a_person_who_answers_behind_their_machine_counts_though_both_come_with_one_page(
        self, school: School
    ) -> None:
        letter = await school.write_to(AROHA)
        away = [("auto-submitted", "auto-replied")]
        school.arrive("a1", sender=AROHA, conversation=letter.conversation, headers=away)
        school.arrive("b1", sender=AROHA, conversation=letter.conversation)
        await school.pull()
        assert {one.kind for one in await school.thread(letter.thread_id)} == {Kind.AUTOMATIC, Kind.MAIL}
        assert await self.in_a_row(school, AROHA) == 0

    async def test_an_automatic_answer_is_none(self, school: School) -> None:
        letter = await sent(school)
        away = [("Auto-Submitted", "auto-replied")]
        school.arrive("a1", sender=AROHA, conversation=letter.conversation, headers=away)
        await school.sweep()
        thread = await school.store.read(threads.get, school.account_id, letter.thread_id)
        assert not thread.unanswered

    async def test_one_that_answers_from_elsewhere_is_counted_for_whom_the_letter_went_to(self, school: School) -> None:
        letter = await sent(school)
        away = [("Auto-Submitted", "auto-replied")]
        school.arrive(
            "a1", sender=STRANGER, conversation=letter.conversation, answers=[letter.message_id], headers=away
        )
        await school.sweep()
        assert await self.in_a_row(school, AROHA) == 1


async def held_report(school: School, letter: Letter, **about: Any) -> str:
    """One that names a letter by its conversation, of somebody who is no recipient: it waits. Its message id."""
    arrives(school, "b1", report(recipients=("nobody@elsewhere.example",), **about), conversation=letter.conversation)
    await school.sweep()
    (held,) = [one for one in await school.stored() if one.graph_id == "b1"]
    assert held.placement is Placement.HELD
    return held.id


async def decides(school: School, what: Any, *given: Any, **more: Any) -> Any:
    return await school.store.write(what, school.account_id, *given, by=JANE, now=school.clock.now(), **more)


async def test_a_report_that_waited_turns_its_letter_when_a_person_accepts_it(school: School) -> None:
    letter = await sent(school)
    held = await held_report(school, letter)
    assert (await sending(school, letter)).state == "sent"
    await decides(school, deciding.accept, held)
    assert (await sending(school, letter)).state == "bounced"
    assert "message.bounced" in await school.told()


async def test_and_the_letter_is_sent_again_when_that_is_taken_back(school: School) -> None:
    letter = await sent(school)
    held = await held_report(school, letter)
    act = await decides(school, deciding.accept, held)
    await decides(school, deciding.undo, act.id)
    assert (await sending(school, letter)).state == "sent"
    assert await problem_of(school, letter) == {}
    await decides(school, deciding.accept, held)
    assert (await sending(school, letter)).state == "bounced"


async def test_a_report_of_lateness_that_waited_says_so_too(school: School) -> None:
    letter = await sent(school)
    act = await decides(school, deciding.accept, await held_report(school, letter, action="delayed", status="4.4.7"))
    late = await sending(school, letter)
    assert (late.state, (late.problem or {})["code"]) == ("sent", "delayed")
    await decides(school, deciding.undo, act.id)
    assert await problem_of(school, letter) == {}


async def test_accepted_into_another_thread_it_turns_the_letter_there(school: School) -> None:
    letter, other = await sent(school), await sent(school, TANE)
    held = await held_report(school, letter)
    await decides(school, deciding.accept, held, into=Into(thread_id=other.thread_id))
    assert (await sending(school, letter)).state == "sent"
    assert (await sending(school, other)).state == "bounced"


async def test_taking_it_back_leaves_what_another_report_says_too(school: School) -> None:
    letter = await sent(school)
    act = await decides(school, deciding.accept, await held_report(school, letter))
    arrives(school, "b2", report(letter, status="5.2.2"))
    await school.sweep()
    await decides(school, deciding.undo, act.id)
    still = await sending(school, letter)
    assert (still.state, (still.problem or {})["recipients"][0]["address"]) == ("bounced", AROHA)


async def test_a_report_that_is_dismissed_turns_nothing(school: School) -> None:
    letter = await sent(school)
    await decides(school, deciding.dismiss, await held_report(school, letter))
    assert (await sending(school, letter)).state == "sent"
