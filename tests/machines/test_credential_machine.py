"""The credential slots under any order of adding, taking over, refusing, healing, forgetting, and new master keys."""

from contextlib import suppress
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from storage import Conflict, accounts, credentials, vault
from storage.credentials import Credential, CredentialKind, CredentialState, NewCredential
from storage.vault import MasterKey
from tests.fakes.clock import A_MONDAY
from tests.storage.fresh import opened

ACTIVE, STANDBY, PENDING = CredentialState.ACTIVE, CredentialState.STANDBY, CredentialState.PENDING
PROBLEM = {"code": "secret_wrong", "aadsts": 7000215, "explanation": "No.", "cure": "Another."}


class Slots(RuleBasedStateMachine):
    """One account. `values` has what each credential was made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tx = opened()
        self.key, self.now = MasterKey.new(), A_MONDAY
        vault.unlock(self.tx, self.key, now=self.now)
        self.account = accounts.add(self.tx, "SELMA", now=self.now).id
        self.values: dict[str, str] = {}
        self.was_connected = False

    def teardown(self) -> None:
        self.tx.close()

    def slot(self, state: CredentialState) -> Credential | None:
        return credentials.in_slot(self.tx, self.account, state)

    def tick(self) -> None:
        self.now += timedelta(minutes=1)

    @rule()
    def add(self) -> None:
        self.tick()
        value = f"secret-{len(self.values)}"
        new = NewCredential(kind=CredentialKind.CLIENT_SECRET, secret=value, hint=value)
        self.values[credentials.add(self.tx, self.account, new, key=self.key, now=self.now).id] = value

    @precondition(lambda self: self.slot(PENDING) is not None)
    @rule()
    def take_over(self) -> None:
        """A well one goes on standing by, or is followed by the one that was active and well."""
        self.tick()
        active, standby, pending = self.slot(ACTIVE), self.slot(STANDBY), self.slot(PENDING)
        credentials.take_over(self.tx, self.account)
        self.was_connected = True
        now_active, now_standby = self.slot(ACTIVE), self.slot(STANDBY)
        assert pending is not None
        assert now_active is not None
        assert now_active.id == pending.id
        well = [one.id for one in (active, standby) if one is not None and one.problem is None]
        if well:
            assert now_standby is not None
            assert now_standby.id == well[0]

    @rule(state=st.sampled_from([ACTIVE, STANDBY, PENDING]), takes=st.booleans())
    def ask(self, state: CredentialState, takes: bool) -> None:
        self.tick()
        one = self.slot(state)
        if one is None:
            return
        if takes:
            credentials.used(self.tx, self.account, one.id, now=self.now)
        else:
            is_news = credentials.refused(self.tx, self.account, one.id, PROBLEM, now=self.now)
            assert is_news == (one.problem is None)

    @rule(state=st.sampled_from([ACTIVE, STANDBY, PENDING]))
    def forget(self, state: CredentialState) -> None:
        one = self.slot(state)
        if one is not None:
            with suppress(Conflict):
                credentials.remove(self.tx, self.account, one.id)

    @rule()
    def replace_the_master_key(self) -> None:
        new = MasterKey.new()
        vault.bind_to(self.tx, self.key, new)
        assert credentials.reseal(self.tx, self.key, new) == len(credentials.slots(self.tx, self.account))
        self.key = new

    @invariant()
    def once_connected_always_connected(self) -> None:
        assert (self.slot(ACTIVE) is not None) == self.was_connected

    @invariant()
    def what_serves_opens_and_what_is_retired_is_gone(self) -> None:
        held = {one.id for one in credentials.slots(self.tx, self.account)}
        for id, value in self.values.items():
            one = credentials.get(self.tx, self.account, id)
            if id in held:
                assert one.open(self.key) == value
            else:
                assert (one.state, one.ciphertext) == (CredentialState.RETIRED, b"")

    @invariant()
    def the_active_one_is_asked_first(self) -> None:
        states = [one.state for one in credentials.serving(self.tx, self.account)]
        assert states in ([], [ACTIVE], [ACTIVE, STANDBY])


TestSlots = Slots.TestCase
TestSlots.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
