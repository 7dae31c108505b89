"""When nothing tells of new mail, that is a gap."""

from datetime import timedelta

from storage import gaps
from storage.gaps import Gap, Reason
from subscriptions.graph import GraphBusy
from subscriptions.plan import LONGEST_LIFE
from subscriptions.receiver import Receiver
from tests.fakes.clock import FakeClock
from tests.fakes.graph_subscriptions import FakeGraph
from tests.subscriptions.scene import Scene
from tests.subscriptions.test_receiver import body, inbox_credentials, lifecycle

HOUR = timedelta(hours=1)


async def open_gaps(scene: Scene) -> dict[Reason, Gap]:
    return {gap.reason: gap for gap in await scene.store.read(gaps.not_closed, [scene.inbox.id])}


async def test_until_a_folder_has_its_subscription_there_is_a_gap(scene: Scene, graph: FakeGraph) -> None:
    for _ in range(2):
        graph.fail("create", GraphBusy("Graph cannot be reached."))
    await scene.keeper.run_due()
    assert (await open_gaps(scene))[Reason.NO_SUBSCRIPTION].ended_at is None
    scene.clock.advance(HOUR)
    await scene.keeper.run_due()
    assert (await open_gaps(scene))[Reason.NO_SUBSCRIPTION].lasted == HOUR


async def test_one_that_ends_before_it_is_renewed_leaves_a_gap_from_its_end(scene: Scene, clock: FakeClock) -> None:
    await scene.keeper.run_due()
    ends_at = (await scene.of_inbox()).expiration_date_time
    assert ends_at is not None
    await close_all(scene)
    clock.advance(LONGEST_LIFE + HOUR)
    await scene.keeper.run_due()
    gap = (await open_gaps(scene))[Reason.NO_SUBSCRIPTION]
    assert (gap.began_at, gap.ended_at) == (ends_at, clock.now())


async def test_a_removed_subscription_leaves_a_gap_until_its_successor_lives(scene: Scene) -> None:
    await scene.keeper.run_due()
    await close_all(scene)
    subscription_id, client_state = await inbox_credentials(scene)
    receiver = Receiver(scene.store, scene.clock)
    await receiver.receive(body(lifecycle(subscription_id, client_state, "subscriptionRemoved")))
    assert (await open_gaps(scene))[Reason.SUBSCRIPTION_REMOVED].ended_at is None
    scene.clock.advance(HOUR)
    await scene.keeper.run_due()
    found = await open_gaps(scene)
    assert found[Reason.SUBSCRIPTION_REMOVED].lasted == HOUR
    assert all(gap.ended_at is not None for gap in found.values())


async def test_missed_notifications_are_a_gap_since_the_last_pull(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.clock.advance(HOUR)
    subscription_id, client_state = await inbox_credentials(scene)
    receiver = Receiver(scene.store, scene.clock)
    await receiver.receive(body(lifecycle(subscription_id, client_state, "missed")))
    gap = (await open_gaps(scene))[Reason.NOTIFICATIONS_MISSED]
    assert (gap.began_at, gap.ended_at) == (scene.inbox.watch_since, scene.clock.now())


async def test_a_mailbox_that_is_watched_no_more_lacks_nothing(scene: Scene, graph: FakeGraph) -> None:
    for _ in range(2):
        graph.fail("create", GraphBusy("Graph cannot be reached."))
    await scene.keeper.run_due()
    await scene.remove_mailbox()
    await scene.keeper.run_due()
    assert all(gap.ended_at is not None for gap in (await open_gaps(scene)).values())


async def close_all(scene: Scene) -> None:
    """As a pull does."""
    now = scene.clock.now()
    await scene.store.write(gaps.close, scene.inbox.id, round_began_at=now, now=now)
