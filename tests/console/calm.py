"""A gateway at which everything flows: what each situation of a test departs from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from gateway.backups.keeper import Standing
from gateway.console.process import Place
from gateway.console.snapshot import Box, Hook, Letters, Snapshot, Watch
from gateway.readiness import Part
from gateway.settings import Settings
from gateway.setup.expiry import standing
from gateway.space import Room
from gateway.threads.standing import Completeness
from storage.accounts import Account, TokenState
from storage.completeness import Check
from storage.credentials import Credential, CredentialKind, CredentialState
from storage.deliveries import Waiting
from storage.flow import Happened, OpenHints, Queue
from storage.folders import Folder, WellKnown
from storage.mailboxes import Mailbox, MailboxState
from storage.round_trips import Kind, RoundTrip, State
from storage.subscriptions import Subscription, SubscriptionState
from storage.webhooks import Webhook, WebhookState
from tests.fakes.clock import A_MONDAY as NOW

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ADDRESS = "admissions@school.example"
NOBODY = Queue(count=0, oldest_at=None)

ACCOUNT = Account(
    id="acc_1",
    name="SELMA",
    tenant_id="t",
    client_id="c",
    cloud="global",
    time_zone="UTC",
    token_state=TokenState.OK,
    token_problem=None,
    token_checked_at=NOW - HOUR,
    outbox_paused_until=None,
    created_at=NOW - 90 * DAY,
    updated_at=NOW - 90 * DAY,
)
CREDENTIAL = Credential(
    id="crd_1",
    account_id=ACCOUNT.id,
    kind=CredentialKind.CLIENT_SECRET,
    state=CredentialState.ACTIVE,
    ciphertext=b"",
    hint="Zx9",
    public_part=None,
    expires_at=NOW + 200 * DAY,
    created_at=NOW - 90 * DAY,
    last_used_at=NOW - HOUR,
    refused_at=None,
    problem=None,
)
MAILBOX = Mailbox(
    id="mbx_1",
    account_id=ACCOUNT.id,
    address=ADDRESS,
    user_id="u",
    display_name="Admissions",
    state=MailboxState.VALIDATED,
    problem=None,
    paused_until=None,
    next_letter_at=None,
    validated_at=NOW - 90 * DAY,
    created_at=NOW - 90 * DAY,
)
FOLDER = Folder(
    id="fld_1",
    account_id=ACCOUNT.id,
    mailbox_id=MAILBOX.id,
    well_known=WellKnown.INBOX,
    folder_id="f",
    delta_link="d",
    watch_since=NOW - 90 * DAY,
    next_pull_at=NOW + 5 * MINUTE,
    lease_owner=None,
    last_pulled_at=NOW - 5 * MINUTE,
    failures=0,
    problem=None,
    unrelated=0,
    round_began_at=None,
    unannounced=0,
    bounded_items=None,
    is_whole=False,
)
SUBSCRIPTION = Subscription(
    id="sub_1",
    account_id=ACCOUNT.id,
    mailbox_id=MAILBOX.id,
    folder_id=FOLDER.id,
    state=SubscriptionState.LIVE,
    subscription_id="s",
    client_state_digest=b"",
    notification_url="https://mail.school.example/graph/notifications",
    expiration_date_time=NOW + 5 * DAY,
    renewed_at=NOW - DAY,
    next_step_at=NOW + 2 * DAY,
    reauthorize=False,
    failures=0,
    problem=None,
    created_at=NOW - 2 * DAY,
)
WATCH = Watch(folder=FOLDER, subscription=SUBSCRIPTION, hints=OpenHints(waiting=NOBODY, stubborn=0))
CHECK = Check(complete_since=NOW - 9 * DAY, checked_at=NOW - 6 * HOUR, compared=900, missing=0, problem=None)
COMPLETE = Completeness(check=CHECK, gaps=(), unannounced=0, missing_mail=(), is_checking=False)
TRIP = RoundTrip(
    id="rtp_1",
    account_id=ACCOUNT.id,
    mailbox_id=MAILBOX.id,
    message_id="msg_1",
    thread_id="thr_1",
    kind=Kind.DAILY,
    recipient=None,
    is_live=True,
    state=State.PASSED,
    late_at=NOW - 3 * HOUR + 5 * MINUTE,
    ends_at=NOW - 2 * HOUR,
    accepted_at=NOW - 3 * HOUR,
    threaded_at=NOW - 3 * HOUR + timedelta(seconds=4),
    ended_at=NOW - 3 * HOUR + timedelta(seconds=5),
)
BOX = Box(mailbox=MAILBOX, waiting=0, problem=None, watches=(WATCH,), completeness=COMPLETE, trip=TRIP, trying=None)
WEBHOOK = Webhook(
    id="whk_1",
    account_id=ACCOUNT.id,
    url="https://selma.school.example/hook?token=abc",
    description=None,
    types=(),
    secret=b"",
    old_secret=None,
    old_secret_until=None,
    state=WebhookState.LIVE,
    problem=None,
    taken_up=7,
    failures=0,
    next_probe_at=None,
    last_success_at=NOW - MINUTE,
    created_at=NOW - 90 * DAY,
)
HOOK = Hook(webhook=WEBHOOK, waiting=Waiting(count=0, oldest_at=None), refused=())
LETTERS = Letters(waiting=NOBODY, oldest_due=None, undecided=0, held=0, failed=0, batches=0)
CALM = Snapshot(
    now=NOW,
    account=ACCOUNT,
    serving=(CREDENTIAL,),
    expiry=standing(CREDENTIAL.expires_at, NOW, time_zone="UTC"),
    self_tests=True,
    public=True,
    sweeps=10 * MINUTE,
    alive_at=NOW - timedelta(seconds=3),
    happened=Happened(hour={"message.sent": 3}, day={"message.sent": 40, "reply.received": 12}, is_whole=True),
    letters=LETTERS,
    boxes=(BOX,),
    unproved=(),
    held_mail=NOBODY,
    hooks=(HOOK,),
    backlog=None,
)
WRITABLE = Part(name="store", ok=True, detail="The database can be written.")
PLACE = Place(
    now=NOW,
    settings=Settings(),
    parts=(WRITABLE,),
    alive_at=NOW - timedelta(seconds=3),
    running_since=NOW - 3 * DAY,
    file_bytes=12_000_000,
    log_bytes=0,
    room=Room(free=50_000_000_000, wanted=1_000_000_000, is_low=False),
    backups=Standing(wanted=True, newest_at=NOW - 3 * HOUR),
)


def account(**changes: Any) -> Snapshot:
    """The same with another account."""
    return replace(CALM, account=replace(ACCOUNT, **changes))


def letters(count: int = 0, **changes: Any) -> Snapshot:
    """The same with so many letters waiting."""
    waiting = Queue(count=count, oldest_at=NOW - HOUR if count else None)
    return replace(CALM, letters=replace(LETTERS, waiting=waiting, **changes))


def box(base: Snapshot = CALM, **changes: Any) -> Snapshot:
    """The same with another mailbox; what is a mailbox's own goes there."""
    own = {name: changes.pop(name) for name in ("paused_until", "next_letter_at") if name in changes}
    return replace(base, boxes=[replace(BOX, mailbox=replace(MAILBOX, **own), **changes)])


def folder(**changes: Any) -> Snapshot:
    """The same with another folder."""
    return box(watches=[replace(WATCH, folder=replace(FOLDER, **changes))])


def subscription(**changes: Any) -> Snapshot:
    """The same with another subscription."""
    return box(watches=[replace(WATCH, subscription=replace(SUBSCRIPTION, **changes))])


def completeness(**changes: Any) -> Snapshot:
    """The same with another check of the mailbox."""
    check = {name: changes.pop(name) for name in ("checked_at", "problem") if name in changes}
    return box(completeness=replace(COMPLETE, check=replace(CHECK, **check), **changes))


def hook(*, waiting: int = 0, since: timedelta = HOUR, refused: tuple[int, ...] = (), **changes: Any) -> Snapshot:
    """The same with another webhook."""
    behind = Waiting(count=waiting, oldest_at=NOW - since if waiting else None)
    return replace(CALM, hooks=[Hook(webhook=replace(WEBHOOK, **changes), waiting=behind, refused=refused)])


def trip(**changes: Any) -> Snapshot:
    """The same with another round trip."""
    return box(trip=replace(TRIP, **changes))


def credential(**changes: Any) -> Snapshot:
    """The same with another credential."""
    changed = replace(CREDENTIAL, **changes)
    return replace(CALM, serving=(changed,), expiry=standing(changed.expires_at, NOW, time_zone="UTC"))
