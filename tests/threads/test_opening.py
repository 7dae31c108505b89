"""What becomes of opened contents: whose hints are closed, and whose are looked into."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import Cloud
from gateway.rich import Opener
from gateway.threads.opening import ROOM, UNOPENED, Openings, message_of
from storage import Transaction, hints, open_store, rich_troubles, threads
from storage.hints import Hint, NewHint
from storage.vault import MasterKey
from subscriptions.addresses import METADATA
from subscriptions.certificates import Certificates
from subscriptions.falling_back import UNOPENED_FOR, UNOPENED_TIMES
from subscriptions.keeper import Keeper
from subscriptions.receiver import HELD_FOR, Receiver
from subscriptions.rich import Tampered
from subscriptions.validation_tokens import App, TokensRefused
from tests.fakes.certificates import FakeMaker
from tests.fakes.clock import FakeClock
from tests.fakes.graph_subscriptions import FakeGraph
from tests.subscriptions.scene import PUBLIC_URL, TENANT, Scene, build
from tests.subscriptions.test_receiver import body, change

APP = App(client_id=UUID("24d3b144-21ae-4080-943f-7067b395b913"), tenant_id=UUID(TENANT))
SECOND = timedelta(seconds=1)


@dataclass
class FakeOpener:
    """Opens what is not encrypted: a content is what it would be. `speaks_for` may be an error."""

    speaks_for: frozenset[App] | Exception = frozenset({APP})
    asked: list[object] = field(default_factory=list)
    before: Callable[[], Any] | None = None

    def of(self, cloud: Cloud) -> Opener:
        return cast("Opener", self)

    async def proven(self, validation_tokens: object, apps: Collection[App]) -> frozenset[App]:
        self.asked.append(validation_tokens)
        if self.before is not None:
            await self.before()
        if isinstance(self.speaks_for, Exception):
            raise self.speaks_for
        return self.speaks_for

    async def opened(self, contents: Sequence[Any], private_keys: Mapping[str, Any]) -> list[Any]:
        return [Tampered("a signature does not fit") if content == "tampered" else content for content in contents]


class NoKeys(Certificates):
    async def keys(self, account_id: str) -> Mapping[str, Any]:
        return {}


class Stage:
    """An Inbox that is watched richly, its endpoint, and what opens."""

    def __init__(self, scene: Scene, clock: FakeClock) -> None:
        self.scene = scene
        self.clock = clock
        self.opener = FakeOpener()
        self.outcomes: dict[str, int] = {}
        certificates = NoKeys(scene.store, MasterKey.new(), clock, make=FakeMaker())
        self.openings = Openings(scene.store, certificates, self.opener, clock, count=self.outcomes.update)
        self.receiver = Receiver(scene.store, clock, openings=self.openings)
        self.keeper = Keeper(scene.store, scene.graph, clock, PUBLIC_URL, certificates=certificates, rich=True)

    async def told(self, *contents: Any, first: int = 0) -> None:
        """A request that brings these, about the messages AAMk0, AAMk1, …, or from a later one on."""
        row = await self.scene.of_inbox()
        secret = self.scene.at_graph(row).client_state
        items = [
            change(row.subscription_id, secret, f"AAMk{number}", encryptedContent=content)
            for number, content in enumerate(contents, start=first)
        ]
        receipt = await self.receiver.receive(body(*items))
        assert receipt.kept == len(contents)

    async def comes(self, *contents: Any) -> list[str]:
        """The messages that are looked into, when these have been told and opened."""
        await self.told(*contents)
        await self.openings.run_waiting()
        return [hint.message_id for hint in await self.due()]

    async def due(self) -> list[Hint]:
        return await self.scene.store.read(hints.due, self.scene.inbox.id, self.clock.now(), limit=100)

    async def open(self) -> list[Hint]:
        return await self.scene.store.read(hints.open_hints, self.scene.inbox.id)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    clock = FakeClock()
    async with open_store(tmp_path / "gateway.db") as store:
        stage = Stage(await build(store, clock, FakeGraph(clock)), clock)
        await stage.keeper.run_due()
        await stage.scene.not_due()
        yield stage


def shown(number: int = 0, **changes: Any) -> dict[str, Any]:
    """What a stranger's mail shows."""
    return {
        "id": f"AAMk{number}",
        "conversationId": "a conversation of others",
        "internetMessageId": f"<{number}@elsewhere.example>",
        "from": {"emailAddress": {"name": "A", "address": "a@elsewhere.example"}},
        "receivedDateTime": "2026-03-02T09:00:00Z",
        "isDraft": False,
        "internetMessageHeaders": [{"name": "Received", "value": "from elsewhere.example"}],
    } | changes


async def test_mail_that_is_shown_not_to_be_ours_is_over_and_no_pull_is_due(stage: Stage) -> None:
    assert await stage.comes(shown(0), shown(1)) == []
    assert await stage.open() == []
    assert not await stage.scene.pull_is_due()
    assert stage.outcomes == {"not_ours": 2}


@pytest.mark.parametrize(
    "content",
    [
        shown(conversationId=None),
        shown(internetMessageId=None),
        shown(internetMessageHeaders=None),
        shown(internetMessageHeaders=[]),
        shown(isDraft=True),
        shown(isDraft=None),
        shown(id="AAMk7"),
        {},
        {"id": ["AAMk0"]},
        "tampered",
    ],
    ids=str,
)
async def test_whatever_is_not_shown_whole_is_looked_into_at_once(stage: Stage, content: Any) -> None:
    assert await stage.comes(content) == ["AAMk0"]
    assert await stage.scene.pull_is_due()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from([*METADATA, "@odata.type"]), JSON))
def test_any_content_shows_a_message_or_says_why_not(properties: dict[str, Any]) -> None:
    found = message_of(properties, "AAMk0")
    assert found if isinstance(found, str) else found.id == "AAMk0"


async def test_one_that_is_not_shown_spoils_no_other(stage: Stage) -> None:
    assert await stage.comes(shown(0), "tampered", shown(2)) == ["AAMk1"]
    assert stage.outcomes == {"not_ours": 2, UNOPENED: 1}


async def test_mail_in_a_conversation_of_ours_is_looked_into(stage: Stage) -> None:
    def a_thread(tx: Transaction) -> None:
        account_id, mailbox_id, now = stage.scene.account_id, stage.scene.mailbox_id, stage.clock.now()
        thread_id = threads.create(tx, account_id, mailbox_id, subject="Your enrolment", now=now)
        threads.add_conversation(tx, account_id, thread_id, mailbox_id=mailbox_id, conversation_id="ours", now=now)

    await stage.scene.store.write(a_thread)
    assert await stage.comes(shown(0, conversationId="ours"), shown(1)) == ["AAMk0"]


@pytest.mark.parametrize(
    "speaks_for",
    [
        TokensRefused("there are no tokens"),
        frozenset(),
        frozenset({replace(APP, client_id=UUID(TENANT))}),
        KeyError("a fault of ours"),
    ],
    ids=["no tokens", "no app", "another app", "a fault"],
)
async def test_what_is_not_proven_is_looked_into_whatever_it_shows(
    stage: Stage, speaks_for: Any, caplog: pytest.LogCaptureFixture
) -> None:
    stage.opener.speaks_for = speaks_for
    assert await stage.comes(shown(0), shown(1)) == ["AAMk0", "AAMk1"]
    lines = [record for record in caplog.records if record.getMessage() == "encrypted content not opened"]
    assert len(lines) == 1
    assert "elsewhere.example" not in str(vars(lines[0]))


async def test_until_it_is_opened_its_hint_is_held_and_no_longer_than_promised(stage: Stage) -> None:
    await stage.told(shown(0))
    assert await stage.due() == []
    assert not await stage.scene.pull_is_due()
    stage.clock.advance(HELD_FOR)
    assert len(await stage.due()) == 1


async def test_what_waited_too_long_is_looked_into_and_not_opened(stage: Stage) -> None:
    await stage.told(shown(0))
    stage.clock.advance(HELD_FOR)
    await stage.openings.run_waiting()
    assert stage.opener.asked == []
    assert await stage.scene.pull_is_due()


async def test_where_there_is_no_room_hints_are_as_plain_ones(stage: Stage) -> None:
    assert stage.openings.reserve(ROOM)
    await stage.told(shown(0))
    assert len(await stage.due()) == 1
    assert await stage.scene.pull_is_due()
    stage.openings.release(ROOM)
    assert await stage.comes(shown(0)) == []
    assert stage.openings.reserve(ROOM), "all that was taken is free again"


async def test_a_hint_that_is_told_plainly_too_is_closed_with_it(stage: Stage) -> None:
    row = await stage.scene.of_inbox()
    hint = NewHint(account_id=row.account_id, folder_id=row.folder_id, change_type="created", message_id="AAMk0")
    await stage.scene.store.write(hints.insert, [hint], now=stage.clock.now())
    assert await stage.comes(shown(0)) == []
    assert await stage.open() == []


async def test_notifications_become_plain_only_after_many_requests_in_a_row(stage: Stage) -> None:
    async def is_rich() -> bool:
        await stage.keeper.run_due()
        return (await stage.scene.of_inbox()).is_rich

    for _ in range(2):
        for _ in range(UNOPENED_TIMES):
            await stage.comes("tampered")
        stage.clock.advance(UNOPENED_FOR - SECOND)
        await stage.comes(shown(0))  # one that opens ends the row
        assert await is_rich()
    await stage.comes("tampered")
    for _ in range(UNOPENED_TIMES):
        stage.clock.advance(UNOPENED_FOR)
        await stage.comes("tampered")
        if not await is_rich():
            break
    trouble = await stage.scene.store.read(rich_troubles.of_folder, stage.scene.inbox.id)
    assert "a signature does not fit" in (trouble.reason or "")
    assert not (await stage.scene.of_inbox()).is_rich


async def test_they_are_opened_while_the_gateway_runs_and_what_comes_late_waits_its_turn(stage: Stage) -> None:
    gate = asyncio.Event()
    stage.opener.before = gate.wait
    with stage.scene.store.watching("folders") as due:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(stage.openings.run(asyncio.Event()))
            for _ in range(4):
                await stage.told(shown(0))
            gate.set()
            await stage.told("tampered", first=9)
            async with asyncio.timeout(20):
                await due.wait()
            running.cancel()
    assert [hint.message_id for hint in await stage.due()] == ["AAMk9"]
