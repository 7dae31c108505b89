"""Why letters wait: what stands in the way of all of them, of those of a mailbox, of each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.http.pages.settings_view import Tone, token_trouble
from gateway.sending.machine import FINISHED, LOOP, UNSENT, State, is_held, shown
from gateway.sending.reasons import PLAINLY
from storage import Transaction, accounts, credentials, mailboxes, messages, outbox
from storage.accounts import Account, TokenState
from storage.mailboxes import Mailbox, MailboxState
from storage.outbox import Letter
from storage.threads import Address

QUEUED_SHOWN: Final = 20
MOST_NAMES: Final = 3
UNFINISHED: Final = frozenset(State) - FINISHED


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """Something that keeps letters from leaving. `until` is when it is looked at again by itself."""

    tone: Tone
    title: str
    detail: str
    cure: str | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What stands in the way, and how many letters only people can settle."""

    obstacles: Sequence[Obstacle]
    to_decide: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a letter stands where it does. `earlier` led to it; `trace` is what Microsoft's support would ask for."""

    explanation: str
    cure: str | None = None
    earlier: str | None = None
    trace: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterLine:
    """A letter in a list. `at` is since when it is where it is. One `is_held` may be let go by a person."""

    id: str
    subject: str
    to: str
    mailbox: str
    at: datetime
    reason: Reason
    is_held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingView:
    """How many letters are under way by their status, and those that leave next."""

    counts: Mapping[str, int]
    letters: Sequence[LetterLine]

    @property
    def more(self) -> int:
        """How many queued letters are not shown."""
        return self.counts.get("queued", 0) - len(self.letters)


def read_way(tx: Transaction, account_id: str, *, now: datetime) -> Way:
    """Worst first: no letter of the account, then those of a mailbox."""
    account = accounts.get(tx, account_id)
    configured = account.client_id is not None and credentials.active(tx, account_id) is not None
    found = mailboxes.list_mailboxes(tx, account_id)
    paused = [(one, one.paused_until) for one in found if one.paused_until is not None and one.paused_until > now]
    to_decide = outbox.counts_in(tx, account_id, [State.NEEDS_REVIEW])
    return Way(
        obstacles=[
            *of_account(account, found, configured=configured, now=now),
            *(of_mailbox(one, until, outbox.problem_near(tx, one.id, until)) for one, until in paused),
            *of_answerers(outbox.drafted_with_problem(tx, account_id, LOOP)),
        ],
        to_decide=sum(to_decide.values()),
    )


def of_account(account: Account, found: Sequence[Mailbox], *, configured: bool, now: datetime) -> list[Obstacle]:
    """What keeps every letter of the account."""
    until = account.outbox_paused_until
    until = until if until is not None and until > now else None
    if not configured:
        explanation, cure = PLAINLY["not_connected"]
        return [Obstacle(tone=Tone.WARN, title="Not connected", detail=explanation, cure=cure, until=until)]
    if account.token_state is TokenState.REFUSED or until is not None:
        problem = account.token_problem or dict(zip(("explanation", "cure"), PLAINLY["no_token"], strict=True))
        title = "The outbox is paused" if until is not None else "Microsoft 365 does not let the gateway in"
        detail = token_trouble(problem)
        return [Obstacle(tone=Tone.BAD, title=title, detail=detail, cure=problem.get("cure"), until=until)]
    if not any(one.state is MailboxState.VALIDATED for one in found):
        detail, cure = "No mailbox is validated yet.", "Add and validate one under Mailbox Set-up."
        return [Obstacle(tone=Tone.WARN, title="No mailbox", detail=detail, cure=cure)]
    return []


def of_mailbox(mailbox: Mailbox, until: datetime, problem: Mapping[str, Any] | None) -> Obstacle:
    """What keeps every letter of a mailbox, as one of them met it."""
    explanation, cure = PLAINLY["throttled"]
    met = {"explanation": explanation, "cure": cure} if problem is None else problem
    return Obstacle(
        tone=Tone.WARN,
        title=f"{mailbox.address} is paused",
        detail=met.get("explanation", explanation),
        cure=met.get("cure"),
        until=until,
    )


def of_answerers(held: int) -> list[Obstacle]:
    """What keeps letters to those who answer automatically."""
    if held == 0:
        return []
    explanation, cure = PLAINLY[LOOP]
    title = "A letter is held" if held == 1 else f"{held} letters are held"
    return [Obstacle(tone=Tone.WARN, title=title, detail=explanation, cure=cure)]


def read_waiting(tx: Transaction, account_id: str, *, now: datetime) -> WaitingView:
    """What is under way, and the first of what waits, next to leave first."""
    account, counts = accounts.get(tx, account_id), Counter[str]()
    for state, letters in outbox.counts_in(tx, account_id, UNFINISHED).items():
        counts[shown(state)] += letters
    queued = outbox.next_to_leave(tx, account_id, UNSENT, now=now, limit=QUEUED_SHOWN)
    return WaitingView(counts=counts, letters=[_waits(tx, one, account, now) for one in queued])


def _waits(tx: Transaction, letter: Letter, account: Account, now: datetime) -> LetterLine:
    mailbox = mailboxes.get(tx, letter.mailbox_id)
    return line(tx, letter, mailbox, why_it_waits(letter, mailbox, account, now))


def line(tx: Transaction, letter: Letter, mailbox: Mailbox, reason: Reason) -> LetterLine:
    """A letter with what its message says of it."""
    message = messages.get(tx, letter.account_id, letter.message_id)
    return LetterLine(
        id=letter.message_id,
        subject=message.subject,
        to=_names([*message.recipients.to, *message.recipients.cc, *message.recipients.bcc]),
        mailbox=mailbox.address,
        at=letter.state_since,
        reason=reason,
        is_held=is_held(letter),
    )


def why_it_waits(letter: Letter, mailbox: Mailbox, account: Account, now: datetime) -> Reason:
    """The first thing that would have to change before a queued letter can leave."""
    if letter.send_at is not None and letter.send_at > now:
        return Reason(explanation="It was posted to leave later.", until=letter.send_at)
    if account.outbox_paused_until is not None and account.outbox_paused_until > now:
        return Reason(explanation="The account’s outbox is paused: see above.", until=account.outbox_paused_until)
    if mailbox.paused_until is not None and mailbox.paused_until > now:
        return Reason(explanation="Its mailbox is paused: see above.", until=mailbox.paused_until)
    if letter.problem is not None:
        return reason_of(letter.problem, until=letter.next_attempt_at)
    if letter.lease_owner is not None:
        return Reason(explanation="The gateway has it in hand.")
    if mailbox.next_letter_at is not None and mailbox.next_letter_at > now:
        return Reason(explanation=PLAINLY["budget"][0], until=mailbox.next_letter_at)
    return Reason(explanation="It waits its turn.")


def reason_of(problem: Mapping[str, Any], *, until: datetime | None = None) -> Reason:
    """A stored problem, for people."""
    because: Mapping[str, Any] = problem.get("because") or {}
    code = problem.get("graph_code") or because.get("graph_code")
    request_id = problem.get("request_id") or because.get("request_id")
    trace = [f"Microsoft’s code: {code}" if code else "", f"request id: {request_id}" if request_id else ""]
    return Reason(
        explanation=problem.get("explanation", "Something is in the way."),
        cure=problem.get("cure"),
        earlier=because.get("explanation"),
        trace=", ".join(filter(None, trace)) or None,
        until=until,
    )


def _names(people: Sequence[Address]) -> str:
    more = len(people) - MOST_NAMES
    return ", ".join(one.name or one.address for one in people[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
