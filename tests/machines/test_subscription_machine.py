"""The watching of two folders under fire: bad days at Graph, lost answers, lifecycle events, crashes, clocks that jump,
rich notifications switched on and off, given up and tried again, and their certificates replaced.

Whatever happens, no folder has two current subscriptions, each that is to be watched has one or a step towards it
planned, a disturbance is followed by a pull, there is a key for whatever Graph encrypts, and when calm returns Graph
and the table say the same.
"""

import asyncio
import hashlib
import tempfile
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from storage import Store, Transaction, encryption_certificates, folders, gaps, mailboxes, open_store, rich_troubles
from storage.folders import Folder
from storage.gaps import Reason
from storage.mailboxes import MailboxState
from storage.subscriptions import Subscription, SubscriptionState
from storage.vault import MasterKey
from subscriptions import ledger
from subscriptions.addresses import notification_url_of, resource_of
from subscriptions.certificates import REPLACED_AFTER, Certificates
from subscriptions.falling_back import PLAIN_FOR
from subscriptions.graph import GraphBusy, SubscriptionExists, SubscriptionGone, SubscriptionRefused
from subscriptions.keeper import Keeper
from subscriptions.plan import LONGEST_LIFE, LONGEST_WAIT, OVERLAP
from subscriptions.receiver import Receiver
from tests.fakes.certificates import FakeMaker
from tests.fakes.clock import FakeClock
from tests.fakes.graph_subscriptions import FakeGraph, Held
from tests.sending.crashing import Crashes, CrashingStore, may_crash
from tests.subscriptions.scene import PUBLIC_URL, Scene, build

OTHER_URL = "https://post.school.example"
KEY = MasterKey.new()
CURRENT = (SubscriptionState.CREATING, SubscriptionState.LIVE)
CALLS = st.sampled_from(["create", "create", "renew", "list", "get", "delete", "reauthorize"])
TROUBLES = st.sampled_from(
    [
        GraphBusy("Graph cannot be reached."),
        GraphBusy("Graph asks for patience.", retry_after=timedelta(minutes=25)),
        SubscriptionRefused("Graph tried the URL: it did not answer."),
        SubscriptionGone("Graph does not know it."),
        SubscriptionExists("There is one already."),
    ]
)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


class JumpingClock:
    """The gateway's clock: the true one, and wrong by `offset`."""

    def __init__(self, true: FakeClock) -> None:
        self._true = true
        self.offset = timedelta(0)

    def now(self) -> datetime:
        return self._true.now() + self.offset


def age_certificates(tx: Transaction, by: timedelta) -> None:
    by_us = by // timedelta(microseconds=1)
    tx.execute("UPDATE encryption_certificates SET created_at = created_at - :by", {"by": by_us})


def put_off(tx: Transaction, folder_id: str, until: datetime) -> None:
    tx.execute("UPDATE folders SET next_pull_at = :until WHERE id = :id", {"until": until, "id": folder_id})


class SubscriptionMachine(RuleBasedStateMachine):
    @initialize(refuses_doubles=st.booleans())
    def begin(self, refuses_doubles: bool) -> None:
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.true_clock = FakeClock()
        self.clock = JumpingClock(self.true_clock)
        self.graph = FakeGraph(self.true_clock, refuses_doubles=refuses_doubles)
        self.public_url: str | None = PUBLIC_URL
        self.disturbed: set[str] = set()
        self.rich = False
        self.maker = FakeMaker()
        self.runner.run(self._begin())

    async def _begin(self) -> None:
        path = Path(self.folder.name) / "gateway.db"
        self.store: Store = await self.stack.enter_async_context(open_store(path, readers=1))
        self.scene: Scene = await build(self.store, self.true_clock, self.graph)
        self.receiver = Receiver(self.store, self.clock)
        self.folders = {
            resource_of("u-admissions", folder.well_known): folder for folder in (self.scene.inbox, self.scene.sent)
        }
        self._start()

    def _start(self) -> None:
        """A process begins."""
        self.crashes = Crashes()
        self.graph.on_call = self.crashes.step
        store = cast("Store", CrashingStore(self.store, self.crashes))
        certificates = Certificates(store, KEY, self.clock, make=self.maker)
        self.keeper = Keeper(store, self.graph, self.clock, self.public_url, certificates=certificates, rich=self.rich)

    def run_due(self) -> None:
        self.runner.run(self.keeper.run_due())

    # Time

    @rule(pause=st.sampled_from([SECOND, 10 * SECOND, 60 * SECOND, 600 * SECOND, HOUR, 5 * HOUR, DAY, 3.5 * DAY]))
    def time_passes(self, pause: timedelta) -> None:
        self.true_clock.advance(pause)
        self.run_due()

    @rule(pause=st.sampled_from([HOUR, 3 * DAY, 8 * DAY]))
    def the_gateway_is_down(self, pause: timedelta) -> None:
        self.true_clock.advance(pause)
        self._start()
        self.runner.run(self.keeper.recover())
        self.run_due()

    @rule(hours=st.sampled_from([-120, -30, -1, 0, 1, 30, 120]))
    def the_clock_jumps(self, hours: int) -> None:
        self.clock.offset = hours * HOUR
        self.run_due()

    # Graph's bad days

    @rule(call=CALLS, trouble=TROUBLES, times=st.integers(1, 4))
    def trouble_is_coming(self, call: str, trouble: Any, times: int) -> None:
        for _ in range(times):
            self.graph.fail(call, trouble)

    @rule(call=CALLS)
    def an_answer_will_be_lost(self, call: str) -> None:
        self.graph.fail(call, done_all_the_same=True)

    @rule(data=st.data())
    @precondition(lambda self: self.ours_at_graph())
    def graph_loses_one_without_a_word(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.ours_at_graph()))
        self.graph.remove(held.subscription.subscription_id)
        if self.current_row_of(held) is not None:
            self._disturb(self.folder_of(held))

    @rule(refuses=st.booleans())
    def graph_refuses_encryption(self, refuses: bool) -> None:
        self.graph.refuses_encryption = refuses

    @rule(refuses=st.booleans())
    def graph_takes_no_other_certificate(self, refuses: bool) -> None:
        self.graph.refuses_other_certificates = refuses

    # Notifications

    @rule(data=st.data(), event=st.sampled_from(["missed", "subscriptionRemoved", "reauthorizationRequired", "new"]))
    @precondition(lambda self: self.ours_at_graph())
    def a_lifecycle_event_comes(self, data: st.DataObject, event: str) -> None:
        held = data.draw(st.sampled_from(self.ours_at_graph()))
        folder = self.folder_of(held)
        if event == "subscriptionRemoved":
            self.graph.remove(held.subscription.subscription_id)
        self._disturb(folder, lasting=False)
        row = self.current_row_of(held)
        receipt = self.runner.run(self.receiver.receive(lifecycle_body(held, event)))
        if receipt.kept and row is not None and event != "reauthorizationRequired":
            assert self.next_pull_at(folder) <= self.clock.now(), "a disturbance is followed by a pull"

    @rule(overtakes=st.booleans())
    def notifications_overtake_the_201(self, overtakes: bool) -> None:
        async def notify(client_state: str, subscription_id: str) -> None:
            if overtakes:
                receipt = await self.receiver.receive(change_body(subscription_id, client_state))
                assert receipt.kept + receipt.ignored == 1, "what overtakes the 201 is not refused"

        self.graph.before_answering = notify

    @rule(data=st.data())
    @precondition(lambda self: self.ours_at_graph())
    def a_forgery_comes(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.ours_at_graph()))
        before = self.rows()
        receipt = self.runner.run(self.receiver.receive(change_body(held.subscription.subscription_id, "guess")))
        assert (receipt.kept, self.rows()) == (0, before)

    # People

    @rule()
    def the_mailbox_is_removed(self) -> None:
        self.write(mailboxes.mark_removed, self.scene.mailbox_id)
        self.run_due()

    @rule()
    def the_mailbox_is_validated(self) -> None:
        self.runner.run(self.scene.validate_mailbox())
        self.run_due()

    @rule(public_url=st.sampled_from([PUBLIC_URL, OTHER_URL, None]))
    def the_public_url_changes(self, public_url: str | None) -> None:
        self.public_url = public_url
        self._start()
        self.run_due()

    @rule(rich=st.booleans())
    def rich_notifications_are_switched(self, rich: bool) -> None:
        self.rich = rich
        self._start()
        self.run_due()

    @rule()
    def contents_were_not_opened_for_too_long(self) -> None:
        self.write(ledger.fell_back, self.scene.inbox.id, "They cannot be opened.", self.clock.now())
        self.run_due()

    @rule()
    def the_certificates_grow_old(self) -> None:
        self.write(age_certificates, REPLACED_AFTER)
        self.run_due()

    @rule(steps=st.integers(1, 15), recovers=st.booleans())
    def crash(self, steps: int, recovers: bool) -> None:
        """Die after so many steps of work, if there is that much; a new process begins."""
        self.crashes.after_steps = len(self.crashes.reached) + steps
        self.runner.run(self._work_until_death())
        self._start()
        if recovers:
            self.runner.run(self.keeper.recover())

    async def _work_until_death(self) -> None:
        async with may_crash(self.crashes):
            await self.keeper.run_due()

    # What is seen

    def write(self, work: Any, *args: Any) -> Any:
        return self.runner.run(self.store.write(work, *args))

    def rows(self) -> list[Subscription]:
        return self.runner.run(self.scene.rows())

    def next_pull_at(self, folder: Folder) -> datetime:
        return self.runner.run(self.store.read(folders.get, folder.id)).next_pull_at

    def ours_at_graph(self) -> list[Held]:
        return sorted(self.graph.held, key=lambda held: held.subscription.subscription_id)

    def folder_of(self, held: Held) -> Folder:
        return self.folders[held.subscription.resource.partition("?")[0]]

    def current_row_of(self, held: Held) -> Subscription | None:
        """The row that counts on it, if there is one."""
        wanted = (held.subscription.subscription_id, SubscriptionState.LIVE)
        return next((row for row in self.rows() if (row.subscription_id, row.state) == wanted), None)

    def is_watched(self) -> bool:
        mailbox = self.runner.run(self.store.read(mailboxes.get, self.scene.mailbox_id))
        return self.public_url is not None and mailbox.state is MailboxState.VALIDATED

    def _disturb(self, folder: Folder, *, lasting: bool = True) -> None:
        """From here on a pull is owed."""
        if lasting or folder.id not in self.disturbed:
            self.write(put_off, folder.id, self.clock.now() + 1000 * DAY)
        if lasting:
            self.disturbed.add(folder.id)

    @invariant()
    def no_folder_has_two_current_subscriptions(self) -> None:
        current = [row.folder_id for row in self.rows() if row.state in CURRENT]
        assert len(current) == len(set(current))

    def _whatever_is_not_live_is_a_gap(self) -> None:
        live = {row.folder_id for row in self.rows() if row.state is SubscriptionState.LIVE}
        for folder in self.folders.values():
            found = self.runner.run(self.store.read(gaps.not_closed, [folder.id]))
            lasting = {gap.reason for gap in found if gap.ended_at is None}
            assert (Reason.NO_SUBSCRIPTION in lasting) >= (folder.id not in live)

    @invariant()
    def there_is_a_key_for_whatever_graph_encrypts(self) -> None:
        kept = {
            one.id
            for one in self.runner.run(self.store.read(encryption_certificates.of_account, self.scene.account_id))
        }
        known = {row.subscription_id for row in self.rows()}
        for held in self.graph.held:
            if held.encryption is not None and held.subscription.subscription_id in known:
                assert held.encryption.certificate_id in kept

    @invariant()
    def every_step_is_planned_within_reason(self) -> None:
        """Also after the clock jumped, once the keeper has looked: a step far ahead would be one forgotten."""
        self.run_due()
        for row in self.rows():
            assert row.next_step_at is not None
            ahead = row.next_step_at - self.clock.now()
            if row.failures:
                assert ahead <= LONGEST_WAIT + timedelta(minutes=5)
            elif row.state is SubscriptionState.LIVE:
                assert ahead <= LONGEST_LIFE / 2 + timedelta(minutes=5)
        if self.is_watched():
            self._whatever_is_not_live_is_a_gap()
            assert {row.folder_id for row in self.rows() if row.state in CURRENT} == {
                folder.id for folder in self.folders.values()
            }

    def teardown(self) -> None:
        if not hasattr(self, "store"):
            return
        try:
            self._calm_down()
            self._graph_and_table_say_the_same()
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()

    def _calm_down(self) -> None:
        self.graph.calm()
        self.clock.offset = timedelta(0)
        trouble = self.runner.run(self.store.read(rich_troubles.of_folder, self.scene.inbox.id))
        if trouble.plain_until is not None and trouble.plain_until > self.clock.now() + PLAIN_FOR:
            self.write(rich_troubles.forget, self.scene.inbox.id)  # by a clock that ran ahead: it would take days
        self._start()
        self.runner.run(self.keeper.recover())
        for pause in (SECOND, *[LONGEST_WAIT] * 3, OVERLAP, DAY, OVERLAP):
            self.true_clock.advance(pause)
            self.run_due()

    def _graph_and_table_say_the_same(self) -> None:
        rows = {row.subscription_id: row for row in self.rows()}
        assert {row.state for row in rows.values()} <= {SubscriptionState.LIVE}
        assert set(rows) == {held.subscription.subscription_id for held in self.graph.held}
        assert len(rows) == (2 if self.is_watched() else 0)
        for held in self.graph.held:
            row = rows[held.subscription.subscription_id]
            assert held.subscription.notification_url == notification_url_of(self.public_url or "")
            assert self.folder_of(held).id == row.folder_id
            assert row.is_rich is (self.rich and self.folder_of(held).id == self.scene.inbox.id)
            assert hashlib.sha256(held.client_state.encode()).digest() == row.client_state_digest
        if self.is_watched():
            for folder in self.folders.values():
                assert folder.id not in self.disturbed or self.next_pull_at(folder) <= self.clock.now()


def lifecycle_body(held: Held, event: str) -> bytes:
    one = {"subscriptionId": held.subscription.subscription_id, "clientState": held.client_state}
    return orjson.dumps({"value": [{**one, "lifecycleEvent": event}]})


def change_body(subscription_id: str, client_state: str) -> bytes:
    one = {"subscriptionId": subscription_id, "clientState": client_state, "changeType": "created"}
    return orjson.dumps({"value": [{**one, "resourceData": {"id": "AAMk1"}}]})


TestSubscriptions = SubscriptionMachine.TestCase
TestSubscriptions.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
