import asyncio
import hashlib
import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

import storage
from storage import accounts, hints, subscriptions
from storage.hints import Hint
from storage.measures import Commit, Unobserved
from storage.subscriptions import Subscription, SubscriptionState
from storage.vault import MasterKey
from subscriptions.certificates import Certificates
from subscriptions.judging import Reason
from subscriptions.keeper import Keeper
from subscriptions.notifications import Change, MalformedNotification
from subscriptions.receiver import HELD_FOR, Receipt, Receiver, Sealed
from tests.fakes.certificates import FakeMaker
from tests.subscriptions.scene import PUBLIC_URL, TENANT, Scene

OTHER_TENANT = "00000000-6d4d-4958-8b9f-9d6445542f95"


@pytest.fixture
async def watched(scene: Scene) -> Scene:
    """Both folders are subscribed to, and no pull is due."""
    await scene.keeper.run_due()
    await scene.not_due()
    return scene


@pytest.fixture
def receiver(watched: Scene) -> Receiver:
    return Receiver(watched.store, watched.clock)


def change(subscription_id: str | None, client_state: object, message_id: str = "AAMk1", **changed: object) -> Any:
    return {
        "subscriptionId": subscription_id,
        "subscriptionExpirationDateTime": "2026-03-08T03:12:18.2257768+05:30",
        "changeType": "created",
        "resource": f"Users/u-admissions/Messages/{message_id}",
        "resourceData": {"@odata.type": "#Microsoft.Graph.Message", "id": message_id},
        "clientState": client_state,
        "tenantId": TENANT,
        **changed,
    }


def lifecycle(subscription_id: str | None, client_state: object, event: str) -> Any:
    return {
        "subscriptionId": subscription_id,
        "subscriptionExpirationDateTime": "2026-03-08T11:00:00.0000000Z",
        "tenantId": TENANT,
        "clientState": client_state,
        "lifecycleEvent": event,
    }


def body(*items: Any) -> bytes:
    return orjson.dumps({"value": list(items)})


def security_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.endswith("security")]


async def inbox_credentials(scene: Scene) -> tuple[str | None, str]:
    row = await scene.of_inbox()
    return row.subscription_id, scene.at_graph(row).client_state


async def open_hints(scene: Scene) -> list[Hint]:
    return await scene.store.read(hints.open_hints, scene.inbox.id)


async def row_of(scene: Scene, row_id: str) -> Subscription:
    return await scene.store.read(subscriptions.get, row_id)


async def test_a_change_becomes_a_hint_and_its_folder_is_due(watched: Scene, receiver: Receiver) -> None:
    receipt = await receiver.receive(body(change(*await inbox_credentials(watched), "AAMk7")))
    assert receipt == Receipt(kept=1, refused=0, ignored=0)
    assert [hint.message_id for hint in await open_hints(watched)] == ["AAMk7"]
    assert await watched.pull_is_due(watched.inbox)
    assert not await watched.pull_is_due(watched.sent)


async def test_no_call_to_graph_is_made(watched: Scene, receiver: Receiver) -> None:
    watched.graph.calls.clear()
    credentials = await inbox_credentials(watched)
    await receiver.receive(body(change(*credentials), lifecycle(*credentials, "subscriptionRemoved")))
    assert watched.graph.calls == []


async def test_a_change_that_names_no_message_is_a_pull(watched: Scene, receiver: Receiver) -> None:
    await receiver.receive(body(change(*await inbox_credentials(watched), resourceData=None)))
    assert await open_hints(watched) == []
    assert await watched.pull_is_due()


async def test_the_same_item_twice_in_a_request_is_one_hint(watched: Scene, receiver: Receiver) -> None:
    item = change(*await inbox_credentials(watched))
    assert (await receiver.receive(body(item, item))).kept == 2
    assert len(await open_hints(watched)) == 1


@pytest.mark.parametrize(
    "forge",
    [
        lambda secret: "guess",
        lambda secret: None,
        lambda secret: "",
        lambda secret: [secret],
        lambda secret: {"secret": secret},
        lambda secret: 7,
        lambda secret: True,
        lambda secret: secret.swapcase(),
        lambda secret: secret + " ",
        lambda secret: secret[:-1],
        lambda secret: hashlib.sha256(secret.encode()).hexdigest(),
    ],
)
async def test_a_client_state_that_is_not_the_subscriptions_leaves_no_trace(
    watched: Scene, receiver: Receiver, forge: Any, caplog: pytest.LogCaptureFixture
) -> None:
    subscription_id, secret = await inbox_credentials(watched)
    receipt = await receiver.receive(body(change(subscription_id, forge(secret))))
    assert receipt == Receipt(kept=0, refused=1, ignored=0)
    assert await open_hints(watched) == []
    assert not await watched.pull_is_due()
    assert receipt.reasons.keys() <= {Reason.FORGED_CLIENT_STATE, Reason.MALFORMED}
    assert len(security_lines(caplog)) == 1


async def test_the_client_state_of_another_subscription_is_refused(watched: Scene, receiver: Receiver) -> None:
    inbox, sent = await watched.rows(SubscriptionState.LIVE)
    crossed = change(inbox.subscription_id, watched.at_graph(sent).client_state)
    receipt = await receiver.receive(body(crossed))
    assert (receipt.kept, receipt.reasons) == (0, {Reason.FORGED_CLIENT_STATE: 1})
    assert await open_hints(watched) == []


async def test_the_right_client_state_of_an_unknown_subscription_is_refused(watched: Scene, receiver: Receiver) -> None:
    _, secret = await inbox_credentials(watched)
    receipt = await receiver.receive(body(change("11111111-0ed8-412f-a988-71e6cee627c4", secret)))
    assert (receipt.kept, receipt.reasons) == (0, {Reason.UNKNOWN_SUBSCRIPTION: 1})


@pytest.mark.parametrize(
    ("tenant_id", "kept"),
    [(TENANT, 1), (TENANT.upper(), 1), (None, 1), ("", 1), (OTHER_TENANT, 0), ("school.example", 0)],
)
async def test_the_tenant_must_be_the_accounts(
    watched: Scene, receiver: Receiver, tenant_id: str | None, kept: int, caplog: pytest.LogCaptureFixture
) -> None:
    item = change(*await inbox_credentials(watched), tenantId=tenant_id)
    receipt = await receiver.receive(body(item))
    assert (receipt.kept, receipt.reasons) == (kept, {} if kept else {Reason.WRONG_TENANT: 1})
    assert len(await open_hints(watched)) == kept
    assert len(security_lines(caplog)) == 1 - kept


async def test_a_tenant_entered_as_a_domain_name_is_not_compared(watched: Scene) -> None:
    def rename(tx: storage.Transaction) -> None:
        tx.execute("UPDATE accounts SET tenant_id = 'school.onmicrosoft.example'")

    await watched.store.write(rename)
    receiver = Receiver(watched.store, watched.clock)
    assert (await receiver.receive(body(change(*await inbox_credentials(watched))))).kept == 1


async def test_good_items_of_a_mixed_request_are_kept(watched: Scene, receiver: Receiver) -> None:
    subscription_id, secret = await inbox_credentials(watched)
    items = [
        change(subscription_id, "guess", "bad1"),
        change(subscription_id, secret, "good1"),
        "nonsense",
        change("unknown", secret, "bad2"),
        change(subscription_id, [secret], "bad3"),
        change(subscription_id, secret, "good2"),
    ]
    receipt = await receiver.receive(body(*items))
    assert receipt == Receipt(kept=2, refused=4, ignored=0)
    assert receipt.reasons == {Reason.FORGED_CLIENT_STATE: 1, Reason.UNKNOWN_SUBSCRIPTION: 1, Reason.MALFORMED: 2}
    assert [hint.message_id for hint in await open_hints(watched)] == ["good1", "good2"]


@pytest.mark.parametrize("broken", [b"", b"not json", b"[]", b'{"value": 1}', b" " * (256 * 1024 + 1)])
async def test_what_is_no_notification_at_all_is_refused_as_a_whole(receiver: Receiver, broken: bytes) -> None:
    with pytest.raises(MalformedNotification):
        await receiver.receive(broken)


async def test_an_empty_collection_is_nothing(receiver: Receiver) -> None:
    assert await receiver.receive(body()) == Receipt(kept=0, refused=0, ignored=0)


async def test_the_refusals_of_a_request_are_one_line_without_a_word_of_the_sender(
    watched: Scene, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    subscription_id, _ = await inbox_credentials(watched)
    forged, unreadable = change(subscription_id, "hunter2", "evil"), change(subscription_id, "hunter2", "evil\nline")
    await receiver.receive(body(*[forged, unreadable] * 250, change("evil", "hunter2")))
    [line] = security_lines(caplog)
    assert line.__dict__["why"] == {
        "clientState is not the subscription's": 250,
        "resourceData.id has control characters": 250,
        "the subscription is not ours": 1,
    }
    assert line.__dict__["subscriptions"] == [(await watched.of_inbox()).id]
    assert "hunter2" not in str(line.__dict__)
    assert "evil" not in str(line.__dict__)


# Before the 201, and after its successor


async def test_a_notification_that_overtakes_the_201_is_kept(scene: Scene) -> None:
    receiver = Receiver(scene.store, scene.clock)
    receipts = []

    async def notify(client_state: str, subscription_id: str) -> None:
        receipts.append(await receiver.receive(body(change(subscription_id, client_state))))

    scene.graph.before_answering = notify
    await scene.keeper.run_due()
    assert [receipt.kept for receipt in receipts] == [1, 1]
    assert len(await open_hints(scene)) == 1
    assert len(await scene.rows(SubscriptionState.LIVE)) == 2


async def test_what_overtakes_a_201_that_is_then_lost_tells_which_one_is_ours(scene: Scene) -> None:
    receiver = Receiver(scene.store, scene.clock)

    async def notify(client_state: str, subscription_id: str) -> None:
        await receiver.receive(body(change(subscription_id, client_state)))

    scene.graph.before_answering = notify
    scene.graph.fail("create", done_all_the_same=True)
    scene.graph.fail("create", done_all_the_same=True)
    await scene.keeper.run_due()
    scene.clock.advance(timedelta(minutes=1))
    await scene.keeper.run_due()
    assert len(await scene.rows(SubscriptionState.LIVE)) == 2
    assert scene.graph.calls.count("create") == 2


async def test_one_removed_before_its_201_was_read_is_made_anew(scene: Scene) -> None:
    receiver = Receiver(scene.store, scene.clock)
    removed = []

    async def remove(client_state: str, subscription_id: str) -> None:
        if len(removed) < 2:
            removed.append(subscription_id)
            scene.graph.remove(subscription_id)
            await receiver.receive(body(lifecycle(subscription_id, client_state, "subscriptionRemoved")))

    scene.graph.before_answering = remove
    await scene.keeper.run_due()
    assert len(scene.graph.held) == 2
    assert {row.subscription_id for row in await scene.rows()} == {
        held.subscription.subscription_id for held in scene.graph.held
    }


async def test_notifications_of_the_one_just_replaced_are_still_kept(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    watched.graph.refuses_doubles = False
    await watched.restarted(public_url="https://post.school.example").run_due()
    assert (await receiver.receive(body(change(*credentials)))).kept == 1


async def test_once_it_is_gone_its_notifications_are_refused(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    watched.graph.refuses_doubles = False
    await watched.restarted(public_url="https://post.school.example").run_due()
    watched.clock.advance(timedelta(hours=4))
    await watched.keeper.run_due()
    assert (await receiver.receive(body(change(*credentials)))).refused == 1


async def test_what_still_comes_for_a_removed_mailbox_is_ignored(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    await watched.remove_mailbox()
    assert await receiver.receive(body(change(*credentials))) == Receipt(kept=0, refused=0, ignored=1)
    assert await open_hints(watched) == []


async def test_one_made_by_another_process_is_found_after_a_second(watched: Scene, receiver: Receiver) -> None:
    await receiver.receive(body())
    _, secret = await inbox_credentials(watched)

    def rename(tx: storage.Transaction) -> None:
        tx.execute("UPDATE subscriptions SET subscription_id = 'new' WHERE folder_id = ?", (watched.inbox.id,))

    await watched.store.write(rename)
    assert (await receiver.receive(body(change("new", secret)))).refused == 1
    watched.clock.advance(timedelta(seconds=1))
    assert (await receiver.receive(body(change("new", secret)))).kept == 1


# Lifecycle


async def test_missed_is_a_pull(watched: Scene, receiver: Receiver) -> None:
    await receiver.receive(body(lifecycle(*await inbox_credentials(watched), "missed")))
    assert await watched.pull_is_due()


async def test_a_lifecycle_event_not_met_yet_is_a_pull(watched: Scene, receiver: Receiver) -> None:
    await receiver.receive(body(lifecycle(*await inbox_credentials(watched), "somethingNew")))
    assert await watched.pull_is_due()


async def test_removed_is_a_pull_and_another_subscription(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    watched.graph.remove(credentials[0] or "")
    await receiver.receive(body(lifecycle(*credentials, "subscriptionRemoved")))
    assert await watched.pull_is_due()
    await watched.keeper.run_due()
    assert (await watched.of_inbox()).state is SubscriptionState.LIVE
    assert len(watched.inboxes_at_graph()) == 1


async def test_reauthorization_is_answered_by_a_renewal_and_once_in_ten_minutes(
    watched: Scene, receiver: Receiver
) -> None:
    credentials = await inbox_credentials(watched)
    for minutes, renewals in ((1, 1), (5, 1), (4, 1), (1, 2)):
        watched.clock.advance(timedelta(minutes=minutes))
        await receiver.receive(body(lifecycle(*credentials, "reauthorizationRequired")))
        await watched.keeper.run_due()
        assert watched.graph.calls.count("renew") == renewals
    assert "reauthorize" not in watched.graph.calls


@pytest.mark.parametrize("event", ["subscriptionRemoved", "missed", "reauthorizationRequired", "somethingNew"])
async def test_a_forged_lifecycle_event_changes_nothing(watched: Scene, receiver: Receiver, event: str) -> None:
    subscription_id, secret = await inbox_credentials(watched)
    [other] = [row for row in await watched.rows() if row.subscription_id != subscription_id]
    before = await watched.rows()
    forged = [
        lifecycle(subscription_id, "guess", event),
        lifecycle(subscription_id, None, event),
        lifecycle(subscription_id, [secret], event),
        lifecycle(subscription_id, secret.swapcase(), event),
        lifecycle(subscription_id, watched.at_graph(other).client_state, event),
        lifecycle("11111111-0ed8-412f-a988-71e6cee627c4", secret, event),
        lifecycle(subscription_id, secret, event) | {"tenantId": OTHER_TENANT},
    ]
    assert await receiver.receive(body(*forged)) == Receipt(kept=0, refused=len(forged), ignored=0)
    assert await watched.rows() == before
    assert not await watched.pull_is_due()


async def test_both_kinds_may_come_in_one_request(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    receipt = await receiver.receive(body(change(*credentials), lifecycle(*credentials, "missed")))
    assert receipt.kept == 2


# Trouble


async def test_what_cannot_be_kept_is_not_acknowledged(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)

    def fill_the_disk(tx: storage.Transaction) -> None:
        pages = tx.execute("PRAGMA page_count").fetchone()[0]
        tx.execute(f"PRAGMA max_page_count = {pages}")

    await watched.store.write(fill_the_disk)
    big = [change(*credentials, f"{number:0400}") for number in range(150)]
    with pytest.raises(storage.StorageUnavailable):
        await receiver.receive(body(*big))
    assert await open_hints(watched) == []


async def test_many_requests_at_once_are_all_kept(watched: Scene, receiver: Receiver) -> None:
    credentials = await inbox_credentials(watched)
    async with asyncio.TaskGroup() as group:
        for number in range(200):
            group.create_task(receiver.receive(body(change(*credentials, f"AAMk{number}"))))
    assert len(await open_hints(watched)) == 200


async def test_who_waits_for_the_subscriptions_to_be_read_waits_for_one_reading(watched: Scene) -> None:
    """All of them go on together and share a commit: not one in each turn of a loop that has much to do."""
    credentials, groups = await inbox_credentials(watched), list[int]()
    watched.store.observer = Groups(groups)
    receiver = Receiver(watched.store, watched.clock)
    requests = [receiver.receive(body(change(*credentials, message_id=f"m{number}"))) for number in range(200)]
    assert {receipt.kept for receipt in await asyncio.gather(*requests)} == {1}
    assert sum(groups) == 200
    assert len(groups) <= 4


class ReadOnceInVain:
    """The store, of which one reading fails: the first, or whichever is the next."""

    def __init__(self, store: storage.Store) -> None:
        self._store = store
        self.reads = 0
        self.fails = True

    async def read(self, work: Callable[..., Any], *args: Any) -> Any:
        self.reads += 1
        if self.fails:
            self.fails = False
            await asyncio.sleep(0)  # the others come to wait meanwhile
            raise storage.StorageUnavailable("not now")
        return await self._store.read(work, *args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_what_one_could_not_read_the_next_reads(watched: Scene) -> None:
    credentials, store = await inbox_credentials(watched), ReadOnceInVain(watched.store)
    receiver = Receiver(cast("storage.Store", store), watched.clock)
    requests = [receiver.receive(body(change(*credentials, message_id=f"m{number}"))) for number in range(3)]
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert isinstance(outcomes[0], storage.StorageUnavailable)
    assert [one.kept for one in outcomes[1:] if isinstance(one, Receipt)] == [1, 1]
    assert store.reads == 2


async def test_what_has_changed_is_read_again_when_it_could_not_be_read(watched: Scene) -> None:
    credentials, store = await inbox_credentials(watched), ReadOnceInVain(watched.store)
    receiver = Receiver(cast("storage.Store", store), watched.clock)
    store.fails = False
    await receiver.receive(body(change(*credentials, message_id="m1")))
    await watched.store.write(lambda tx: tx.announce("subscriptions"))
    store.fails = True
    with pytest.raises(storage.StorageUnavailable):
        await receiver.receive(body(change(*credentials, message_id="m2")))
    assert (await receiver.receive(body(change(*credentials, message_id="m2")))).kept == 1
    assert store.reads == 3


class Groups(Unobserved):
    """Writes down how many writes shared each commit."""

    def __init__(self, groups: list[int]) -> None:
        self._groups = groups

    def committed(self, commit: Commit) -> None:
        self._groups.append(commit.writes)


async def test_a_receiver_knows_at_once_what_the_store_says(watched: Scene, receiver: Receiver) -> None:
    """No stale memory: one process's own changes count from their commit on."""
    await receiver.receive(body())
    await watched.store.write(accounts.add, "second", now=watched.clock.now())
    credentials = await inbox_credentials(watched)
    row = await watched.of_inbox()
    watched.graph.remove(row.subscription_id or "")
    watched.clock.advance(timedelta(minutes=5_000))
    await watched.keeper.run_due()
    assert (await row_of(watched, row.id)).state is SubscriptionState.GONE
    assert (await receiver.receive(body(change(*credentials)))).refused == 1
    assert (await receiver.receive(body(change(*await inbox_credentials(watched))))).kept == 1


async def test_a_lifecycle_event_is_logged_with_its_name(
    watched: Scene, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await receiver.receive(body(lifecycle(*await inbox_credentials(watched), "missed")))
    [record] = [record for record in caplog.records if record.message == "lifecycle event"]
    assert record.__dict__["lifecycle_event"] == "missed"


class RoomFor:
    """Openings that note what they are given, and have room for so many bytes."""

    def __init__(self, size: int = 1_000_000) -> None:
        self.left = size
        self.given: list[Sealed] = []

    def reserve(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True

    def open(self, sealed: Sealed) -> None:
        self.given.append(sealed)

    def release(self, size: int) -> None:
        self.left += size


CONTENT = {"data": "ZGF0YQ==", "dataKey": "a2V5", "dataSignature": "c2ln", "encryptionCertificateId": "certificate 1"}


@pytest.fixture
async def rich(watched: Scene) -> Scene:
    """The same, with an Inbox that is watched richly."""
    certificates = Certificates(watched.store, MasterKey.new(), watched.clock, make=FakeMaker())
    keeper = Keeper(watched.store, watched.graph, watched.clock, PUBLIC_URL, certificates=certificates, rich=True)
    await keeper.run_due()
    await watched.not_due()
    return watched


def rich_body(*items: Any, tokens: object = ("a token",)) -> bytes:
    return orjson.dumps({"value": list(items), "validationTokens": tokens})


async def test_a_content_is_passed_on_after_its_hint_is_kept_and_held(rich: Scene) -> None:
    openings = RoomFor()
    receiver = Receiver(rich.store, rich.clock, openings=openings)
    sent = rich_body(change(*await inbox_credentials(rich), "AAMk7", encryptedContent=CONTENT))
    assert (await receiver.receive(sent)).kept == 1
    (hint,) = await open_hints(rich)
    assert hint.retry_at == rich.clock.now() + HELD_FOR
    assert not await rich.pull_is_due()
    (sealed,) = openings.given
    assert (sealed.validation_tokens, sealed.size, openings.left) == (["a token"], len(sent), 1_000_000 - len(sent))
    (item,) = [one.item for one in sealed.changes]
    assert isinstance(item, Change)
    assert (item.message_id, item.encrypted_content) == ("AAMk7", CONTENT)
    assert "ZGF0YQ" not in repr(sealed)


async def test_nothing_of_a_content_is_stored(rich: Scene, tmp_path: Path) -> None:
    receiver = Receiver(rich.store, rich.clock, openings=RoomFor())
    await receiver.receive(rich_body(change(*await inbox_credentials(rich), encryptedContent=CONTENT)))
    assert b"AAMk1" in all_bytes(tmp_path)
    assert b"ZGF0YQ" not in all_bytes(tmp_path)


def all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize(
    "forged",
    [{"clientState": "guess"}, {"subscriptionId": "11111111-0ed8-412f-a988-71e6cee627c4"}, {"tenantId": OTHER_TENANT}],
    ids=["clientState", "subscription", "tenant"],
)
async def test_what_a_stranger_sends_is_neither_given_room_nor_opened(rich: Scene, forged: Any) -> None:
    openings = RoomFor()
    receiver = Receiver(rich.store, rich.clock, openings=openings)
    item = change(*await inbox_credentials(rich), encryptedContent=CONTENT) | forged
    assert (await receiver.receive(rich_body(item))).kept == 0
    assert (openings.given, openings.left) == ([], 1_000_000)


async def test_only_the_contents_of_good_items_are_passed_on(rich: Scene) -> None:
    openings = RoomFor()
    receiver = Receiver(rich.store, rich.clock, openings=openings)
    credentials = await inbox_credentials(rich)
    await receiver.receive(
        rich_body(
            change(*credentials, "AAMk1", encryptedContent=CONTENT),
            change(credentials[0], "guess", "AAMk2", encryptedContent=CONTENT),
            change(*credentials, "AAMk3"),
            change(*credentials, "AAMk4", changeType="deleted", encryptedContent=CONTENT),
            change(*credentials, resourceData=None, encryptedContent=CONTENT),
        )
    )
    (sealed,) = openings.given
    assert [one.item.message_id for one in sealed.changes if isinstance(one.item, Change)] == ["AAMk1"]
    held = {hint.message_id: hint.retry_at > rich.clock.now() for hint in await open_hints(rich)}
    assert held == {"AAMk1": True, "AAMk3": False, "AAMk4": False}
    assert await rich.pull_is_due()


async def test_a_content_that_a_plain_subscription_brings_is_not_looked_at(watched: Scene) -> None:
    openings = RoomFor()
    receiver = Receiver(watched.store, watched.clock, openings=openings)
    await receiver.receive(rich_body(change(*await inbox_credentials(watched), encryptedContent=CONTENT)))
    assert openings.given == []
    assert await watched.pull_is_due()


async def test_without_room_the_hint_is_looked_into_at_once(rich: Scene) -> None:
    openings = RoomFor(10)
    receiver = Receiver(rich.store, rich.clock, openings=openings)
    await receiver.receive(rich_body(change(*await inbox_credentials(rich), encryptedContent=CONTENT)))
    assert openings.given == []
    assert await rich.pull_is_due()


async def test_what_could_not_be_kept_gives_its_room_back(rich: Scene) -> None:
    openings = RoomFor()
    receiver = Receiver(rich.store, rich.clock, openings=openings)
    item = change(*await inbox_credentials(rich), encryptedContent=CONTENT)
    await receiver.receive(rich_body(item))
    full = Receiver(cast("storage.Store", FullStore(rich.store)), rich.clock, openings=openings)
    left = openings.left
    with pytest.raises(storage.StorageUnavailable):
        await full.receive(rich_body(item))
    assert (openings.left, len(openings.given)) == (left, 1)


async def test_whoever_is_answered_too_late_is_seen_to_all_the_same(rich: Scene) -> None:
    openings = RoomFor()
    stalled = StalledStore(rich.store)
    receiver = Receiver(cast("storage.Store", stalled), rich.clock, openings=openings)
    item = change(*await inbox_credentials(rich), encryptedContent=CONTENT)
    async with asyncio.TaskGroup() as group:
        receiving = group.create_task(receiver.receive(rich_body(item)))
        await stalled.asked.wait()
        receiving.cancel()
    assert len(openings.given) == 1


class FullStore:
    """Can be read, and not written."""

    def __init__(self, store: storage.Store) -> None:
        self.read, self.glance, self.watching = store.read, store.glance, store.watching

    async def write_together(self, *args: Any, **kwargs: Any) -> Any:
        raise storage.StorageUnavailable("disk full")


class StalledStore(FullStore):
    """Takes a write and does not answer."""

    def __init__(self, store: storage.Store) -> None:
        super().__init__(store)
        self.asked = asyncio.Event()

    async def write_together(self, *args: Any, **kwargs: Any) -> Any:
        self.asked.set()
        await asyncio.Event().wait()


# Those that are taken at once

TRACE = f"00-{'a' * 32}-{'b' * 16}-00"


async def test_plain_items_are_taken_and_kept_with_their_trace(watched: Scene, receiver: Receiver) -> None:
    await receiver.receive(body())
    credentials = await inbox_credentials(watched)
    taken = receiver.take(body(*(change(*credentials, one) for one in ("m1", "m1", "m2"))), traceparent=TRACE)
    assert taken is not None
    assert taken.kept == 3
    await taken.done
    assert [hint.message_id for hint in await open_hints(watched)] == ["m1", "m2"]
    assert await watched.pull_is_due()
    now = watched.clock.now()
    assert await watched.store.read(hints.origins, watched.inbox.id, now, limit=9) == [TRACE]


async def test_whatever_needs_more_than_hints_is_not_taken_and_leaves_no_trace(rich: Scene) -> None:
    receiver = Receiver(rich.store, rich.clock, openings=RoomFor())
    subscription_id, secret = credentials = await inbox_credentials(rich)
    plain = change(*credentials)
    assert receiver.take(body(plain), traceparent=TRACE) is None  # the subscriptions are not known yet
    await receiver.receive(body())
    for other in (
        change(*credentials, encryptedContent=CONTENT),
        lifecycle(*credentials, "missed"),
        change(*credentials, resourceData=None),
        change(subscription_id, "guessed"),
        change("theirs", secret),
        7,
    ):
        assert receiver.take(body(plain, other), traceparent=TRACE) is None
    with pytest.raises(MalformedNotification):
        receiver.take(b"{", traceparent=TRACE)
    await rich.store.write(lambda tx: tx.announce("subscriptions"))  # others may be right by now
    assert receiver.take(body(plain), traceparent=TRACE) is None
    assert await open_hints(rich) == []
    await rich.remove_mailbox()
    await receiver.receive(body())
    assert receiver.take(body(plain), traceparent=TRACE) is None


async def test_what_overtakes_the_201_is_not_taken(scene: Scene) -> None:
    receiver, taken = Receiver(scene.store, scene.clock), []

    async def notify(client_state: str, subscription_id: str) -> None:
        await receiver.receive(body())
        taken.append(receiver.take(body(change(subscription_id, client_state)), traceparent=TRACE))

    scene.graph.before_answering = notify
    await scene.keeper.run_due()
    assert taken == [None, None]
