"""The same through the real client, against a Microsoft 365 that knows nothing of ours."""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.graph import GraphClient
from gateway.sandbox import Behaviour, Effect, Fault, Sandbox, school
from gateway.sandbox.faults import throttling
from gateway.sandbox.ledger import LedgerEntry
from gateway.sandbox.school import School
from gateway.sending.draft import TAG
from gateway.sending.posted import NewAttachment
from gateway.sending.tidy import Tidier
from gateway.sending.worker import OutboxWorker
from storage import accounts, open_store
from storage.messages import BodyType
from storage.threads import Address
from tests.fakes.clock import FakeClock
from tests.sending.conftest import Office, a_letter, a_mail_came, add_mailbox
from tests.sending.fake_mailbox import StoredItem

ORIGIN = "https://graph.microsoft.com"
SEND = r"^POST /v1.0/users/.*/send$"


@dataclass
class SandboxGraphs:
    """Both the source of the client and of its token."""

    http: httpx.AsyncClient
    pupils: School
    clock: FakeClock

    async def token(self, *, refused: str | None = None) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": self.pupils.client_id,
            "client_secret": self.pupils.client_secret,
            "scope": f"{ORIGIN}/.default",
        }
        answer = await self.http.post(f"{ORIGIN}/{self.pupils.tenant_id}/oauth2/v2.0/token", data=form)
        return str(answer.json()["access_token"])

    async def graph(self, account_id: str) -> GraphClient:
        return GraphClient(self.http, self, ORIGIN, clock=self.clock)


@dataclass
class Scene:
    office: Office
    sandbox: Sandbox
    graph: GraphClient
    mailbox: str

    async def post(self, **changes: object) -> str:
        return await self.office.post(a_letter(sender=self.mailbox, **changes))

    async def assert_sent_once(self, message_id: str) -> None:
        letter = await self.office.letter(message_id)
        (item,) = await self.graph.find_by_tag(self.mailbox, TAG, letter.send_uid)
        assert (letter.state, item.is_draft) == ("sent", False)
        assert (letter.graph_id, letter.conversation_id) == (item.id, item.conversation_id)
        assert letter.internet_message_id == item.internet_message_id


@pytest.fixture(params=[True, False], ids=["ids survive", "ids change"])
async def scene(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Scene]:
    clock = FakeClock()
    behaviour = Behaviour(
        sent_copy_delay=timedelta(0),
        reply_delay=timedelta(0),
        notification_delay=timedelta(0),
        immutable_ids_survive_send=request.param,
    )
    sandbox = Sandbox(clock=clock, behaviour=behaviour)
    transport = httpx.ASGITransport(sandbox.app)
    async with sandbox.running(), httpx.AsyncClient(transport=transport) as http, open_store(tmp_path / "db") as store:
        pupils = school.build(sandbox)
        graphs = SandboxGraphs(http=http, pupils=pupils, clock=clock)
        account = await store.write(accounts.add, "school", now=clock.now())
        sender = pupils.mailboxes[0]
        mailbox_id = await store.write(add_mailbox, account.id, sender, clock, user_id=sender)
        office = Office(
            store=store,
            clock=clock,
            mail=graphs,  # type: ignore[arg-type]
            account_id=account.id,
            mailbox_id=mailbox_id,
            worker=OutboxWorker(store, graphs, clock, owner="first"),
            tidier=Tidier(store, graphs, clock),
        )
        yield Scene(office=office, sandbox=sandbox, graph=await graphs.graph(account.id), mailbox=sender)


async def test_a_letter_arrives_in_sent_items(scene: Scene) -> None:
    message_id = await scene.post()
    await scene.office.worker.run_due()
    await scene.sandbox.settle()
    await scene.office.pass_time(timedelta(minutes=1))
    await scene.assert_sent_once(message_id)


async def test_a_letter_with_everything_arrives_whole(scene: Scene) -> None:
    files = (
        NewAttachment(name="logo.png", content_type="image/png", content_id="logo", content=b"png"),
        NewAttachment(name="a.pdf", content_type="application/pdf", content_id=None, content=b"a" * 2_900_000),
        NewAttachment(name="b.pdf", content_type="application/pdf", content_id=None, content=b"b" * 2_900_000),
    )
    message_id = await scene.post(
        cc=(Address(name="Ngātā, “Tama” 🎓", address="tama@home.example"),),
        bcc=(Address(name=None, address="file@home.example"),),
        reply_to=(Address(name="Help", address="help@school.example"),),
        body_type=BodyType.HTML,
        attachments=files,
        importance="high",
    )
    await scene.office.worker.run_due()
    await scene.sandbox.settle()
    await scene.office.pass_time(timedelta(minutes=1))
    await scene.assert_sent_once(message_id)
    letter = await scene.office.letter(message_id)
    attached = await scene.graph.list_attachments(scene.mailbox, letter.graph_id or "")
    assert sorted(one.name or "" for one in attached) == ["a.pdf", "b.pdf", "logo.png"]


@pytest.mark.parametrize("effect", Effect)
@pytest.mark.parametrize("status", [429, 503, 504, 400])
async def test_an_error_of_send_is_looked_into_and_never_answered_with_a_second_letter(
    scene: Scene, effect: Effect, status: int
) -> None:
    scene.sandbox.faults.add(Fault(match=SEND, status=status, effect=effect))
    message_id = await scene.post()
    await scene.office.worker.run_due()
    await scene.sandbox.settle()
    assert await scene.office.state(message_id) == "unknown"
    for _ in range(20):
        await scene.office.pass_time(timedelta(minutes=1))
        await scene.sandbox.settle()
    await scene.assert_sent_once(message_id)


async def test_an_answer_to_the_draft_that_was_lost_makes_no_second_draft(scene: Scene) -> None:
    scene.sandbox.faults.add(Fault(match=r"^POST /v1.0/users/[^/]*/messages$", status=504, effect=Effect.AFTER))
    message_id = await scene.post()
    for _ in range(3):
        await scene.office.pass_time(timedelta(minutes=1))
        await scene.sandbox.settle()
    await scene.assert_sent_once(message_id)


def contents(entry: LedgerEntry) -> dict[str, str]:
    return {one.name: one.sha256 for one in entry.attachments}


async def test_a_large_attachment_leaves_as_it_was_posted_though_pieces_break(scene: Scene) -> None:
    content = bytes(number % 251 for number in range(251)) * 40_000
    scene.sandbox.faults.add(Fault(match="^PUT ", skip=1, times=1, reset=True, effect=Effect.AFTER))
    scene.sandbox.faults.add(Fault(match="^PUT ", skip=1, times=1, status=503))
    message_id = await scene.post(
        attachments=(
            NewAttachment(name="prospectus.pdf", content_type="application/pdf", content=content),
            NewAttachment(name="photo.png", content_type="image/png", content_id="photo", content=content[:4_000_000]),
        )
    )
    for _ in range(10):
        await scene.office.pass_time(timedelta(minutes=1))
        await scene.sandbox.settle()
    await scene.assert_sent_once(message_id)
    [entry] = scene.sandbox.world.ledger
    assert contents(entry) == {
        "prospectus.pdf": hashlib.sha256(content).hexdigest(),
        "photo.png": hashlib.sha256(content[:4_000_000]).hexdigest(),
    }


NAMES = ["Ngata, Aroha", 'Aroha "Roha" Ngatā', "x@y.example", "Tāne 🎓 Māhuta", "O’Brien; (Year 9) <admin>", "名前"]


async def test_names_of_every_kind_arrive_as_they_were_given(scene: Scene) -> None:
    people = tuple(Address(name=name, address=f"s{number}@home.example") for number, name in enumerate(NAMES))
    message_id = await scene.post(to=people[:2], cc=people[2:4], reply_to=people[4:5], bcc=people[5:])
    await scene.office.worker.run_due()
    await scene.sandbox.settle()
    await scene.office.pass_time(timedelta(minutes=1))
    await scene.assert_sent_once(message_id)
    [entry] = scene.sandbox.world.ledger
    arrived = [*entry.to, *entry.cc, *entry.reply_to, *entry.bcc]
    assert [(one.name, one.address) for one in arrived] == [(one.name, one.address) for one in people]


async def test_headers_of_the_senders_own_and_its_importance_arrive(scene: Scene) -> None:
    await scene.post(headers=(("x-selma-run", "7"), ("X-Auto-Response-Suppress", "OOF")), importance="high")
    await scene.office.worker.run_due()
    await scene.sandbox.settle()
    [entry] = scene.sandbox.world.ledger
    assert set(entry.headers) >= {("x-selma-run", "7"), ("X-Auto-Response-Suppress", "OOF")}
    assert entry.importance == "high"


@pytest.mark.parametrize("takes_the_tag", [True, False])
async def test_an_answer_is_a_reply_in_the_conversation_and_says_what_was_posted(
    scene: Scene, takes_the_tag: bool
) -> None:
    world = scene.sandbox.world
    world.behaviour = replace(world.behaviour, reply_drafts_take_extended_properties=takes_the_tag)
    asked = world.deliver(
        scene.mailbox, from_="aroha@student.example", subject="A question", html="<p>When does it begin?</p>"
    )
    item = StoredItem(
        id=asked.immutable_id,
        user=scene.mailbox,
        tag="",
        payload={},
        created_at=scene.office.clock.now(),
        conversation_id=asked.conversation_id,
        internet_message_id=asked.internet_message_id,
        attachments=[],
    )
    office = scene.office
    original = await office.store.write(a_mail_came, office.account_id, office.mailbox_id, item, now=office.clock.now())
    given = NewAttachment(name="dates.txt", content_type="text/plain", content=b"In March.")
    message_id = await scene.post(
        in_reply_to=original, subject=None, to=(), attachments=(given,), headers=(("x-selma-run", "7"),)
    )
    await office.worker.run_due()
    await scene.sandbox.settle()
    await office.pass_time(timedelta(minutes=1))
    await scene.assert_sent_once(message_id)
    [entry] = world.ledger
    assert entry.in_reply_to == asked.internet_message_id
    assert entry.recipients == ("aroha@student.example",)
    assert contents(entry) == {"dates.txt": hashlib.sha256(b"In March.").hexdigest()}
    assert ("x-selma-run", "7") in entry.headers
    letter = await office.letter(message_id)
    assert letter.conversation_id == asked.conversation_id
    sent = await scene.graph.get_message(scene.mailbox, letter.graph_id or "", select=("subject", "body"))
    assert (sent.subject or "").casefold() == "re: a question"
    assert "When does it begin?" not in (sent.body_html or "")
    assert "Kia ora" in (sent.body_html or "")


@pytest.mark.parametrize("form", ["seconds", "date"])
async def test_retry_after_is_obeyed_in_both_of_its_forms(scene: Scene, form: str) -> None:
    scene.sandbox.faults.add(throttling("^POST /v1.0/users/[^/]*/messages$", retry_after="40", form=form))
    message_id = await scene.post()
    await scene.office.worker.run_due()
    await scene.office.pass_time(timedelta(seconds=38))
    assert await scene.office.state(message_id) == "drafting"
    await scene.office.pass_time(timedelta(seconds=3))
    assert await scene.office.state(message_id) == "submitted"


async def test_of_a_mailbox_no_more_is_asked_at_once_than_graph_allows(scene: Scene) -> None:
    world = scene.sandbox.world
    for _ in range(20):
        await scene.post()
    await scene.office.worker.run_due()
    assert world.limits.refused["concurrency"] == 0
    assert world.limits.busiest[scene.mailbox] <= 4
