"""What the settings page shows of an account: its configuration, its warnings, its mailboxes, its test letter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from gateway.http.credentials import CredentialView
from gateway.http.pages.budget_view import BudgetView, read_budget
from gateway.http.pages.keeping import keeping
from gateway.http.pages.round_trip_view import RoundTripPart, read_part
from gateway.sending.machine import UNSENT, shown
from gateway.sending.rules import Allowance
from gateway.setup.expiry import NOUNS, Level, ending, standing_of
from gateway.setup.least_privilege import Scripts, scripts
from gateway.setup.snooze import snoozed
from gateway.setup.values import day_of
from gateway.threads.standing import Completeness, read_completeness, why_plain
from storage import (
    Transaction,
    accounts,
    confinements,
    credentials,
    folders,
    mailboxes,
    messages,
    outbox,
    preferences,
    retention,
    subscriptions,
)
from storage.accounts import Account, TokenState
from storage.confinements import Confinement, ConfinementState
from storage.credentials import Credential, CredentialState
from storage.folders import Folder
from storage.mailboxes import Mailbox, MailboxState
from storage.preferences import Preferences
from storage.snoozes import Snooze
from storage.subscriptions import Subscription, SubscriptionState


class Tone(StrEnum):
    """How loudly something is said."""

    QUIET = "quiet"
    GOOD = "good"
    BUSY = "busy"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """Something that an admin should know before anything else. `can_wait`: it may be put off for a while."""

    tone: Tone
    title: str
    detail: str
    cure: str | None = None
    can_wait: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How new mail of a mailbox is noticed. `until` is when the first of its subscriptions ends unless renewed."""

    tone: Tone
    title: str
    detail: str
    until: datetime | None = None
    last_look: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """A mailbox; the rest is None unless it is validated."""

    mailbox: Mailbox
    watching: Watching | None
    completeness: Completeness | None = None
    budget: BudgetView | None = None
    round_trip: RoundTripPart | None = None
    aliases: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A station of a letter; `at` is None before it was reached, or when nobody noted the time."""

    title: str
    reached: bool
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TestLetter:
    """The test email on its way. `problem` has an explanation and perhaps a cure."""

    __test__ = False

    message_id: str
    mailbox: str
    to: str
    status: str
    finished: bool
    steps: Sequence[Step]
    problem: dict[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsView:
    """Everything the page shows, read in one snapshot."""

    account: Account
    credential: Credential | None
    slots: Sequence[CredentialView]
    banners: Sequence[Banner]
    mailboxes: Sequence[MailboxView]
    proof: Confinement | None
    scripts: Scripts | None
    keeping: str
    wished: Preferences

    @property
    def configured(self) -> bool:
        """Whether all three values are stored."""
        return self.account.client_id is not None and self.credential is not None

    @property
    def connected(self) -> bool:
        """Whether Entra gave a token with them the last time it was asked."""
        return self.configured and self.account.token_state is TokenState.OK

    @property
    def validated(self) -> Sequence[Mailbox]:
        """The mailboxes that letters may come from."""
        return [one.mailbox for one in self.mailboxes if one.mailbox.state is MailboxState.VALIDATED]


def read_settings(
    tx: Transaction,
    account_id: str,
    *,
    public: bool,
    sweeps: timedelta,
    rich: bool,
    allowance: Allowance,
    now: datetime,
) -> SettingsView:
    """`public` says whether Graph can reach the gateway, `sweeps` how often folders are looked at in any case.

    `rich`: notifications are to bring encrypted metadata where they can.
    """
    account, slots = accounts.get(tx, account_id), credentials.slots(tx, account_id)
    found = mailboxes.list_mailboxes(tx, account_id)
    waiting = sum(outbox.counts_in(tx, account_id, UNSENT).values())
    proof = confinements.get(tx, account_id)
    ours = [one.address for one in found if one.state is MailboxState.VALIDATED]
    views = [_mailbox_view(tx, one, public=public, sweeps=sweeps, rich=rich, now=now) for one in found]
    return SettingsView(
        account=account,
        credential=next((one for one in slots if one.state is CredentialState.ACTIVE), None),
        slots=[CredentialView.of(one, now, account.time_zone) for one in slots],
        banners=quieted(
            [
                *confinement_banners(proof),
                *banners(account, slots, waiting=waiting, public=public, sweeps=sweeps, now=now),
            ],
            snoozed(tx, ending(credentials.serving(tx, account_id)), now),
            account.time_zone,
        ),
        mailboxes=[_with_budget(tx, one, account, allowance, now) for one in views],
        proof=proof,
        scripts=scripts(account.client_id, ours) if account.client_id is not None and ours else None,
        keeping=keeping(retention.rules(tx, account_id)),
        wished=preferences.get(tx, account_id),
    )


def read_mailbox(
    tx: Transaction, account_id: str, mailbox_id: str, *, public: bool, sweeps: timedelta, rich: bool, now: datetime
) -> MailboxView | None:
    """One mailbox of this account; None when it has none with this id."""
    for one in mailboxes.list_mailboxes(tx, account_id):
        if one.id == mailbox_id:
            return _mailbox_view(tx, one, public=public, sweeps=sweeps, rich=rich, now=now)
    return None


def read_test_letter(tx: Transaction, account_id: str, message_id: str) -> TestLetter:
    """Raises `storage.NotFound`."""
    message, letter = messages.get(tx, account_id, message_id), outbox.get(tx, account_id, message_id)
    return TestLetter(
        message_id=message_id,
        mailbox=mailboxes.get(tx, message.mailbox_id).address,
        to=", ".join(person.address for person in message.recipients.to),
        status=shown(letter.state),
        finished=letter.next_attempt_at is None,
        steps=(
            Step(title="Taken", reached=True, at=letter.created_at),
            Step(title="Written into the mailbox as a draft", reached=message.graph_id is not None, at=None),
            Step(title="Handed to Microsoft 365", reached=letter.submitted_at is not None, at=letter.submitted_at),
            Step(title="Seen in Sent Items", reached=letter.sent_at is not None, at=letter.sent_at),
        ),
        problem=letter.problem,
    )


def banners(
    account: Account, slots: Sequence[Credential], *, waiting: int, public: bool, sweeps: timedelta, now: datetime
) -> list[Banner]:
    """Worst first; `waiting` is how many letters have not left. A date for the secret is asked for in the form."""
    said: list[Banner] = []
    if account.token_problem is not None:
        refused = account.token_state is TokenState.REFUSED
        said.append(
            Banner(
                tone=Tone.BAD if refused else Tone.WARN,
                title="Microsoft 365 does not let the gateway in" if refused else "Microsoft 365 cannot be reached",
                detail=" ".join(filter(None, [token_trouble(account.token_problem), _letters_wait(waiting)])),
                cure=account.token_problem.get("cure"),
            )
        )
    said += _credential_banners(account, [one for one in slots if one.state is not CredentialState.PENDING], now)
    if not public:
        said.append(
            Banner(
                tone=Tone.QUIET,
                title="Replies arrive with a delay",
                detail=f"Microsoft 365 cannot call this gateway, so it looks for new mail {_every(sweeps)}.",
                cure="For replies within seconds, the gateway’s operator sets GATEWAY_PUBLIC_URL.",
            )
        )
    return sorted(said, key=lambda banner: [Tone.BAD, Tone.WARN, Tone.QUIET].index(banner.tone))


def _credential_banners(account: Account, serving: Sequence[Credential], now: datetime) -> list[Banner]:
    said: list[Banner] = []
    stands = standing_of(serving, now, time_zone=account.time_zone)
    if stands is not None and stands.days_left is not None and stands.level is not Level.OK:
        noun = NOUNS[serving[0].kind]
        tone = {Level.NOTICE: Tone.QUIET, Level.WARNING: Tone.WARN, Level.EXPIRED: Tone.BAD}[stands.level]
        title = f"The {noun} has expired" if stands.level is Level.EXPIRED else f"The {noun} ends soon"
        said.append(Banner(tone=tone, title=title, detail=stands.sentence, can_wait=not stands.degraded))
    first = serving[0] if serving else None
    if first is not None and first.problem is not None and account.token_state is TokenState.OK:
        said.append(
            Banner(
                tone=Tone.WARN,
                title="The credential before serves again",
                detail=f"The newest one is refused: {token_trouble(first.problem)}",
                cure=first.problem.get("cure"),
            )
        )
    return said


def confinement_banners(proof: Confinement | None) -> list[Banner]:
    """The alarm: the app can open a mailbox that it must not."""
    if proof is None or proof.state is not ConfinementState.READABLE:
        return []
    return [
        Banner(
            tone=Tone.BAD,
            title=f"The gateway can open {proof.address}",
            detail=proof.detail,
            cure="Run the commands under Least privilege; Exchange may take two hours to follow.",
        )
    ]


def quieted(said: Sequence[Banner], snooze: Snooze | None, time_zone: str) -> list[Banner]:
    """What was put off is one quiet line, behind all that was not."""
    if snooze is None:
        return list(said)
    until = day_of(snooze.until, time_zone)
    why = f"{snooze.snoozed_by} put this warning off until {until}: {snooze.reason}"
    quiet = [replace(one, tone=Tone.QUIET, detail=why, cure=None, can_wait=False) for one in said if one.can_wait]
    return [*(one for one in said if not one.can_wait), *quiet]


def token_trouble(problem: Mapping[str, Any]) -> str:
    """Why Entra gives no token, with its number for those who search for it."""
    number = f" (AADSTS{problem['aadsts']})" if problem.get("aadsts") else ""
    return f"{problem.get('explanation', 'Entra gave no token.')}{number}"


def _letters_wait(waiting: int) -> str:
    if waiting == 0:
        return ""
    return "One letter waits." if waiting == 1 else f"{waiting:,} letters wait."


def _with_budget(
    tx: Transaction, view: MailboxView, account: Account, allowance: Allowance, now: datetime
) -> MailboxView:
    if view.mailbox.state is not MailboxState.VALIDATED:
        return view
    budget = read_budget(tx, view.mailbox, account, allowance, now)
    return replace(view, budget=budget, round_trip=read_part(tx, view.mailbox, now))


def _mailbox_view(
    tx: Transaction, mailbox: Mailbox, *, public: bool, sweeps: timedelta, rich: bool, now: datetime
) -> MailboxView:
    if mailbox.state is not MailboxState.VALIDATED:
        return MailboxView(mailbox=mailbox, watching=None, aliases=mailboxes.aliases_of(tx, mailbox.id))
    watched = folders.of_mailbox(tx, mailbox.id)
    found = subscriptions.open_of_mailbox(tx, mailbox.id)
    return MailboxView(
        mailbox=mailbox,
        watching=watching(watched, found, public=public, sweeps=sweeps, rich=_rich_line(tx, watched, found, rich, now)),
        completeness=read_completeness(tx, mailbox, now),
        aliases=mailboxes.aliases_of(tx, mailbox.id),
    )


def _rich_line(
    tx: Transaction, watched: Sequence[Folder], found: Sequence[Subscription], rich: bool, now: datetime
) -> str:
    """Whether notifications bring encrypted metadata; where they are meant to and do not, why."""
    because = next((why for one in watched if rich and (why := why_plain(tx, one, now))), None)
    if because is not None:
        return f" Notifications are plain for now: {because}"
    is_rich = any(one.state is SubscriptionState.LIVE and one.is_rich for one in found)
    return " Notifications are rich: they bring encrypted metadata." if is_rich else ""


def watching(
    watched: Sequence[Folder], found: Sequence[Subscription], *, public: bool, sweeps: timedelta, rich: str = ""
) -> Watching:
    """What the tables say of one mailbox: live, about to be, by sweeping only, or in trouble."""
    last_look = max((one.last_pulled_at for one in watched if one.last_pulled_at is not None), default=None)
    unread = next((one.problem for one in watched if one.problem is not None), None)
    if unread is not None:
        return Watching(tone=Tone.BAD, title="New mail cannot be read", detail=unread, last_look=last_look)
    sweeping = f"The gateway looks for new mail {_every(sweeps)}."
    if not public:
        return Watching(tone=Tone.QUIET, title="Sweeping only", detail=sweeping, last_look=last_look)
    live = [one for one in found if one.state is SubscriptionState.LIVE and one.expiration_date_time is not None]
    if len({one.folder_id for one in live}) == len(watched) > 0:
        until = min(one.expiration_date_time for one in live if one.expiration_date_time is not None)
        return Watching(
            tone=Tone.GOOD,
            title="Live",
            detail=f"New mail is reported at once.{rich}",
            until=until,
            last_look=last_look,
        )
    failed = next((one.problem for one in found if one.failures > 1 and one.problem), None)
    if failed is not None:
        detail = f"Live notifications could not be set up: {failed} {sweeping}"
        return Watching(tone=Tone.WARN, title="Sweeping for now", detail=detail, last_look=last_look)
    return Watching(
        tone=Tone.BUSY, title="Being set up", detail="Asking Microsoft 365 to report new mail.", last_look=last_look
    )


def _every(sweeps: timedelta) -> str:
    seconds = int(sweeps.total_seconds())
    if seconds % 60 or seconds < 60:
        return f"every {seconds} seconds"
    return "every minute" if seconds == 60 else f"every {seconds // 60} minutes"
