from dataclasses import replace
from datetime import datetime, timedelta

import pytest

import storage
from gateway.setup.account import AccountConfiguration, BadConfiguration, configure, correct_expiry
from gateway.setup.expiry import CHORE
from storage import accounts, chores, credentials
from storage.accounts import TokenState
from storage.credentials import Credential
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.setup.fakes import CLIENT_ID, SECRET, TENANT_ID

DAY = timedelta(days=1)


class Desk:
    """An admin at the settings of one account."""

    def __init__(self, store: storage.Store, account_id: str, key: MasterKey, clock: FakeClock) -> None:
        self.store, self.account_id, self.key, self.clock = store, account_id, key, clock
        self.form = AccountConfiguration(
            tenant_id=TENANT_ID,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            secret_expires_at=clock.now() + 365 * DAY,
            cloud="global",
            time_zone="Pacific/Auckland",
        )

    async def enter(self, configuration: AccountConfiguration) -> None:
        await self.store.write(configure, self.account_id, configuration, key=self.key, now=self.clock.now())

    async def correct_expiry(self, expires_at: datetime | None) -> None:
        await self.store.write(correct_expiry, self.account_id, expires_at, now=self.clock.now())

    async def account(self) -> accounts.Account:
        return await self.store.read(accounts.get, self.account_id)

    async def credential(self) -> Credential:
        found = await self.store.read(credentials.active, self.account_id)
        assert found is not None
        return found


@pytest.fixture
def desk(store: storage.Store, account_id: str, key: MasterKey, clock: FakeClock) -> Desk:
    return Desk(store, account_id, key, clock)


async def test_what_was_entered_is_stored_and_the_secret_opens_with_the_master_key_only(desk: Desk) -> None:
    await desk.enter(desk.form)
    account, credential = await desk.account(), await desk.credential()
    assert (account.tenant_id, account.client_id, account.time_zone) == (TENANT_ID, CLIENT_ID, "Pacific/Auckland")
    assert (credential.open(desk.key), credential.hint) == (SECRET, SECRET[:3])
    assert credential.expires_at == desk.form.secret_expires_at
    assert SECRET.encode() not in credential.ciphertext
    with pytest.raises(storage.WrongMasterKey):
        credential.open(MasterKey.new())


async def test_blanks_that_came_along_with_copying_are_dropped(desk: Desk) -> None:
    await desk.enter(
        replace(desk.form, tenant_id=f" {TENANT_ID.upper()}\n", client_id=f"\t{CLIENT_ID}", client_secret=f"{SECRET} ")
    )
    assert ((await desk.account()).tenant_id, (await desk.account()).client_id) == (TENANT_ID, CLIENT_ID)
    assert (await desk.credential()).open(desk.key) == SECRET


@pytest.mark.parametrize("empty", [None, "", "  "])
async def test_without_a_new_secret_the_old_one_and_its_date_stay(desk: Desk, empty: str | None) -> None:
    await desk.enter(desk.form)
    before = await desk.credential()
    await desk.enter(replace(desk.form, client_secret=empty, secret_expires_at=None, time_zone="UTC"))
    assert await desk.credential() == before
    assert (await desk.account()).time_zone == "UTC"


async def test_the_same_secret_sent_again_changes_nothing(desk: Desk) -> None:
    await desk.enter(desk.form)
    before = await desk.credential()
    await desk.store.write(credentials.record_warning, before, 90, now=desk.clock.now())
    await desk.enter(desk.form)
    assert await desk.credential() == before
    assert await desk.store.read(credentials.warnings_given, before.id, latest=desk.clock.now()) == [90]


async def test_a_new_secret_replaces_the_old_one_with_its_date(desk: Desk) -> None:
    await desk.enter(desk.form)
    before = await desk.credential()
    await desk.enter(replace(desk.form, client_secret="another~value", secret_expires_at=None))
    after = await desk.credential()
    assert (after.open(desk.key), after.expires_at) == ("another~value", None)
    assert after.id != before.id


async def test_the_first_time_a_secret_is_needed(desk: Desk) -> None:
    with pytest.raises(BadConfiguration) as refused:
        await desk.enter(replace(desk.form, client_secret=None))
    assert list(refused.value.problems) == ["client_secret"]
    assert (await desk.account()).tenant_id is None


async def test_every_bad_value_is_named_at_once_and_nothing_is_stored(desk: Desk) -> None:
    bad = AccountConfiguration(
        tenant_id="school",
        client_id="app",
        client_secret=CLIENT_ID,
        secret_expires_at=desk.clock.now() - DAY,
        cloud="moon",
        time_zone="Narnia",
    )
    with pytest.raises(BadConfiguration) as refused:
        await desk.enter(bad)
    assert list(refused.value.problems) == [
        "tenant_id",
        "client_id",
        "client_secret",
        "secret_expires_at",
        "cloud",
        "time_zone",
    ]
    assert (await desk.account()).tenant_id is None
    assert await desk.store.read(credentials.active, desk.account_id) is None


async def test_the_tenant_id_entered_twice_is_noticed(desk: Desk) -> None:
    with pytest.raises(BadConfiguration) as refused:
        await desk.enter(replace(desk.form, client_id=TENANT_ID.upper()))
    assert "tenant ID again" in refused.value.problems["client_id"]


async def test_an_account_that_is_not_there_is_not_found(desk: Desk) -> None:
    desk.account_id = "acc_of_nobody"
    with pytest.raises(storage.NotFound):
        await desk.enter(desk.form)


async def test_a_new_secret_wipes_what_was_known_of_the_old_one(desk: Desk) -> None:
    await desk.enter(desk.form)
    problem = {"code": "secret_expired"}
    await desk.store.write(
        accounts.record_token, desk.account_id, TokenState.REFUSED, problem=problem, now=desk.clock.now()
    )
    await desk.enter(replace(desk.form, client_secret=None, time_zone="UTC"))
    assert (await desk.account()).token_state is TokenState.REFUSED
    await desk.enter(replace(desk.form, client_secret="another~value"))
    assert (await desk.account()).token_state is TokenState.UNKNOWN


class TestDate:
    async def test_it_can_be_corrected_alone(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        before = await desk.credential()
        later = desk.clock.now() + 400 * DAY
        await desk.correct_expiry(later)
        assert await desk.credential() == replace(before, expires_at=later)

    async def test_it_can_be_corrected_with_the_whole_form(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        later = desk.clock.now() + 400 * DAY
        await desk.enter(replace(desk.form, client_secret=None, secret_expires_at=later))
        assert (await desk.credential()).expires_at == later

    async def test_it_can_become_unknown(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        await desk.correct_expiry(None)
        assert (await desk.credential()).expires_at is None

    async def test_without_a_secret_there_is_nothing_to_date(self, desk: Desk) -> None:
        with pytest.raises(storage.Conflict, match="Enter the secret first"):
            await desk.correct_expiry(desk.clock.now() + DAY)

    async def test_a_past_date_is_refused(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        with pytest.raises(BadConfiguration) as refused:
            await desk.correct_expiry(desk.clock.now())
        assert list(refused.value.problems) == ["secret_expires_at"]

    async def test_a_stored_date_that_has_passed_does_not_stand_in_the_way_of_other_changes(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        desk.clock.advance(366 * DAY)
        await desk.enter(replace(desk.form, client_secret=None, time_zone="UTC"))
        assert (await desk.account()).time_zone == "UTC"

    async def test_a_corrected_date_has_its_warnings_forgotten_and_is_looked_at_now(self, desk: Desk) -> None:
        await desk.enter(desk.form)
        credential = await desk.credential()
        await desk.store.write(credentials.record_warning, credential, 90, now=desk.clock.now())
        await desk.store.write(chores.done, desk.account_id, CHORE, next_at=desk.clock.now() + DAY)
        await desk.correct_expiry(desk.clock.now() + 20 * DAY)
        assert await desk.store.read(credentials.warnings_given, credential.id, latest=desk.clock.now()) == []
        assert await desk.store.read(chores.due, CHORE, desk.clock.now()) == [desk.account_id]
