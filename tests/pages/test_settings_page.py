"""The settings page, along the guide's stages, by somebody without script."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.connections import NotConnected
from gateway.graph import Unavailable
from gateway.http.pages.account_form import read_form, time_zones
from gateway.http.pages.budget_view import BudgetView
from gateway.sending import budget
from gateway.setup.report import Check, Report, Verdict
from gateway.threads.completeness import CHORE
from storage import (
    Transaction,
    accounts,
    chores,
    completeness,
    credentials,
    folders,
    gaps,
    identities,
    mailboxes,
    outbox,
    preferences,
    rich_troubles,
    round_trips,
    subscriptions,
    validations,
)
from storage.accounts import TokenState
from storage.completeness import NewMissing
from storage.folders import WellKnown
from storage.gaps import Reason
from storage.rich_troubles import RichTrouble
from storage.subscriptions import SubscriptionState
from tests.http.scene import CLIENT, MAILBOX, TENANT, UNPROVED, UNWELL, Scene
from tests.pages.desk import Desk, letter

SECRET = "Zx9~correct-horse-battery-staple-0123456789"
HOSTILE = '"><script>alert(1)</script>'


def entered(**changes: str) -> dict[str, str]:
    return {
        "tenant_id": TENANT,
        "client_id": CLIENT,
        "client_secret": SECRET,
        "secret_expires_at": "2027-03-01",
        "cloud": "global",
        "time_zone": "Pacific/Auckland",
    } | changes


async def configured(desk: Desk, **changes: str) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/account", **entered(**changes))
    assert answer.status_code == 303, answer.text


async def test_what_is_entered_is_stored_and_the_page_leads_on_to_the_check(desk: Desk, scene: Scene) -> None:
    await configured(desk)
    assert "Saved. Now check the connection." in desk.text
    account = await scene.store.read(accounts.get, scene.account_id)
    credential = await scene.store.read(credentials.active, scene.account_id)
    assert (account.tenant_id, account.client_id, account.time_zone) == (TENANT, CLIENT, "Pacific/Auckland")
    assert credential is not None
    assert credential.open(scene.setup.key) == SECRET
    assert credential.expires_at == datetime(2027, 2, 28, 11, tzinfo=UTC)  # as the day begins in Auckland


async def test_of_the_secret_only_its_beginning_its_age_and_its_end_are_ever_shown(desk: Desk) -> None:
    await configured(desk)
    for path in ("/settings", "/settings?said=account"):
        page = (await desk.open(path)).text
        assert SECRET not in page
        assert SECRET[3:] not in page
        assert "Zx9…" in page
        assert "Set 2 March 2026" in page
        assert "1 March 2027" in page
    await desk.send("/settings/account", **entered(tenant_id="wrong"))
    assert SECRET not in desk.text
    assert SECRET[3:] not in desk.text


async def test_every_bad_value_is_told_beside_its_field_and_what_was_typed_stays(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    before = await scene.rows()
    answer = await desk.send(
        "/settings/account",
        tenant_id=f"no tenant {HOSTILE}",
        client_id="",
        client_secret=CLIENT,
        secret_expires_at="1 March",
        cloud="moon",
        time_zone="Mars/Base",
    )
    assert answer.status_code == 422
    assert await scene.rows() == before
    assert "6 values cannot be taken yet." in answer.text
    for name in ("tenant_id", "client_id", "client_secret", "secret_expires_at", "cloud", "time_zone"):
        assert f'href="#{name}"' in answer.text
        assert f'id="{name}"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 6
    assert "This is not a tenant ID." in answer.text
    assert "Enter the Application (client) ID" in answer.text
    assert "This is the Secret ID, not the secret." in answer.text
    assert "This is not a date." in answer.text
    assert 'value="1 March"' in answer.text
    assert "no tenant &#34;&gt;&lt;script&gt;" in answer.text
    assert "<script>alert" not in answer.text


async def test_a_form_with_no_fields_at_all_is_answered_like_an_empty_one(desk: Desk) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/account")
    assert answer.status_code == 422
    assert "Enter the Directory (tenant) ID" in answer.text


async def test_without_a_new_secret_the_stored_one_stays(desk: Desk, scene: Scene) -> None:
    await configured(desk)
    before = await scene.store.read(credentials.active, scene.account_id)
    await configured(desk, client_secret="", time_zone="Europe/Berlin")
    after = await scene.store.read(credentials.active, scene.account_id)
    assert before is not None
    assert after is not None
    assert after.id == before.id
    assert (await scene.store.read(accounts.get, scene.account_id)).time_zone == "Europe/Berlin"


async def test_a_date_that_was_not_touched_stays_the_moment_that_it_was(desk: Desk, scene: Scene) -> None:
    await configured(desk)
    moment = datetime(2027, 3, 1, 3, 4, 5, tzinfo=UTC)
    await scene.store.write(credentials.set_expiry, scene.account_id, moment)
    account = await scene.store.read(accounts.get, scene.account_id)
    stored = await scene.store.read(credentials.active, scene.account_id)
    fields = entered(client_secret="", secret_expires_at="2027-03-01")
    configuration, problems = read_form(fields, account, stored, scene.clock.now())
    assert problems == {}
    assert configuration.secret_expires_at == moment


async def test_the_check_shows_each_verdict_with_what_was_tried_found_and_to_be_done(desk: Desk, scene: Scene) -> None:
    hostile = Check(name="graph", verdict=Verdict.WARN, tried=HOSTILE, found=HOSTILE, cure=HOSTILE)
    scene.setup.report = Report(checks=(*scene.setup.report.checks, UNWELL, hostile))
    await desk.open("/settings")
    page = (await desk.send("/settings/check")).text
    assert "The connection does not work yet." in page
    for sentence in ("We asked Entra for a token.", "It gave one.", "Refused.", "Grant Mail.ReadWrite."):
        assert sentence in page
    assert [f'class="check {verdict}"' in page for verdict in ("ok", "fail", "warn")] == [True] * 3
    assert "<script>alert" not in page


async def test_a_good_check_says_so(desk: Desk) -> None:
    await desk.open("/settings")
    assert "The connection works." in (await desk.send("/settings/check")).text


async def test_a_mailbox_that_is_added_is_validated_at_once(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes", address=" library2@school.example ")
    assert answer.status_code == 303
    assert "The mailbox is validated" in desk.text
    found = await scene.store.read(mailboxes.find, scene.account_id, "library2@school.example")
    assert found is not None
    assert found.state == "validated"


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("", "Enter the mailbox&#39;s address"),
        ("no address", "is not a mail address"),
        (MAILBOX.upper(), "is in the list already"),
        (HOSTILE, "is not a mail address"),
        ("x" * 9000, "is not a mail address"),
    ],
)
async def test_an_address_that_will_not_do_is_told_beside_the_field(
    desk: Desk, scene: Scene, address: str, sentence: str
) -> None:
    before = await scene.rows()
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes", address=address)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "<script>alert" not in answer.text
    assert await scene.rows() == before


async def test_a_pasted_list_is_taken_as_it_is_and_followed(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    pasted = f"Library <library2@school.example>; {MAILBOX}\r\n\tOffice\toffice@school.example,\r\n"
    answer = await desk.send("/settings/mailboxes/several", addresses=pasted)
    assert answer.status_code == 303
    assert "0 of 3 tried." in desk.text
    waiting = await scene.store.read(validations.to_do, limit=9)
    assert [item.address for item in waiting] == ["library2@school.example", MAILBOX, "office@school.example"]
    for item in waiting:
        await scene.store.write(
            validations.done,
            item,
            validations.Outcome.REFUSED,
            checks=[{"name": "user", "verdict": "fail", "tried": "t", "found": HOSTILE, "cure": "Do this."}],
            mailbox_id=None,
            now=scene.clock.now(),
        )
    part = (await desk.open(f"/settings?validation={waiting[0].validation_id}")).text
    assert "3 addresses tried." in part
    assert part.count("Do this.") == 3
    assert HOSTILE not in part


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter one address at least."),
        ("office", "is not a mail address"),
        ("a@b", "is not a mail address"),
        (" ".join(f"box{number}@school.example" for number in range(201)), "at most 200"),
    ],
)
async def test_a_list_that_will_not_do_is_told_and_stays_in_its_field(
    desk: Desk, scene: Scene, typed: str, sentence: str
) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes/several", addresses=typed)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert typed in answer.text
    assert await scene.store.read(validations.to_do, limit=9) == []


async def test_a_round_trip_shows_its_stations_and_a_month_of_them(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    assert "Try a round trip" in desk.text
    answer = await desk.send("/settings/mailboxes/round-trip", address=MAILBOX)
    assert answer.status_code == 303
    assert "Under way" in desk.text
    mailbox = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    [trip] = await scene.store.read(round_trips.newest, mailbox.id)
    for outcome, missed in (("passed", None), ("failed", "notified")):
        now = scene.clock.now()
        await scene.store.write(round_trips.arrived, trip.thread_id, graph_id="AAMk", now=now)
        fields = {"drafted_at": now, "submitted_at": now, "sent_at": now, "ended_at": now, "missed": missed}
        state = round_trips.State(outcome)
        notified = None if missed else now
        await scene.store.write(round_trips.save, replace(trip, state=state, notified_at=notified, **fields))
        part = (await desk.open(f"/settings/mailboxes/{mailbox.id}/round-trip")).text
        assert f'<rect class="{outcome}"' in part
        assert "data-poll" not in part
        assert part.count("<tr>") == 2
    assert "Late at the step “Told of by a notification”." in part
    assert "did not come back" in part


async def test_a_round_trip_of_a_mailbox_that_is_not_validated_says_so(desk: Desk) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes/round-trip", address=UNPROVED)
    assert answer.status_code == 422
    assert "has not been validated yet" in answer.text


async def test_who_is_warned_and_whether_mailboxes_test_themselves_is_said_there(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    refused = await desk.send("/settings/wishes", alert_address="it desk")
    assert refused.status_code == 422
    assert "is not a mail address" in refused.text
    assert (await scene.store.read(preferences.get, scene.account_id)) == preferences.USUAL
    saved = await desk.send("/settings/wishes", alert_address=" it@school.example ")
    assert saved.status_code == 303
    found = await scene.store.read(preferences.get, scene.account_id)
    assert (found.alert_address, found.self_test) == ("it@school.example", False)
    assert 'value="it@school.example"' in desk.text


async def test_a_warning_is_put_off_on_the_page_and_becomes_one_quiet_line(desk: Desk, scene: Scene) -> None:
    await configured(desk, secret_expires_at=(scene.clock.now() + timedelta(days=20)).date().isoformat())
    refused = await desk.send("/settings/snooze", reason=" ")
    assert refused.status_code == 422
    assert "Say why" in refused.text
    await desk.send("/settings/snooze", reason=HOSTILE)
    assert "put this warning off until" in desk.text
    assert HOSTILE not in desk.text
    assert "Put it off" not in desk.text


async def test_a_refused_mailbox_shows_why_and_the_cure(desk: Desk, scene: Scene) -> None:
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, UNPROVED)
    problem = {"code": "no_mailbox", "explanation": f"No mailbox {HOSTILE}.", "cure": "Assign a licence."}
    await scene.store.write(mailboxes.mark_refused, found.id, problem)
    page = (await desk.open("/settings")).text
    assert "Refused" in page
    assert "No mailbox &#34;&gt;&lt;script&gt;" in page
    assert "Assign a licence." in page


async def test_a_validation_that_is_not_plain_success_shows_its_findings_beside_the_mailbox(
    desk: Desk, scene: Scene
) -> None:
    scene.setup.report = Report(checks=(UNWELL,))
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes/validate", address=UNPROVED)
    assert answer.status_code == 200
    assert "Grant Mail.ReadWrite." in answer.text


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (NotConnected("acc_1"), "This account is not connected to Microsoft 365 yet."),
        (Unavailable("down", status=503), "Graph answered that it is out of order"),
    ],
)
async def test_a_validation_that_cannot_be_tried_says_why(
    desk: Desk, scene: Scene, failure: Exception, sentence: str
) -> None:
    async def fail(account_id: str, address: str) -> Report:
        raise failure

    services = replace(scene.services, setup=_With(scene.setup, validate_mailbox=fail))
    async with replace(scene, services=services).client(key="") as browser:
        other = Desk(scene, browser)
        await other.sign_in()
        await other.open("/settings")
        answer = await other.send("/settings/mailboxes/validate", address=UNPROVED)
    assert answer.status_code == 200
    assert sentence in answer.text


class _With:
    """A fake with some of its methods replaced."""

    def __init__(self, fake: Any, **methods: Any) -> None:
        self._fake = fake
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fake, name)


async def test_a_mailbox_is_removed_after_a_question(desk: Desk, scene: Scene) -> None:
    page = (await desk.open("/settings")).text
    assert f"No letter is sent from {MAILBOX} any more" in page
    await desk.send("/settings/mailboxes/remove", address=MAILBOX)
    assert "The mailbox was removed." in desk.text
    assert await scene.store.read(mailboxes.find, scene.account_id, MAILBOX) is None


async def test_a_mailbox_that_is_not_there_is_said_on_a_page(desk: Desk) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/mailboxes/remove", address="nobody@school.example")
    assert answer.status_code == 404
    assert "nobody@school.example is not one of this account" in answer.text


async def test_a_test_email_is_followed_from_station_to_station(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    answer = await desk.send("/settings/test-message", mailbox=MAILBOX, to="jane@elsewhere.example")
    message_id = answer.headers["location"].split("test=")[1].split("#")[0]
    assert f"From {MAILBOX} to jane@elsewhere.example" in desk.text
    assert f'data-poll="/settings/test-message/{message_id}"' in desk.text
    await scene.store.write(_sent, message_id, now=scene.clock.now())
    part = (await desk.open(f"/settings/test-message/{message_id}")).text
    assert "data-poll" not in part
    assert part.count('class="reached"') == 4
    assert "Everything works" in part


def _sent(tx: Transaction, message_id: str, *, now: datetime) -> None:
    row = outbox.find(tx, message_id)
    assert row is not None
    identities.identify(tx, message_id, graph_id="AAMk", conversation_id="c", internet_message_id="<1@school.example>")
    outbox.save(tx, replace(row, state="sent", submits=1, submitted_at=now, sent_at=now, next_attempt_at=None))


async def test_a_test_email_that_waits_says_what_it_waits_for(desk: Desk, scene: Scene) -> None:
    message_id = await letter(scene)
    problem = {"code": "no_token", "explanation": "The client secret has expired.", "cure": "Add a new one."}
    await scene.store.write(_waits, message_id, problem)
    part = (await desk.open(f"/settings/test-message/{message_id}")).text
    assert "The client secret has expired. Add a new one." in part


def _waits(tx: Transaction, message_id: str, problem: dict[str, Any]) -> None:
    row = outbox.find(tx, message_id)
    assert row is not None
    outbox.save(tx, replace(row, problem=problem))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"mailbox": MAILBOX, "to": "nobody"}, "is not a mail address"),
        ({"mailbox": UNPROVED, "to": ""}, "has not been validated yet"),
        ({"mailbox": "nobody@school.example", "to": ""}, "is not one of this account"),
        ({}, "Choose a mailbox."),
    ],
)
async def test_a_test_email_that_cannot_be_sent_is_told_at_once(
    desk: Desk, scene: Scene, fields: dict[str, str], sentence: str
) -> None:
    before = await scene.rows()
    await desk.open("/settings")
    answer = await desk.send("/settings/test-message", **fields)
    assert answer.status_code == 422
    assert sentence in answer.text
    assert await scene.rows() == before


async def test_another_accounts_letters_and_mailboxes_are_not_there(desk: Desk, scene: Scene) -> None:
    other = await scene.new_account("Other school")
    message_id = await letter(scene, account_id=other)
    theirs = await scene.store.read(mailboxes.get_by_address, other, MAILBOX)
    for path in (
        f"/settings?test={message_id}",
        f"/settings/test-message/{message_id}",
        f"/settings/mailboxes/{theirs.id}/watching",
    ):
        assert (await desk.open(path)).status_code == 404


@pytest.mark.parametrize("path", ["/settings/test-message/msg_1", "/settings/mailboxes/mbx_1/watching"])
async def test_the_script_is_told_when_nobody_is_signed_in(stranger: Desk, path: str) -> None:
    assert (await stranger.browser.get(path)).status_code == 401


@pytest.mark.parametrize(
    ("days", "sentence"),
    [
        (90, "expires in 90 days"),
        (30, "expires in 30 days"),
        (1, "expires within a day"),
        (-1, "The client secret has expired"),
    ],
)
async def test_the_page_counts_down_to_the_end_of_the_secret(
    desk: Desk, scene: Scene, days: int, sentence: str
) -> None:
    await configured(desk)
    ends = scene.clock.now() + timedelta(days=days)
    await scene.store.write(credentials.set_expiry, scene.account_id, ends)
    assert sentence in (await desk.open("/settings")).text


async def test_a_secret_that_lasts_is_not_talked_about(desk: Desk, scene: Scene) -> None:
    await configured(desk)
    page = (await desk.open("/settings")).text
    assert "ends soon" not in page
    assert "has expired" not in page


async def test_a_refused_secret_is_named_in_plain_words(desk: Desk, scene: Scene) -> None:
    problem = {"code": "secret_expired", "aadsts": 7000222, "explanation": "It has expired.", "cure": "Add a new one."}
    await scene.store.write(
        accounts.record_token, scene.account_id, TokenState.REFUSED, problem=problem, now=scene.clock.now()
    )
    page = (await desk.open("/settings")).text
    assert "Microsoft 365 does not let the gateway in" in page
    assert "It has expired. (AADSTS7000222)" in page
    assert "Add a new one." in page


async def test_the_banner_of_a_refused_secret_says_how_many_letters_wait(desk: Desk, scene: Scene) -> None:
    problem = {"code": "secret_expired", "explanation": "It has expired.", "cure": "Add a new one."}
    await scene.store.write(
        accounts.record_token, scene.account_id, TokenState.REFUSED, problem=problem, now=scene.clock.now()
    )
    await letter(scene)
    assert "It has expired. One letter waits." in (await desk.open("/settings")).text
    await letter(scene)
    assert "It has expired. 2 letters wait." in (await desk.open("/settings")).text


async def test_a_validated_mailbox_says_what_it_may_still_send(desk: Desk, scene: Scene) -> None:
    def leave(tx: Transaction, message_id: str) -> None:
        allowance = scene.services.settings.rules.allowance
        budget.spend(tx, outbox.get(tx, scene.account_id, message_id), allowance, scene.clock.now())

    await scene.store.write(leave, await letter(scene))
    page = (await desk.open("/settings")).text
    assert page.count("Sends 29 more letters this minute, 9,999 recipients today.") == page.count("this minute") == 1


@pytest.mark.parametrize(
    ("letters", "recipients", "sentence"),
    [
        (23, 9930, "Sends 23 more letters this minute, 9,930 recipients today."),
        (1, 1, "Sends 1 more letter this minute, 1 recipient today."),
        (0, 0, "Sends no more letters this minute, no recipients today."),
    ],
)
def test_a_budget_in_one_line(letters: int, recipients: int, sentence: str) -> None:
    view = BudgetView(
        address=MAILBOX, waiting=0, letters=letters, recipients=recipients, next_letter_at=None, done_by=None
    )
    assert view.sentence == sentence


async def test_without_a_public_url_the_page_says_that_replies_come_late(desk: Desk, scene: Scene) -> None:
    page = (await desk.open("/settings")).text
    assert "Replies arrive with a delay" in page
    assert "so it looks for new mail every 10 minutes" in page
    public = scene.with_settings(public_url="http://gateway.test")
    async with public.client(key="") as browser:
        other = Desk(public, browser)
        await other.sign_in()
        assert "Replies arrive with a delay" not in (await other.open("/settings")).text


async def test_how_a_mailbox_is_watched_follows_its_subscriptions(scene: Scene) -> None:
    public = scene.with_settings(public_url="http://gateway.test")
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    async with public.client(key="") as browser:
        other = Desk(public, browser)
        await other.sign_in()
        path = f"/settings/mailboxes/{found.id}/watching"
        await scene.store.write(_watch, scene.account_id, found.id, now=scene.clock.now())
        assert "Being set up" in (await other.open(path)).text
        assert "data-poll" in other.text
        await scene.store.write(_subscribed, found.id, now=scene.clock.now())
        assert "Live" in (await other.open(path)).text
        assert "data-poll" not in other.text
        assert '<time datetime="2026-03-09T09:00:00Z"' in other.text
        await scene.store.write(_unread, found.id)
        assert "New mail cannot be read" in (await other.open(path)).text


async def test_it_is_said_whether_notifications_are_rich_and_if_not_why(scene: Scene) -> None:
    public = scene.with_settings(public_url="http://gateway.test", rich_notifications=True)
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    now = scene.clock.now()
    async with public.client(key="") as browser:
        other = Desk(public, browser)
        await other.sign_in()
        path = f"/settings/mailboxes/{found.id}/watching"
        await scene.store.write(_watch, scene.account_id, found.id, now=now)
        await scene.store.write(_subscribed, found.id, now=now, certificate_id="c")
        await scene.store.write(_of_tenant, scene.account_id, "school.example", now=now)
        assert "plain for now: The tenant is entered by its domain name" in (await other.open(path)).text
        await scene.store.write(_of_tenant, scene.account_id, TENANT, now=now)
        assert "Notifications are rich: they bring encrypted metadata." in (await other.open(path)).text
        await scene.store.write(_given_up, found.id, now=now)
        assert "Notifications are plain for now: Microsoft 365 refused &lt;it&gt;." in (await other.open(path)).text
    async with scene.with_settings(public_url="http://gateway.test").client(key="") as browser:
        plain = Desk(scene, browser)
        await plain.sign_in()
        assert "plain for now" not in (await plain.open(path)).text


def _of_tenant(tx: Transaction, account_id: str, tenant_id: str, *, now: datetime) -> None:
    accounts.configure(
        tx,
        account_id,
        tenant_id=tenant_id,
        client_id=CLIENT,
        cloud="global",
        time_zone="UTC",
        now=now,
    )


def _given_up(tx: Transaction, mailbox_id: str, *, now: datetime) -> None:
    [inbox, _] = folders.of_mailbox(tx, mailbox_id)
    trouble = RichTrouble(
        folder_id=inbox.id, plain_until=now + timedelta(hours=3), reason="Microsoft 365 refused <it>."
    )
    rich_troubles.save(tx, trouble)


def _watch(tx: Transaction, account_id: str, mailbox_id: str, *, now: datetime) -> None:
    for number, well_known in enumerate(WellKnown):
        folders.watch(tx, account_id, mailbox_id, well_known, folder_id=f"f-{number}", since=now, now=now)
    for number, folder in enumerate(folders.of_mailbox(tx, mailbox_id)):
        subscriptions.add(
            tx,
            account_id=account_id,
            mailbox_id=mailbox_id,
            folder_id=folder.id,
            client_state_digest=bytes([number]) * 32,
            notification_url="http://gateway.test/graph/notifications",
            next_step_at=now,
            now=now,
        )


def _subscribed(tx: Transaction, mailbox_id: str, *, now: datetime, certificate_id: str | None = None) -> None:
    for one in subscriptions.open_of_mailbox(tx, mailbox_id):
        live = replace(
            one,
            state=SubscriptionState.LIVE,
            subscription_id=f"graph-{one.id}",
            expiration_date_time=now + timedelta(days=7),
            encryption_certificate_id=certificate_id,
        )
        subscriptions.save(tx, live)


def _unread(tx: Transaction, mailbox_id: str) -> None:
    folder = folders.of_mailbox(tx, mailbox_id)[0]
    tx.execute("UPDATE folders SET failures = 1, problem = 'Access was refused.' WHERE id = ?", (folder.id,))


def test_the_time_zones_are_places_and_utc() -> None:
    names = [name for part in time_zones().values() for name in part]
    assert {"UTC", "Pacific/Auckland", "Europe/Berlin"} <= set(names)
    assert "Etc/GMT+5" not in names
    assert len(names) == len(set(names))


async def test_a_mailbox_says_since_when_nothing_is_missing(desk: Desk, scene: Scene) -> None:
    assert "Not yet compared with Microsoft 365." in (await desk.open("/settings")).text
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    await scene.store.write(completeness.checked, found.id, compared=12, missing=0, now=scene.clock.now())
    page = (await desk.open("/settings")).text
    assert "0 missing since <time" in page
    assert "Delivery has been uncertain" not in page


async def test_a_mailbox_says_what_is_missing_and_since_when_delivery_is_uncertain(desk: Desk, scene: Scene) -> None:
    now = scene.clock.now()
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    await scene.store.write(completeness.checked, found.id, compared=12, missing=2, now=now)
    await scene.store.write(completeness.broke_off, found.id, f"Not reached {HOSTILE}.")
    await scene.store.write(
        folders.watch, scene.account_id, found.id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now
    )
    (inbox,) = await scene.store.read(folders.of_mailbox, found.id)
    await scene.store.write(gaps.begin, inbox.id, Reason.PULL_FAILING, now)
    page = (await desk.open("/settings")).text
    assert "2 missing at the last check" in page
    assert "The latest check broke off: Not reached &#34;&gt;&lt;script&gt;" in page
    assert "Delivery has been uncertain since <time" in page


async def test_a_person_lets_the_mailboxes_be_compared_and_sees_how_far_it_is_and_what_is_missing(
    desk: Desk, scene: Scene
) -> None:
    now = scene.clock.now()
    await scene.store.write(chores.done, scene.account_id, CHORE, next_at=now + timedelta(hours=9))
    assert "A check" not in (await desk.open("/settings")).text
    await desk.send("/settings/completeness")
    assert "The mailboxes are compared with Microsoft 365." in desk.text
    assert "A check begins in a moment." in desk.text
    found = await scene.store.read(mailboxes.get_by_address, scene.account_id, MAILBOX)
    await scene.store.write(completeness.under_way, found.id, done=20, conversations=45)
    part = f"/settings/mailboxes/{found.id}/watching"
    assert "A check is under way: 20 of 45 conversations." in (await desk.open("/settings")).text
    assert f'data-poll="{part}"' in desk.text
    await scene.store.write(_checked, scene, found.id)
    page = (await desk.open(part)).text
    assert "1 missing at the last check" in page
    assert "<code>AAMk&lt;lost&gt;</code> in Inbox, came <time" in page
    assert "3 mails so far came without a notification" in page
    assert "data-poll" not in page, "there is nothing to follow any more"


def _checked(tx: Transaction, scene: Scene, mailbox_id: str) -> None:
    now = scene.clock.now()
    folders.watch(tx, scene.account_id, mailbox_id, WellKnown.INBOX, folder_id="AAMk", since=now, now=now)
    (inbox,) = folders.of_mailbox(tx, mailbox_id)
    folders.count_unannounced(tx, inbox.id, 3)
    lost = NewMissing(graph_id="AAMk<lost>", folder_id=inbox.id, came_at=now - timedelta(days=1))
    completeness.checked(tx, mailbox_id, compared=12, missing=1, which=[lost], now=now)
    chores.done(tx, scene.account_id, CHORE, next_at=now + timedelta(hours=9))
