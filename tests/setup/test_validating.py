"""Many mailboxes at once, and each kind of mailbox as the sandbox's Graph answers for it."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import httpx
import pytest

import storage
from gateway.connections import Connections
from gateway.sandbox import Sandbox, school
from gateway.sandbox.model import App, MailboxKind
from gateway.settings import Settings
from gateway.setup.account import AccountConfiguration, BadConfiguration, configure
from gateway.setup.mailboxes import Mailboxes
from gateway.setup.validating import MOST, Validating, ask
from storage import accounts, mailboxes, validations
from storage.mailboxes import MailboxState
from storage.validations import Outcome, Validation
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.fire.one_clock import ToGraph, login_client

OFFICE = "office@school.example"


class Desk:
    """An admin with a list of addresses, and the school's Microsoft 365 in the sandbox."""

    def __init__(self, store: storage.Store, account_id: str, clock: FakeClock, sandbox: Sandbox, app: App) -> None:
        self.store, self.account_id, self.clock = store, account_id, clock
        self.sandbox, self.app = sandbox, app
        self.validating: Validating

    async def ask(self, *addresses: str) -> str:
        return await self.store.write(ask, self.account_id, addresses, now=self.clock.now())

    async def look(self, validation_id: str) -> Validation:
        return await self.store.read(validations.get, self.account_id, validation_id)

    async def tried(self, *addresses: str) -> Validation:
        validation_id = await self.ask(*addresses)
        while await self.validating.run_due():
            pass
        return await self.look(validation_id)

    async def codes(self, *addresses: str) -> Sequence[str]:
        """What stands in the way of each, or its state."""
        found = await self.tried(*addresses)
        told = []
        for item in found.items:
            assert item.mailbox_id is not None
            mailbox = await self.store.read(mailboxes.get, item.mailbox_id)
            told.append(mailbox.problem["code"] if mailbox.problem else mailbox.state.value)
        return told


@pytest.fixture
async def desk(
    store: storage.Store, account_id: str, clock: FakeClock, key: MasterKey, tmp_path: Path
) -> AsyncIterator[Desk]:
    async with httpx.AsyncClient() as outside:
        sandbox = Sandbox(clock=clock, http=outside)
        built, way = school.build(sandbox), ToGraph(sandbox)
        async with httpx.AsyncClient(transport=way) as http:
            login = login_client(sandbox, way)
            connections = Connections(store, key, Settings(), clock, http=http, login_http=login)
            configuration = AccountConfiguration(
                tenant_id=built.tenant_id,
                client_id=built.client_id,
                client_secret=built.client_secret,
                secret_expires_at=built.secret_expires_at,
            )
            await store.write(configure, account_id, configuration, key=key, now=clock.now())
            desk = Desk(store, account_id, clock, sandbox, sandbox.world.directory.apps[built.client_id])
            desk.validating = Validating(store, Mailboxes(store, connections, clock), clock)
            yield desk


KINDS = {
    OFFICE: ("validated", "validated"),
    "international@school.example": ("validated", "validated"),
    "nobody@school.example": ("not_found", "not_found"),
    "enrolments@school.example": ("not_found", "validated"),
    "principal@school.example": ("no_mailbox", "no_licence"),
    "workshop@school.example": ("no_mailbox", "on_premises"),
    "leavers@school.example": ("no_mailbox", "inactive"),
    "archive@school.example": ("not_found", "deleted"),
    "relief@partner.example": ("guest", "guest"),
}


async def test_each_kind_of_mailbox_is_told_as_far_as_the_three_permissions_show_it(desk: Desk) -> None:
    assert dict(zip(KINDS, await desk.codes(*KINDS), strict=True)) == {one: basic for one, (basic, _) in KINDS.items()}


async def test_with_leave_to_read_profiles_each_is_told_apart(desk: Desk) -> None:
    desk.app.roles |= {"User.Read.All"}
    assert dict(zip(KINDS, await desk.codes(*KINDS), strict=True)) == {one: whole for one, (_, whole) in KINDS.items()}
    assert await desk.store.read(mailboxes.by_alias, desk.account_id, "enrolments@school.example") is not None


async def test_what_a_policy_and_a_scope_leave_out_is_told_apart(desk: Desk) -> None:
    desk.sandbox.world.restrict(desk.app, [OFFICE])
    assert await desk.codes(OFFICE, "admissions@school.example") == ["validated", "access_policy"]
    desk.sandbox.world.restrict(desk.app, None)
    desk.sandbox.world.scope(desk.app, [OFFICE])
    assert await desk.codes("admissions@school.example") == ["validated"]  # Entra's grants know no scope


async def test_rights_by_rbac_alone_end_at_their_scope(desk: Desk) -> None:
    desk.app.roles = frozenset({"User.ReadBasic.All"})
    desk.sandbox.world.scope(desk.app, [OFFICE])
    assert await desk.codes(OFFICE) == ["validated"]
    assert await desk.codes("admissions@school.example") == ["rbac_scope"]


async def test_a_deleted_mailbox_that_is_restored_is_validated(desk: Desk) -> None:
    desk.sandbox.world.restore_user("archive@school.example")
    assert await desk.codes("archive@school.example") == ["validated"]


async def test_a_licence_that_comes_is_enough(desk: Desk) -> None:
    assert await desk.codes("principal@school.example") == ["no_mailbox"]
    desk.sandbox.world.mailbox("principal@school.example").user.kind = MailboxKind.USER
    assert await desk.codes("principal@school.example") == ["validated"]


async def test_no_draft_of_the_probe_stays_in_the_mailbox(desk: Desk) -> None:
    before = {one.id for one in desk.sandbox.world.mailbox(OFFICE).messages()}
    await desk.codes(OFFICE)
    assert {one.id for one in desk.sandbox.world.mailbox(OFFICE).messages()} == before


async def test_how_far_it_is_can_be_seen_and_a_restart_goes_on_there(desk: Desk) -> None:
    validation_id = await desk.ask(*KINDS)
    assert await desk.validating.run_due() == 4
    found = await desk.look(validation_id)
    assert ([item.outcome is not None for item in found.items].count(True), found.finished) == (4, False)
    while await desk.validating.run_due():
        pass
    assert (await desk.look(validation_id)).finished


async def test_an_outage_is_no_verdict(desk: Desk) -> None:
    await desk.store.write(accounts.add, "Another", now=desk.clock.now())
    desk.app.is_enabled = False
    found = await desk.tried(OFFICE)
    assert found.items[0].outcome is Outcome.UNDECIDED
    assert found.items[0].checks[-1]["found"]
    mailbox = await desk.store.read(mailboxes.get_by_address, desk.account_id, OFFICE)
    assert mailbox.state is MailboxState.ADDED


async def test_what_is_no_address_is_named_before_anything_is_asked(desk: Desk) -> None:
    with pytest.raises(BadConfiguration) as refused:
        await desk.ask(OFFICE, "office", "also not")
    assert list(refused.value.problems) == ["addresses/1", "addresses/2"]
    with pytest.raises(BadConfiguration, match="at most 200"):
        await desk.ask(*(f"box{number}@school.example" for number in range(MOST + 1)))
    assert await desk.store.read(validations.to_do, limit=9) == []


async def test_an_address_that_comes_twice_counts_once(desk: Desk) -> None:
    found = await desk.tried(OFFICE, OFFICE.upper())
    assert [item.address for item in found.items] == [OFFICE.upper()]
