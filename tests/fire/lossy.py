"""10,000 replies while notifications are lost, doubled, shuffled and too early, subscriptions and delta tokens die,
the gateway dies, Graph or the gateway is down for long: at the end each reply is stored exactly once.

In one process and on one clock that is moved by hand, so that days pass in minutes.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from storage.folders import WellKnown
from tests.fire.mailbag import Mailbag, judge, stored, traces
from tests.fire.one_clock import Site, listening_for_cries, site

CALM: Final = timedelta(minutes=15)
CALM_STEP: Final = timedelta(seconds=10)
LONGEST_STEP_S: Final = 60.0
MOST_AT_ONCE: Final = 40  # replies in a step
LETTERS: Final = 60
DURING_AN_OUTAGE: Final = 0.2  # the share of replies that come in each long outage
UNHEARD: Final = 20  # replies at the very end: no later notification makes up for theirs, only the sweep finds them
OUTAGE_STEPS: Final = 150
UNRELATED: Final = 0.2  # unrelated mail by replies
NOTIFICATIONS: Final = {
    "notifications_lost": 0.2,
    "notifications_doubled": 0.2,
    "notifications_shuffled": True,
    "early_notifications": 0.05,
    "early_by": timedelta(seconds=45),
}
FAIR: Final = {
    "notifications_lost": 0.0,
    "notifications_doubled": 0.0,
    "notifications_shuffled": False,
    "early_notifications": 0.0,
}
# Each in a step, by lot.
SUBSCRIPTION_VANISHES: Final = 0.03
SUBSCRIPTION_IS_REVOKED: Final = 0.03
MISSED_IS_SAID: Final = 0.02
TOKENS_EXPIRE: Final = 0.03
GATEWAY_DIES: Final = 0.05
DIES_WITHIN_CALLS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for. An outage of zero does not take place; the fewer replies at once, the more goes wrong."""

    replies: int
    seed: int
    folder: Path
    most_at_once: int = MOST_AT_ONCE
    graph_down: timedelta = timedelta(0)
    gateway_down: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Braved:
    """What came of it. `caught_up_after` is how long into the calm the last reply was there, None when one is lost."""

    plan: Plan
    expected: int
    stored: int
    unrelated: int
    befell: dict[str, int]
    lost_notifications: int
    lived: timedelta
    calls: int
    caught_up_after: timedelta | None
    violations: Sequence[str]
    took_s: float


Watcher = Callable[[int], None]


def brave(plan: Plan, watcher: Watcher = lambda replies: None) -> Braved:
    """Run it all. `watcher` hears how many replies have come."""
    with listening_for_cries() as cries:
        braved = asyncio.run(_brave(plan, watcher))
    return replace(braved, violations=[*braved.violations, *cries])


async def _brave(plan: Plan, watcher: Watcher) -> Braved:
    began, befell, chance = time.perf_counter(), Counter[str](), random.Random(plan.seed)
    async with site(plan.folder, seed=plan.seed) as here:
        bag = Mailbag(site=here, chance=chance)
        await begin(here, bag)
        born, calls = here.clock.now(), here.to_graph.calls
        here.sandbox.world.behaviour = replace(here.sandbox.world.behaviour, **NOTIFICATIONS)
        outages = [outage for outage in (plan.graph_down, plan.gateway_down) if outage]
        in_turmoil = plan.replies - round(plan.replies * DURING_AN_OUTAGE) * len(outages)
        await turmoil(here, bag, befell, in_turmoil // 2, plan.most_at_once, watcher)
        if plan.graph_down:
            await graph_is_down(here, bag, plan.graph_down, round(plan.replies * DURING_AN_OUTAGE))
        if plan.gateway_down:
            await gateway_is_down(here, bag, plan.gateway_down, round(plan.replies * DURING_AN_OUTAGE))
        await turmoil(here, bag, befell, plan.replies - len(bag.expected) - UNHEARD, plan.most_at_once, watcher)
        here.sandbox.world.behaviour = replace(here.sandbox.world.behaviour, notifications_lost=1.0)
        write(bag, UNHEARD)
        here.sandbox.world.behaviour = replace(here.sandbox.world.behaviour, **FAIR)
        watcher(len(bag.expected))
        caught_up_after = await calm(here, bag)
        found = await here.gateway.store.read(stored)
        befell["gateway died"] = here.deaths
        lived, lost, calls = here.clock.now() - born, here.sandbox.notifier.lost, here.to_graph.calls - calls
    return Braved(
        plan=plan,
        expected=len(bag.expected),
        stored=len(found),
        unrelated=bag.unrelated,
        befell=dict(befell),
        lost_notifications=lost,
        lived=lived,
        calls=calls,
        caught_up_after=caught_up_after,
        violations=[*judge(bag.expected, found), *traces(plan.folder)],
        took_s=time.perf_counter() - began,
    )


async def begin(here: Site, bag: Mailbag) -> None:
    """The letters leave, in fair weather."""
    await bag.send_letters(LETTERS)
    for _ in range(100):
        await here.step(timedelta(seconds=5))
        if await bag.collect() == LETTERS:
            return
    raise AssertionError(f"{len(bag.letters)} of {LETTERS} letters have left")


async def turmoil(
    here: Site, bag: Mailbag, befell: Counter[str], replies: int, most_at_once: int, watcher: Watcher
) -> None:
    """Replies come, and something goes wrong in most steps."""
    chance, until = bag.chance, len(bag.expected) + replies
    while len(bag.expected) < until:
        write(bag, min(chance.randint(0, most_at_once), until - len(bag.expected)))
        strike(here, chance, befell)
        dies = chance.random() < GATEWAY_DIES
        duration = timedelta(seconds=chance.uniform(0.5, LONGEST_STEP_S))
        await here.step(duration, dies_after=chance.randint(1, DIES_WITHIN_CALLS) if dies else None)
        watcher(len(bag.expected))


def write(bag: Mailbag, replies: int) -> None:
    """So many replies, and unrelated mail between them."""
    for _ in range(replies):
        bag.reply()
        if bag.chance.random() < UNRELATED:
            bag.strange_mail()


def strike(here: Site, chance: random.Random, befell: Counter[str]) -> None:
    """What goes wrong at Microsoft 365 in this step."""
    world = here.sandbox.world
    held = [one.id for one in world.subscriptions]
    if held and chance.random() < SUBSCRIPTION_VANISHES:
        world.remove_subscription(held.pop(chance.randrange(len(held))))
        befell["subscription vanished"] += 1
    if held and chance.random() < SUBSCRIPTION_IS_REVOKED:
        here.sandbox.revoke_subscription(held.pop(chance.randrange(len(held))))
        befell["subscription revoked"] += 1
    if held and chance.random() < MISSED_IS_SAID:
        here.sandbox.tell_lifecycle(chance.choice(held), "missed")
        befell["missed said"] += 1
    if chance.random() < TOKENS_EXPIRE:
        world.expire_delta_tokens(chance.choice(here.school.mailboxes), chance.choice(list(WellKnown)))
        befell["delta tokens expired"] += 1


async def graph_is_down(here: Site, bag: Mailbag, duration: timedelta, replies: int) -> None:
    """Mail goes on arriving, but Graph answers nobody and tells nobody."""
    tells = here.sandbox.world.behaviour
    here.sandbox.world.behaviour = replace(tells, notifications=False)
    here.to_graph.is_down = True
    for part in parts(replies):
        write(bag, part)
        await here.step(duration / OUTAGE_STEPS)
    here.to_graph.is_down = False
    here.sandbox.world.behaviour = tells


async def gateway_is_down(here: Site, bag: Mailbag, duration: timedelta, replies: int) -> None:
    """Mail goes on arriving, and what Graph has to say nobody hears."""
    await here.stop()
    for part in parts(replies):
        write(bag, part)
        here.clock.advance(duration / OUTAGE_STEPS)
        await here.sandbox.settle()
    await here.start()


def parts(replies: int) -> list[int]:
    """The replies of an outage, evenly over its steps."""
    return [replies * (number + 1) // OUTAGE_STEPS - replies * number // OUTAGE_STEPS for number in range(OUTAGE_STEPS)]


async def calm(here: Site, bag: Mailbag) -> timedelta | None:
    """A quarter of an hour in which nothing goes wrong; when in it the last reply was there."""
    began, there = here.clock.now(), None
    while here.clock.now() - began < CALM:
        await here.step(CALM_STEP)
        if there is None and bag.expected.keys() <= {
            one.internet_message_id for one in await here.gateway.store.read(stored)
        }:
            there = here.clock.now() - began
    return there
