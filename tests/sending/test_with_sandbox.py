"""The same through the real client, against a Microsoft 365 that knows nothing of ours."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.graph import GraphClient
from gateway.sandbox import Behaviour, Effect, Fault, Sandbox, school
from gateway.sandbox.school import School
from gateway.sending.draft import TAG
from gateway.sending.worker import OutboxWorker
from storage import accounts, open_store
from storage.messages import BodyType
from storage.outbox import LetterAttachment
from storage.threads import Address
from tests.fakes.clock import FakeClock
from tests.sending.conftest import Office, a_letter, add_mailbox

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
        LetterAttachment(name="logo.png", content_type="image/png", content_id="logo", content=b"png"),
        LetterAttachment(name="a.pdf", content_type="application/pdf", content_id=None, content=b"a" * 2_900_000),
        LetterAttachment(name="b.pdf", content_type="application/pdf", content_id=None, content=b"b" * 2_900_000),
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
