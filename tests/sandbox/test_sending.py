"""A draft becomes a sent letter, the letter an answer or a report."""

import email
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from gateway.sandbox import Behaviour, Machine, Sandbox
from gateway.sandbox.model import Message
from gateway.sandbox.school import School

from .conftest import ORIGIN, ManualClock, at, draft_of, letter, sent, tagged

OFFICE = "office@school.example"


def inbox(sandbox: Sandbox, address: str = OFFICE) -> list[Message]:
    mailbox = sandbox.world.mailbox(address)
    return list(mailbox.messages(mailbox.well_known("inbox").id))


def folder(sandbox: Sandbox, name: str) -> list[Message]:
    mailbox = sandbox.world.mailbox(OFFICE)
    return list(mailbox.messages(mailbox.well_known(name).id))


async def test_a_letter_goes_out_and_its_reply_arrives_in_the_same_conversation(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office, tag="a1")
    found = await graph.get(f"{office}/mailFolders/sentitems/messages", params={"$filter": tagged("a1")})
    assert [m["conversationId"] for m in found.json()["value"]] == [draft["conversationId"]]
    thread = {"$filter": f"conversationId eq '{draft['conversationId']}'"}
    replies = (await graph.get(f"{office}/mailFolders('inbox')/messages", params=thread)).json()["value"]
    assert [m["subject"] for m in replies] == ["Re: Your enrolment"]
    assert replies[0]["from"]["emailAddress"] == {"name": "Māia Parata", "address": "maia.parata@student.example"}


async def test_a_reply_says_what_it_answers_and_quotes_it(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office)
    reply = inbox(sandbox)[-1]
    select = {"$select": "internetMessageHeaders,uniqueBody,body"}
    read = (await graph.get(f"{office}/messages/{at(reply.id)}", params=select)).json()
    headers = {header["name"]: header["value"] for header in read["internetMessageHeaders"]}
    assert headers["In-Reply-To"] == headers["References"] == draft["internetMessageId"]
    assert "gmail_quote" in read["body"]["content"]
    assert "gmail_quote" not in read["uniqueBody"]["content"]


@pytest.mark.parametrize("student", range(6))
async def test_every_student_answers_in_the_conversation_of_the_letter(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, pupils: School, student: int
) -> None:
    draft = await sent(sandbox, graph, office, to=pupils.students[student].address)
    reply = inbox(sandbox)[-1]
    assert (reply.conversation_id, reply.in_reply_to) == (draft["conversationId"], draft["internetMessageId"])
    assert reply.from_ is not None
    assert reply.from_.name == pupils.students[student].name


async def test_a_changed_subject_makes_a_new_conversation_with_the_right_references(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    sandbox.world.correspondents.change("maia.parata@student.example", changes_subject_to="A question")
    draft = await sent(sandbox, graph, office)
    reply = inbox(sandbox)[-1]
    assert reply.conversation_id != draft["conversationId"]
    assert reply.references == (draft["internetMessageId"],)


async def test_the_silent_say_nothing_and_the_absent_answer_automatically(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    before = len(inbox(sandbox))
    sandbox.world.correspondents.change("maia.parata@student.example", is_silent=True)
    sandbox.world.correspondents.change("tane.ngata@student.example", out_of_office=True)
    await sent(sandbox, graph, office)
    assert len(inbox(sandbox)) == before
    await sent(sandbox, graph, office, to="tane.ngata@student.example")
    automatic = inbox(sandbox)[-1]
    assert automatic.subject == "Automatic reply: Your enrolment"
    assert ("Auto-Submitted", "auto-replied") in automatic.headers


@pytest.mark.parametrize(
    ("machine", "message_class", "fields"),
    [
        (Machine.IS_FULL, "REPORT.IPM.Note.NDR", {"Action": "failed", "Status": "5.2.2"}),
        (Machine.IS_LATE, "REPORT.IPM.Note.Delayed.DR", {"Action": "delayed", "Status": "4.4.1"}),
        (Machine.READS, "REPORT.IPM.Note.IPNRN", {"Final-Recipient": "rfc822;maia.parata@student.example"}),
    ],
)
async def test_machines_report_as_the_standards_ask(
    sandbox: Sandbox,
    graph: httpx.AsyncClient,
    anyone: httpx.AsyncClient,
    office: str,
    machine: Machine,
    message_class: str,
    fields: dict[str, str],
) -> None:
    maia = f"{ORIGIN}/_sandbox/correspondents/maia.parata@student.example"
    assert (await anyone.patch(maia, json={"machine": machine.value})).status_code == 204
    written = {**letter(), "internetMessageHeaders": [{"name": "x-selma-run", "value": "7"}]}
    draft = (await graph.post(f"{office}/messages", json=written)).json()
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    await sandbox.settle()
    report = inbox(sandbox)[-1]
    assert report.extended_properties["String 0x001A"] == message_class
    mime = (await graph.get(f"{office}/messages/{at(report.id)}/$value")).content
    parts = list(email.message_from_bytes(mime).walk())
    assert parts[0].get_content_type() == "multipart/report"
    blocks = [block for part in parts if part.get_content_type().startswith("message/") for block in part.walk()]
    said = {name: value for block in blocks for name, value in block.items()}
    assert fields.items() <= said.items()
    returned = str(parts[-1].get_payload())
    assert draft["internetMessageId"] in returned
    assert "x-selma-run: 7" in returned


async def test_a_calendar_answers_as_one(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    sandbox.world.correspondents.change("maia.parata@student.example", machine=Machine.ACCEPTS)
    await sent(sandbox, graph, office)
    assert inbox(sandbox)[-1].extended_properties["String 0x001A"] == "IPM.Schedule.Meeting.Resp.Pos"


@pytest.mark.parametrize("reply_to", ["maia.parata", "tane.ngata"])
async def test_people_outside_do_not_answer_each_other_for_ever(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, reply_to: str
) -> None:
    back_to = [{"emailAddress": {"address": f"{reply_to}@student.example"}}]
    await graph.post(f"{office}/sendMail", json={"message": {**letter(), "replyTo": back_to}})
    await sandbox.settle()
    assert len(sandbox.world.ledger) == 1


async def test_an_unknown_address_brings_a_report_of_non_delivery(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office, to="nobody@student.example")
    report = inbox(sandbox)[-1]
    expand = {"$expand": "singleValueExtendedProperties($filter=id eq 'String 0x001A')"}
    read = (await graph.get(f"{office}/messages/{at(report.id)}", params=expand)).json()
    assert read["singleValueExtendedProperties"][0]["value"] == "REPORT.IPM.Note.NDR"
    value = (await graph.get(f"{office}/messages/{at(report.id)}/$value")).text
    assert "Status: 5.1.10" in value
    assert "Final-Recipient: rfc822;nobody@student.example" in value
    assert draft["internetMessageId"] in value


async def test_mail_between_two_mailboxes_has_one_message_id_two_conversation_ids_and_no_tag(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office, to="admissions@school.example", tag="a1")
    arrived = inbox(sandbox, "admissions@school.example")[-1]
    assert arrived.internet_message_id == draft["internetMessageId"]
    assert arrived.conversation_id != draft["conversationId"]
    assert "a1" not in arrived.extended_properties.values()


async def test_blind_copies_arrive_and_are_not_shown(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    hidden = {"bccRecipients": [{"emailAddress": {"address": "admissions@school.example"}}]}
    draft = (await graph.post(f"{office}/messages", json={**letter(), **hidden})).json()
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    await sandbox.settle()
    arrived = inbox(sandbox, "admissions@school.example")[-1]
    assert arrived.internet_message_id == draft["internetMessageId"]
    assert arrived.bcc == ()
    assert sandbox.world.ledger[0].recipients == ("maia.parata@student.example", "admissions@school.example")


async def test_the_ledger_knows_what_left(sandbox: Sandbox, graph: httpx.AsyncClient, office: str) -> None:
    draft = await sent(sandbox, graph, office, tag="a1")
    entry = sandbox.world.ledger[0]
    assert (entry.mailbox, entry.internet_message_id) == (OFFICE, draft["internetMessageId"])
    assert list(entry.extended_properties.values()) == ["a1"]


async def test_until_the_copy_is_in_sent_items_the_draft_stands_in_drafts(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), sent_copy_delay=timedelta(seconds=90))
    draft = await draft_of(graph, office, tag="a1")
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert [len(folder(sandbox, name)) for name in ("drafts", "sentitems")] == [1, 0]
    clock.advance(timedelta(seconds=90))
    await sandbox.settle()
    assert [len(folder(sandbox, name)) for name in ("drafts", "sentitems")] == [0, 1]
    again = await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert (again.status_code, again.json()["error"]["code"]) == (404, "ErrorItemNotFound")


async def test_each_copy_can_take_a_time_of_its_own(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    least, most = timedelta(seconds=10), timedelta(seconds=120)
    sandbox.world.behaviour = replace(Behaviour.at_once(), sent_copy_delay=least, sent_copy_delay_most=most)
    for number in range(20):
        await graph.post(f"{office}/sendMail", json={"message": letter(subject=f"Letter {number}")})
    await clock.asleep(20)
    waits = clock.waits()
    assert least <= min(waits) < max(waits) <= most
    assert max(waits) - min(waits) > (most - least) / 2
    clock.advance(most)
    await sandbox.settle()
    assert len(folder(sandbox, "sentitems")) == 20


async def test_a_slow_index_finds_a_tag_later_and_the_copy_in_sent_items_later_still(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    sandbox.world.behaviour = replace(Behaviour.at_once(), tag_search_delay=timedelta(seconds=5))

    async def found() -> int:
        return len((await graph.get(f"{office}/messages", params={"$filter": tagged("a1")})).json()["value"])

    draft = await draft_of(graph, office, tag="a1")
    assert await found() == 0
    clock.advance(timedelta(seconds=5))
    assert await found() == 1
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    await sandbox.settle()
    assert await found() == 0
    assert (await graph.get(f"{office}/mailFolders/sentitems/messages")).json()["value"]
    clock.advance(timedelta(seconds=5))
    assert await found() == 1


@pytest.mark.parametrize(("sends_again", "letters"), [(True, 2), (False, 1)])
async def test_a_second_send_while_the_first_is_under_way(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock, sends_again: bool, letters: int
) -> None:
    slow = Behaviour(sent_copy_delay=timedelta(seconds=90), repeated_send_sends_again=sends_again)
    sandbox.world.behaviour = replace(slow, reply_delay=timedelta(0), notification_delay=timedelta(0))
    draft = await draft_of(graph, office)
    for _ in range(2):
        assert (await graph.post(f"{office}/messages/{at(draft['id'])}/send")).status_code == 202
    clock.advance(timedelta(seconds=90))
    await sandbox.settle()
    assert len(sandbox.world.ledger) == len(folder(sandbox, "sentitems")) == letters


REFUSED = [
    ("nobody at all", [], 400, "contains no recipients"),
    ("an address that is none", ["bad"], 400, 'Recipient "bad" isn\'t resolved'),
]


@pytest.mark.parametrize(("to", "status", "text"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
async def test_a_letter_is_not_sent_to(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, to: list[str], status: int, text: str
) -> None:
    recipients = {"toRecipients": [{"emailAddress": {"address": address}} for address in to]}
    draft = (await graph.post(f"{office}/messages", json={**letter(), **recipients})).json()
    answer = await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, "ErrorInvalidRecipients")
    assert text in answer.json()["error"]["message"]
    assert sandbox.world.ledger == []


async def test_nobody_sends_as_someone_else(graph: httpx.AsyncClient, office: str) -> None:
    other = {"from": {"emailAddress": {"address": "admissions@school.example"}}}
    draft = (await graph.post(f"{office}/messages", json={**letter(), **other})).json()
    answer = await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "ErrorSendAsDenied")


@pytest.mark.parametrize(("save", "copies"), [(None, 1), ("false", 0), (False, 0)])
async def test_send_mail_sends_and_keeps_a_copy_if_it_is_wanted(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, save: object, copies: int
) -> None:
    body = {"message": letter()} | ({} if save is None else {"saveToSentItems": save})
    answer = await graph.post(f"{office}/sendMail", json=body)
    await sandbox.settle()
    assert (answer.status_code, answer.content) == (202, b"")
    assert len(sandbox.world.ledger) == 1
    assert [len(folder(sandbox, name)) for name in ("drafts", "sentitems")] == [0, copies]


async def test_a_reply_draft_stays_in_the_conversation_and_quotes_it(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office)
    received = inbox(sandbox)[-1]
    answer = await graph.post(f"{office}/messages/{at(received.id)}/createReply", json={"comment": "Ka pai"})
    reply = answer.json()
    assert answer.status_code == 201
    assert (reply["subject"], reply["conversationId"]) == ("Re: Your enrolment", draft["conversationId"])
    assert reply["toRecipients"][0]["emailAddress"]["address"] == "maia.parata@student.example"
    assert "Ka pai" not in reply["body"]["content"]
    await graph.post(f"{office}/messages/{at(reply['id'])}/send")
    await sandbox.settle()
    assert {m.conversation_id for m in (*folder(sandbox, "sentitems"), inbox(sandbox)[-1])} == {draft["conversationId"]}


async def test_a_reply_takes_a_comment_or_a_body_but_not_both(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    await sent(sandbox, graph, office)
    path = f"{office}/messages/{at(inbox(sandbox)[-1].id)}/reply"
    body = {"message": {"body": {"contentType": "text", "content": "One"}}, "comment": "Two"}
    assert (await graph.post(path, json=body)).status_code == 400
    assert (await graph.post(path, json={"comment": "Ka pai"})).status_code == 202
    await sandbox.settle()
    assert "Ka pai" in folder(sandbox, "sentitems")[-1].body.content


async def test_strangers_with_the_same_plain_subject_fall_into_one_conversation(
    sandbox: Sandbox, pupils: School
) -> None:
    first = sandbox.world.deliver(OFFICE, from_="a@b.example", subject="Question")
    second = sandbox.world.deliver(OFFICE, from_="c@d.example", subject="RE:  question")
    other = sandbox.world.deliver(OFFICE, from_="c@d.example", subject="Another question")
    assert first.conversation_id == second.conversation_id != other.conversation_id


async def test_a_stranger_can_be_put_into_any_conversation(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office)
    other = await sent(sandbox, graph, office, subject="Something else")
    arrived = sandbox.world.deliver(
        OFFICE,
        from_="stranger@b.example",
        subject="Re: Your enrolment",
        in_reply_to=draft["internetMessageId"],
        conversation_id=other["conversationId"],
    )
    assert arrived.conversation_id == other["conversationId"]


async def test_a_test_can_answer_a_letter_in_its_own_words(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str
) -> None:
    draft = await sent(sandbox, graph, office)
    reply = sandbox.world.reply_to(folder(sandbox, "sentitems")[0], "One more question")
    arrived = inbox(sandbox)[-1]
    assert (arrived.internet_message_id, arrived.conversation_id) == (
        reply.internet_message_id,
        draft["conversationId"],
    )
    assert "One more question" in arrived.body.content


async def test_while_it_is_sent_a_letter_can_be_nowhere(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, clock: ManualClock
) -> None:
    slow = replace(Behaviour.at_once(), sent_copy_delay=timedelta(seconds=90), draft_visible_while_sending=False)
    sandbox.world.behaviour = slow
    draft = await draft_of(graph, office)
    await graph.post(f"{office}/messages/{at(draft['id'])}/send")
    assert [len(folder(sandbox, name)) for name in ("drafts", "sentitems")] == [0, 0]
    clock.advance(timedelta(seconds=90))
    await sandbox.settle()
    assert [len(folder(sandbox, name)) for name in ("drafts", "sentitems")] == [0, 1]


@pytest.mark.parametrize("content_type", ["text/plain", "application/pdf", "message/rfc822", "nonsense"])
async def test_a_letter_with_difficult_names_and_files_is_readable_as_mime(
    sandbox: Sandbox, graph: httpx.AsyncClient, office: str, content_type: str
) -> None:
    person = {"emailAddress": {"name": 'Ngāta, Tāne "T" 🎉', "address": "tane.ngata@student.example"}}
    file = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "tōmuri.txt",
        "contentType": content_type,
        "contentBytes": "U3ViamVjdDogaGkNCg0KaGVsbG8=",
    }
    body = {**letter(subject="Tēnā koe\r\nBcc: x"), "toRecipients": [person], "attachments": [file]}
    draft = (await graph.post(f"{office}/messages", json=body)).json()
    value = await graph.get(f"{office}/messages/{at(draft['id'])}/$value")
    assert value.status_code == 200
    assert b"\nBcc:" not in value.content
