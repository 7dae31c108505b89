"""Every event at least once, in the order of its thread, whatever the receiver does."""

from datetime import timedelta

import pytest

from gateway.host.webhooks import HostWebhooks
from gateway.tracing import begun, parse
from storage import accounts, deliveries, events, webhooks
from storage.deliveries import DeliveryState
from storage.webhooks import WebhookState
from tests.host.receiver import Mood
from tests.host.scene import Scene


async def test_an_event_is_pushed_signed_with_what_happened(scene: Scene) -> None:
    _, receiver = await scene.add()
    event_id = await scene.happens("reply.received", "thr_1", direction="in")
    await scene.deliverer.run_due()
    assert receiver.bodies == {
        event_id: {
            "type": "reply.received",
            "timestamp": "2026-03-02T09:00:00Z",
            "data": {"id": event_id, "thread_id": "thr_1", "message_id": None, "direction": "in"},
        }
    }
    assert receiver.headers[0]["webhook-id"] == f"evt_{event_id}"
    begun_by_us = parse(receiver.headers[0]["traceparent"])
    assert begun_by_us is not None
    assert "x-request-id" not in receiver.headers[0]


async def test_a_receiver_is_told_which_request_began_it(scene: Scene) -> None:
    _, receiver = await scene.add()
    with begun("selma-77") as unit:
        await scene.happens("message.sent")
    await scene.deliverer.run_due()
    [headers] = receiver.headers
    told = parse(headers["traceparent"])
    assert told is not None
    assert (told.trace_id, headers["x-request-id"]) == (unit.trace.trace_id, "selma-77")
    assert told.span_id != unit.trace.span_id


async def test_what_happened_before_it_was_added_is_not_told(scene: Scene) -> None:
    await scene.happens()
    _, receiver = await scene.add()
    await scene.deliverer.run_due()
    assert receiver.taken == []


async def test_it_gets_the_types_that_it_asked_for(scene: Scene) -> None:
    _, receiver = await scene.add(types=["message.bounced"])
    await scene.happens("reply.received")
    bounced = await scene.happens("message.bounced")
    await scene.deliverer.run_due()
    assert receiver.taken == [bounced]


async def test_a_test_event_goes_to_its_webhook_alone_whatever_types_that_takes(scene: Scene) -> None:
    tried, receiver = await scene.add("a.example", types=["message.bounced"])
    _, another = await scene.add("b.example")
    event_id = await scene.test_event(tried)
    await scene.deliverer.run_due()
    assert receiver.taken == [event_id]
    assert another.taken == []


async def test_another_accounts_events_are_nobody_elses(scene: Scene) -> None:
    _, receiver = await scene.add()
    another = await scene.store.write(accounts.add, "Another school", now=scene.clock.now())
    await scene.store.write(events.record, another.id, "reply.received", now=scene.clock.now())
    ours = await scene.happens()
    await scene.deliverer.run_due()
    assert receiver.taken == [ours]


@pytest.mark.parametrize("mood", [Mood.BROKEN, Mood.LYING, Mood.STALLING, Mood.AWAY, Mood.MOVED])
async def test_a_receiver_that_fails_once_has_it_soon_after(scene: Scene, mood: Mood) -> None:
    webhook, receiver = await scene.add()
    receiver.mood = mood
    event_id = await scene.happens()
    await scene.deliverer.run_due()
    assert (await scene.delivery(webhook, event_id)).problem
    receiver.mood = Mood.WELL
    await scene.passes(timedelta(seconds=6), in_steps_of=timedelta(seconds=6))
    assert receiver.taken[-1] == event_id
    assert (await scene.delivery(webhook, event_id)).state is DeliveryState.DELIVERED


async def test_a_redirect_is_not_followed_and_the_log_says_what_to_do(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    receiver.mood = Mood.MOVED
    event_id = await scene.happens()
    await scene.deliverer.run_due()
    assert receiver.asked == 1
    assert "Enter the address that it leads to" in ((await scene.delivery(webhook, event_id)).problem or "")


async def test_events_of_a_thread_come_in_order_and_another_threads_do_not_wait(scene: Scene) -> None:
    _, receiver = await scene.add()
    receiver.refuses = {"message.bounced"}
    first = await scene.happens("message.bounced", "thr_1")
    second = await scene.happens("reply.received", "thr_1")
    other = await scene.happens("reply.received", "thr_2")
    await scene.deliverer.run_due()
    assert receiver.taken == [other]
    receiver.refuses = set()
    await scene.passes(timedelta(minutes=10))
    assert receiver.taken == [other, first, second]


async def test_what_a_receiver_will_not_take_is_left_after_three_days_and_the_thread_goes_on(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    receiver.refuses = {"message.bounced"}
    refused = await scene.happens("message.bounced", "thr_1")
    behind = await scene.happens("reply.received", "thr_1")
    for _ in range(4):
        await scene.passes(timedelta(days=1), in_steps_of=timedelta(hours=1))
        await scene.happens("reply.received", "thr_2")
    await scene.passes(timedelta(days=2), in_steps_of=timedelta(hours=1))
    assert (await scene.delivery(webhook, refused)).state is DeliveryState.FAILED
    assert behind in receiver.taken
    assert (await scene.webhook(webhook)).state is WebhookState.LIVE


async def test_a_receiver_that_was_away_for_a_week_misses_nothing(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    receiver.mood = Mood.AWAY
    expected = []
    for day in range(7):
        expected += [await scene.happens("reply.received", f"thr_{number % 5}") for number in range(day, day + 12)]
        await scene.passes(timedelta(days=1))
    down = await scene.webhook(webhook)
    assert down.state is WebhookState.DOWN
    assert "could not be reached" in (down.problem or "")
    assert receiver.asked < 300, "one that is away is asked now and then"
    receiver.mood = Mood.WELL
    await scene.passes(timedelta(hours=2))
    assert set(expected) <= set(receiver.taken)
    assert (await scene.webhook(webhook)).state is WebhookState.LIVE
    assert [one for one in await scene.told() if one.startswith("webhook.")] == ["webhook.down", "webhook.recovered"]


async def test_one_that_is_gone_is_left_alone_until_a_person_enables_it(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    receiver.mood = Mood.GONE
    event_id = await scene.happens()
    await scene.deliverer.run_due()
    assert (await scene.webhook(webhook)).state is WebhookState.DISABLED
    receiver.mood = Mood.WELL
    later = await scene.happens()
    await scene.passes(timedelta(days=2), in_steps_of=timedelta(hours=1))
    assert receiver.asked == 1
    await scene.store.write(webhooks.enable, webhook.id)
    await scene.passes(timedelta(minutes=1))
    assert [one for one in receiver.taken if one in (event_id, later)] == [event_id, later]


async def test_a_dead_receiver_holds_up_no_other(scene: Scene) -> None:
    _, dead = await scene.add("dead.example")
    _, well = await scene.add("well.example")
    dead.mood = Mood.STALLING
    expected = [await scene.happens("reply.received", f"thr_{number}") for number in range(100)]
    await scene.deliverer.run_due()
    assert set(expected) <= set(well.taken)
    assert dead.taken == []


async def test_a_gateway_that_dies_in_between_delivers_again(scene: Scene) -> None:
    _, receiver = await scene.add()
    receiver.mood = Mood.DEADLY
    event_id = await scene.happens()
    await scene.deliverer.run_due()
    receiver.mood = Mood.WELL
    scene.restart()
    await scene.deliverer.recover()
    await scene.deliverer.run_due()
    assert receiver.taken == [event_id, event_id]


async def test_while_a_secret_is_changed_both_are_signed_with(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    made = await HostWebhooks(scene.store, scene.key, scene.clock).rotate_secret(scene.account_id, webhook.id)
    await scene.happens()
    await scene.deliverer.run_due()
    old, receiver.secret = receiver.secret, made.secret
    await scene.happens()
    await scene.deliverer.run_due()
    assert len(receiver.taken) == 2
    scene.clock.advance(timedelta(hours=25))
    receiver.secret = old
    await scene.happens()
    await scene.deliverer.run_due()
    assert len(receiver.taken) == 2, "the old secret is not signed with any more"


async def test_a_person_may_have_an_event_delivered_once_more(scene: Scene) -> None:
    webhook, receiver = await scene.add()
    event_id = await scene.happens()
    await scene.deliverer.run_due()
    await scene.store.write(deliveries.afresh, webhook.id, int(event_id), now=scene.clock.now())
    await scene.deliverer.run_due()
    assert receiver.taken == [event_id, event_id]
