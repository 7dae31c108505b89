"""Work that is due, and who has it: letters, folders, hints, chores."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import storage
from storage import Transaction, accounts, chores, claims, folders, hints, idempotency_keys, mailboxes, outbox
from storage.folders import WellKnown
from storage.hints import HintOutcome, NewHint
from tests.fakes.clock import A_MONDAY as NOW
from tests.storage.scene import Scene, build, post

MINUTE = timedelta(minutes=1)
LEASE = 2 * MINUTE


def claim(
    tx: Transaction, owner: str = "me", *, now: datetime = NOW, limit: int = 100, at_once: int = 100
) -> list[str]:
    """Ids of the letters that were got."""
    letters = claims.claim_due(tx, owner=owner, now=now, lease_ends_at=now + LEASE, limit=limit, per_mailbox=at_once)
    return [letter.message_id for letter in letters]


class TestLetters:
    def test_what_is_due_is_got_and_counted_before_anything_is_tried(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene, "msg_1", due=NOW)
        post(tx, scene, "msg_2", due=NOW + MINUTE)
        assert claim(tx) == ["msg_1"]
        letter = outbox.get(tx, scene.account_id, "msg_1")
        assert (letter.attempts, letter.lease_owner) == (1, "me")

    def test_the_longest_due_are_got_first(self, tx: Transaction, scene: Scene) -> None:
        for name, minutes in (("msg_1", 1), ("msg_2", 3), ("msg_3", 2)):
            post(tx, scene, name, due=NOW - minutes * MINUTE)
        assert claim(tx, limit=1) == ["msg_2"]
        assert claim(tx, limit=1) == ["msg_3"]

    def test_a_letter_in_hand_is_nobody_elses_until_the_lease_ends(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        assert claim(tx, "me") == ["msg_1"]
        assert claim(tx, "you", now=NOW + LEASE - MINUTE / 60) == []
        assert claim(tx, "you", now=NOW + LEASE) == ["msg_1"]
        assert outbox.get(tx, scene.account_id, "msg_1").attempts == 2

    def test_a_letter_that_was_saved_is_handed_back_unless_it_is_kept(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        claim(tx, "me")
        letter = outbox.get(tx, scene.account_id, "msg_1")
        outbox.save(tx, letter, keep_lease=True)
        assert claim(tx, "you") == []
        outbox.save(tx, letter)
        assert claim(tx, "you") == ["msg_1"]

    def test_a_finished_letter_is_never_due(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        letter = outbox.get(tx, scene.account_id, "msg_1")
        outbox.save(tx, replace(letter, state="cancelled", next_attempt_at=None))
        assert claim(tx, now=NOW + timedelta(days=400)) == []
        assert claims.next_due(tx) is None

    def test_no_more_of_one_mailbox_than_may_be_in_hand_at_once(self, tx: Transaction, scene: Scene) -> None:
        other = build(tx, "another school")
        for number in range(5):
            post(tx, scene, f"msg_a{number}")
        post(tx, other, "msg_b0")
        assert claim(tx, "me", at_once=2) == ["msg_a0", "msg_a1", "msg_b0"]
        assert claim(tx, "you", at_once=2) == []
        outbox.save(tx, outbox.get(tx, scene.account_id, "msg_a0"))
        assert claim(tx, "you", at_once=2) == ["msg_a0"]
        assert len(claim(tx, "you", now=NOW + LEASE, at_once=2)) == 3

    def test_a_paused_mailbox_rests_and_the_others_do_not(self, tx: Transaction, scene: Scene) -> None:
        other = build(tx, "another school")
        post(tx, scene, "msg_1")
        post(tx, other, "msg_2")
        mailboxes.pause(tx, scene.mailbox_id, NOW + MINUTE)
        mailboxes.pause(tx, scene.mailbox_id, NOW + MINUTE / 2)  # a shorter pause does not shorten it
        assert claim(tx) == ["msg_2"]
        assert claim(tx, now=NOW + MINUTE - MINUTE / 60) == []
        assert claim(tx, now=NOW + MINUTE) == ["msg_1"]

    def test_after_a_crash_the_letters_in_hand_are_known(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene, "msg_1")
        post(tx, scene, "msg_2", due=NOW + MINUTE)
        claim(tx, "the dead one")
        assert [letter.message_id for letter in claims.leased(tx)] == ["msg_1"]

    async def test_any_number_of_workers_share_the_letters_without_having_one_twice(self, path: Path) -> None:
        async with storage.open_store(path) as store, storage.open_store(path, alone=False) as beside:
            scene = await store.write(build)
            await store.write(lambda tx: [post(tx, scene, f"msg_{number:03}") for number in range(60)])
            got: list[str] = []

            async def work(mine: storage.Store, owner: str) -> None:
                while letters := await mine.write(claim, owner, limit=3):
                    got.extend(letters)

            async with asyncio.TaskGroup() as group:
                for number in range(4):
                    group.create_task(work(store, f"worker {number}"))
                    group.create_task(work(beside, f"worker {number} of another process"))
            assert sorted(got) == [f"msg_{number:03}" for number in range(60)]


class TestNextLetter:
    """Whoever sleeps until `next_due` neither misses a letter nor wakes in vain."""

    def test_there_is_none_in_an_empty_outbox(self, tx: Transaction, scene: Scene) -> None:
        assert claims.next_due(tx) is None

    def test_it_is_the_earliest_that_waits(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene, "msg_1", due=NOW + 2 * MINUTE)
        post(tx, scene, "msg_2", due=NOW + MINUTE)
        assert claims.next_due(tx) == NOW + MINUTE

    def test_one_in_hand_counts_from_the_end_of_its_lease(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        claim(tx)
        assert claims.next_due(tx) == NOW + LEASE

    def test_one_of_a_paused_mailbox_counts_from_the_end_of_the_pause(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        mailboxes.pause(tx, scene.mailbox_id, NOW + 5 * MINUTE)
        assert claims.next_due(tx) == NOW + 5 * MINUTE


class TestIdempotencyKeys:
    def test_a_key_is_remembered_with_what_it_was_used_for(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        idempotency_keys.remember(tx, scene.account_id, "k", fingerprint=b"f" * 32, message_id="msg_1", now=NOW)
        remembered = idempotency_keys.recall(tx, scene.account_id, "k")
        assert remembered == idempotency_keys.RememberedKey(fingerprint=b"f" * 32, message_id="msg_1", batch_id=None)

    def test_a_key_is_used_once(self, tx: Transaction, scene: Scene) -> None:
        post(tx, scene)
        idempotency_keys.remember(tx, scene.account_id, "k", fingerprint=b"f" * 32, message_id="msg_1", now=NOW)
        with pytest.raises(storage.AlreadyExists):
            idempotency_keys.remember(tx, scene.account_id, "k", fingerprint=b"g" * 32, message_id="msg_1", now=NOW)

    def test_accounts_and_spellings_have_keys_of_their_own(self, tx: Transaction, scene: Scene) -> None:
        other = build(tx, "another school")
        post(tx, scene)
        idempotency_keys.remember(tx, scene.account_id, "k", fingerprint=b"f" * 32, message_id="msg_1", now=NOW)
        assert idempotency_keys.recall(tx, other.account_id, "k") is None
        assert idempotency_keys.recall(tx, scene.account_id, "K") is None


def claim_folders(
    tx: Transaction, owner: str = "me", *, now: datetime = NOW, gather: timedelta = timedelta(0)
) -> list[folders.Folder]:
    return folders.claim_due(tx, owner=owner, now=now, lease_ends_at=now + LEASE, limit=10, gather=gather)


def hint_of(scene: Scene, message_id: str = "AAMk1") -> NewHint:
    return NewHint(account_id=scene.account_id, folder_id=scene.inbox_id, change_type="created", message_id=message_id)


def all_pulled(tx: Transaction, scene: Scene, *, at: datetime = NOW) -> None:
    """The Inbox and Sent Items, which are both due again."""
    folders.watch(
        tx, scene.account_id, scene.mailbox_id, WellKnown.SENT_ITEMS, folder_id="AAMkSent", since=NOW, now=NOW
    )
    for folder in claim_folders(tx):
        folders.pulled(tx, folder, owner="me", next_pull_at=NOW, now=at)


class TestFolders:
    def test_a_folder_is_pulled_by_one_at_a_time(self, tx: Transaction, scene: Scene) -> None:
        assert [folder.id for folder in claim_folders(tx, "me")] == [scene.inbox_id]
        assert claim_folders(tx, "you") == []
        assert [folder.lease_owner for folder in claim_folders(tx, "you", now=NOW + LEASE)] == ["you"]

    @pytest.mark.parametrize("state", ["removed", "refused"])
    def test_only_folders_of_validated_mailboxes_are_pulled(self, tx: Transaction, scene: Scene, state: str) -> None:
        if state == "removed":
            mailboxes.mark_removed(tx, scene.mailbox_id)
        else:
            mailboxes.mark_refused(tx, scene.mailbox_id, {"code": "access_refused"})
        assert claim_folders(tx) == []

    def test_a_hint_that_comes_while_a_folder_is_pulled_brings_the_next_pull(
        self, tx: Transaction, scene: Scene
    ) -> None:
        (folder,) = claim_folders(tx)
        hints.insert(tx, [hint_of(scene)], now=NOW + MINUTE)
        later = NOW + 10 * MINUTE
        folders.pulled(tx, folder, owner="me", next_pull_at=later, now=NOW + 2 * MINUTE)
        assert folders.get(tx, folder.id).next_pull_at == NOW + MINUTE

    def test_without_one_it_rests_until_the_next_sweep(self, tx: Transaction, scene: Scene) -> None:
        (folder,) = claim_folders(tx)
        later = NOW + 10 * MINUTE
        folders.pulled(tx, folder, owner="me", next_pull_at=later, now=NOW + MINUTE)
        pulled = folders.get(tx, folder.id)
        assert (pulled.next_pull_at, pulled.last_pulled_at, pulled.lease_owner) == (later, NOW + MINUTE, None)

    def test_a_failed_pull_is_counted_and_told_and_a_good_one_forgets_it(self, tx: Transaction, scene: Scene) -> None:
        for attempt in (1, 2):
            (folder,) = claim_folders(tx)
            folders.pull_failed(tx, folder, owner="me", problem="Graph is out of order.", next_pull_at=NOW)
            failed = folders.get(tx, folder.id)
            assert (failed.failures, failed.problem) == (attempt, "Graph is out of order.")
        (folder,) = claim_folders(tx)
        folders.pulled(tx, folder, owner="me", next_pull_at=NOW + MINUTE, now=NOW)
        assert (folders.get(tx, folder.id).failures, folders.get(tx, folder.id).problem) == (0, None)

    def test_who_has_lost_the_lease_changes_nothing(self, tx: Transaction, scene: Scene) -> None:
        (folder,) = claim_folders(tx, "slow")
        claim_folders(tx, "quick", now=NOW + LEASE)
        before = folders.get(tx, folder.id)
        folders.pulled(tx, folder, owner="slow", next_pull_at=NOW + MINUTE, now=NOW)
        folders.pull_failed(tx, folder, owner="slow", problem="x", next_pull_at=NOW)
        assert folders.get(tx, folder.id) == before

    def test_after_a_start_every_lease_is_a_dead_ones(self, tx: Transaction, scene: Scene) -> None:
        claim_folders(tx, "the dead one")
        folders.release_all(tx)
        folders.pull_everything(tx, NOW)
        assert len(claim_folders(tx, "me")) == 1

    def test_the_next_one_due_is_known_to_whoever_sleeps(self, tx: Transaction, scene: Scene) -> None:
        assert folders.next_due(tx, now=NOW) == NOW
        claim_folders(tx)
        assert folders.next_due(tx, now=NOW) == NOW + LEASE
        mailboxes.mark_removed(tx, scene.mailbox_id)
        assert folders.next_due(tx, now=NOW) is None

    def test_sent_items_are_left_alone_while_more_letters_are_about_to_leave(
        self, tx: Transaction, scene: Scene
    ) -> None:
        post(tx, scene, due=NOW + MINUTE)
        all_pulled(tx, scene)
        soon = NOW + MINUTE / 2
        assert [one.well_known for one in claim_folders(tx, now=soon, gather=MINUTE)] == ["inbox"]
        assert folders.next_due(tx, now=soon, gather=MINUTE) == NOW + MINUTE
        assert [one.well_known for one in claim_folders(tx, now=NOW + MINUTE, gather=MINUTE)] == ["sentitems"]

    @pytest.mark.parametrize("due", [NOW + 3 * MINUTE, None], ids=["the next is far off", "none is left"])
    def test_the_copy_of_a_letter_that_is_the_last_is_looked_for_at_once(
        self, tx: Transaction, scene: Scene, due: datetime | None
    ) -> None:
        if due is not None:
            post(tx, scene, due=due)
        all_pulled(tx, scene)
        assert len(claim_folders(tx, now=NOW + MINUTE / 2, gather=MINUTE)) == 2

    def test_a_pull_in_the_future_of_a_clock_that_was_set_back_gathers_nothing(
        self, tx: Transaction, scene: Scene
    ) -> None:
        post(tx, scene, due=NOW)
        all_pulled(tx, scene, at=NOW + 90 * MINUTE)
        assert len(claim_folders(tx, gather=MINUTE)) == 2

    def test_a_delta_that_died_begins_again_where_it_is_told(self, tx: Transaction, scene: Scene) -> None:
        folders.advance(tx, scene.inbox_id, "https://graph/delta?1", unrelated=2)
        folders.advance(tx, scene.inbox_id, "https://graph/delta?2", unrelated=3)
        assert folders.get(tx, scene.inbox_id).unrelated == 5
        folders.restart(tx, scene.inbox_id, NOW - MINUTE)
        folder = folders.get(tx, scene.inbox_id)
        assert (folder.delta_link, folder.watch_since) == (None, NOW - MINUTE)


class TestHints:
    def test_a_hint_makes_its_folder_due(self, tx: Transaction, scene: Scene) -> None:
        (folder,) = claim_folders(tx)
        folders.pulled(tx, folder, owner="me", next_pull_at=NOW + 10 * MINUTE, now=NOW)
        hints.insert(tx, [hint_of(scene)], now=NOW + MINUTE)
        assert folders.get(tx, scene.inbox_id).next_pull_at == NOW + MINUTE
        assert tx.announced >= {"folders"}

    def test_closing_one_closes_all_about_the_same_message(self, tx: Transaction, scene: Scene) -> None:
        hints.insert(tx, [hint_of(scene, "AAMk1"), hint_of(scene, "AAMk1"), hint_of(scene, "AAMk2")], now=NOW)
        hints.close(tx, scene.inbox_id, ["AAMk1"], HintOutcome.STORED, now=NOW)
        assert [hint.message_id for hint in hints.open_hints(tx, scene.inbox_id)] == ["AAMk2"]

    def test_a_closed_hint_keeps_its_first_outcome(self, tx: Transaction, scene: Scene) -> None:
        hints.insert(tx, [hint_of(scene)], now=NOW)
        hints.close(tx, scene.inbox_id, ["AAMk1"], HintOutcome.STORED, now=NOW)
        hints.close(tx, scene.inbox_id, ["AAMk1"], HintOutcome.GONE, now=NOW)
        assert [row["outcome"] for row in tx.execute("SELECT outcome FROM hints")] == ["stored"]

    def test_only_closed_ones_are_forgotten(self, tx: Transaction, scene: Scene) -> None:
        hints.insert(tx, [hint_of(scene, "AAMk1"), hint_of(scene, "AAMk2")], now=NOW)
        hints.close(tx, scene.inbox_id, ["AAMk1"], HintOutcome.NOT_OURS, now=NOW)
        assert hints.prune(tx, scene.account_id, NOW) == 0
        assert hints.prune(tx, scene.account_id, NOW + MINUTE) == 1
        assert len(hints.open_hints(tx, scene.inbox_id)) == 1


class TestChores:
    def test_one_never_done_is_due_and_one_done_is_due_again_at_its_time(self, tx: Transaction, scene: Scene) -> None:
        assert chores.due(tx, "expiry", NOW) == [scene.account_id]
        chores.done(tx, scene.account_id, "expiry", next_at=NOW + MINUTE)
        assert chores.due(tx, "expiry", NOW) == []
        assert chores.due(tx, "expiry", NOW + MINUTE) == [scene.account_id]
        assert chores.due(tx, "another", NOW) == [scene.account_id]

    def test_one_that_stands_beyond_all_reason_is_due(self, tx: Transaction, scene: Scene) -> None:
        chores.done(tx, scene.account_id, "expiry", next_at=NOW + timedelta(days=365))
        assert chores.due(tx, "expiry", NOW, latest=NOW + timedelta(days=365)) == []
        assert chores.due(tx, "expiry", NOW, latest=NOW + timedelta(days=364)) == [scene.account_id]

    def test_the_next_one_due_is_the_earliest_of_all_accounts(self, tx: Transaction, scene: Scene) -> None:
        chores.done(tx, scene.account_id, "expiry", next_at=NOW + MINUTE)
        assert chores.next_due(tx, "expiry", NOW) == NOW + MINUTE
        accounts.add(tx, "another school", now=NOW)
        assert chores.next_due(tx, "expiry", NOW) == NOW
