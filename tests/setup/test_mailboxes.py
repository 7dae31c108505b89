import asyncio
from datetime import timedelta
from typing import Any

import pytest

import storage
from gateway.connections import NotConnected
from gateway.graph import EntraUnavailable, GraphError, Profile, TokenErrorKind, Unreachable, User
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter, UnknownMailbox
from gateway.setup.account import BadConfiguration
from gateway.setup.mailboxes import Mailboxes, Validation
from gateway.setup.probe import FOLDERS
from gateway.threads.elsewhere import CHORE
from storage import chores, events, folders, mailboxes, subscriptions
from storage.folders import Folder, WellKnown
from storage.mailboxes import Mailbox, MailboxState
from storage.messages import BodyType
from storage.threads import Address
from tests.fakes.clock import FakeClock
from tests.setup.fakes import FakeConnections, FakeGraph, answered, token_with

OFFICE = "office@school.example"


class Desk:
    """An admin at Mailbox Set-up."""

    def __init__(self, store: storage.Store, account_id: str, clock: FakeClock) -> None:
        self.store, self.account_id, self.clock = store, account_id, clock
        self.connections = FakeConnections()
        self.mailboxes = Mailboxes(store, self.connections, clock)

    @property
    def graph(self) -> FakeGraph:
        return self.connections.the_graph

    async def add(self, address: str = OFFICE) -> Mailbox:
        return await self.mailboxes.add(self.account_id, address)

    async def validate(self, address: str = OFFICE) -> Validation:
        return await self.mailboxes.validate(self.account_id, address)

    async def mailbox(self, address: str = OFFICE) -> Mailbox:
        return await self.store.read(mailboxes.get_by_address, self.account_id, address)

    async def watched(self, mailbox: Mailbox) -> dict[WellKnown, Folder]:
        found = await self.store.read(folders.of_mailbox, mailbox.id)
        return {folder.well_known: folder for folder in found}

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        found = await self.store.read(events.after, self.account_id, 0, limit=100)
        return [(event.type, event.data) for event in found]


@pytest.fixture
def desk(store: storage.Store, account_id: str, clock: FakeClock) -> Desk:
    return Desk(store, account_id, clock)


class TestAdding:
    async def test_an_added_mailbox_waits_for_its_validation(self, desk: Desk) -> None:
        assert (await desk.add(f" {OFFICE} ")).state is MailboxState.ADDED
        assert (await desk.mailbox()).address == OFFICE

    async def test_the_same_address_in_another_case_is_there_already(self, desk: Desk) -> None:
        await desk.add()
        with pytest.raises(storage.AlreadyExists):
            await desk.add(OFFICE.upper())

    async def test_what_is_no_address_is_refused_with_a_sentence(self, desk: Desk) -> None:
        with pytest.raises(BadConfiguration) as refused:
            await desk.add("office")
        assert list(refused.value.problems) == ["address"]


class TestProved:
    async def test_a_mailbox_that_can_be_read_is_validated_and_its_two_folders_watched(self, desk: Desk) -> None:
        await desk.add()
        found = await desk.validate()
        assert found.ok
        assert found.mailbox == await desk.mailbox()
        assert (found.mailbox.state, found.mailbox.user_id) == (MailboxState.VALIDATED, "user-object-id")
        assert (found.mailbox.display_name, found.mailbox.validated_at) == ("Admissions", desk.clock.now())
        watched = await desk.watched(found.mailbox)
        assert {name: folder.folder_id for name, folder in watched.items()} == {
            WellKnown.INBOX: "AAMkInbox",
            WellKnown.SENT_ITEMS: "AAMkSent",
        }
        assert [check.name for check in found.checks] == ["user", "inbox", "sentitems", "reading", "draft"]

    async def test_mail_from_now_on_is_watched_with_slack_for_clocks_that_disagree(self, desk: Desk) -> None:
        await desk.add()
        watched = await desk.watched((await desk.validate()).mailbox)
        assert {folder.watch_since for folder in watched.values()} == {desk.clock.now() - timedelta(minutes=10)}

    async def test_it_is_told_to_the_host_and_wakes_those_who_watch(self, desk: Desk) -> None:
        mailbox = await desk.add()
        with desk.store.watching("subscriptions") as keeper, desk.store.watching("folders") as puller:
            await desk.validate()
            assert (keeper.is_set(), puller.is_set()) == (True, True)
        assert await desk.told() == [("mailbox.validated", {"mailbox_id": mailbox.id})]

    async def test_a_mailbox_with_a_history_is_looked_through_at_once(self, desk: Desk) -> None:
        await desk.add()
        later = desk.clock.now() + timedelta(minutes=50)
        await desk.store.write(chores.done, desk.account_id, CHORE, next_at=later)
        await desk.validate()
        assert await desk.store.read(chores.due, CHORE, desk.clock.now()) == [desk.account_id]

    async def test_the_user_is_asked_for_by_object_id_once_that_is_known(self, desk: Desk) -> None:
        await desk.add()
        await desk.validate()
        assert desk.graph.asked == [
            ("user", OFFICE),
            ("folder", "user-object-id", "inbox"),
            ("folder", "user-object-id", "sentitems"),
            ("delta", "user-object-id", "AAMkInbox"),
            ("draft", "user-object-id"),
            *[("delete", "user-object-id", "AAMkDraft")] * 2,
        ]

    async def test_when_people_cannot_be_looked_up_the_address_is_used(self, desk: Desk) -> None:
        desk.graph.user = answered(403, "Authorization_RequestDenied")
        await desk.add()
        found = await desk.validate()
        assert (found.ok, found.mailbox.state, found.mailbox.user_id) == (True, MailboxState.VALIDATED, OFFICE)
        assert found.checks[0].verdict.value == "warn"
        assert "User.ReadBasic.All" in (found.checks[0].cure or "")

    async def test_a_known_object_id_is_kept_when_people_can_no_longer_be_looked_up(self, desk: Desk) -> None:
        await desk.add()
        await desk.validate()
        desk.graph.user = answered(403, "Authorization_RequestDenied")
        assert (await desk.validate()).mailbox.user_id == "user-object-id"

    async def test_validating_again_goes_on_where_the_watching_stands(self, desk: Desk) -> None:
        await desk.add()
        first = await desk.watched((await desk.validate()).mailbox)
        inbox = first[WellKnown.INBOX]
        await desk.store.write(folders.advance, inbox.id, "https://graph/delta?1", unrelated=3)
        desk.clock.advance(timedelta(days=2))
        again = (await desk.watched((await desk.validate()).mailbox))[WellKnown.INBOX]
        assert (again.delta_link, again.watch_since, again.unrelated) == (
            "https://graph/delta?1",
            inbox.watch_since,
            3,
        )

    async def test_another_folder_behind_the_address_is_watched_from_now_on(self, desk: Desk) -> None:
        await desk.add()
        inbox = (await desk.watched((await desk.validate()).mailbox))[WellKnown.INBOX]
        await desk.store.write(folders.advance, inbox.id, "https://graph/delta?1", unrelated=3)
        desk.clock.advance(timedelta(days=2))
        desk.graph.folders["inbox"] = "AAMkOther"
        again = (await desk.watched((await desk.validate()).mailbox))[WellKnown.INBOX]
        assert (again.folder_id, again.delta_link) == ("AAMkOther", None)
        assert again.watch_since == desk.clock.now() - timedelta(minutes=10)


NOT_FOUND, NO_MAILBOX, REFUSED = "not_found", "no_mailbox", "access_policy"


class TestRefused:
    @pytest.mark.parametrize(
        ("step", "error", "code"),
        [
            ("user", answered(404, "Request_ResourceNotFound"), NOT_FOUND),
            ("user", answered(404, ""), NOT_FOUND),
            ("inbox", answered(404, "ErrorInvalidUser"), NOT_FOUND),
            ("inbox", answered(404, "Request_ResourceNotFound"), NOT_FOUND),
            ("inbox", answered(404, "MailboxNotEnabledForRESTAPI"), NO_MAILBOX),
            ("inbox", answered(404, "ErrorMailboxNotEnabledForRESTAPI"), NO_MAILBOX),
            ("inbox", answered(404, "mailboxnotenabledforrestapi"), NO_MAILBOX),
            ("inbox", answered(404, "ResourceNotFound"), NO_MAILBOX),
            ("inbox", answered(400, "ExtensionError"), NO_MAILBOX),
            ("inbox", answered(403, "ErrorAccessDenied"), REFUSED),
            ("inbox", answered(403, "Authorization_RequestDenied"), REFUSED),
            ("sentitems", answered(404, "ErrorItemNotFound"), NO_MAILBOX),
            ("sentitems", answered(403, "ErrorAccessDenied"), REFUSED),
            ("delta_page", answered(403, "ErrorAccessDenied"), REFUSED),
            ("draft", answered(403, "ErrorAccessDenied"), REFUSED),
            ("draft", answered(507, "ErrorQuotaExceeded"), "full"),
        ],
    )
    async def test_each_failure_is_told_apart_and_kept_with_its_cure(
        self, desk: Desk, step: str, error: GraphError, code: str
    ) -> None:
        setattr(desk.graph, step, error)
        mailbox = await desk.add()
        found = await desk.validate()
        assert (found.ok, found.mailbox.state) == (False, MailboxState.REFUSED)
        problem = found.mailbox.problem
        assert problem is not None
        assert set(problem) == {"code", "explanation", "cure"}
        assert (problem["code"], problem["explanation"]) == (code, found.checks[-1].found)
        assert problem["cure"] == found.checks[-1].cure
        assert await desk.told() == [("mailbox.refused", {"mailbox_id": mailbox.id, "code": code})]
        assert await desk.watched(mailbox) == {}

    @pytest.mark.parametrize(
        ("synchronised", "plan", "mail", "code"),
        [
            (False, False, OFFICE, "no_licence"),
            (False, True, OFFICE, "inactive"),
            (True, False, OFFICE, "on_premises"),
            (True, True, OFFICE, "on_premises"),
        ],
    )
    async def test_why_there_is_no_mailbox_is_told_where_whole_profiles_may_be_read(
        self, desk: Desk, synchronised: bool, plan: bool, mail: str, code: str
    ) -> None:
        desk.graph.inbox = answered(404, "MailboxNotEnabledForRESTAPI")
        desk.graph.profile = Profile(id="u", is_guest=False, is_synchronised=synchronised, has_exchange_plan=plan)
        await desk.add()
        problem = (await desk.validate()).mailbox.problem
        assert problem is not None
        assert problem["code"] == code

    async def test_a_guest_is_known_by_its_name(self, desk: Desk) -> None:
        desk.graph.name = "hana_gmail.example#EXT#@school.example"
        await desk.add()
        problem = (await desk.validate()).mailbox.problem
        assert problem is not None
        assert problem["code"] == "guest"
        assert [asked[0] for asked in desk.graph.asked] == ["user"]

    @pytest.mark.parametrize(
        ("roles", "others", "code"),
        [
            (["Mail.ReadWrite", "Mail.Send"], False, "access_policy"),
            (["Mail.ReadWrite", "Mail.Send"], True, "access_policy"),
            (["User.ReadBasic.All"], True, "rbac_scope"),
            (["User.ReadBasic.All"], False, "permission_missing"),
            ([], True, "rbac_scope"),
            ([], False, "access_refused"),
        ],
    )
    async def test_a_missing_permission_a_policy_and_a_scope_are_told_apart(
        self, desk: Desk, roles: list[str], others: bool, code: str
    ) -> None:
        if others:
            await desk.add("admissions@school.example")
            await desk.validate("admissions@school.example")
        desk.connections.token = token_with(roles)
        desk.graph.inbox = answered(403, "ErrorAccessDenied")
        await desk.add()
        problem = (await desk.validate()).mailbox.problem
        assert problem is not None
        assert problem["code"] == code

    async def test_leave_to_read_only_is_not_enough(self, desk: Desk) -> None:
        desk.connections.token = token_with(["Mail.Read", "Mail.Send"])
        desk.graph.draft = answered(403, "ErrorAccessDenied")
        await desk.add()
        problem = (await desk.validate()).mailbox.problem
        assert problem is not None
        assert problem["code"] == "cannot_write"

    async def test_a_draft_that_stays_is_said_and_does_no_harm(self, desk: Desk) -> None:
        desk.graph.deletion = answered(503, "")
        await desk.add()
        found = await desk.validate()
        assert (found.ok, found.mailbox.state) == (True, MailboxState.VALIDATED)
        assert "Delete it by hand" in (found.checks[-1].cure or "")

    async def test_a_deleted_user_can_be_restored(self, desk: Desk) -> None:
        desk.graph.user = answered(404, "Request_ResourceNotFound")
        desk.graph.deleted = person(f"0f0f{OFFICE}")
        await desk.add()
        problem = (await desk.validate()).mailbox.problem
        assert problem is not None
        assert problem["code"] == "deleted"

    async def test_nothing_is_asked_after_the_first_failure(self, desk: Desk) -> None:
        desk.graph.inbox = answered(403, "ErrorAccessDenied")
        await desk.add()
        await desk.validate()
        assert [asked[0] for asked in desk.graph.asked] == ["user", "folder"]

    async def test_a_refused_mailbox_that_is_mended_is_validated(self, desk: Desk) -> None:
        desk.graph.inbox = answered(404, "MailboxNotEnabledForRESTAPI")
        await desk.add()
        await desk.validate()
        desk.graph.inbox = None
        mailbox = (await desk.validate()).mailbox
        assert (mailbox.state, mailbox.problem) == (MailboxState.VALIDATED, None)

    async def test_a_validated_mailbox_that_is_shut_is_refused(self, desk: Desk) -> None:
        await desk.add()
        await desk.validate()
        desk.graph.delta_page = answered(403, "ErrorAccessDenied")
        assert (await desk.validate()).mailbox.state is MailboxState.REFUSED


class TestAliases:
    """An address that leads to a mailbox with another one. Letters leave from the primary address whatever is asked."""

    @pytest.fixture
    def alias(self, desk: Desk) -> str:
        desk.graph.user = answered(404, "Request_ResourceNotFound")
        desk.graph.by_alias = person(OFFICE)
        return "enrolments@school.example"

    async def test_the_mailbox_is_kept_under_its_primary_address(self, desk: Desk, alias: str) -> None:
        added = await desk.add(alias)
        found = await desk.validate(alias)
        assert (found.ok, found.mailbox.id, found.mailbox.address) == (True, added.id, OFFICE)
        assert await desk.store.read(mailboxes.aliases_of, added.id) == [alias]
        assert f"{alias} is another address of the mailbox {OFFICE}" in found.checks[1].found

    async def test_a_letter_from_the_alias_is_told_which_address_to_use(self, desk: Desk, alias: str) -> None:
        await desk.add(alias)
        await desk.validate(alias)
        with pytest.raises(UnknownMailbox, match=f"Post the letter from {OFFICE}"):
            await send_test_message_from(desk, alias)
        with pytest.raises(storage.NotFound, match=f"another address of the mailbox {OFFICE}"):
            await desk.mailbox(alias)

    async def test_a_mailbox_that_is_there_already_stays_the_one(self, desk: Desk, alias: str) -> None:
        desk.graph.user, known = None, await desk.add()
        await desk.validate()
        desk.graph.user = answered(404, "Request_ResourceNotFound")
        await desk.add(alias)
        assert (await desk.validate(alias)).mailbox.id == known.id
        assert [one.address for one in await desk.store.read(mailboxes.list_mailboxes, desk.account_id)] == [OFFICE]

    async def test_one_that_was_removed_comes_back_with_its_threads(self, desk: Desk, alias: str) -> None:
        first = await desk.add()
        await desk.mailboxes.remove(desk.account_id, OFFICE)
        await desk.add(alias)
        found = (await desk.validate(alias)).mailbox
        assert (found.id, found.state) == (first.id, MailboxState.VALIDATED)

    async def test_two_that_were_both_in_use_stay_two(self, desk: Desk) -> None:
        both = [await desk.add(OFFICE), await desk.add("enrolments@school.example")]
        for one in both:
            await desk.validate(one.address)
        desk.graph.mail = OFFICE
        found = (await desk.validate("enrolments@school.example")).mailbox
        assert (found.id, found.address, found.state) == (both[1].id, both[1].address, MailboxState.VALIDATED)

    async def test_an_alias_that_becomes_a_mailbox_of_its_own_is_one(self, desk: Desk, alias: str) -> None:
        await desk.add(alias)
        await desk.validate(alias)
        desk.graph.user = None
        await desk.add(alias)
        assert (await desk.validate(alias)).mailbox.address == alias
        assert await desk.store.read(mailboxes.by_alias, desk.account_id, alias) is None

    async def test_a_name_to_sign_in_with_leads_to_the_primary_address_too(self, desk: Desk) -> None:
        desk.graph.mail = OFFICE
        await desk.add("office@school.onmicrosoft.example")
        assert (await desk.validate("office@school.onmicrosoft.example")).mailbox.address == OFFICE

    async def test_an_outage_while_an_alias_is_looked_for_decides_nothing(self, desk: Desk, alias: str) -> None:
        desk.graph.by_mail = answered(503, "")
        await desk.add(alias)
        assert (await desk.validate(alias)).mailbox.state is MailboxState.ADDED


async def send_test_message_from(desk: Desk, address: str) -> None:
    letter = NewLetter(
        sender=address,
        to=(Address(name=None, address="maia@student.example"),),
        subject="Your enrolment",
        body_type=BodyType.TEXT,
        body="Kia ora",
    )
    await desk.store.write(accept, desk.account_id, letter, idempotency_key=None, now=desk.clock.now())


def person(address: str) -> User:
    return User(id="user-object-id", display_name="Office", mail=address, user_principal_name=address)


NO_VERDICTS = [
    answered(429, "ApplicationThrottled"),
    answered(503, ""),
    answered(503, "ExtensionError"),
    answered(504, "UnknownError"),
    answered(401, "InvalidAuthenticationToken"),
    answered(400, "BadRequest"),
    Unreachable(sent=False),
    EntraUnavailable(kind=TokenErrorKind.TRANSIENT),
]


class TestNothingDecided:
    @pytest.mark.parametrize("error", NO_VERDICTS, ids=lambda error: type(error).__name__)
    @pytest.mark.parametrize("step", ["user", "inbox", "sentitems", "delta_page", "draft"])
    @pytest.mark.parametrize("before", ["added", "validated"])
    async def test_trouble_that_says_nothing_of_the_mailbox_leaves_it_as_it_was(
        self, desk: Desk, error: GraphError, step: str, before: str
    ) -> None:
        await desk.add()
        if before == "validated":
            await desk.validate()
        stood, told = await desk.mailbox(), await desk.told()
        setattr(desk.graph, step, error)
        found = await desk.validate()
        assert not found.ok
        assert found.mailbox == stood
        assert "says nothing of the mailbox" in found.checks[-1].found
        assert found.checks[-1].cure
        assert await desk.told() == told

    async def test_without_a_connection_nobody_is_asked(self, desk: Desk) -> None:
        await desk.add()
        desk.connections.connected = False
        with pytest.raises(NotConnected):
            await desk.validate()
        assert (await desk.mailbox()).state is MailboxState.ADDED

    async def test_an_address_that_was_not_added_is_not_found(self, desk: Desk) -> None:
        with pytest.raises(storage.NotFound, match="Add it under Mailbox Set-up"):
            await desk.validate("stranger@school.example")


class TestAtOnce:
    async def test_several_validations_run_side_by_side(self, desk: Desk) -> None:
        addresses = [f"box{number}@school.example" for number in range(5)]
        for address in addresses:
            await desk.add(address)
        desk.graph.meeting = asyncio.Barrier(len(addresses))
        async with asyncio.TaskGroup() as group:
            validations = [group.create_task(desk.validate(address)) for address in addresses]
        assert all(validation.result().ok for validation in validations)

    async def test_a_mailbox_removed_while_it_is_validated_stays_removed(self, desk: Desk) -> None:
        removed = await desk.add()
        desk.graph.meeting = asyncio.Barrier(2)

        async def validate() -> None:
            with pytest.raises(storage.NotFound):
                await desk.validate()

        async with asyncio.TaskGroup() as group:
            group.create_task(validate())
            await desk.graph.meeting.wait()
            await desk.mailboxes.remove(desk.account_id, OFFICE)
            await desk.graph.meeting.wait()
        assert (await desk.store.read(mailboxes.get, removed.id)).state is MailboxState.REMOVED


class TestRemoving:
    async def test_a_removed_mailbox_is_gone_from_sight_and_no_longer_watched(self, desk: Desk) -> None:
        mailbox = await desk.add()
        await desk.validate()
        with desk.store.watching("subscriptions") as keeper, desk.store.watching("outbox") as worker:
            await desk.mailboxes.remove(desk.account_id, OFFICE.upper())
            assert (keeper.is_set(), worker.is_set()) == (True, True)
        assert await desk.store.read(mailboxes.list_mailboxes, desk.account_id) == []
        assert await desk.store.read(subscriptions.unwatched_folders) == []
        claim = {"owner": "me", "now": desk.clock.now(), "lease_ends_at": desk.clock.now(), "limit": 10}
        assert await desk.store.write(folders.claim_due, **claim) == []
        assert (await desk.told())[-1] == ("mailbox.removed", {"mailbox_id": mailbox.id})

    async def test_added_again_it_goes_on_as_the_mailbox_it_was(self, desk: Desk) -> None:
        first = await desk.add()
        before = await desk.watched((await desk.validate()).mailbox)
        await desk.mailboxes.remove(desk.account_id, OFFICE)
        again = await desk.add(OFFICE.upper())
        assert (again.id, again.state) == (first.id, MailboxState.ADDED)
        desk.clock.advance(timedelta(days=3))
        after = await desk.watched((await desk.validate(OFFICE)).mailbox)
        assert after[WellKnown.INBOX].id == before[WellKnown.INBOX].id
        assert after[WellKnown.INBOX].watch_since == before[WellKnown.INBOX].watch_since

    async def test_removing_what_is_not_there_is_not_found(self, desk: Desk) -> None:
        with pytest.raises(storage.NotFound):
            await desk.mailboxes.remove(desk.account_id, OFFICE)


def test_both_watched_folders_are_opened() -> None:
    assert set(FOLDERS) == set(WellKnown)
