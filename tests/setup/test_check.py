from datetime import timedelta

import pytest

import storage
from gateway.graph import CredentialRefused, EntraUnavailable, GraphError, TokenError, TokenErrorKind, Unreachable
from gateway.graph.token_errors import token_error_from
from gateway.setup.account import AccountConfiguration, configure
from gateway.setup.check import ConnectionCheck
from gateway.setup.report import Check, Report, Verdict
from gateway.setup.sign_in import ROLES
from storage import accounts, mailboxes
from storage.vault import MasterKey
from tests.fakes.clock import FakeClock
from tests.setup.fakes import CLIENT_ID, SECRET, TENANT_ID, FakeConnections, answered, token_with

DAY = timedelta(days=1)


class Doctor:
    def __init__(self, store: storage.Store, account_id: str, key: MasterKey, clock: FakeClock) -> None:
        self.store, self.account_id, self.key, self.clock = store, account_id, key, clock
        self.connections = FakeConnections()
        self.public_url: str | None = "https://mail.school.example"

    async def connect(self, *, days: int | None = 365) -> None:
        configuration = AccountConfiguration(
            tenant_id=TENANT_ID,
            client_id=CLIENT_ID,
            client_secret=SECRET,
            secret_expires_at=None if days is None else self.clock.now() + days * DAY,
        )
        await self.store.write(configure, self.account_id, configuration, key=self.key, now=self.clock.now())

    async def check(self) -> Report:
        check = ConnectionCheck(self.store, self.connections, self.clock, public_url=self.public_url)
        return await check.check(self.account_id)


@pytest.fixture
def doctor(store: storage.Store, account_id: str, key: MasterKey, clock: FakeClock) -> Doctor:
    return Doctor(store, account_id, key, clock)


def verdicts(report: Report) -> dict[str, str]:
    return {check.name: check.verdict.value for check in report.checks}


def one(report: Report, name: str) -> Check:
    return next(check for check in report.checks if check.name == name)


def refused(number: int, description: str = "") -> TokenError:
    payload = {
        "error": "invalid_client",
        "error_codes": [number],
        "error_description": f"AADSTS{number}: {description}",
    }
    return token_error_from({**payload, "correlation_id": "corr-1"}, status=401)


async def test_when_all_is_well_every_link_is_named_and_nothing_needs_a_cure(doctor: Doctor) -> None:
    await doctor.connect()
    report = await doctor.check()
    assert report.ok
    assert verdicts(report) == dict.fromkeys(
        [
            *("configuration", "ids", "tenant", "app", "credential", "token"),
            *("permissions", "graph", "secret_expiry", "notifications"),
        ],
        "ok",
    )
    assert {check.cure for check in report.checks} == {None}
    assert all(check.tried.endswith(".") and check.found.endswith(".") for check in report.checks)


async def test_an_account_with_nothing_entered_is_told_what_is_missing(doctor: Doctor) -> None:
    doctor.connections.connected = False
    report = await doctor.check()
    assert not report.ok
    assert verdicts(report) == {"configuration": "fail", "notifications": "ok"}
    assert one(report, "configuration").found == "Missing: tenant ID, client ID, client secret."


async def test_an_account_that_is_not_there_is_not_found(doctor: Doctor) -> None:
    doctor.account_id = "acc_of_nobody"
    with pytest.raises(storage.NotFound):
        await doctor.check()


@pytest.mark.parametrize(
    ("number", "link", "found", "cure"),
    [
        (7000222, "credential", "The client secret has expired. (AADSTS7000222)", "add a new client secret"),
        (7000215, "credential", "Entra does not accept the client secret. (AADSTS7000215)", "not its Secret ID"),
        (700016, "app", "There is no such app in this tenant. (AADSTS700016)", "Application (client) ID"),
        (90002, "tenant", "There is no such tenant. (AADSTS90002)", "Directory (tenant) ID"),
        (7000112, "app", "The app is disabled. (AADSTS7000112)", "Enterprise applications"),
    ],
)
async def test_a_refused_token_is_explained_with_its_number_and_cure(
    doctor: Doctor, number: int, link: str, found: str, cure: str
) -> None:
    await doctor.connect()
    doctor.connections.token = refused(number)
    report = await doctor.check()
    token = one(report, link)
    assert (report.ok, token.verdict) == (False, Verdict.FAIL)
    assert token.found == f"{found} Correlation ID corr-1."
    assert cure in (token.cure or "")
    assert "permissions" not in verdicts(report)
    assert "graph" not in verdicts(report)


async def test_entra_is_asked_now_and_not_remembered(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.connections.remembered = refused(7000222)
    assert verdicts(await doctor.check())["token"] == "ok"


async def test_an_entra_that_cannot_be_reached_is_a_failure_of_the_network(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.connections.token = EntraUnavailable("No answer.", kind=TokenErrorKind.TRANSIENT)
    token = one(await doctor.check(), "token")
    assert token.found == "Entra could not be reached or is busy."
    assert "check the network" in (token.cure or "")


async def test_missing_roles_are_a_warning_because_an_app_scoped_by_rbac_has_none(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.connections.token = token_with(["User.ReadBasic.All"])
    report = await doctor.check()
    permissions = one(report, "permissions")
    assert (report.ok, permissions.verdict) == (True, Verdict.WARN)
    assert permissions.found == "Granted: User.ReadBasic.All. Not in the token: Mail.Send, Mail.ReadWrite."
    assert "RBAC for Applications" in (permissions.cure or "")
    assert "admin consent" in (permissions.cure or "")


async def test_a_token_that_cannot_be_read_is_only_a_token_without_known_roles(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.connections.token = "opaque"
    assert one(await doctor.check(), "permissions").found == f"Not in the token: {', '.join(ROLES)}."


@pytest.mark.parametrize(
    ("error", "verdict", "sentence"),
    [
        (answered(404, "Request_ResourceNotFound"), "ok", "Graph answered."),
        (answered(403, "Authorization_RequestDenied"), "warn", "does not let this app look people up"),
        (answered(401, "InvalidAuthenticationToken"), "fail", "(401 InvalidAuthenticationToken, request req-1)"),
        (answered(429, "TooManyRequests"), "warn", "too often"),
        (answered(503, ""), "fail", "out of order"),
        (Unreachable(sent=False), "fail", "could not be reached"),
        (answered(200, ""), "fail", "not as Graph does"),
        (refused(7000222), "fail", "The client secret has expired"),
    ],
)
async def test_what_graph_answers_is_told_in_plain_words(
    doctor: Doctor, error: GraphError | TokenError, verdict: str, sentence: str
) -> None:
    await doctor.connect()
    doctor.connections.the_graph.user = error
    check = one(await doctor.check(), "graph")
    assert check.verdict.value == verdict
    assert sentence in check.found
    assert (check.cure is None) == (verdict == "ok")


async def test_graph_is_asked_about_a_mailbox_of_ours_or_about_an_id_that_is_nobodys(doctor: Doctor) -> None:
    await doctor.connect()
    await doctor.check()
    await doctor.store.write(mailboxes.add, doctor.account_id, "office@school.example", now=doctor.clock.now())
    await doctor.check()
    assert doctor.connections.the_graph.asked == [("user", CLIENT_ID), ("user", "office@school.example")]


class TestSecretExpiry:
    @pytest.mark.parametrize(("days", "verdict"), [(365, "ok"), (60, "ok"), (30, "warn"), (1, "warn")])
    async def test_the_end_draws_near(self, doctor: Doctor, days: int, verdict: str) -> None:
        await doctor.connect(days=days)
        assert verdicts(await doctor.check())["secret_expiry"] == verdict

    async def test_an_unknown_date_is_asked_for(self, doctor: Doctor) -> None:
        await doctor.connect(days=None)
        check = one(await doctor.check(), "secret_expiry")
        assert check.verdict is Verdict.WARN
        assert "column Expires" in (check.cure or "")

    async def test_a_passed_date_with_a_good_token_is_a_wrong_date(self, doctor: Doctor) -> None:
        await doctor.connect()
        doctor.clock.advance(366 * DAY)
        check = one(await doctor.check(), "secret_expiry")
        assert check.verdict is Verdict.WARN
        assert "the date is wrong" in check.found

    async def test_a_passed_date_without_a_token_is_an_expired_secret(self, doctor: Doctor) -> None:
        await doctor.connect()
        doctor.clock.advance(366 * DAY)
        doctor.connections.token = CredentialRefused(kind=TokenErrorKind.SECRET_EXPIRED)
        assert verdicts(await doctor.check())["secret_expiry"] == "fail"


async def test_without_a_public_address_it_says_that_sweeping_is_all_there_is(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.public_url = None
    report = await doctor.check()
    check = one(report, "notifications")
    assert (report.ok, check.verdict) == (True, Verdict.WARN)
    assert "sweeping only" in check.found
    assert "GATEWAY_PUBLIC_URL" in (check.cure or "")


async def test_the_secret_is_in_no_sentence(doctor: Doctor) -> None:
    await doctor.connect()
    doctor.connections.token = refused(7000215, "Invalid client secret provided.")
    report = await doctor.check()
    assert SECRET not in repr(report)


async def test_checking_changes_nothing_that_is_stored(doctor: Doctor) -> None:
    await doctor.connect()
    before = await doctor.store.read(accounts.get, doctor.account_id)
    await doctor.check()
    assert await doctor.store.read(accounts.get, doctor.account_id) == before
