"""Letters out and replies in, through the real client of Graph and the sandbox's Graph."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.graph import GraphClient
from gateway.sandbox import Address as Person
from gateway.sandbox import Behaviour, Machine, Sandbox, school
from gateway.sandbox.school import School
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from gateway.sending.worker import OutboxWorker
from gateway.threads.completeness import SETTLED_AFTER, CompletenessCheck, check_soon
from gateway.threads.elsewhere import Elsewhere
from gateway.threads.linking import Linking
from gateway.threads.pull import Puller
from storage import (
    NotFound,
    Store,
    Transaction,
    accounts,
    completeness,
    events,
    feeds,
    folders,
    mailboxes,
    messages,
    open_store,
    outbox,
    threads,
)
from storage.folders import WellKnown
from storage.messages import BodyType, Message
from storage.outbox import Letter
from storage.threads import Address, Object, ObjectType
from tests.fakes.clock import FakeClock
from tests.threads.conftest import SWEEP, all_messages

ORIGIN = "https://graph.microsoft.com"
ADMISSIONS = "admissions@school.example"
OFFICE = "office@school.example"
MAIA = "maia.parata@student.example"
ELSEWHERE_INTERVAL = timedelta(minutes=10)  # the token is good for an hour


@dataclass
class OneToken:
    """A TokenSource with a token that is good for the length of a test."""

    value: str

    async def token(self, *, refused: str | None = None) -> str:
        return self.value


@dataclass
class OneClient:
    client: GraphClient

    async def graph(self, account_id: str) -> GraphClient:
        return self.client


@dataclass
class Gateway:
    """The rooms that letters and replies go through, joined to the sandbox."""

    store: Store
    path: Path
    clock: FakeClock
    sandbox: Sandbox
    account_id: str
    mailbox_ids: dict[str, str]
    graph: GraphClient
    worker: OutboxWorker
    puller: Puller
    elsewhere: Elsewhere

    async def send(self, to: str = MAIA, *, sender: str = ADMISSIONS) -> Message:
        letter = NewLetter(
            sender=sender,
            to=(Address(name=None, address=to),),
            subject="Your enrolment",
            body_type=BodyType.HTML,
            body="<p>Kia ora</p>",
        )
        accepted = await self.store.write(accept, self.account_id, letter, idempotency_key=None, now=self.clock.now())
        await self.worker.run_due()
        await self.sandbox.settle()
        await self.sweep()
        return await self.store.read(messages.get, self.account_id, accepted.message_id)

    async def sweep(self) -> None:
        self.clock.advance(SWEEP)
        await self.worker.run_due()
        await self.puller.run_due()

    async def thread_of(self, letter: Message) -> list[Message]:
        return [one for one in await self.store.read(feeds.of_thread, letter.thread_id) if one.id != letter.id]

    async def stored(self) -> list[Message]:
        return await self.store.read(all_messages, self.account_id)

    def bytes_on_disk(self) -> bytes:
        return b"".join(file.read_bytes() for file in self.path.parent.iterdir())


async def token_from(http: httpx.AsyncClient, built: School) -> str:
    answer = await http.post(
        f"{ORIGIN}/{built.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": built.client_id,
            "client_secret": built.client_secret,
            "scope": "https://graph.microsoft.com/.default",
        },
    )
    return str(answer.json()["access_token"])


async def furnish(store: Store, clock: FakeClock, graph: GraphClient) -> tuple[str, dict[str, str]]:
    account = await store.write(accounts.add, "SELMA", now=clock.now())
    ids = {}
    for address in (ADMISSIONS, OFFICE):
        user = await graph.get_user(address)
        mailbox = await store.write(mailboxes.add, account.id, address, now=clock.now())
        await store.write(
            mailboxes.mark_validated, mailbox.id, user_id=user.id, display_name=user.display_name, now=clock.now()
        )
        for name in WellKnown:
            folder = await graph.get_folder(user.id, name)
            await store.write(
                folders.watch, account.id, mailbox.id, name, folder_id=folder.id, since=clock.now(), now=clock.now()
            )
        ids[address] = mailbox.id
    return account.id, ids


@pytest.fixture(params=["ids survive the send", "ids change with the send"])
def behaviour(request: pytest.FixtureRequest) -> Behaviour:
    survive = request.param == "ids survive the send"
    return Behaviour(
        sent_copy_delay=timedelta(0),
        reply_delay=timedelta(0),
        notification_delay=timedelta(0),
        immutable_ids_survive_send=survive,
        internet_message_id_survives_send=survive,
    )


@pytest.fixture
async def gateway(tmp_path: Path, behaviour: Behaviour) -> AsyncIterator[Gateway]:
    clock = FakeClock()
    sandbox = Sandbox(clock=clock, behaviour=behaviour)
    built = school.build(sandbox)
    path = tmp_path / "gateway.db"
    async with (
        sandbox.running(),
        httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as http,
        open_store(path) as store,
    ):
        graph = GraphClient(http, OneToken(await token_from(http, built)), ORIGIN, clock=clock)
        account_id, mailbox_ids = await furnish(store, clock, graph)
        source = OneClient(graph)
        yield Gateway(
            store,
            path,
            clock,
            sandbox,
            account_id,
            mailbox_ids,
            graph,
            OutboxWorker(store, source, clock, owner="worker"),
            Puller(store, source, clock, owner="puller", sweep_interval=SWEEP),
            Elsewhere(store, source, clock, interval=ELSEWHERE_INTERVAL),
        )


async def test_a_letter_is_recognised_and_its_reply_stands_in_its_thread(gateway: Gateway) -> None:
    letter = await gateway.send()
    assert letter.status == "sent"
    (reply,) = await gateway.thread_of(letter)
    assert reply.sender is not None
    assert (reply.sender.address, reply.direction, reply.kind) == (MAIA, "in", "mail")
    assert "so happy" in (reply.new_text or "")
    told = [one.type for one in await gateway.store.read(events.after, gateway.account_id, 0, limit=100)]
    assert told.count("reply.received") == 1


async def test_a_reply_with_another_subject_joins_by_its_references(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, changes_subject_to="Something else")
    letter = await gateway.send()
    (reply,) = await gateway.thread_of(letter)
    assert reply.subject == "Something else"
    assert reply.conversation_id != letter.conversation_id
    gateway.sandbox.world.deliver(
        ADMISSIONS, from_=MAIA, subject="Re: Something else", text="And?", conversation_id=reply.conversation_id
    )
    await gateway.sweep()
    assert len(await gateway.thread_of(letter)) == 2


async def test_a_stranger_in_our_conversation_is_held(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, is_silent=True)
    letter = await gateway.send()
    gateway.sandbox.world.deliver(
        ADMISSIONS, from_="x@elsewhere.example", subject="Hello", text="Hi", conversation_id=letter.conversation_id
    )
    await gateway.sweep()
    (held,) = await gateway.stored()
    assert (held.placement, held.thread_id) == ("held", letter.thread_id)


async def test_a_stranger_who_forges_references_is_held(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, is_silent=True)
    letter = await gateway.send()
    gateway.sandbox.world.deliver(
        ADMISSIONS,
        from_="x@elsewhere.example",
        subject="A wholly other thing",
        text="Hi",
        headers=[("References", letter.internet_message_id or "")],
    )
    await gateway.sweep()
    held = await gateway.stored()
    assert [one.placement for one in held] == ["held"]


async def test_unrelated_mail_leaves_no_byte_in_the_database(gateway: Gateway) -> None:
    for mailbox in (ADMISSIONS, OFFICE):
        gateway.sandbox.world.deliver(
            mailbox,
            from_=Person(name="Whakaaro Nobody", address="nobody@unrelated.example"),
            subject="Kererū subject",
            html="<p>A body about kererū and weka</p>",
        )
    letter = await gateway.send()
    assert len(await gateway.thread_of(letter)) == 1
    on_disk = gateway.bytes_on_disk()
    assert b"so happy" in on_disk, "what is ours must be found this way"
    for trace in ("nobody@unrelated.example", "Whakaaro", "Kererū subject", "kererū and weka"):
        assert trace.encode() not in on_disk


async def test_dead_delta_links_lose_nothing_and_double_nothing(gateway: Gateway) -> None:
    letter = await gateway.send()
    for folder in WellKnown:
        gateway.sandbox.world.expire_delta_tokens(ADMISSIONS, folder)
    gateway.sandbox.world.deliver(
        ADMISSIONS, from_=MAIA, subject="Re: Your enrolment", text="Also", conversation_id=letter.conversation_id
    )
    await gateway.sweep()
    assert len(await gateway.thread_of(letter)) == 2


async def test_a_bounce_turns_its_letter(gateway: Gateway) -> None:
    letter = await gateway.send("nobody.there@student.example")
    await gateway.sandbox.settle()
    await gateway.sweep()
    (report,) = await gateway.thread_of(letter)
    assert report.kind == "bounce"
    again = await gateway.store.read(messages.get, gateway.account_id, letter.id)
    assert again.status == "bounced"


async def told(gateway: Gateway) -> list[str]:
    return [one.type for one in await gateway.store.read(events.after, gateway.account_id, 0, limit=1000)]


async def again(gateway: Gateway, letter: Message) -> Letter:
    return await gateway.store.read(outbox.get, gateway.account_id, letter.id)


async def test_exchanges_report_gives_the_reason_by_its_code(gateway: Gateway) -> None:
    letter = await gateway.send("nobody.there@student.example")
    await gateway.sandbox.settle()
    await gateway.sweep()
    problem = (await again(gateway, letter)).problem or {}
    assert (problem["code"], problem["recipients"][0]["status"]) == ("no_such_address", "5.1.10")


async def test_the_report_of_another_mail_system_finds_its_letter(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, machine=Machine.IS_FULL)
    letter = await gateway.send()
    (report,) = await gateway.thread_of(letter)
    assert (report.kind, report.conversation_id == letter.conversation_id) == ("bounce", False)
    turned = await again(gateway, letter)
    assert (turned.state, (turned.problem or {})["code"]) == ("bounced", "mailbox_full")
    assert "message.bounced" in await told(gateway)


async def test_a_delay_is_no_bounce(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, machine=Machine.IS_LATE)
    letter = await gateway.send()
    (report,) = await gateway.thread_of(letter)
    assert (report.kind, (report.evidence or {})["what"]) == ("receipt", "delayed")
    assert (await again(gateway, letter)).state == "sent"
    assert "message.bounced" not in await told(gateway)


@pytest.mark.parametrize(
    ("machine", "kind", "what"),
    [(Machine.READS, "receipt", "read"), (Machine.ACCEPTS, "calendar", "accepted")],
)
async def test_receipts_and_calendar_answers_are_what_they_are(
    gateway: Gateway, machine: Machine, kind: str, what: str
) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, machine=machine)
    letter = await gateway.send()
    (answer,) = await gateway.thread_of(letter)
    assert (answer.kind, (answer.evidence or {})["what"]) == (kind, what)
    assert "reply.received" not in await told(gateway)
    thread = await gateway.store.read(threads.get, gateway.account_id, letter.thread_id)
    assert not thread.unanswered


async def write_and_hear(gateway: Gateway, subject: str) -> str:
    """A letter to Maia, and what she answers, as a notification would bring it; its id."""
    letter = NewLetter(
        sender=ADMISSIONS,
        to=(Address(name=None, address=MAIA),),
        subject=subject,
        body_type=BodyType.TEXT,
        body="Kia ora",
    )
    posted = await gateway.store.write(
        accept, gateway.account_id, letter, idempotency_key=None, now=gateway.clock.now()
    )
    await gateway.worker.run_due()
    await gateway.sandbox.settle()
    gateway.clock.advance(timedelta(minutes=1))
    for folder in await gateway.store.read(folders.of_mailbox, gateway.mailbox_ids[ADMISSIONS]):
        await gateway.store.write(folders.pull_soon, folder.id, gateway.clock.now())
    await gateway.puller.run_due()
    return posted.message_id


async def test_one_who_answers_every_letter_by_machine_gets_twenty_within_an_hour(gateway: Gateway) -> None:
    """And whoever writes a letter for each answer, as a careless program would."""
    gateway.sandbox.world.correspondents.change(MAIA, out_of_office=True)
    posted = [await write_and_hear(gateway, f"Answer {number}") for number in range(23)]
    other = await gateway.send("tane.ngata@student.example")
    to_maia = [one for one in gateway.sandbox.world.ledger if MAIA in str(one)]
    assert (len(to_maia), other.status) == (20, "sent")
    waiting = await gateway.store.read(outbox.get, gateway.account_id, posted[-1])
    assert (waiting.state, (waiting.problem or {})["code"]) == ("drafted", "loop")
    assert (await told(gateway)).count("message.held") == 3


async def test_an_out_of_office_reply_is_automatic(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, out_of_office=True)
    letter = await gateway.send()
    assert [one.kind for one in await gateway.thread_of(letter)] == ["automatic"]


async def test_letters_between_our_own_mailboxes_are_one_message_each(gateway: Gateway) -> None:
    letter = await gateway.send(OFFICE)
    assert letter.status == "sent"
    assert await gateway.stored() == []


async def test_a_reply_that_landed_in_junk_appears_in_its_thread(gateway: Gateway) -> None:
    gateway.sandbox.world.correspondents.change(MAIA, is_silent=True)
    letter = await gateway.send()
    for folder in ("junkemail", "deleteditems"):
        gateway.sandbox.world.deliver(
            ADMISSIONS,
            from_=MAIA,
            subject="Re: Your enrolment",
            text=f"To {folder}",
            conversation_id=letter.conversation_id,
            folder=folder,
        )
    await gateway.sweep()
    assert await gateway.thread_of(letter) == []
    for _ in range(2):
        gateway.clock.advance(ELSEWHERE_INTERVAL)
        await gateway.elsewhere.run_due()
        await gateway.puller.run_due()
    assert [one.new_text for one in await gateway.thread_of(letter)] == ["To junkemail"]
    told = [one.type for one in await gateway.store.read(events.after, gateway.account_id, 0, limit=100)]
    assert told.count("reply.received") == 1


async def test_two_letters_with_one_subject_have_their_own_replies(gateway: Gateway) -> None:
    first = await gateway.send(MAIA)
    second = await gateway.send("tane.ngata@student.example")
    senders = [
        [one.sender.address for one in await gateway.thread_of(letter) if one.sender] for letter in (first, second)
    ]
    assert senders == [[MAIA], ["tane.ngata@student.example"]]


async def test_what_is_missing_here_is_found_by_a_check_and_fetched(gateway: Gateway) -> None:
    letter = await gateway.send()
    (reply,) = await gateway.thread_of(letter)
    source = OneClient(gateway.graph)
    check = CompletenessCheck(gateway.store, source, gateway.clock)
    gateway.clock.advance(SETTLED_AFTER)
    assert await checked(gateway, check) == (2, 0)
    await gateway.store.write(lose, reply.id)
    assert await checked(gateway, check) == (2, 1)
    await gateway.puller.run_due()
    assert [one.graph_id for one in await gateway.thread_of(letter)] == [reply.graph_id]
    assert await checked(gateway, check) == (2, 0)


async def checked(gateway: Gateway, check: CompletenessCheck) -> tuple[int | None, int | None]:
    await gateway.store.write(check_soon, gateway.account_id, gateway.clock.now())
    await check.run_due()
    found = await gateway.store.read(completeness.of_mailbox, gateway.mailbox_ids[ADMISSIONS])
    return found.compared, found.missing


def lose(tx: Transaction, message_id: str) -> None:
    tx.execute("DELETE FROM messages WHERE id = :id", {"id": message_id})


@pytest.mark.parametrize("by", ["conversation_id", "internet_message_id"])
async def test_a_conversation_of_the_mailbox_becomes_a_thread_with_all_that_was_written_in_it(
    gateway: Gateway, by: str
) -> None:
    world = gateway.sandbox.world
    first = world.deliver(ADMISSIONS, from_=MAIA, subject="May I visit?", text="Kia ora", to=(ADMISSIONS, OFFICE))
    again = {"subject": "Re: May I visit?", "conversation_id": first.conversation_id}
    world.deliver(ADMISSIONS, from_=MAIA, text="I forgot to say when.", folder="archive", **again)
    await gateway.sweep()
    assert await gateway.stored() == []
    linking = Linking(gateway.store, OneClient(gateway.graph), gateway.clock)
    student = Object(type=ObjectType.STUDENT, id="S1001")
    thread_id = await linking.link(gateway.account_id, ADMISSIONS, [student], **{by: getattr(first, by)})
    await gateway.puller.run_due()
    stored = await gateway.store.read(feeds.of_thread, thread_id)
    assert {one.subject for one in stored} == {"May I visit?", "Re: May I visit?"}
    people = await gateway.store.read(threads.participants, thread_id)
    assert [one.address for one in people] == [MAIA, OFFICE]


@pytest.mark.parametrize(
    "named", [{"conversation_id": "no such thing"}, {"internet_message_id": "<no+such@mail.example>"}]
)
async def test_a_conversation_that_graph_does_not_know_is_not_found(gateway: Gateway, named: dict[str, str]) -> None:
    linking = Linking(gateway.store, OneClient(gateway.graph), gateway.clock)
    student = Object(type=ObjectType.STUDENT, id="S1001")
    with pytest.raises(NotFound):
        await linking.link(gateway.account_id, ADMISSIONS, [student], **named)
