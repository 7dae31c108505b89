"""Least privilege: commands for exactly the validated mailboxes, and a proof that means something."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import storage
from gateway.setup.account import BadConfiguration
from gateway.setup.confinement import ConfinementWatch
from gateway.setup.least_privilege import quoted, scripts
from storage import confinements, events, mailboxes
from storage.confinements import Confinement, ConfinementState
from tests.setup.fakes import CLIENT_ID
from tests.setup.school import DAY, Scene, connected_school

OURS, OTHER = "office@school.example", "headmaster@school.example"


@dataclass
class Watch:
    scene: Scene

    @property
    def watch(self) -> ConfinementWatch:
        return ConfinementWatch(self.scene.store, self.scene.connections, self.scene.clock)

    def confine(self, *addresses: str) -> None:
        self.scene.sandbox.world.restrict(self.scene.app, addresses)

    def let_everywhere(self) -> None:
        self.scene.sandbox.world.restrict(self.scene.app, None)

    async def prove(self, address: str = OTHER) -> Confinement:
        return await self.watch.prove(self.scene.account_id, address)

    async def next_day(self) -> Confinement:
        self.scene.clock.advance(DAY)
        await self.watch.run_due()
        found = await self.scene.store.read(confinements.get, self.scene.account_id)
        assert found is not None
        return found

    async def told(self) -> list[str]:
        found = await self.scene.store.read(events.after, self.scene.account_id, 0, limit=100)
        return [event.type for event in found if event.type.startswith("confinement")]


@pytest.fixture
async def at(tmp_path: Path) -> AsyncIterator[Watch]:
    async with connected_school(tmp_path) as scene:
        scene.sandbox.world.add_user(OTHER, "Headmaster")
        mailbox = await scene.store.write(mailboxes.add, scene.account_id, OURS, now=scene.clock.now())
        await scene.store.write(
            mailboxes.mark_validated, mailbox.id, user_id=OURS, display_name=None, now=scene.clock.now()
        )
        yield Watch(scene)


class TestScripts:
    def test_they_name_the_app_and_exactly_the_mailboxes(self) -> None:
        made = scripts(CLIENT_ID, [OURS, "o'brien@school.example"])
        for script in (made.rbac, made.policy):
            assert f"-Members @('{OURS}', 'o''brien@school.example')" in script
            assert CLIENT_ID in script
        for role in ("Application Mail.ReadWrite", "Application Mail.Send"):
            assert f"-Role '{role}'" in made.rbac
        assert "Remove-MgServicePrincipalAppRoleAssignment" in made.rbac
        assert "New-ApplicationAccessPolicy" in made.policy

    @pytest.mark.parametrize("text", ["a'; Remove-Mailbox x; '", "a’; Remove-Mailbox x; ’", "$(Remove-Mailbox x)"])
    def test_nothing_in_an_address_can_become_a_command(self, text: str) -> None:
        within = quoted(text)[1:-1]
        for quote in "'‘’‚‛":
            within = within.replace(quote * 2, "")
            assert quote not in within
        assert quoted(text)[0] == quoted(text)[-1] == "'"


async def test_a_mailbox_that_is_refused_while_ours_opens_is_the_proof(at: Watch) -> None:
    at.confine(OURS)
    proof = await at.prove()
    assert (proof.state, proof.proved_at) == (ConfinementState.REFUSED, at.scene.clock.now())
    assert await at.told() == ["confinement.proved"]


async def test_one_that_opens_is_an_alarm(at: Watch, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        proof = await at.prove()
    assert (proof.state, proof.proved_at) == (ConfinementState.READABLE, None)
    assert await at.told() == ["confinement.missing"]
    assert [one.message for one in caplog.records] == ["the app can open a mailbox that it must not"]
    assert OTHER not in caplog.text


async def test_it_is_tried_daily_and_the_alarm_comes_once_when_it_turns_readable(at: Watch) -> None:
    at.confine(OURS)
    first = await at.prove()
    assert (await at.next_day()).proved_at == first.proved_at + DAY if first.proved_at else False
    at.let_everywhere()
    opened = await at.next_day()
    await at.next_day()
    assert (opened.state, opened.proved_at) == (ConfinementState.READABLE, at.scene.clock.now() - 2 * DAY)
    assert await at.told() == ["confinement.proved", "confinement.missing"]
    at.confine(OURS)
    assert (await at.next_day()).state is ConfinementState.REFUSED
    assert await at.told() == ["confinement.proved", "confinement.missing", "confinement.proved"]


async def test_nothing_is_tried_before_a_day_has_passed(at: Watch) -> None:
    at.confine(OURS)
    await at.prove()
    at.scene.clock.advance(DAY - timedelta(minutes=1))
    assert await at.watch.run_due() == 0


async def test_an_app_that_is_refused_everywhere_proves_nothing(at: Watch) -> None:
    at.confine()
    proof = await at.prove()
    assert proof.state is ConfinementState.UNKNOWN
    assert "validated mailboxes too" in proof.detail


async def test_a_mailbox_that_is_not_there_proves_nothing(at: Watch) -> None:
    at.confine(OURS)
    proof = await at.prove("nobody@school.example")
    assert (proof.state, "no mailbox with this address" in proof.detail) == (ConfinementState.UNKNOWN, True)


async def test_an_outage_changes_nothing_that_was_proved(at: Watch) -> None:
    at.confine(OURS)
    await at.prove()
    at.scene.way.is_down = True
    later = await at.next_day()
    assert (later.state, later.checked_at) == (ConfinementState.REFUSED, at.scene.clock.now())
    assert await at.told() == ["confinement.proved"]


async def test_another_mailbox_is_another_question(at: Watch) -> None:
    at.confine(OURS)
    await at.prove()
    assert (await at.prove("nobody@school.example")).proved_at is None


async def test_one_of_ours_and_what_is_no_address_are_not_taken(at: Watch) -> None:
    for address in (OURS.upper(), "not an address"):
        with pytest.raises(BadConfiguration):
            await at.prove(address)


async def test_before_a_mailbox_is_validated_there_is_nothing_to_limit_to(at: Watch) -> None:
    mailbox = await at.scene.store.read(mailboxes.get_by_address, at.scene.account_id, OURS)
    await at.scene.store.write(mailboxes.mark_removed, mailbox.id)
    with pytest.raises(storage.Conflict, match="validate"):
        await at.watch.show(at.scene.account_id)
