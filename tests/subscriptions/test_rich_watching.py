"""Rich subscriptions through the keeper: asked for, renewed, their certificates replaced, and given up for a while."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import Transaction, accounts, encryption_certificates, rich_troubles
from storage.encryption_certificates import EncryptionCertificate as Stored
from storage.rich_troubles import RichTrouble
from storage.subscriptions import Subscription, SubscriptionState
from storage.vault import MasterKey
from subscriptions.certificates import KEPT_AFTER, REPLACED_AFTER, Certificates, obsolete, usable
from subscriptions.falling_back import PLAIN_FOR, UNOPENED_FOR, UNOPENED_TIMES, after_unopened, is_given_up
from subscriptions.graph import GraphBusy
from subscriptions.keeper import Keeper
from subscriptions.plan import LONGEST_LIFE, LONGEST_RICH_LIFE, OVERLAP, Create, Recreate, Renew, plan
from tests.fakes.certificates import FakeMaker
from tests.fakes.clock import A_MONDAY
from tests.sending.crashing import Crashes, CrashingStore, may_crash
from tests.subscriptions.scene import PUBLIC_URL, Scene
from tests.subscriptions.test_plan import LIVE, NOW, URL

KEY = MasterKey.new()
SECOND = timedelta(seconds=1)
RICH = replace(LIVE, encryption_certificate_id="c", expiration_date_time=NOW + LONGEST_RICH_LIFE)


def stored(id: str, age: timedelta) -> Stored:
    made_at = NOW - age
    return Stored(
        id=id, account_id="acc_1", certificate="MII", ciphertext=b"", not_after=made_at + 365 * DAY, created_at=made_at
    )


DAY = timedelta(days=1)


class Office:
    """The scene, with a gateway that is set to have rich notifications."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.maker = FakeMaker()
        self.key = KEY
        self.restart(rich=True)

    def restart(self, *, rich: bool) -> None:
        scene = self.scene
        self.certificates = Certificates(scene.store, self.key, scene.clock, make=self.maker)
        self.keeper = Keeper(
            scene.store, scene.graph, scene.clock, PUBLIC_URL, certificates=self.certificates, rich=rich
        )

    async def days(self, days: float) -> None:
        """They pass, and the keeper looks often enough."""
        for _ in range(round(days * 6)):
            self.scene.clock.advance(timedelta(hours=4))
            await self.keeper.run_due()

    async def age(self, by: timedelta) -> None:
        """As if its certificates had been made earlier by so much."""
        await self.scene.store.write(aged, by)

    async def inbox(self) -> Subscription:
        return await self.scene.of_inbox()

    async def kept(self) -> list[str]:
        found = await self.scene.store.read(encryption_certificates.of_account, self.scene.account_id)
        return [one.id for one in found]

    async def trouble(self) -> RichTrouble:
        return await self.scene.store.read(rich_troubles.of_folder, self.scene.inbox.id)


def aged(tx: Transaction, by: timedelta) -> None:
    tx.execute(
        "UPDATE encryption_certificates SET created_at = created_at - :by", {"by": by // timedelta(microseconds=1)}
    )


@pytest.fixture
async def office(scene: Scene) -> Office:
    office = Office(scene)
    await office.keeper.run_due()
    return office


async def test_the_inbox_is_watched_richly_and_the_sent_items_plainly(office: Office) -> None:
    inbox, sent = (await office.inbox()), office.scene.sent
    held = office.scene.at_graph(inbox)
    assert held.encryption is not None
    assert held.encryption.certificate_id == inbox.encryption_certificate_id == "certificate 1"
    assert held.subscription.resource.startswith(f"{office.scene.inbox_resource}?$select=id,conversationId,")
    assert not any(word in held.subscription.resource.lower() for word in ("body", "subject", "*"))
    plain = next(row for row in await office.scene.rows() if row.folder_id == sent.id)
    assert not plain.is_rich
    assert office.scene.at_graph(plain).encryption is None


async def test_a_rich_one_is_asked_for_less_life_than_graph_allows_and_renewed_at_half_of_it(office: Office) -> None:
    inbox = await office.inbox()
    assert inbox.expiration_date_time == A_MONDAY + timedelta(minutes=1_400)
    office.scene.clock.advance(timedelta(minutes=700))
    await office.keeper.run_due()
    assert (await office.inbox()).expiration_date_time == A_MONDAY + timedelta(minutes=2_100)
    assert (await office.inbox()).id == inbox.id


async def test_a_renewal_brings_the_new_certificate_and_the_old_key_stays_until_nothing_can_come_for_it(
    office: Office,
) -> None:
    await office.age(REPLACED_AFTER - 2 * DAY)
    await office.days(1)
    assert (await office.inbox()).encryption_certificate_id == "certificate 1"
    await office.days(2)
    inbox = await office.inbox()
    held = office.scene.at_graph(inbox)
    assert held.encryption is not None
    assert inbox.encryption_certificate_id == held.encryption.certificate_id == "certificate 2"
    assert await office.kept() == ["certificate 2", "certificate 1"]
    await office.days(3)
    assert await office.kept() == ["certificate 2"]


async def test_where_graph_takes_no_other_certificate_another_subscription_takes_the_place(office: Office) -> None:
    office.scene.graph.refuses_other_certificates = True
    before = await office.inbox()
    await office.age(REPLACED_AFTER)
    await office.days(1)
    after = await office.inbox()
    assert (after.id != before.id, after.is_rich, after.encryption_certificate_id) == (True, True, "certificate 2")
    assert (await office.trouble()).plain_until is None


async def test_where_encryption_is_refused_notifications_are_plain_for_a_day_and_it_is_said_why(scene: Scene) -> None:
    scene.graph.refuses_encryption = True
    office = Office(scene)
    await office.keeper.run_due()
    assert (await office.inbox()).state is SubscriptionState.LIVE
    assert not (await office.inbox()).is_rich
    trouble = await office.trouble()
    assert trouble.reason is not None
    assert "refused notifications with encrypted content" in trouble.reason
    scene.graph.refuses_encryption = False
    await office.days(0.9)
    assert not (await office.inbox()).is_rich
    await office.days(0.3)
    assert (await office.inbox()).is_rich


async def test_what_is_refused_plainly_too_is_not_the_encryptions_fault(scene: Scene) -> None:
    scene.graph.broken["create"] = GraphBusy("Graph has trouble of its own.")
    office = Office(scene)
    await office.keeper.run_due()
    scene.graph.calm()
    scene.clock.advance(timedelta(minutes=1))
    await office.keeper.run_due()
    assert (await office.inbox()).is_rich
    assert (await office.trouble()).reason is None


@pytest.mark.parametrize("refuses_doubles", [False, True])
async def test_switching_puts_another_in_its_place_and_listens_to_both_for_a_while(
    office: Office, refuses_doubles: bool
) -> None:
    office.scene.graph.refuses_doubles = refuses_doubles
    for rich in (False, True):
        before = await office.inbox()
        office.restart(rich=rich)
        await office.keeper.run_due()
        after = await office.inbox()
        assert (after.id != before.id, after.is_rich, after.state) == (True, rich, SubscriptionState.LIVE)
        overlapping = await office.scene.rows(SubscriptionState.SUPERSEDED)
        assert [row.id for row in overlapping] == ([] if refuses_doubles else [before.id])
        office.scene.clock.advance(OVERLAP + SECOND)
        await office.keeper.run_due()
        assert await office.scene.rows(SubscriptionState.SUPERSEDED) == []
        assert len(office.scene.inboxes_at_graph()) == 1


async def test_a_tenant_known_by_its_domain_alone_has_plain_ones(scene: Scene) -> None:
    await scene.store.write(by_domain, scene.account_id)
    office = Office(scene)
    await office.keeper.run_due()
    assert not (await office.inbox()).is_rich


def by_domain(tx: Transaction, account_id: str) -> None:
    account = accounts.get(tx, account_id)
    accounts.configure(
        tx,
        account_id,
        tenant_id="school.example",
        client_id=account.client_id or "",
        cloud="global",
        time_zone="UTC",
        now=A_MONDAY,
    )


@pytest.mark.parametrize("steps", range(1, 8))
async def test_a_crash_at_any_step_of_a_rotation_leaves_a_key_for_whatever_graph_encrypts(
    office: Office, steps: int
) -> None:
    await office.age(REPLACED_AFTER)
    office.scene.clock.advance(timedelta(hours=12))
    crashes = Crashes(after_steps=steps)
    office.scene.graph.on_call = crashes.step
    store = CrashingStore(office.scene.store, crashes)
    certificates = Certificates(store, KEY, office.scene.clock, make=office.maker)  # type: ignore[arg-type]
    keeper = Keeper(store, office.scene.graph, office.scene.clock, PUBLIC_URL, certificates=certificates, rich=True)  # type: ignore[arg-type]
    async with may_crash(crashes):
        await keeper.run_due()
    for held in office.scene.graph.held:
        assert held.encryption is None or held.encryption.certificate_id in await office.kept()
    office.scene.graph.on_call = lambda name: None
    office.restart(rich=True)
    await office.keeper.recover()
    await office.days(1)
    inbox = await office.inbox()
    held = office.scene.at_graph(inbox)
    assert held.encryption is not None
    assert held.encryption.certificate_id == inbox.encryption_certificate_id
    assert inbox.encryption_certificate_id in await office.kept()


async def test_one_sealed_with_another_master_key_is_replaced_at_the_next_renewal(office: Office) -> None:
    office.key = MasterKey.new()
    office.restart(rich=True)
    assert await office.certificates.keys(office.scene.account_id) == {}
    await office.days(1)
    assert (await office.inbox()).encryption_certificate_id == "certificate 2"


def test_a_certificate_is_usable_for_a_quarter_and_never_from_the_future() -> None:
    assert usable([stored("old", REPLACED_AFTER)], NOW) is None
    assert usable([stored("young", REPLACED_AFTER - SECOND)], NOW) is not None
    assert usable([stored("ahead", timedelta(hours=-30))], NOW) is None
    newest = usable([stored("one", DAY), stored("two", 2 * DAY)], NOW)
    assert newest is not None
    assert newest.id == "one"


def test_one_that_a_subscription_names_or_that_was_just_replaced_is_never_forgotten() -> None:
    old, new = stored("old", 91 * DAY), stored("new", KEPT_AFTER)
    assert obsolete([new, old], [], NOW) == [old]
    assert obsolete([new, old], ["old"], NOW) == []
    assert obsolete([replace(new, created_at=new.created_at + SECOND), old], [], NOW) == []
    assert obsolete([stored("alone", REPLACED_AFTER + KEPT_AFTER)], [], NOW) != []


@given(
    ages=st.lists(st.integers(0, 200 * 24), min_size=1, max_size=5, unique=True),
    hours=st.integers(0, 200 * 24),
)
def test_whatever_was_given_to_graph_within_a_rich_life_and_its_overlap_is_kept(ages: list[int], hours: int) -> None:
    known = [stored(str(age), timedelta(hours=age)) for age in ages]
    then = NOW - min(timedelta(hours=hours), LONGEST_RICH_LIFE + OVERLAP)
    given_then = usable([one for one in known if one.created_at <= then], then)
    assert given_then not in obsolete(known, [], NOW)


def test_a_wish_that_changes_recreates_one_and_leaves_the_other_alone() -> None:
    assert plan(RICH, NOW, notification_url=URL, rich=False) == Recreate()
    assert plan(LIVE, NOW, notification_url=URL, rich=True) == Recreate()
    due = replace(RICH, next_step_at=NOW)
    assert plan(due, NOW, notification_url=URL, rich=True) == Renew(until=NOW + LONGEST_RICH_LIFE)
    creating = replace(due, state=SubscriptionState.CREATING)
    assert plan(creating, NOW, notification_url=URL, rich=True) == Create(until=NOW + LONGEST_RICH_LIFE, rich=True)
    assert plan(creating, NOW, notification_url=URL, rich=False) == Create(until=NOW + LONGEST_LIFE)


def test_rich_notifications_are_given_up_after_many_unopened_requests_that_last() -> None:
    trouble = RichTrouble(folder_id="fld_1")
    for _ in range(1000):
        trouble = after_unopened(trouble, "why", NOW)
    assert trouble.plain_until is None
    patient = after_unopened(RichTrouble(folder_id="fld_1"), "why", NOW)
    assert after_unopened(patient, "why", NOW + DAY).plain_until is None
    given_up = after_unopened(trouble, "why", NOW + UNOPENED_FOR)
    assert (given_up.plain_until, given_up.reason) == (NOW + UNOPENED_FOR + PLAIN_FOR, "why")
    assert UNOPENED_TIMES > 2


def test_a_day_without_ends_also_when_the_clock_was_set_back() -> None:
    assert is_given_up(NOW + PLAIN_FOR, NOW)
    assert not is_given_up(NOW, NOW)
    assert not is_given_up(NOW + 3 * DAY, NOW)
    assert not is_given_up(None, NOW)
