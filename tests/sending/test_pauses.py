"""Who waits along when a letter meets trouble: nobody, its mailbox, or the whole account."""

from datetime import timedelta

import pytest

from gateway.connections import NotConnected
from gateway.graph import AccessDenied, CredentialRefused, OverBudget, Throttled
from gateway.sending.errors import CREDENTIAL_RETRY
from storage import Transaction, accounts, mailboxes
from storage.accounts import TokenState
from tests.sending.conftest import Office, a_letter, add_mailbox
from tests.sending.fake_mailbox import Fault

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LIBRARY = "library@school.example"


async def paused_until(office: Office) -> object:
    return (await office.store.read(accounts.get, office.account_id)).outbox_paused_until


@pytest.mark.parametrize(
    "trouble", [CredentialRefused("expired"), NotConnected("acc_1")], ids=lambda one: type(one).__name__
)
async def test_without_a_token_the_accounts_outbox_pauses_and_says_until_when(
    office: Office, trouble: Exception
) -> None:
    await office.store.write(add_mailbox, office.account_id, LIBRARY, office.clock)
    office.mail.not_connected = trouble
    first = await office.post()
    await office.worker.run_due()
    assert await paused_until(office) == office.clock.now() + CREDENTIAL_RETRY
    other = await office.post(a_letter(sender=LIBRARY))
    await office.worker.run_due()
    assert (await office.state(first), await office.state(other)) == ("drafting", "accepted")


async def test_it_resumes_by_itself_as_soon_as_the_credential_works_again(office: Office) -> None:
    office.mail.not_connected = CredentialRefused("expired")
    message_id = await office.post()
    await office.worker.run_due()
    office.mail.not_connected = None
    await office.worker.run_due()
    assert await office.state(message_id) == "drafting"

    def a_token_came(tx: Transaction) -> None:
        accounts.record_token(tx, office.account_id, TokenState.OK, now=office.clock.now())
        accounts.resume_outbox(tx, office.account_id)

    await office.store.write(a_token_came)
    assert await paused_until(office) is None
    office.clock.advance(CREDENTIAL_RETRY)
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"


async def test_another_accounts_letters_go_on(office: Office) -> None:
    other = await office.store.write(accounts.add, "other", now=office.clock.now())
    await office.store.write(accounts.pause_outbox, other.id, office.clock.now() + MINUTE)
    message_id = await office.post()
    await office.worker.run_due()
    assert await office.state(message_id) == "submitted"


async def test_what_concerns_a_mailbox_pauses_it_alone(office: Office) -> None:
    await office.store.write(add_mailbox, office.account_id, LIBRARY, office.clock)
    office.mail.script("create_draft", Fault(Throttled(status=429, retry_after=40 * SECOND)))
    await office.post()
    await office.worker.run_due()
    waits, leaves = await office.post(), await office.post(a_letter(sender=LIBRARY))
    await office.worker.run_due()
    assert (await office.state(waits), await office.state(leaves)) == ("accepted", "submitted")
    await office.pass_time(40 * SECOND)
    assert await office.state(waits) == "submitted"


async def test_what_the_client_held_back_never_left_and_does_not_count(office: Office) -> None:
    office.mail.script("send_draft", Fault(OverBudget(retry_after=20 * SECOND)))
    message_id = await office.post()
    await office.worker.run_due()
    letter = await office.letter(message_id)
    assert (letter.state, letter.submits) == ("drafted", 0)
    assert letter.problem is not None
    assert letter.problem["code"] == "budget"
    await office.pass_time(20 * SECOND)
    assert (await office.state(message_id), office.mail.called("send_draft")) == ("submitted", 2)


async def test_a_mailbox_that_is_refused_rests_and_heals_when_an_admin_has_acted(office: Office) -> None:
    office.mail.script("create_draft", Fault(AccessDenied(status=403, code="ErrorAccessDenied")))
    message_id = await office.post()
    await office.worker.run_due()
    mailbox = await office.store.read(mailboxes.get, office.mailbox_id)
    assert mailbox.paused_until == office.clock.now() + 5 * MINUTE
    await office.pass_time(5 * MINUTE)
    assert await office.state(message_id) == "submitted"
