"""What a failure of Graph or Entra means for a letter: again later, fail with a reason, or ask a person. Pure.

`RULES` is the one table, for the steps before the submission; the same reasons are kept when a submission is refused,
but there no answer except 202 is believed. Codes: https://learn.microsoft.com/graph/errors and the pages of the calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final

from gateway.connections import NotConnected
from gateway.graph import (
    AccessDenied,
    BadRequest,
    GraphError,
    NotFound,
    OutOfSpace,
    OverBudget,
    Throttled,
    TokenError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
)
from gateway.sending.reasons import problem

Failure = GraphError | TokenError | NotConnected
FAILURES: Final = (GraphError, TokenError, NotConnected)


class Outcome(StrEnum):
    """What is to become of the letter."""

    AGAIN = "again"
    FAIL = "fail"
    ASK = "ask"


class Pause(StrEnum):
    """Who waits along, because it would meet the same."""

    LETTER = "letter"
    MAILBOX = "mailbox"
    ACCOUNT = "account"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`after` is when to try again; `pause` who waits as long. `problem` is for people."""

    outcome: Outcome
    problem: dict[str, Any]
    after: timedelta
    pause: Pause


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A row of the table: failures with one of these codes, else of this kind, mean this.

    `after` is when to try again; None: after a wait that grows. With `pause`, the whole mailbox waits.
    """

    reason: str
    outcome: Outcome
    codes: tuple[str, ...] = ()
    kind: type[GraphError] | None = None
    after: timedelta | None = None
    pause: Pause = Pause.LETTER


FIRST_BACKOFF: Final = timedelta(seconds=5)
LONGEST_BACKOFF: Final = timedelta(minutes=10)
CREDENTIAL_RETRY: Final = timedelta(seconds=30)
NETWORK_RETRY: Final = timedelta(seconds=10)
THROTTLED_RETRY: Final = timedelta(seconds=30)  # when Graph does not say
MAILBOX_RETRY: Final = timedelta(minutes=5)  # heals when an admin acts: licence, policy, quota; facts: within 2 h

PATIENCE: Final = timedelta(hours=24)
# An admin may mend a credential after a long weekend; letters wait for that.
CREDENTIAL_PATIENCE: Final = timedelta(days=7)
CREDENTIAL_CODES: Final = frozenset({"not_connected", "no_token"})

A = Outcome.AGAIN
F = Outcome.FAIL
M = Pause.MAILBOX

# A code counts more than a kind; the first row that fits counts. Throttled is throttled, whatever its code.
RULES: Final[tuple[Rule, ...]] = (
    Rule(reason="budget", outcome=A, kind=OverBudget, after=THROTTLED_RETRY, pause=M),
    Rule(reason="throttled", outcome=A, kind=Throttled, after=THROTTLED_RETRY, pause=M),
    Rule(reason="recipients", outcome=F, codes=("ErrorInvalidRecipients",)),
    Rule(reason="too_large", outcome=F, codes=("ErrorMessageSizeExceeded",), kind=TooLarge),
    Rule(reason="send_as", outcome=F, codes=("ErrorSendAsDenied",)),
    Rule(
        reason="headers",
        outcome=F,
        codes=("InvalidInternetMessageHeader", "InvalidInternetMessageHeaderCollection"),
    ),
    Rule(reason="item_gone", outcome=A, codes=("ErrorItemNotFound",)),
    Rule(
        reason="mailbox",
        outcome=A,
        codes=(
            "MailboxNotEnabledForRESTAPI",
            "ErrorMailboxNotEnabledForRESTAPI",
            "ResourceNotFound",
            "ErrorInvalidUser",
            "Request_ResourceNotFound",
        ),
        kind=NotFound,
        after=MAILBOX_RETRY,
        pause=M,
    ),
    Rule(
        reason="access",
        outcome=A,
        codes=("ErrorAccessDenied", "Authorization_RequestDenied", "NoPermissionsInAccessToken"),
        kind=AccessDenied,
        after=MAILBOX_RETRY,
        pause=M,
    ),
    Rule(reason="access", outcome=A, kind=Unauthorized, after=MAILBOX_RETRY, pause=M),
    Rule(
        reason="quota",
        outcome=A,
        codes=("ErrorQuotaExceeded", "ErrorSubmissionQuotaExceeded", "ErrorExceededMessageLimit"),
        kind=OutOfSpace,
        after=MAILBOX_RETRY,
        pause=M,
    ),
    Rule(reason="unreachable", outcome=A, kind=Unreachable, after=NETWORK_RETRY, pause=M),
    Rule(reason="unavailable", outcome=A, kind=Unavailable),
    Rule(reason="not_understood", outcome=Outcome.ASK, kind=BadRequest),
    Rule(reason="unexpected", outcome=A, kind=GraphError),
)


def patience(why: Mapping[str, Any] | None) -> timedelta:
    """How long a letter waits for this reason to go away."""
    return CREDENTIAL_PATIENCE if why is not None and why.get("code") in CREDENTIAL_CODES else PATIENCE


def backoff(attempts: int) -> timedelta:
    """5 s, 10 s, 20 s, … up to 10 minutes."""
    return min(FIRST_BACKOFF * (1 << min(max(attempts - 1, 0), 10)), LONGEST_BACKOFF)


def judge(failure: Failure, attempts: int) -> Verdict:
    """What this failure means for a letter that nothing was submitted of."""
    match failure:
        case NotConnected():
            why = problem("not_connected")
            return Verdict(outcome=A, problem=why, after=CREDENTIAL_RETRY, pause=Pause.ACCOUNT)
        case TokenError():
            return _no_token(failure)
        case GraphError():
            return _graph_error(failure, attempts)


def internal(attempts: int) -> Verdict:
    """A fault of ours met this letter: later, so that the others go on."""
    after = max(backoff(attempts), CREDENTIAL_RETRY)
    return Verdict(outcome=A, problem=problem("internal"), after=after, pause=Pause.LETTER)


def ask(reason: str) -> Verdict:
    """Something that only a person can settle."""
    return Verdict(outcome=Outcome.ASK, problem=problem(reason), after=timedelta(0), pause=Pause.LETTER)


def fail(reason: str) -> Verdict:
    """Something that cannot be mended."""
    return Verdict(outcome=F, problem=problem(reason, final=True), after=timedelta(0), pause=Pause.LETTER)


def _no_token(failure: TokenError) -> Verdict:
    why = problem("no_token", kind=failure.kind.value, aadsts=failure.aadsts, correlation_id=failure.correlation_id)
    why |= {"explanation": failure.explanation, "cure": failure.cure}
    after = max(failure.retry_after or CREDENTIAL_RETRY, CREDENTIAL_RETRY)
    return Verdict(outcome=A, problem=why, after=after, pause=Pause.ACCOUNT)


def _graph_error(failure: GraphError, attempts: int) -> Verdict:
    rule = rule_for(failure)
    why = problem(
        rule.reason,
        graph_code=failure.code or None,
        status=failure.status,
        detail=failure.message[:500] or None,
        request_id=failure.request_id,
        final=True if rule.outcome is F else None,
    )
    after = rule.after or backoff(attempts)
    if failure.retry_after is not None:
        after = failure.retry_after if isinstance(failure, Throttled) else max(after, failure.retry_after)
    return Verdict(outcome=rule.outcome, problem=why, after=after, pause=_who_waits(failure, rule))


def _who_waits(failure: GraphError, rule: Rule) -> Pause:
    """Whether other letters of the mailbox would meet the same. An answer that was lost says nothing of them."""
    if rule.outcome is not A or (isinstance(failure, Unreachable) and failure.sent):
        return Pause.LETTER
    return Pause.MAILBOX if failure.retry_after is not None else rule.pause


def rule_for(failure: GraphError) -> Rule:
    """The row of the table that this failure falls under."""
    if not isinstance(failure, Throttled):
        for rule in RULES:
            if failure.is_code(*rule.codes):
                return rule
    return next(rule for rule in RULES if rule.kind is not None and isinstance(failure, rule.kind))
