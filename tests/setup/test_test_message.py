import pytest

import storage
from gateway.sending.posted import MailboxNotValidated
from gateway.setup.account import BadConfiguration
from gateway.setup.test_message import send_test_message
from storage import accounts, mailboxes, messages, outbox, threads
from storage.threads import Address, Object, ObjectType
from tests.fakes.clock import FakeClock

OFFICE = "office@school.example"


@pytest.fixture
async def office(store: storage.Store, account_id: str, clock: FakeClock) -> str:
    mailbox = await store.write(mailboxes.add, account_id, OFFICE, now=clock.now())
    await store.write(mailboxes.mark_validated, mailbox.id, user_id="u-1", display_name="Office", now=clock.now())
    return mailbox.id


async def test_it_goes_to_the_mailbox_itself_and_concerns_no_student(
    store: storage.Store, account_id: str, clock: FakeClock, office: str
) -> None:
    message_id = await send_test_message(store, clock, account_id, OFFICE.upper())
    message = await store.read(messages.get, account_id, message_id)
    assert message.recipients.to == (Address(name=None, address=OFFICE),)
    assert message.mailbox_id == office
    assert await store.read(threads.objects_of, message.thread_id) == [Object(type=ObjectType.USER, id="test-message")]


async def test_it_is_a_letter_like_any_other_whose_progress_can_be_watched(
    store: storage.Store, account_id: str, clock: FakeClock, office: str
) -> None:
    with store.watching("outbox") as worker:
        message_id = await send_test_message(store, clock, account_id, OFFICE, "head@school.example")
        assert worker.is_set()
    letter = await store.read(outbox.get, account_id, message_id)
    message = await store.read(messages.get, account_id, message_id)
    assert (letter.state, letter.next_attempt_at) == ("accepted", clock.now())
    assert message.recipients.to == (Address(name=None, address="head@school.example"),)


async def test_each_one_is_another_letter(store: storage.Store, account_id: str, clock: FakeClock, office: str) -> None:
    first = await send_test_message(store, clock, account_id, OFFICE)
    assert first != await send_test_message(store, clock, account_id, OFFICE)


async def test_it_says_what_it_is_and_when_it_was_asked_for_in_the_schools_time(
    store: storage.Store, account_id: str, clock: FakeClock, office: str
) -> None:
    settings = {"tenant_id": "t", "client_id": "c", "cloud": "global", "time_zone": "Pacific/Auckland"}
    await store.write(lambda tx: accounts.configure(tx, account_id, **settings, now=clock.now()))
    message_id = await send_test_message(store, clock, account_id, OFFICE)
    message = await store.read(messages.get, account_id, message_id)
    assert message.subject == "Test email from SELMA"
    assert "2 March 2026 at 22:00 NZDT" in message.body


async def test_an_unknown_mailbox_is_not_found(store: storage.Store, account_id: str, clock: FakeClock) -> None:
    with pytest.raises(storage.NotFound):
        await send_test_message(store, clock, account_id, OFFICE)


async def test_a_mailbox_that_was_not_validated_sends_nothing(
    store: storage.Store, account_id: str, clock: FakeClock
) -> None:
    await store.write(mailboxes.add, account_id, OFFICE, now=clock.now())
    with pytest.raises(MailboxNotValidated):
        await send_test_message(store, clock, account_id, OFFICE)
    assert await store.read(outbox.counts, account_id) == {}


async def test_a_recipient_that_is_no_address_is_refused(
    store: storage.Store, account_id: str, clock: FakeClock, office: str
) -> None:
    with pytest.raises(BadConfiguration) as refused:
        await send_test_message(store, clock, account_id, OFFICE, "head")
    assert list(refused.value.problems) == ["to"]
