"""The ledger of gaps, and what checks found."""

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import storage
from storage import Transaction, completeness, folders, gaps, threads
from storage.gaps import Gap, Reason
from storage.migrate import bring_up_to_date, released
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import a_database
from tests.storage.scene import Scene, build

MINUTE = timedelta(minutes=1)
NOW = A_MONDAY


@pytest.fixture
async def scene(store: storage.Store) -> Scene:
    return await store.write(build)


async def test_a_gap_that_lasts_is_not_closed_by_a_round(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction) -> list[Gap]:
        gaps.begin(tx, scene.inbox_id, Reason.NO_SUBSCRIPTION, NOW)
        return gaps.close(tx, scene.inbox_id, round_began_at=NOW + MINUTE, now=NOW + MINUTE)

    assert await store.write(happens) == []


async def test_a_gap_is_closed_by_the_first_round_that_began_after_its_end(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction) -> list[list[Gap]]:
        gaps.note(tx, scene.inbox_id, Reason.GATEWAY_DOWN, began_at=NOW, ended_at=NOW + 2 * MINUTE)
        return [
            gaps.close(tx, scene.inbox_id, round_began_at=NOW + n * MINUTE, now=NOW + 9 * MINUTE) for n in (1, 2, 3)
        ]

    early, first, later = await store.write(happens)
    assert (early, [gap.lasted for gap in first], later) == ([], [2 * MINUTE], [])


async def test_a_trouble_that_comes_back_before_a_pull_is_the_same_gap(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction) -> list[Gap]:
        gaps.note(tx, scene.inbox_id, Reason.PULL_FAILING, began_at=NOW, ended_at=NOW + MINUTE)
        gaps.begin(tx, scene.inbox_id, Reason.PULL_FAILING, NOW + 2 * MINUTE)
        gaps.begin(tx, scene.inbox_id, Reason.PULL_FAILING, NOW + 3 * MINUTE)
        return gaps.not_closed(tx, [scene.inbox_id])

    (gap,) = await store.write(happens)
    assert (gap.began_at, gap.ended_at) == (NOW, None)


async def test_a_clock_set_back_makes_no_gap_end_before_it_began(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction) -> list[Gap]:
        gaps.note(tx, scene.inbox_id, Reason.PULL_FAILING, began_at=NOW, ended_at=NOW - MINUTE)
        return gaps.not_closed(tx, [scene.inbox_id])

    (gap,) = await store.write(happens)
    assert gap.lasted == timedelta(0)


async def test_closed_gaps_are_forgotten_after_a_while_and_others_never(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction) -> int:
        gaps.note(tx, scene.inbox_id, Reason.DELTA_LOST, began_at=NOW, ended_at=NOW)
        gaps.close(tx, scene.inbox_id, round_began_at=NOW, now=NOW)
        gaps.begin(tx, scene.inbox_id, Reason.PULL_FAILING, NOW)
        return gaps.prune(tx, scene.account_id, NOW + MINUTE)

    assert await store.write(happens) == 1
    assert len(await store.read(gaps.not_closed, [scene.inbox_id])) == 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end", "round begins", "round ends"]),
        st.sampled_from([Reason.PULL_FAILING, Reason.NO_SUBSCRIPTION]),
    ),
    min_size=4,
    max_size=40,
)


@given(steps=STEPS)
@settings(max_examples=200, deadline=None)
def test_a_gap_is_never_closed_without_a_round_that_began_after_its_end(steps: list[tuple[str, Reason]]) -> None:
    """Against a model that knows, for each reason, when its trouble was last seen."""
    with a_database() as tx:
        scene = build(tx)
        lasts: set[Reason] = set()
        over: dict[Reason, datetime] = {}
        round_began_at: datetime | None = None
        for number, (step, reason) in enumerate(steps):
            now = NOW + number * MINUTE
            if step == "begin":
                gaps.begin(tx, scene.inbox_id, reason, now)
                lasts.add(reason)
            elif step == "end":
                gaps.end(tx, scene.inbox_id, reason, at=now)
                if reason in lasts:
                    lasts.remove(reason)
                    over[reason] = now
            elif step == "round begins":
                round_began_at = round_began_at or now
            elif round_began_at is not None:
                closed = {gap.reason for gap in gaps.close(tx, scene.inbox_id, round_began_at=round_began_at, now=now)}
                passed = {one for one, at in over.items() if at <= round_began_at and one not in lasts}
                assert closed == passed
                over = {one: at for one, at in over.items() if one not in passed}
                round_began_at = None


async def test_since_when_nothing_is_missing_is_kept_until_something_is(store: storage.Store, scene: Scene) -> None:
    since = []
    for number, missing in enumerate((0, 0, 2, 0)):
        at = NOW + number * MINUTE
        await store.write(completeness.checked, scene.mailbox_id, compared=5, missing=missing, now=at)
        since.append((await store.read(completeness.of_mailbox, scene.mailbox_id)).complete_since)
    assert since == [NOW, NOW, None, NOW + 3 * MINUTE]


async def test_a_check_that_breaks_off_leaves_what_the_last_one_found(store: storage.Store, scene: Scene) -> None:
    await store.write(completeness.broke_off, scene.mailbox_id, "Not reached.")
    assert await store.read(completeness.of_mailbox, scene.mailbox_id) == completeness.Check(
        complete_since=None, checked_at=None, compared=None, missing=None, problem="Not reached."
    )
    await store.write(completeness.checked, scene.mailbox_id, compared=5, missing=0, now=NOW)
    await store.write(completeness.broke_off, scene.mailbox_id, "Not reached.")
    check = await store.read(completeness.of_mailbox, scene.mailbox_id)
    assert (check.complete_since, check.compared, check.problem) == (NOW, 5, "Not reached.")


async def test_conversations_are_those_of_active_threads_page_by_page(store: storage.Store, scene: Scene) -> None:
    def furnish(tx: Transaction) -> None:
        for name in ("c", "a", "b"):
            threads.add_conversation(
                tx, scene.account_id, scene.thread_id, mailbox_id=scene.mailbox_id, conversation_id=name, now=NOW
            )

    await store.write(furnish)
    ask = completeness.active_conversations
    assert await store.read(ask, scene.mailbox_id, since=NOW, limit=2) == ["a", "b"]
    assert await store.read(ask, scene.mailbox_id, since=NOW, after="b", limit=2) == ["c"]
    assert await store.read(ask, scene.mailbox_id, since=NOW + MINUTE, limit=2) == []


def test_a_round_that_an_older_release_may_have_begun_closes_no_gap() -> None:
    with closing(sqlite3.connect(":memory:", factory=Transaction, isolation_level=None)) as tx:
        bring_up_to_date(tx, released()[:2])
        tx.execute(
            "INSERT INTO folders (id, account_id, mailbox_id, well_known, folder_id, delta_link, watch_since,"
            " next_pull_at) VALUES ('f', 'a', 'm', 'inbox', 'AAMk', 'https://graph/next', :now, :now)",
            {"now": NOW},
        )
        bring_up_to_date(tx)
        assert folders.get(tx, "f").round_began_at == NOW


async def test_a_mailbox_with_another_inbox_begins_its_round_anew(store: storage.Store, scene: Scene) -> None:
    def happens(tx: Transaction, folder_id: str) -> datetime | None:
        folders.advance(tx, scene.inbox_id, "https://graph/next", unrelated=0, round_began_at=NOW)
        folders.watch(
            tx,
            scene.account_id,
            scene.mailbox_id,
            folders.WellKnown.INBOX,
            folder_id=folder_id,
            since=NOW + MINUTE,
            now=NOW + MINUTE,
        )
        return folders.get(tx, scene.inbox_id).round_began_at

    assert await store.write(happens, "AAMkInbox") == NOW
    assert await store.write(happens, "AAMkOther") is None
