import asyncio
import hashlib
import logging
from datetime import timedelta

import pytest

import storage
from storage import accounts, chores, folders, subscriptions
from storage.subscriptions import Subscription, SubscriptionState
from subscriptions.graph import GraphBusy, SubscriptionGone, SubscriptionRefused
from subscriptions.keeper import Keeper
from tests.fakes.graph_subscriptions import FakeGraph
from tests.subscriptions.scene import NOTIFICATION_URL, PUBLIC_URL, Scene, add_mailbox, school

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
NEW_URL = "https://post.school.example"


async def test_each_folder_of_a_validated_mailbox_gets_its_own_subscription(scene: Scene) -> None:
    assert await scene.keeper.run_due() == 2
    assert sorted(held.subscription.resource for held in scene.graph.held) == [
        "users/u-admissions/mailFolders('inbox')/messages",
        "users/u-admissions/mailFolders('sentitems')/messages",
    ]


async def test_graph_is_told_both_urls_and_asked_for_a_safe_life(scene: Scene) -> None:
    await scene.keeper.run_due()
    held = scene.graph.held[0]
    assert held.subscription.notification_url == NOTIFICATION_URL
    assert held.lifecycle_notification_url == f"{PUBLIC_URL}/graph/lifecycle"
    assert held.subscription.expiration_date_time == scene.clock.now() + timedelta(minutes=10_000)


async def test_each_secret_is_long_and_its_own_and_only_its_digest_is_kept(scene: Scene) -> None:
    await scene.keeper.run_due()
    rows = await scene.rows(SubscriptionState.LIVE)
    secrets = {scene.at_graph(row).client_state for row in rows}
    assert len(secrets) == 2
    assert all(48 <= len(secret) <= 128 for secret in secrets)
    assert {hashlib.sha256(secret.encode()).digest() for secret in secrets} == {row.client_state_digest for row in rows}


async def test_the_digest_is_on_disk_before_graph_hears_the_secret(scene: Scene) -> None:
    seen = []

    async def look(client_state: str, subscription_id: str) -> None:
        digest = hashlib.sha256(client_state.encode()).digest()
        seen.append(await scene.store.read(subscriptions.find_creating, digest))

    scene.graph.before_answering = look
    await scene.keeper.run_due()
    assert [found is not None for found in seen] == [True, True]


async def test_a_new_subscription_is_followed_by_a_pull(scene: Scene) -> None:
    await scene.not_due()
    await scene.keeper.run_due()
    assert await scene.pull_is_due(scene.inbox)
    assert await scene.pull_is_due(scene.sent)


async def test_nothing_is_done_when_nothing_is_due(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.graph.calls.clear()
    assert await scene.keeper.run_due() == 0
    assert scene.graph.calls == []


async def test_it_is_renewed_at_half_of_what_was_granted(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.clock.advance(timedelta(minutes=4_999))
    assert await scene.keeper.run_due() == 0
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    row = await scene.of_inbox()
    assert row.expiration_date_time == scene.clock.now() + timedelta(minutes=10_000)
    assert scene.at_graph(row).subscription.expiration_date_time == row.expiration_date_time


async def test_one_that_is_gone_at_renewal_is_made_anew_and_its_folder_pulled(scene: Scene) -> None:
    await scene.keeper.run_due()
    before = await scene.of_inbox()
    scene.graph.remove(before.subscription_id or "")
    scene.clock.advance(timedelta(minutes=5_000))
    await scene.not_due()
    await scene.keeper.run_due()
    after = await scene.of_inbox()
    assert after.state is SubscriptionState.LIVE
    assert after.subscription_id != before.subscription_id
    assert after.client_state_digest != before.client_state_digest
    assert await scene.pull_is_due()


async def test_a_failed_renewal_is_tried_again_soon_and_says_why(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.clock.advance(timedelta(minutes=5_000))
    scene.graph.broken["renew"] = GraphBusy("Graph has trouble of its own.")
    await scene.keeper.run_due()
    row = await scene.of_inbox()
    assert (row.failures, row.problem) == (1, "Graph has trouble of its own.")
    del scene.graph.broken["renew"]
    scene.clock.advance(timedelta(seconds=10))
    await scene.keeper.run_due()
    row = await scene.of_inbox()
    assert (row.failures, row.problem) == (0, None)


async def test_a_renewal_whose_answer_was_lost_is_simply_repeated(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.clock.advance(timedelta(minutes=5_000))
    scene.graph.fail("renew", done_all_the_same=True)
    await scene.keeper.run_due()
    scene.clock.advance(timedelta(seconds=10))
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2
    assert all(row.state is SubscriptionState.LIVE and row.failures == 0 for row in await scene.rows())


async def test_a_throttled_step_waits_as_long_as_graph_asks(scene: Scene) -> None:
    scene.graph.broken["create"] = GraphBusy("Graph asks for patience.", retry_after=timedelta(minutes=7))
    await scene.keeper.run_due()
    scene.graph.calls.clear()
    scene.clock.advance(timedelta(minutes=6))
    await scene.keeper.run_due()
    assert scene.graph.calls == []


async def test_creating_that_keeps_failing_is_tried_for_ever_and_at_least_every_ten_minutes(scene: Scene) -> None:
    scene.graph.broken["create"] = SubscriptionRefused("Graph tried the URL: its name does not resolve.")
    for _ in range(200):
        await scene.keeper.run_due()
        scene.clock.advance(10 * MINUTE)
    row = await scene.of_inbox()
    assert row.problem == "Graph tried the URL: its name does not resolve."
    assert row.failures > 150
    scene.graph.broken.clear()
    await scene.keeper.run_due()
    assert (await scene.of_inbox()).state is SubscriptionState.LIVE


async def test_one_folder_that_fails_keeps_no_other_waiting(scene: Scene) -> None:
    scene.graph.fail("create", SubscriptionRefused("no"))
    await scene.keeper.run_due()
    assert sorted(row.state for row in await scene.rows()) == ["creating", "live"]


async def test_a_fault_of_our_own_is_logged_and_tried_again(
    store: storage.Store, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeGraph):
        async def subscriptions(self, account_id: str) -> FakeGraph:
            raise ZeroDivisionError

    keeper = Keeper(store, Broken(scene.clock), scene.clock, PUBLIC_URL)
    await keeper.run_due()
    assert "subscription step broke" in caplog.text
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2


async def test_steps_run_side_by_side_but_not_all_at_once(store: storage.Store, scene: Scene) -> None:
    for number in range(20):
        await store.write(add_mailbox, scene.account_id, f"m{number}", now=scene.clock.now())
    assert await scene.keeper.run_due() == 42
    assert 2 <= scene.graph.most_at_once <= 8


async def test_no_transaction_is_open_while_graph_is_asked(scene: Scene) -> None:
    async def write_something(client_state: str, subscription_id: str) -> None:
        async with asyncio.timeout(5):
            await scene.store.write(folders.pull_soon, scene.inbox.id, scene.clock.now())

    scene.graph.before_answering = write_something
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2


# Lost answers, crashes, doubles


@pytest.mark.parametrize("refuses_doubles", [True, False])
async def test_when_the_201_was_lost_there_is_one_subscription_in_the_end(scene: Scene, refuses_doubles: bool) -> None:
    scene.graph.refuses_doubles = refuses_doubles
    scene.graph.fail("create", done_all_the_same=True)
    await scene.keeper.run_due()
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2
    assert all(scene.at_graph(row) for row in await scene.rows(SubscriptionState.LIVE))


async def test_one_whose_201_was_lost_is_adopted_when_a_notification_has_told_its_id(scene: Scene) -> None:
    async def notify(client_state: str, subscription_id: str) -> None:
        digest = hashlib.sha256(client_state.encode()).digest()
        row = await scene.store.read(subscriptions.find_creating, digest)
        assert row is not None
        await scene.store.write(subscriptions.witness, row.id, subscription_id)

    scene.graph.before_answering = notify
    scene.graph.fail("create", done_all_the_same=True)
    scene.graph.fail("create", done_all_the_same=True)
    await scene.keeper.run_due()
    made = {held.subscription.subscription_id for held in scene.graph.held}
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    assert {row.subscription_id for row in await scene.rows(SubscriptionState.LIVE)} == made
    assert scene.graph.calls.count("create") == 2
    assert all(_secret_is_known(scene, row) for row in await scene.rows())


async def test_a_crash_before_the_201_is_mended_at_the_next_start(scene: Scene) -> None:
    class Killed(BaseException):
        pass

    async def die(client_state: str, subscription_id: str) -> None:
        raise Killed

    scene.graph.before_answering = die
    with pytest.raises(BaseExceptionGroup):
        await scene.keeper.run_due()
    scene.graph.before_answering = _nothing
    keeper = scene.restarted()
    await keeper.recover()
    await keeper.run_due()
    assert len(scene.graph.held) == 2
    assert {row.subscription_id for row in await scene.rows(SubscriptionState.LIVE)} == {
        held.subscription.subscription_id for held in scene.graph.held
    }


async def _nothing(client_state: str, subscription_id: str) -> None:
    return


async def test_when_another_gateway_takes_over_an_attempt_the_late_answer_is_a_stray(scene: Scene) -> None:
    other = Keeper(scene.store, scene.graph, scene.clock, PUBLIC_URL)

    async def take_over(client_state: str, subscription_id: str) -> None:
        scene.graph.before_answering = _nothing
        scene.clock.advance(5 * MINUTE)
        await other.run_due()

    scene.graph.refuses_doubles = False
    scene.graph.before_answering = take_over
    await scene.keeper.run_due()
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2
    assert all(_secret_is_known(scene, row) for row in await scene.rows(SubscriptionState.LIVE))


def _secret_is_known(scene: Scene, row: Subscription) -> bool:
    return hashlib.sha256(scene.at_graph(row).client_state.encode()).digest() == row.client_state_digest


async def test_a_step_that_one_gateway_has_in_hand_is_not_taken_by_another(scene: Scene) -> None:
    other = Keeper(scene.store, scene.graph, scene.clock, PUBLIC_URL)
    taken = []

    async def work_too(client_state: str, subscription_id: str) -> None:
        taken.append(await other.run_due())

    scene.graph.before_answering = work_too
    await scene.keeper.run_due()
    assert taken == [0, 0]


async def test_a_comparison_beside_a_creation_leaves_its_subscription_alone(scene: Scene) -> None:
    other = Keeper(scene.store, scene.graph, scene.clock, PUBLIC_URL)

    async def compare(client_state: str, subscription_id: str) -> None:
        await other.refresh(scene.account_id)

    scene.graph.before_answering = compare
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2


async def test_a_double_of_ours_whose_secret_nobody_knows_is_replaced(scene: Scene) -> None:
    scene.graph.add(scene.inbox_resource, NOTIFICATION_URL)
    await scene.store.write(_compared_already, scene)
    await scene.keeper.run_due()
    row = await scene.of_inbox()
    assert row.state is SubscriptionState.LIVE
    assert [held.subscription_id for held in scene.inboxes_at_graph()] == [row.subscription_id]


async def test_a_double_of_somebody_else_is_left_alone_and_named(scene: Scene) -> None:
    theirs = scene.graph.add(scene.inbox_resource, "https://other.example/hook")
    await scene.keeper.run_due()
    row = await scene.of_inbox()
    assert row.state is SubscriptionState.CREATING
    assert "another program" in (row.problem or "")
    assert scene.inboxes_at_graph() == [theirs]


async def test_two_accounts_with_the_same_app_do_not_fight_over_a_mailbox(store: storage.Store, scene: Scene) -> None:
    await scene.keeper.run_due()
    ours = await scene.of_inbox()

    def second_account(tx: storage.Transaction) -> None:
        tx.execute("UPDATE accounts SET name = 'first'")
        school(tx, now=scene.clock.now())

    await store.write(second_account)
    for _ in range(3):
        await scene.keeper.run_due()
        scene.clock.advance(MINUTE)
    assert (await scene.of_inbox()).subscription_id == ours.subscription_id


async def test_one_lost_again_and_again_is_not_made_anew_in_a_hot_loop(scene: Scene) -> None:
    for _ in range(30):
        await scene.keeper.run_due()
        for row in await scene.rows(SubscriptionState.LIVE):
            scene.graph.remove(row.subscription_id or "")
            await scene.store.write(_gone, row.id)
    assert scene.graph.calls.count("create") < 12
    scene.clock.advance(10 * MINUTE)
    await scene.keeper.run_due()
    assert (await scene.of_inbox()).state is SubscriptionState.LIVE


def _gone(tx: storage.Transaction, row_id: str) -> None:
    tx.execute("UPDATE subscriptions SET state = 'gone', next_step_at = NULL WHERE id = :id", {"id": row_id})


# Who is watched


async def test_when_a_mailbox_is_removed_its_subscriptions_are_deleted_at_graph(scene: Scene) -> None:
    await scene.keeper.run_due()
    await scene.remove_mailbox()
    await scene.keeper.run_due()
    assert scene.graph.held == []
    assert await scene.rows() == []


async def test_deleting_is_tried_again_until_it_is_done(scene: Scene) -> None:
    await scene.keeper.run_due()
    await scene.remove_mailbox()
    scene.graph.broken["delete"] = GraphBusy("no")
    await scene.keeper.run_due()
    assert len(await scene.rows(SubscriptionState.REMOVING)) == 2
    scene.graph.broken.clear()
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    assert scene.graph.held == []


async def test_a_mailbox_removed_while_graph_was_asked_keeps_no_subscription(scene: Scene) -> None:
    async def remove(client_state: str, subscription_id: str) -> None:
        await scene.remove_mailbox()

    scene.graph.before_answering = remove
    await scene.keeper.run_due()
    assert scene.graph.held == []


async def test_a_mailbox_removed_while_the_201_is_lost_leaves_no_stray(scene: Scene) -> None:
    scene.graph.fail("create", done_all_the_same=True)
    await scene.keeper.run_due()
    await scene.remove_mailbox()
    await scene.keeper.run_due()
    await scene.keeper.run_due()
    assert scene.graph.held == []


async def test_a_mailbox_that_comes_back_is_watched_again(scene: Scene) -> None:
    await scene.keeper.run_due()
    await scene.remove_mailbox()
    await scene.keeper.run_due()
    await scene.validate_mailbox()
    await scene.keeper.run_due()
    assert len(await scene.rows(SubscriptionState.LIVE)) == len(scene.graph.held) == 2


async def test_without_a_public_url_there_are_no_subscriptions_and_old_ones_are_removed(scene: Scene) -> None:
    await scene.keeper.run_due()
    keeper = scene.restarted(public_url=None)
    await keeper.recover()
    await keeper.run_due()
    assert scene.graph.held == []
    scene.graph.calls.clear()
    scene.clock.advance(8 * DAY)
    await keeper.run_due()
    assert scene.graph.calls == []


# Another public URL


async def test_another_public_url_means_other_subscriptions_and_the_old_ones_overlap(scene: Scene) -> None:
    scene.graph.refuses_doubles = False
    await scene.keeper.run_due()
    old = await scene.of_inbox()
    keeper = scene.restarted(public_url=NEW_URL)
    await keeper.run_due()
    assert (await scene.of_inbox()).notification_url == f"{NEW_URL}/graph/notifications"
    assert old.subscription_id in {row.subscription_id for row in await scene.rows(SubscriptionState.SUPERSEDED)}
    scene.clock.advance(timedelta(hours=3, minutes=59))
    await keeper.run_due()
    assert len(scene.inboxes_at_graph()) == 2
    scene.clock.advance(MINUTE)
    await keeper.run_due()
    assert [held.notification_url for held in scene.inboxes_at_graph()] == [f"{NEW_URL}/graph/notifications"]


async def test_the_old_one_goes_on_while_the_new_url_does_not_answer(scene: Scene) -> None:
    await scene.keeper.run_due()
    keeper = scene.restarted(public_url=NEW_URL)
    scene.graph.broken["create"] = SubscriptionRefused("no handshake")
    for _ in range(20):
        await keeper.run_due()
        scene.clock.advance(HOUR)
    assert [held.notification_url for held in scene.inboxes_at_graph()] == [NOTIFICATION_URL]


async def test_where_graph_refuses_doubles_the_old_one_gives_way(scene: Scene) -> None:
    await scene.keeper.run_due()
    await scene.restarted(public_url=NEW_URL).run_due()
    assert [held.notification_url for held in scene.inboxes_at_graph()] == [f"{NEW_URL}/graph/notifications"]
    assert await scene.rows(SubscriptionState.SUPERSEDED) == []


async def test_one_that_is_superseded_is_reauthorized_and_not_prolonged(scene: Scene) -> None:
    scene.graph.refuses_doubles = False
    await scene.keeper.run_due()
    keeper = scene.restarted(public_url=NEW_URL)
    await keeper.run_due()
    await scene.store.write(_wish_reauthorization, scene)
    scene.graph.calls.clear()
    await keeper.run_due()
    assert scene.graph.calls == ["reauthorize", "reauthorize"]
    scene.clock.advance(4 * HOUR)
    await keeper.run_due()
    assert await scene.rows(SubscriptionState.SUPERSEDED) == []


def _wish_reauthorization(tx: storage.Transaction, scene: Scene) -> None:
    tx.execute(
        "UPDATE subscriptions SET reauthorize = 1, next_step_at = :now WHERE state = 'superseded'",
        {"now": scene.clock.now()},
    )


@pytest.mark.parametrize("between", [[NEW_URL], [None, NEW_URL]])
async def test_a_stray_of_a_former_url_does_not_stand_in_the_way(scene: Scene, between: list[str | None]) -> None:
    scene.graph.fail("create", done_all_the_same=True)
    scene.graph.fail("create", done_all_the_same=True)
    await scene.keeper.run_due()
    for public_url in between:
        scene.clock.advance(MINUTE)
        await scene.restarted(public_url=public_url).run_due()
    assert [held.notification_url for held in scene.inboxes_at_graph()] == [f"{NEW_URL}/graph/notifications"]


# The table beside Graph's list


def _compared_already(tx: storage.Transaction, scene: Scene) -> None:
    chores.done(tx, scene.account_id, "subscriptions", next_at=scene.clock.now() + DAY)


async def test_at_start_what_graph_has_lost_is_made_anew_and_pulled(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.graph.remove((await scene.of_inbox()).subscription_id or "")
    await scene.not_due()
    keeper = scene.restarted()
    await keeper.recover()
    await keeper.run_due()
    assert len(scene.inboxes_at_graph()) == 1
    assert await scene.pull_is_due(scene.inbox)
    assert not await scene.pull_is_due(scene.sent)


async def test_the_comparison_comes_round_daily(scene: Scene) -> None:
    await scene.keeper.run_due()
    scene.graph.calls.clear()
    scene.clock.advance(DAY - MINUTE)
    await scene.keeper.run_due()
    assert "list" not in scene.graph.calls
    scene.clock.advance(MINUTE)
    await scene.keeper.run_due()
    assert "list" in scene.graph.calls


async def test_a_comparison_that_failed_is_repeated_in_ten_minutes(scene: Scene) -> None:
    scene.graph.fail("list")
    await scene.keeper.run_due()
    scene.graph.calls.clear()
    scene.clock.advance(10 * MINUTE)
    await scene.keeper.run_due()
    assert "list" in scene.graph.calls


async def test_one_of_ours_that_nobody_knows_is_deleted_and_others_are_left_alone(scene: Scene) -> None:
    await scene.keeper.run_due()
    orphan = scene.graph.add("users/u-gone/mailFolders('inbox')/messages", NOTIFICATION_URL)
    theirs = scene.graph.add("users/u-else/messages", "https://other.example/hook")
    await scene.keeper.refresh(scene.account_id)
    there = [held.subscription for held in scene.graph.held]
    assert orphan not in there
    assert theirs in there
    assert len(there) == 3


async def test_a_list_that_is_behind_costs_no_subscription(scene: Scene) -> None:
    await scene.keeper.run_due()

    class Behind(FakeGraph):
        async def list_all(self) -> list[object]:  # type: ignore[override]
            return []

        async def get(self, subscription_id: str) -> object:  # type: ignore[override]
            return await scene.graph.get(subscription_id)

        async def subscriptions(self, account_id: str) -> "Behind":
            return self

    await Keeper(scene.store, Behind(scene.clock), scene.clock, PUBLIC_URL).refresh(scene.account_id)
    assert len(await scene.rows(SubscriptionState.LIVE)) == 2


async def test_a_person_can_have_it_tried_again_now(scene: Scene) -> None:
    scene.graph.broken["create"] = SubscriptionRefused("no")
    await scene.keeper.run_due()
    scene.graph.broken.clear()
    assert await scene.keeper.repair(scene.account_id) == 2
    assert len(await scene.rows(SubscriptionState.LIVE)) == 2


async def test_an_account_that_is_not_connected_is_not_asked_about(store: storage.Store, scene: Scene) -> None:
    await store.write(accounts.add, "second", now=scene.clock.now())
    await scene.keeper.run_due()
    assert scene.graph.calls.count("list") == 1


# Clocks


async def test_after_the_clock_was_set_back_nothing_lapses(scene: Scene) -> None:
    await scene.keeper.run_due()
    true_end = (await scene.of_inbox()).expiration_date_time
    assert true_end is not None
    scene.clock.advance(-5 * DAY)
    await scene.keeper.run_due()
    assert scene.graph.calls.count("renew") == 2
    scene.graph.calls.clear()
    await scene.keeper.run_due()
    assert scene.graph.calls == []


async def test_a_clock_that_runs_days_ahead_still_gets_a_subscription(scene: Scene) -> None:
    scene.graph.longest_life = timedelta(minutes=10_070) - 3 * DAY
    for _ in range(5):
        await scene.keeper.run_due()
        scene.clock.advance(MINUTE)
    assert len(await scene.rows(SubscriptionState.LIVE)) == 2


# The loop


async def test_the_loop_starts_by_itself_and_works_when_the_table_changes(scene: Scene) -> None:
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(scene.keeper.run(asyncio.Event()))
        await _until(scene, live=2)
        await scene.remove_mailbox()
        await _until(scene, live=0)
        running.cancel()
    assert scene.graph.held == []


async def test_the_loop_works_when_the_scheduler_rings(scene: Scene) -> None:
    tick = asyncio.Event()
    scene.graph.broken["create"] = SubscriptionGone("no such thing")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(scene.keeper.run(tick))
        with scene.store.watching("subscriptions") as changed:
            while not any("no such" in (row.problem or "") for row in await scene.rows()):
                await changed.wait()
                changed.clear()
        scene.graph.broken.clear()
        scene.clock.advance(MINUTE)
        tick.set()
        await _until(scene, live=2)
        running.cancel()


async def _until(scene: Scene, *, live: int) -> None:
    with scene.store.watching("subscriptions") as changed:
        while len(await scene.rows(SubscriptionState.LIVE)) != live or len(await scene.rows()) != live:
            await changed.wait()
            changed.clear()


async def test_without_a_public_url_it_says_so(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = group.create_task(scene.restarted(public_url=None).run(asyncio.Event()))
        await asyncio.sleep(0)
        running.cancel()
    assert "no public URL" in caplog.text


async def test_no_secret_and_no_address_is_ever_logged(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    scene.graph.fail("create", SubscriptionRefused("no"))
    await scene.keeper.run_due()
    lines = " ".join(str(record.__dict__) for record in caplog.records if record.name.startswith("subscriptions"))
    assert "subscribed" in lines
    assert "school.example" not in lines
    assert not any(held.client_state in lines for held in scene.graph.held)
