import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.sending.accept import accept
from gateway.sending.choices import cancel
from gateway.sending.posted import (
    KeyReused,
    MailboxNotValidated,
    NewAttachment,
    TooMuchAttached,
    UnknownFile,
    UnknownMailbox,
)
from gateway.sending.rules import Rules
from storage import (
    Conflict,
    NotFound,
    Transaction,
    accounts,
    attachments,
    events,
    files,
    mailboxes,
    messages,
    threads,
)
from storage.messages import BodyType
from storage.threads import Address, Object, ObjectType
from tests.sending.conftest import SENDER, Office, a_letter

STUDENT = Object(type=ObjectType.STUDENT, id="S1001")
ENROLMENT = Object(type=ObjectType.ENROLMENT, id="E77")
LOGO = NewAttachment(name="logo.png", content_type="image/png", content_id="logo", content=b"png")


def rows(tx: Transaction, table: str) -> int:
    return int(tx.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def test_an_accepted_letter_stands_in_a_thread_of_its_objects(office: Office) -> None:
    message_id = await office.post(a_letter(objects=(ENROLMENT, STUDENT), attachments=(LOGO,), created_by="Jane Doe"))
    letter = await office.letter(message_id)
    message = await office.store.read(messages.get, office.account_id, message_id)
    for what in (STUDENT, ENROLMENT):
        (thread,) = await office.store.read(threads.of_object, office.account_id, what, limit=10)
        assert (thread.id, thread.message_count, thread.last_direction) == (letter.thread_id, 1, "out")
        assert (thread.preview, thread.has_attachments) == ("Kia ora Aroha", True)
    assert (letter.state, letter.next_attempt_at) == ("accepted", office.clock.now())
    assert message.sender == Address(name="Admissions", address=SENDER)
    assert (message.created_by, message.attachments[0].is_inline) == ("Jane Doe", True)


@pytest.mark.parametrize("attached", [(), (LOGO,)])
async def test_the_thread_of_a_letter_begins_as_its_messages_sum_it_up(office: Office, attached: tuple) -> None:
    letter = await office.letter(await office.post(a_letter(objects=(STUDENT,), attachments=attached)))
    began = await office.store.read(threads.get, office.account_id, letter.thread_id)
    await office.store.write(threads.summarise, letter.thread_id)
    assert await office.store.read(threads.get, office.account_id, letter.thread_id) == began
    assert (began.message_count, began.has_attachments) == (1, bool(attached))


async def test_everybody_who_may_write_in_takes_part_and_the_mailbox_does_not(office: Office) -> None:
    people = {name: (Address(name=None, address=f"{name}@x.example"),) for name in ("to", "cc", "bcc", "reply_to")}
    people["cc"] += (Address(name=None, address=SENDER.upper()),)
    letter = await office.letter(await office.post(a_letter(**people)))
    taking_part = await office.store.read(threads.participants, letter.thread_id)
    assert [one.address for one in taking_part] == [
        "bcc@x.example",
        "cc@x.example",
        "reply_to@x.example",
        "to@x.example",
    ]


async def test_selma_is_told_without_a_word_of_the_mail(office: Office) -> None:
    message_id = await office.post(a_letter(subject="Secret"))
    (event,) = await office.store.read(events.after, office.account_id, 0, limit=10)
    letter = await office.letter(message_id)
    assert (event.type, event.message_id, event.thread_id) == ("message.accepted", message_id, letter.thread_id)
    assert event.data == {"status": "queued"}


async def test_the_same_key_and_letter_are_one_letter(office: Office) -> None:
    first = await office.store.write(accept, office.account_id, a_letter(), idempotency_key="k", now=office.clock.now())
    again = await office.store.write(
        accept, office.account_id, a_letter(), idempotency_key="k", now=office.clock.now() + timedelta(days=400)
    )
    assert (again.message_id, first.repeated, again.repeated) == (first.message_id, False, True)


async def test_fifty_posts_of_one_key_at_once_are_one_letter(office: Office) -> None:
    ids = await asyncio.gather(*[office.post(key="same") for _ in range(50)])
    assert len(set(ids)) == 1
    assert [await office.store.read(rows, table) for table in ("outbox", "messages", "threads", "events")] == [1] * 4


async def test_the_same_key_for_another_letter_is_refused(office: Office) -> None:
    await office.post(key="k")
    with pytest.raises(KeyReused, match="something else"):
        await office.post(a_letter(subject="Another"), key="k")
    assert await office.store.read(rows, "outbox") == 1


async def test_a_repeat_is_answered_even_after_the_mailbox_was_removed(office: Office) -> None:
    message_id = await office.post(key="k")
    await office.store.write(mailboxes.mark_removed, office.mailbox_id)
    assert await office.post(key="k") == message_id


async def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(office: Office) -> None:
    await office.post(key="k")
    other = await office.store.write(accounts.add, "other", now=office.clock.now())
    with pytest.raises(UnknownMailbox):
        await office.store.write(accept, other.id, a_letter(), idempotency_key="k", now=office.clock.now())


async def test_a_letter_that_was_refused_is_not_remembered(office: Office) -> None:
    with pytest.raises(UnknownMailbox, match="is not one of this account's mailboxes"):
        await office.post(a_letter(sender="nobody@school.example"), key="k")
    await office.post(key="k")


async def test_a_mailbox_that_is_not_validated_sends_nothing_and_says_why(office: Office) -> None:
    await office.store.write(mailboxes.add, office.account_id, "new@school.example", now=office.clock.now())
    with pytest.raises(MailboxNotValidated, match="has not been validated"):
        await office.post(a_letter(sender="new@school.example"))
    await office.store.write(mailboxes.mark_refused, office.mailbox_id, {"code": "x"})
    with pytest.raises(MailboxNotValidated, match="failed its validation"):
        await office.post()
    assert await office.store.read(rows, "threads") == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "x"},
        {"body": "x"},
        {"body_type": BodyType.TEXT},
        {"to": ()},
        {"cc": (Address(name=None, address="a@x.example"),)},
        {"bcc": (Address(name=None, address="a@x.example"),)},
        {"reply_to": (Address(name=None, address="a@x.example"),)},
        {"attachments": (replace(LOGO, content=b"PNG"),)},
        {"attachments": (LOGO, LOGO)},
        {"objects": (STUDENT,)},
        {"created_by": "Jane"},
        {"importance": "high"},
        {"metadata": {"a": 1}},
        {"sender": "other@school.example"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_letters_that_differ_anywhere_have_different_fingerprints(changes: dict) -> None:
    one = a_letter(attachments=(LOGO,))
    assert one.fingerprint != replace(one, **changes).fingerprint


def test_a_fingerprint_does_not_depend_on_the_order_of_metadata_or_the_case_of_the_sender() -> None:
    one = a_letter(metadata={"a": 1, "b": 2})
    assert one.fingerprint == a_letter(metadata={"b": 2, "a": 1}, sender=SENDER.upper()).fingerprint


async def test_a_cancelled_letter_is_never_sent(office: Office) -> None:
    message_id = await office.post()
    await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())
    await office.worker.run_due()
    assert (await office.state(message_id), office.mail.calls) == ("cancelled", [])
    assert await office.told() == ["message.accepted", "message.cancelled"]


async def test_a_letter_that_has_left_can_not_be_cancelled(office: Office) -> None:
    message_id = await office.post()
    await office.worker.run_due()
    with pytest.raises(Conflict, match="submitted"):
        await office.store.write(cancel, office.account_id, message_id, now=office.clock.now())


async def test_another_accounts_letter_can_not_be_touched(office: Office) -> None:
    message_id = await office.post()
    other = await office.store.write(accounts.add, "other", now=office.clock.now())
    with pytest.raises(NotFound):
        await office.store.write(cancel, other.id, message_id, now=office.clock.now())


async def test_the_attachments_are_kept_as_they_were_posted(office: Office) -> None:
    message_id = await office.post(a_letter(attachments=(LOGO,)))
    [kept] = await office.store.read(attachments.of_letter, message_id)
    assert (kept.name, kept.content_type, kept.content_id, kept.size) == ("logo.png", "image/png", "logo", 3)
    assert await office.store.read(files.read, kept.file_id or "", start=0, length=9) == b"png"


async def test_one_uploaded_file_goes_with_many_letters(office: Office) -> None:
    now = office.clock.now()
    file = await office.store.write(
        files.store,
        office.account_id,
        name="terms.pdf",
        content_type="application/pdf",
        content=b"terms",
        sha256=bytes(32),
        expires_at=now,
        now=now,
    )
    named = NewAttachment(name=None, content_type=None, file_id=file.id)
    renamed = NewAttachment(name="conditions.pdf", content_type="application/x-pdf", file_id=file.id)
    letters = [await office.post(a_letter(attachments=(one,))) for one in (named, renamed)]
    kept = [(await office.store.read(attachments.of_letter, one))[0] for one in letters]
    assert [one.name for one in kept] == ["terms.pdf", "conditions.pdf"]
    assert {one.file_id for one in kept} == {file.id}
    assert await office.store.write(files.forget_expired, office.account_id, now=now) == 0, "letters need it"


async def test_a_file_that_is_not_there_is_refused_and_nothing_is_kept(office: Office) -> None:
    gone = NewAttachment(name="a.pdf", content_type=None, file_id="fil_gone")
    with pytest.raises(UnknownFile, match="Attachment 2 "):
        await office.post(a_letter(attachments=(LOGO, gone)))
    assert await office.store.read(rows, "files") == 0


async def test_attachments_may_not_be_larger_together_than_a_letter_may_be(office: Office) -> None:
    pair = tuple(NewAttachment(name=name, content_type="text/plain", content=b"x" * 600) for name in ("a", "b"))
    with pytest.raises(TooMuchAttached, match="1,200 bytes together; a letter may have 1,000"):
        await office.store.write(
            accept,
            office.account_id,
            a_letter(attachments=pair),
            idempotency_key=None,
            rules=Rules(largest_letter=1000),
            now=office.clock.now(),
        )
    assert await office.store.read(rows, "messages") == 0
