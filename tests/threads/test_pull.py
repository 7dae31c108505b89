"""How folders are pulled: hints, trouble, and the loop."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from gateway.connections import NotConnected
from gateway.graph import (
    BadRequest,
    ForeignUrl,
    Gone,
    Throttled,
    Unavailable,
    UnexpectedAnswer,
)
from gateway.threads.pull import GATHER, Puller
from storage import StorageUnavailable, Store, Transaction, folders, messages
from storage.folders import WellKnown
from tests.fakes.mail import FakeMail
from tests.threads.conftest import AROHA, STRANGER, SWEEP, School

# Hints


async def test_hints_are_closed_by_what_the_delta_shows(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.arrive("u1", sender=STRANGER, conversation="theirs")
    for graph_id in ("r1", "r1", "u1"):
        await school.hint(graph_id)
    await school.pull()
    assert await school.outcomes() == ["stored", "stored", "not_ours"]


async def test_a_hint_that_overtook_its_mail_waits_for_it(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.hidden.add("r1")
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.hint("r1")
    await school.pull()
    assert await school.outcomes() == [None]
    school.mail.hidden.clear()  # the delta has passed it over for good
    school.clock.advance(timedelta(seconds=2))
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 1
    assert await school.outcomes() == ["stored"]


async def test_a_hint_whose_mail_never_shows_up_is_closed_after_a_while(school: School) -> None:
    await school.hint("never there")
    pulls = 0
    for _ in range(301):
        pulls += await school.pull()
        school.clock.advance(timedelta(seconds=1))
    await school.sweep()
    assert await school.outcomes() == ["gone"]
    assert pulls < 20, "the waits must grow"


async def test_a_hint_of_a_deletion_is_believed_when_the_mail_is_not_there(school: School) -> None:
    await school.hint("gone", change_type="deleted")
    await school.pull()
    assert await school.outcomes() == ["gone"]


async def test_a_hint_that_comes_while_its_folder_is_pulled_makes_it_due_again(school: School) -> None:
    letter = await school.write_to(AROHA)
    claimed = await school.store.write(
        folders.claim_due,
        owner="this one",
        now=school.clock.now(),
        lease_ends_at=school.clock.now() + timedelta(minutes=5),
        limit=10,
    )
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.hint("r1")
    for folder in claimed:
        await school.store.write(
            folders.pulled,
            folder,
            owner="this one",
            next_pull_at=school.clock.now() + SWEEP,
            now=school.clock.now(),
        )
    assert await school.pull() == 1
    assert len(await school.thread(letter.thread_id)) == 1


async def test_a_folder_in_another_pullers_hands_is_left_alone(school: School) -> None:
    await school.store.write(
        folders.claim_due,
        owner="another one",
        now=school.clock.now(),
        lease_ends_at=school.clock.now() + timedelta(minutes=5),
        limit=10,
    )
    assert await school.pull() == 0
    school.clock.advance(timedelta(minutes=5))
    assert await school.pull() == 4


# Trouble


async def test_a_dead_delta_link_starts_the_folder_again_without_doubles(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    school.mail.forget_tokens()
    school.arrive("r2", sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["r1", "r2"]
    assert (await school.folder()).problem is None


@pytest.mark.parametrize("error", [ForeignUrl(), BadRequest(status=400), Gone(status=410)])
async def test_a_link_that_cannot_be_followed_starts_the_folder_again(school: School, error: Exception) -> None:
    await school.pull()
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.mail.trouble = [error]
    await school.hint("r1")
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 1


async def test_the_window_of_a_folder_begun_again_reaches_back_beyond_its_last_pull(school: School) -> None:
    since = (await school.folder()).watch_since
    await school.pull()
    school.clock.advance(timedelta(days=3))
    await school.pull()
    last_pull = school.clock.now()
    school.clock.advance(timedelta(days=3))
    school.mail.forget_tokens()
    await school.pull()
    assert (await school.folder()).watch_since == last_pull - timedelta(days=1) > since


async def test_pages_are_kept_one_by_one(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.mail.page_size = 2
    for number in range(5):
        school.arrive(f"r{number}", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 5


async def test_after_an_interrupted_round_the_next_pull_goes_on_from_the_last_page(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    school.mail.page_size = 2
    for number in range(5):
        school.arrive(f"r{number}", sender=AROHA, conversation=letter.conversation)
    school.mail.trouble = [None, Unavailable(status=503)]
    await school.hint("r0")
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 2
    asked_before = school.mail.deltas
    school.clock.advance(timedelta(seconds=10))
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 5
    assert school.mail.deltas == asked_before + 2


@pytest.mark.parametrize(
    "error", [UnexpectedAnswer("a list where an object should be"), Unavailable(status=500), BadRequest(status=400)]
)
async def test_one_mail_that_cannot_be_read_keeps_no_other_and_is_tried_again(
    school: School, error: UnexpectedAnswer
) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("bad", sender=AROHA, conversation=letter.conversation)
    school.arrive("good", sender=AROHA, conversation=letter.conversation)
    school.mail.poisoned["bad"] = error
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["good"]
    assert await school.pull() == 0, "it must wait"
    school.mail.poisoned.clear()
    await school.sweep()
    assert {one.graph_id for one in await school.thread(letter.thread_id)} == {"good", "bad"}
    assert (await school.folder()).failures == 0


async def test_an_item_of_a_page_that_is_not_understood_is_read_by_its_id(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("odd", sender=AROHA, conversation=letter.conversation)
    school.mail.unreadable = ["odd"]
    await school.pull()
    await school.sweep()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["odd"]


async def test_a_mail_that_cannot_be_stored_keeps_no_other(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("bad", sender=AROHA, conversation=letter.conversation, text="half a pair \ud800")
    school.arrive("good", sender=AROHA, conversation=letter.conversation)
    await school.pull()
    assert [one.graph_id for one in await school.thread(letter.thread_id)] == ["good"]
    assert await school.outcomes() == [None]


async def test_failures_wait_longer_each_time_and_say_plainly_what_is_wrong(school: School) -> None:
    waits = []
    for _ in range(8):
        school.mail.trouble = [Unavailable(status=503, code="serviceNotAvailable")] * 4
        assert await school.pull() == 4
        folder = await school.folder()
        waits.append((folder.next_pull_at - school.clock.now()).total_seconds())
        school.clock.advance(folder.next_pull_at - school.clock.now())
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert folder.problem == "Microsoft 365 cannot read this folder now. (code serviceNotAvailable)"
    await school.pull()
    assert (await school.folder()).failures == 0


async def test_graph_is_not_asked_before_the_time_it_named(school: School) -> None:
    school.mail.trouble = [Throttled(status=429, retry_after=timedelta(minutes=25))] * 4
    await school.pull()
    school.clock.advance(timedelta(minutes=24))
    assert await school.pull() == 0
    school.clock.advance(timedelta(minutes=1))
    assert await school.pull() == 4


class NobodyIsConnected:
    async def graph(self, account_id: str) -> FakeMail:
        raise NotConnected(account_id)


async def test_an_account_that_is_not_connected_says_so_on_its_folders(school: School) -> None:
    puller = Puller(school.store, NobodyIsConnected(), school.clock, owner="this one", sweep_interval=SWEEP)
    assert await puller.run_due() == 4
    assert "not connected" in ((await school.folder()).problem or "")


# For ever


def folders_in_hand(tx: Transaction) -> int:
    return int(tx.execute("SELECT count(*) FROM folders WHERE lease_owner IS NOT NULL").fetchone()[0])


async def test_the_loop_wakes_for_a_hint_for_its_tick_and_for_the_time(school: School) -> None:
    letter = await school.write_to(AROHA)
    tick = asyncio.Event()
    with school.store.watching("events") as told:
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(school.puller.run(tick))
            school.arrive("r1", sender=AROHA, conversation=letter.conversation)
            await school.hint("r1")
            await told.wait()
            told.clear()
            while await school.store.read(folders_in_hand) or school.clock.sleepers == 0:
                pass
            school.arrive("r2", sender=AROHA, conversation=letter.conversation)
            while not told.is_set():  # the loop may fall asleep just after the clock was moved
                school.clock.advance(SWEEP)
                await school.store.read(folders_in_hand)
            loop.cancel()
    assert len(await school.thread(letter.thread_id)) == 2


async def test_a_clock_that_is_set_back_leaves_no_folder_alone_for_as_long(school: School) -> None:
    letter = await school.write_to(AROHA)
    await school.pull()
    tick = asyncio.Event()
    with school.store.watching("events") as told:
        async with asyncio.TaskGroup() as group:
            loop = group.create_task(school.puller.run(tick))
            while await school.store.read(folders_in_hand) or school.clock.sleepers == 0:
                pass
            school.arrive("r1", sender=AROHA, conversation=letter.conversation)
            school.clock.advance(timedelta(hours=-2))
            tick.set()
            async with asyncio.timeout(10):
                await told.wait()
            loop.cancel()
    assert len(await school.thread(letter.thread_id)) == 1


async def test_what_a_filter_cuts_off_without_a_word_is_found_by_reading_the_folder_whole(school: School) -> None:
    """After a dead link a busy folder is read from a while before, and Graph ends that at 5,000 messages."""
    letter = await school.write_to(AROHA)
    for number in range(5_000):
        school.arrive(f"u{number}", sender=STRANGER, conversation="theirs")
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    school.mail.filter_ends_at = 5_000
    await school.pull()
    assert len(await school.thread(letter.thread_id)) == 1
    before = school.mail.deltas
    school.arrive("r2", sender=AROHA, conversation=letter.conversation)
    await school.sweep()
    assert len(await school.thread(letter.thread_id)) == 2
    assert school.mail.deltas - before <= 4, "it is read whole once, not again and again"


async def test_a_filter_that_leaves_less_cuts_nothing_off(school: School) -> None:
    for number in range(4_999):
        school.arrive(f"u{number}", sender=STRANGER, conversation="theirs")
    school.mail.filter_ends_at = 5_000
    await school.pull()
    assert not (await school.folder()).is_whole


async def test_the_sent_folder_is_pulled_like_the_inbox(school: School) -> None:
    await school.pull()
    letter = await school.write_to(AROHA)
    letter.seen_in_sent_items()
    await school.hint(letter.graph_id, folder=WellKnown.SENT_ITEMS)
    school.clock.advance(GATHER)
    await school.pull()
    assert await school.outcomes() == ["stored"]
    stored = await school.store.read(messages.get, school.account_id, letter.id)
    assert stored.status == "sent"


class FailingStore:
    """A store whose file cannot be written for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.read, self.glance, self.watching = store.read, store.glance, store.watching
        self.fails = 0

    async def write(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self.fails and work.__name__ != "_claim":
            self.fails -= 1
            raise StorageUnavailable("The disk is full.")
        return await self._store.write(work, *args, **kwargs)


async def test_a_folder_whose_mail_could_not_be_kept_is_pulled_as_soon_as_it_can_be(school: School) -> None:
    letter = await school.write_to(AROHA)
    school.arrive("r1", sender=AROHA, conversation=letter.conversation)
    failing = FailingStore(school.store)
    failing.fails = 3 * len(WellKnown) * 2
    puller = Puller(cast("Store", failing), school.mail, school.clock, owner="failing", sweep_interval=SWEEP)
    async with asyncio.TaskGroup() as group:
        pulling = group.create_task(puller.run_due())
        while not pulling.done():
            school.clock.advance(timedelta(seconds=2))
            await asyncio.sleep(0)
    assert len(await school.thread(letter.thread_id)) == 1
