"""Opening what rich notifications bring, and closing the hints of mail that it shows not to be ours.

Most mail of a busy Inbox is nobody's reply. Its notification brings what a look into the mailbox would bring: its
conversation, its Message-ID and its headers. Where all of these are there, proven to come from Graph, and none of them
ties the mail to us, its hint is closed with no call to Graph. The questions are those of `sift`, put to the same
tables, so a reply that only its headers tie to a letter is no less found. Whatever is not shown whole, a draft, a mail
without headers, content that does not open, is looked into as if the notification had been plain, and so is what may be
a mail system's report; and the delta shows every mail once more, and the same is asked about it again.

Nothing that was opened is ever stored. Tokens and contents are worked on in threads, a few requests at once and each
for a few seconds only: its hint has been promised a look.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from gateway import tracing
from gateway.clock import Clock
from gateway.graph import Cloud, Message, UnexpectedAnswer
from gateway.rich import Opener
from gateway.steady import SteadyStore
from gateway.threads.reports import may_be_report
from gateway.threads.sift import Watched, is_tied, letters_named
from storage import Store, Transaction, accounts, folders, hints, identities, mailboxes, rich_troubles
from subscriptions.certificates import Certificates
from subscriptions.falling_back import after_unopened, guid
from subscriptions.judging import Trusted
from subscriptions.notifications import Change
from subscriptions.receiver import Sealed
from subscriptions.rich import NotOpened
from subscriptions.validation_tokens import App, TokensRefused

log = logging.getLogger(__name__)

AT_ONCE: Final = 2  # requests
ROOM: Final = 16 * 1024 * 1024  # bytes of requests that wait or are being opened
OPENED_WITHIN: Final = timedelta(seconds=15)  # of their coming; well before their hints are looked into anyway
SEVERAL_CLOUDS: Final = "a request is for apps in several clouds"
TOO_LATE: Final = "it took too long"
ANOTHER_MESSAGE: Final = "it is about another message"
UNPROVEN: Final = "the tokens do not speak for the account's app"
NOT_UNDERSTOOD: Final = "it is not a message as Graph documents it"

NOT_OURS: Final = "not_ours"
LOOKED_INTO: Final = "looked_into"
UNOPENED: Final = "unopened"
OUTCOMES: Final = (NOT_OURS, LOOKED_INTO, UNOPENED)


class Openers(Protocol):
    """Where each cloud's tokens are checked."""

    def of(self, cloud: Cloud) -> Opener:
        """Made at first use."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What became of one content: the message that it shows, or why it shows none."""

    account_id: str
    folder_id: str
    message_id: str
    found: Message | str


class Openings:
    """Opens what the receiver lets in. `count` hears how many contents came to which of `OUTCOMES`."""

    def __init__(
        self,
        store: Store,
        certificates: Certificates,
        openers: Openers,
        clock: Clock,
        *,
        count: Callable[[Mapping[str, int]], None] = lambda outcomes: None,
    ) -> None:
        self._store = store
        self._certificates = certificates
        self._openers = openers
        self._clock = clock
        self._count = count
        self._taken = 0
        self._waiting: asyncio.Queue[Sealed] = asyncio.Queue()

    def reserve(self, size: int) -> bool:
        """Whether there is room for a request of so many bytes; then it is the caller's."""
        if self._taken + size > ROOM:
            return False
        self._taken += size
        return True

    def release(self, size: int) -> None:
        """So much is free again."""
        self._taken -= size

    def open(self, sealed: Sealed) -> None:
        """Take on what there is room for."""
        self._waiting.put_nowait(sealed)

    async def run(self, tick: asyncio.Event) -> None:
        """Open what comes, for ever. Woken by what comes: `tick` is not needed."""
        async with asyncio.TaskGroup() as group:
            for number in range(AT_ONCE):
                group.create_task(self._work(), name=f"opening {number}")

    async def run_waiting(self) -> int:
        """Open what waits now; how many requests."""
        opened = 0
        while not self._waiting.empty():
            await self._take(self._waiting.get_nowait())
            opened += 1
        return opened

    async def _work(self) -> None:
        while True:
            await self._take(await self._waiting.get())

    async def _take(self, sealed: Sealed) -> None:
        """Whatever happens to it, its hints are closed or due when this ends."""
        try:
            try:
                with tracing.begun():
                    shown = await self._shown(sealed)
            except Exception as error:
                log.exception("opening stumbled")
                shown = _all(sealed, type(error).__name__)
            outcomes = await SteadyStore(self._store, self._clock).write(settle, shown, now=self._clock.now())
            self._count(outcomes)
            _log_unopened(shown)
        finally:
            self.release(sealed.size)

    async def _shown(self, sealed: Sealed) -> Sequence[Shown]:
        left = sealed.received_at + OPENED_WITHIN - self._clock.now()
        if left <= timedelta(0):
            return _all(sealed, TOO_LATE)
        try:
            async with asyncio.timeout(left.total_seconds()):
                return await self._opened(sealed)
        except TokensRefused as error:
            return _all(sealed, str(error))
        except TimeoutError:
            return _all(sealed, TOO_LATE)

    async def _opened(self, sealed: Sealed) -> Sequence[Shown]:
        """Raises `TokensRefused`."""
        ids = {one.watch.subscription.account_id for one in sealed.changes}
        apps, clouds = await self._store.read(_apps_of, ids)
        if len(clouds) != 1:
            raise TokensRefused(SEVERAL_CLOUDS)
        opener = self._openers.of(clouds.pop())
        proven = await opener.proven(sealed.validation_tokens, set(apps.values()))
        shown: list[Shown] = []
        for account_id in sorted(ids):
            changes = [one for one in sealed.changes if one.watch.subscription.account_id == account_id]
            if apps.get(account_id) not in proven:
                shown += [_shown(one, UNPROVEN) for one in changes]
                continue
            keys = await self._certificates.keys(account_id)
            contents = await opener.opened([_content(one) for one in changes], keys)
            shown += [_shown(one, found) for one, found in zip(changes, contents, strict=True)]
        return shown


def _content(trusted: Trusted) -> object:
    return trusted.item.encrypted_content if isinstance(trusted.item, Change) else None


def _all(sealed: Sealed, why: str) -> Sequence[Shown]:
    return [_shown(one, why) for one in sealed.changes]


def _shown(trusted: Trusted, found: dict[str, object] | NotOpened | str) -> Shown:
    subscription = trusted.watch.subscription
    message_id = trusted.item.message_id if isinstance(trusted.item, Change) else None
    return Shown(
        account_id=subscription.account_id,
        folder_id=subscription.folder_id,
        message_id=message_id or "",
        found=message_of(found, message_id) if isinstance(found, dict) else str(found),
    )


def message_of(properties: Mapping[str, object], message_id: str | None) -> Message | str:
    """The content of one message must not be put in the place of another's: the envelope is not signed."""
    try:
        message = Message.from_graph(properties)
    except UnexpectedAnswer:
        return NOT_UNDERSTOOD
    return message if message.id == message_id else ANOTHER_MESSAGE


def _apps_of(tx: Transaction, account_ids: Iterable[str]) -> tuple[dict[str, App], set[Cloud]]:
    """The apps that can be proven, by account, and the clouds they are in."""
    found = [accounts.get(tx, account_id) for account_id in account_ids]
    apps = {}
    for account in found:
        client_id, tenant_id = guid(account.client_id), guid(account.tenant_id)
        if client_id is not None and tenant_id is not None:
            apps[account.id] = App(client_id=client_id, tenant_id=tenant_id)
    return apps, {Cloud(account.cloud) for account in found}


def settle(tx: Transaction, shown: Sequence[Shown], *, now: datetime) -> Mapping[str, int]:
    """Close the hints of what is shown not to be ours, make all others due, and remember how opening went.

    Belongs in one transaction: what ties a mail to us is asked when its hint is closed.
    """
    outcomes: Counter[str] = Counter()
    for folder_id in dict.fromkeys(one.folder_id for one in shown):
        of_folder = [one for one in shown if one.folder_id == folder_id]
        folder = folders.get(tx, folder_id)
        watched = Watched(folder=folder, mailbox=mailboxes.get(tx, folder.mailbox_id))
        to_look_into = []
        for one in of_folder:
            outcome = _outcome(tx, watched, one)
            outcomes[outcome] += 1
            if outcome == NOT_OURS:
                hints.close_opened(tx, folder_id, one.message_id, now=now)
            else:
                to_look_into.append(one.message_id)
        if to_look_into:
            hints.look_now(tx, folder_id, to_look_into, now=now)
        _remember(tx, folder_id, of_folder, now)
    return outcomes


def _outcome(tx: Transaction, watched: Watched, shown: Shown) -> str:
    if isinstance(shown.found, str):
        return UNOPENED
    return NOT_OURS if is_shown_not_to_be_ours(tx, watched, shown.found) else LOOKED_INTO


def is_shown_not_to_be_ours(tx: Transaction, watched: Watched, message: Message) -> bool:
    """Whether all witnesses are there and none speaks for us. See `matching`: without the first two a mail is not ours,
    whoever sent it.
    """
    is_whole = bool(message.conversation_id and message.internet_message_id and message.internet_message_headers)
    if not is_whole or message.is_draft is not False:
        return False
    # A report may name its letter in its bytes alone.
    if may_be_report(message_class=None, headers=message.internet_message_headers or ()):
        return False
    if identities.by_graph_id(tx, watched.mailbox.id, message.id) is not None:
        return False
    return not is_tied(tx, watched, message) and not letters_named(tx, watched.mailbox.account_id, message)


def _remember(tx: Transaction, folder_id: str, shown: Sequence[Shown], now: datetime) -> None:
    """That opening went well ends a row of failures; a day without rich notifications goes on to its end."""
    trouble = rich_troubles.of_folder(tx, folder_id)
    if trouble.plain_until is not None and now < trouble.plain_until:
        return
    reasons = [one.found for one in shown if isinstance(one.found, str)]
    if len(reasons) < len(shown):
        if trouble.unopened:
            rich_troubles.forget(tx, folder_id)
        return
    reason = f"What Microsoft 365 encrypted could not be opened again and again: {reasons[-1]}."
    rich_troubles.save(tx, after_unopened(trouble, reason, now))


def _log_unopened(shown: Sequence[Shown]) -> None:
    """One line for a request, without anything that was in it."""
    why = Counter(one.found for one in shown if isinstance(one.found, str))
    if why:
        log.warning("encrypted content not opened", extra={"why": dict(why), "of": len(shown)})
