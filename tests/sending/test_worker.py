import asyncio
from datetime import timedelta

import pytest

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, BadRequest, CredentialRefused, NotFound, Throttled, Unavailable, Unreachable
from gateway.sending.draft import TAG
from gateway.sending.errors import CREDENTIAL_RETRY
from gateway.sending.recognise import SentItem, recognise_sent
from storage import Transaction, claims, folders, mailboxes, messages, threads
from storage.folders import WellKnown
from storage.threads import Address
from tests.sending.conftest import SENDER, Office, a_letter, add_mailbox
from tests.sending.fake_mailbox import Fault, When

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LOST_ANSWER = Unreachable("ReadTimeout", sent=True)
REFUSED_CONNECTION = Unreachable("ConnectError", sent=False)


async def test_a_letter_is_drafted_with_its_tag_and_submitted_in_two_calls(office: Office) -> None:
    message_id = await office.post()
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert letter.state == "submitted"
    assert [call for call, _ in office.mail.calls] == ["create_draft", "send_draft"]
    assert office.mail.ledger == {letter.send_uid: 1}
    assert await office.told() == ["message.accepted", "message.submitted"]


async def test_the_thread_has_its_conversation_before_the_letter_leaves(office: Office) -> None:
    message_id = await office.post()
    office.mail.script("send_draft", Fault(REFUSED_CONNECTION))
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert letter.conversation_id is not None
    thread = await office.store.read(threads.by_conversation, office.mailbox_id, letter.conversation_id)
    assert thread == letter.thread_id


async def test_sent_items_are_pulled_soon_after_a_letter_was_submitted(office: Office) -> None:
    def nothing_due(tx: Transaction) -> None:
        tx.execute("UPDATE folders SET next_pull_at = next_pull_at + 3600000000")

    await office.store.write(nothing_due)
    await office.post()
    await office.worker.run_due()
    watched = await office.store.read(folders.of_mailbox, office.mailbox_id)
    due = {folder.well_known: folder.next_pull_at - office.clock.now() for folder in watched}
    assert due == {WellKnown.INBOX: HOUR, WellKnown.SENT_ITEMS: 5 * SECOND}


async def test_a_letter_for_later_waits_until_then(office: Office) -> None:
    message_id = await office.post(a_letter(send_at=office.clock.now() + HOUR))
    await office.pass_time(59 * MINUTE)
    assert office.mail.calls == []
    await office.pass_time(MINUTE)
    assert await office.state(message_id) == "submitted"


async def test_a_submitted_letter_is_found_in_sent_without_any_notification(office: Office) -> None:
    office.mail.ids_survive_send = False
    message_id = await office.post()
    await office.worker.run_due()
    await office.pass_time(MINUTE)
    letter = await office.letter(message_id)
    assert letter.state == "sent"
    assert letter.graph_id == "item-0-sent"
    assert (await office.told())[-1] == "message.sent"


@pytest.mark.parametrize(
    "failure",
    [
        LOST_ANSWER,
        Throttled(status=429, code="ApplicationThrottled", retry_after=timedelta(seconds=20)),
        Unavailable(status=504),
        AccessDenied(status=403, code="ErrorAccessDenied"),
        BadRequest(status=400, code="ErrorInvalidRecipients"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_letter_that_left_behind_an_error_is_found_and_never_sent_again(office: Office, failure) -> None:
    office.mail.script("send_draft", Fault(failure, When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    assert await office.state(message_id) == "unknown"
    await office.pass_time(10 * MINUTE, steps=120)
    letter = await office.letter(message_id)
    assert (letter.state, office.mail.ledger[letter.send_uid]) == ("sent", 1)
    assert office.mail.called("send_draft") == 1


async def test_a_draft_that_never_left_is_sent_again_only_after_the_settle_time(office: Office) -> None:
    office.mail.script("send_draft", Fault(LOST_ANSWER))
    message_id = await office.post()
    await office.worker.run_due()
    await office.pass_time(14 * MINUTE, steps=14 * 12)
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("unknown", 1)
    await office.pass_time(2 * MINUTE, steps=24)
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("sent", 2)
    assert office.mail.called("create_draft") == 1


async def test_after_three_submissions_of_a_draft_that_stays_one_a_person_is_asked(office: Office) -> None:
    office.mail.script("send_draft", *[Fault(LOST_ANSWER)] * 3)
    message_id = await office.post()
    await office.pass_time(HOUR, steps=720)
    letter = await office.letter(message_id)
    assert (letter.state, letter.submits, letter.problem["code"]) == ("needs_review", 3, "stays_draft")
    assert office.mail.ledger[letter.send_uid] == 0
    assert (await office.told())[-1] == "message.needs_review"


async def test_a_refusal_is_final_once_the_item_is_proved_a_draft(office: Office) -> None:
    office.mail.script("send_draft", Fault(BadRequest("no", status=400, code="ErrorInvalidRecipients")))
    message_id = await office.post()
    await office.pass_time(20 * MINUTE, steps=240)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"], letter.submits) == ("failed", "recipients", 1)


async def test_what_graph_accepted_is_never_submitted_again_though_it_stays_a_draft(office: Office) -> None:
    office.mail.sent_copy_delay = 10 * HOUR
    message_id = await office.post()
    await office.pass_time(HOUR, steps=720)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"]) == ("needs_review", "accepted_but_draft")
    assert office.mail.called("send_draft") == 1


async def test_a_letter_that_vanished_is_a_persons_to_decide_after_thirty_minutes(office: Office) -> None:
    office.mail.script("send_draft", Fault(LOST_ANSWER, When.AFTER))
    office.mail.draft_stays_while_on_its_way, office.mail.sent_copy_delay = False, 3 * HOUR
    message_id = await office.post()
    await office.pass_time(29 * MINUTE, steps=29)
    assert await office.state(message_id) == "unknown"
    await office.pass_time(6 * MINUTE, steps=6)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"]) == ("needs_review", "not_found")


async def test_a_read_that_fails_is_never_taken_for_not_found(office: Office) -> None:
    office.mail.script("send_draft", Fault(LOST_ANSWER, When.AFTER))
    office.mail.script("find_by_tag", *[Fault(Unavailable(status=503))] * 100)
    message_id = await office.post()
    await office.worker.run_due()
    await office.pass_time(2 * HOUR, steps=120)
    assert await office.state(message_id) == "unknown"
    office.mail.faults.clear()
    await office.pass_time(15 * MINUTE, steps=15)
    assert await office.state(message_id) == "sent"


async def test_a_connection_that_was_refused_leaves_the_draft_to_be_sent_in_seconds(office: Office) -> None:
    office.mail.script("send_draft", Fault(REFUSED_CONNECTION))
    message_id = await office.post()
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert (letter.state, letter.submits) == ("drafted", 0)
    await office.pass_time(2 * MINUTE, steps=24)
    assert (await office.state(message_id), office.mail.called("create_draft")) == ("sent", 1)


async def test_a_draft_whose_answer_was_lost_is_adopted_and_not_made_twice(office: Office) -> None:
    office.mail.script("create_draft", Fault(LOST_ANSWER, When.AFTER))
    message_id = await office.post()
    await office.pass_time(2 * MINUTE, steps=24)
    assert (await office.state(message_id), len(office.mail.items)) == ("sent", 1)


async def test_of_several_drafts_with_one_tag_the_oldest_is_sent_and_the_others_go(office: Office) -> None:
    office.mail.script("create_draft", *[Fault(LOST_ANSWER, When.AFTER)] * 2)
    office.mail.script("find_by_tag", Fault(Unavailable(status=503)))
    message_id = await office.post()
    letter = await office.letter(message_id)
    await office.worker.run_due()
    stray = {"singleValueExtendedProperties": [{"id": TAG, "value": letter.send_uid}]}
    office.mail.faults["create_draft"].clear()
    await office.mail.create_draft(f"user-{SENDER}", stray)
    await office.pass_time(2 * MINUTE, steps=24)
    assert await office.state(message_id) == "sent"
    assert [(item.id, item.deleted) for item in office.mail.items.values()] == [("item-0", False), ("item-1", True)]


async def test_a_draft_that_somebody_sent_by_hand_is_recognised_and_not_sent_again(office: Office) -> None:
    office.mail.script("create_draft", Fault(LOST_ANSWER, When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    await office.mail.send_draft("anyone", "item-0")
    await office.pass_time(2 * MINUTE, steps=24)
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("sent", 1)


async def test_a_draft_that_is_gone_when_submitted_is_looked_for(office: Office) -> None:
    office.mail.script("send_draft", Fault(NotFound(status=404, code="ErrorItemNotFound"), When.AFTER))
    message_id = await office.post()
    await office.worker.run_due()
    assert await office.state(message_id) == "unknown"
    await office.pass_time(5 * SECOND)
    assert await office.state(message_id) == "sent"


async def test_bad_recipients_fail_the_letter_at_once_with_a_reason(office: Office) -> None:
    office.mail.script("create_draft", Fault(BadRequest("no", status=400, code="ErrorInvalidRecipients")))
    message_id = await office.post()
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"]) == ("failed", "recipients")
    assert (await office.told())[-1] == "message.failed"


async def test_throttling_pauses_the_whole_mailbox_until_graph_said(office: Office) -> None:
    office.mail.script("create_draft", Fault(Throttled(status=429, retry_after=timedelta(seconds=90))))
    first = await office.post()
    await office.worker.run_due()
    second = await office.post()
    await office.pass_time(89 * SECOND, steps=89)
    assert (await office.state(second), len(office.mail.calls)) == ("accepted", 1)
    assert await office.store.read(claims.next_due) == office.clock.now() + SECOND
    await office.pass_time(SECOND)
    assert [await office.state(one) for one in (first, second)] == ["submitted", "submitted"]


@pytest.mark.parametrize("trouble", ["no credential", "token refused"])
async def test_letters_wait_for_the_credential_for_days_and_leave_when_it_works(office: Office, trouble: str) -> None:
    error = NotConnected(office.account_id) if trouble == "no credential" else CredentialRefused("expired")
    office.mail.not_connected = error
    message_id = await office.post()
    await office.pass_time(timedelta(days=3), steps=100)
    assert (await office.state(message_id), office.mail.calls) == ("drafting", [])
    office.mail.not_connected = None
    await office.pass_time(CREDENTIAL_RETRY)
    assert await office.state(message_id) == "submitted"


async def test_a_letter_whose_draft_cannot_be_made_for_a_day_fails_with_the_reason(office: Office) -> None:
    office.mail.script("create_draft", *[Fault(AccessDenied(status=403, code="ErrorAccessDenied"))] * 1000)
    message_id = await office.post()
    await office.pass_time(25 * HOUR, steps=400)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"]) == ("failed", "access")


async def test_a_finished_draft_that_cannot_leave_for_a_day_fails_with_the_reason(office: Office) -> None:
    office.mail.script("send_draft", *[Fault(REFUSED_CONNECTION)] * 1000)
    message_id = await office.post()
    await office.pass_time(26 * HOUR, steps=600)
    letter = await office.letter(message_id)
    assert (letter.state, letter.problem["code"], letter.submits) == ("failed", "unreachable", 0)


async def test_a_letter_seen_in_sent_before_its_202_came_stays_sent(office: Office) -> None:
    message_id = await office.post()
    arrived = office.mail.event_when(lambda: bool(office.mail.in_sent()))

    async def the_puller_is_quicker() -> None:
        await arrived.wait()
        item = office.mail.in_sent()[0]
        seen = SentItem(graph_id=item.id, conversation_id=item.conversation_id, internet_message_id=None, tag=item.tag)
        await office.store.write(recognise_sent, office.account_id, office.mailbox_id, seen, now=office.clock.now())

    office.mail.script("send_draft", Fault(LOST_ANSWER, When.AFTER))
    async with asyncio.TaskGroup() as group:
        group.create_task(office.worker.run_due())
        group.create_task(the_puller_is_quicker())
    await office.pass_time(MINUTE)
    assert await office.state(message_id) == "sent"
    assert (await office.told()).count("message.sent") == 1


async def test_the_mailbox_serves_at_most_four_calls_at_once_and_no_other_waits_for_it(office: Office) -> None:
    other = "library@school.example"
    await office.store.write(add_mailbox, office.account_id, other, office.clock)
    for _ in range(20):
        await office.post()
    last = await office.post(a_letter(sender=other))
    office.mail.gate = asyncio.Event()
    reached = office.mail.event_when(lambda: ("create_draft", f"user-{other}") in office.mail.calls)
    async with asyncio.TaskGroup() as group:
        group.create_task(office.worker.run_due())
        await reached.wait()
        office.mail.gate.set()
    assert await office.state(last) == "submitted"
    assert 1 < office.mail.busiest[f"user-{SENDER}"] <= 4
    assert sum(office.mail.ledger.values()) == 21


async def test_two_workers_on_one_file_send_each_letter_once(office: Office) -> None:
    for _ in range(30):
        await office.post()
    first, second = office.worker, office.new_worker("second")
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run_due())
        group.create_task(second.run_due())
    assert sorted(office.mail.ledger.values()) == [1] * 30
    assert office.mail.busiest[f"user-{SENDER}"] <= 4


async def test_letters_of_a_removed_mailbox_fail_instead_of_leaving(office: Office) -> None:
    message_id = await office.post()
    await office.store.write(mailboxes.mark_removed, office.mailbox_id)
    await office.worker.run_due()
    assert (await office.state(message_id), office.mail.calls) == ("failed", [])


async def test_a_letter_that_the_gateway_stumbles_over_does_not_stop_the_others(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    office.mail.script("create_draft", Fault(KeyError("a fault of ours")))
    first = await office.post()
    await office.worker.run_due()
    second = await office.post()
    await office.worker.run_due()
    assert await office.state(second) == "submitted"
    await office.pass_time(MINUTE)
    assert await office.state(first) == "submitted"
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["letter stumbled"]


async def test_the_sent_copy_gives_the_message_its_time_and_ids(office: Office) -> None:
    office.mail.sent_copy_delay = 20 * SECOND
    message_id = await office.post(a_letter(send_at=office.clock.now() + HOUR))
    await office.pass_time(HOUR)
    left_at = office.clock.now()
    await office.pass_time(MINUTE)
    message = await office.store.read(messages.get, office.account_id, message_id)
    assert (message.message_at, message.sent_at, message.status) == (left_at, left_at, "sent")
    assert message.internet_message_id == "<0@school.example>"


async def test_logs_hold_no_mail(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="gateway")
    office.mail.script("create_draft", Fault(BadRequest("aroha@student.example is bad", status=400)))
    await office.post(a_letter(subject="Secret", cc=(Address(name="Tama", address="tama@home.example"),)))
    await office.post()
    await office.pass_time(2 * MINUTE, steps=2)
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for word in ("Secret", "Aroha", "aroha@", "Tama", "tama@", "Kia ora", SENDER):
        assert word not in logged.replace(f"user-{SENDER}", "")
