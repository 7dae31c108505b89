"""Whatever a receiver does and whenever the gateway dies: it gets every event, and those of a thread in their order."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

import storage
from gateway.host.plan import LONGEST_PROBE
from storage import accounts, webhooks
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.host.receiver import Mood
from tests.host.scene import Scene

THREADS = ("thr_1", "thr_2", None)


class Webhooks(RuleBasedStateMachine):
    """One webhook. `happened` has the events of each thread."""

    scene: Scene

    @initialize()
    def open(self) -> None:
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.runner.run(self._open())

    async def _open(self) -> None:
        clock = FakeClock()
        store = await self.stack.enter_async_context(storage.open_store(Path(self.folder.name) / "gateway.db"))
        account = await store.write(accounts.add, "SELMA", now=clock.now())
        self.scene = Scene(store=store, clock=clock, account_id=account.id, key=MasterKey.new())
        self.hook, self.receiver = await self.scene.add()
        self.happened: dict[str | None, list[str]] = {one: [] for one in THREADS}

    @rule(thread_id=st.sampled_from(THREADS), times=st.integers(1, 3))
    def something_happens(self, thread_id: str | None, times: int) -> None:
        for _ in range(times):
            self.happened[thread_id].append(self.runner.run(self.scene.happens("reply.received", thread_id)))

    @rule(mood=st.sampled_from([one for one in Mood if one is not Mood.GONE]))
    def the_receiver_changes(self, mood: Mood) -> None:
        self.receiver.mood = mood

    @rule()
    def it_says_that_it_is_gone_and_a_person_enables_it(self) -> None:
        self.receiver.mood = Mood.GONE
        self.runner.run(self.scene.deliverer.run_due())
        self.receiver.mood = Mood.WELL
        self.runner.run(self.scene.store.write(webhooks.enable, self.hook.id))

    @rule(hours=st.sampled_from([0.01, 1, 30, 200, -2]))
    def time_passes(self, hours: float) -> None:
        self.scene.clock.advance(timedelta(hours=hours))
        self.runner.run(self.scene.deliverer.run_due())

    @rule()
    def the_gateway_is_started_anew(self) -> None:
        self.scene.restart()
        self.runner.run(self.scene.deliverer.recover())
        self.runner.run(self.scene.deliverer.run_due())

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        try:
            self.receiver.mood = Mood.WELL
            self.the_gateway_is_started_anew()
            # A clock that was set back makes nothing wait for longer than it was set back.
            self.runner.run(self.scene.passes(LONGEST_PROBE * 30 + timedelta(days=9), in_steps_of=timedelta(hours=6)))
            for events in self.happened.values():
                first_seen = list(dict.fromkeys(one for one in self.receiver.taken if one in events))
                assert first_seen == events
        finally:
            self.runner.run(self.stack.aclose())
            self.runner.close()
            self.folder.cleanup()


TestWebhooks = Webhooks.TestCase
TestWebhooks.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
