"""What a failure of Graph or Entra means for a letter: again later, fail with a reason, or ask a person. Pure.

One table, for the steps before the submission; the same reasons are kept when a submission is refused, but there no
answer except 202 is believed. Codes: https://learn.microsoft.com/graph/errors and the pages of the calls.
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
    Throttled,
    TokenError,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unreachable,
)

Failure = GraphError | TokenError | NotConnected
FAILURES: Final = (GraphError, TokenError, NotConnected)


class Outcome(StrEnum):
    """What is to become of the letter."""

    AGAIN = "again"
    FAIL = "fail"
    ASK = "ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`after` is when to try again; `pause` whether the whole mailbox waits as long. `problem` is for people."""

    outcome: Outcome
    problem: dict[str, Any]
    after: timedelta
    pause: bool


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

# Each reason with what to do about it: (explanation, cure).
PLAINLY: Final[Mapping[str, tuple[str, str]]] = {
    "not_connected": (
        "This account is not connected to Microsoft 365 yet.",
        "Enter tenant ID, client ID and client secret under Account-Level Configuration; the letter then leaves.",
    ),
    "no_token": ("Entra gives no token.", "Check the connection under Account-Level Configuration."),
    "recipients": (
        "Microsoft 365 does not accept one of the recipients.",
        "Check the addresses and post a new letter.",
    ),
    "too_large": (
        "The letter with its attachments is larger than the mailbox may send.",
        "Post a new letter with smaller attachments.",
    ),
    "send_as": (
        "Microsoft 365 does not let the app send from this address.",
        "Ask the tenant's admin about Send As rights, or send from another mailbox.",
    ),
    "mailbox": (
        "Microsoft 365 cannot serve this mailbox now: it may have lost its licence, moved or been deleted.",
        "Check the mailbox in the Microsoft 365 admin center, then validate it again under Mailbox Set-up.",
    ),
    "access": (
        "The app may not use this mailbox.",
        "Check the app's permissions and the policy that limits it to some mailboxes. A change takes up to 2 hours.",
    ),
    "quota": (
        "The mailbox is full, or has sent as much as it may for now.",
        "Make room in the mailbox, or wait: the gateway tries again.",
    ),
    "throttled": ("Microsoft 365 asks for patience with this mailbox.", "Nothing to do: the gateway tries again."),
    "unavailable": ("Microsoft 365 has trouble at the moment.", "Nothing to do: the gateway tries again."),
    "unreachable": (
        "Microsoft 365 cannot be reached.",
        "Check the gateway's network. The gateway tries again.",
    ),
    "item_gone": (
        "The letter's draft is not in the mailbox any more.",
        "Nothing to do: the gateway looks whether it was sent.",
    ),
    "not_understood": (
        "Microsoft 365 refused the letter for a reason that the gateway does not know.",
        "Look at the code. The letter was not sent; it can be sent anew or closed.",
    ),
    "unexpected": (
        "Microsoft 365 answered in a way that is not documented.",
        "Nothing to do: the gateway tries again. If it lasts, report it with the request id.",
    ),
    "internal": (
        "The gateway stumbled over this letter. This is a fault of the gateway.",
        "Please report it with the letter's id. The gateway tries again.",
    ),
    "interrupted": (
        "The gateway was interrupted while it sent this letter.",
        "Nothing to do: the gateway looks for it in the mailbox.",
    ),
    "not_seen": (
        "Microsoft 365 accepted the letter, but it has not appeared in Sent Items.",
        "Nothing to do: the gateway goes on looking.",
    ),
    "not_found": (
        "The letter was handed to Microsoft 365, but it is neither in Sent Items nor among the drafts.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "accepted_but_draft": (
        "Microsoft 365 accepted the letter, but it is still a draft.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "stays_draft": (
        "The letter was handed to Microsoft 365 several times and is still a draft.",
        "Look at the draft in the mailbox, then send the letter anew or close it.",
    ),
    "cannot_look": (
        "The letter was handed to Microsoft 365, but the mailbox could not be read since to see whether it was sent.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "draft_vanished": (
        "The letter's draft was handed to Microsoft 365 before and has disappeared since.",
        "Look in the mailbox whether it was sent, then send it anew or close it.",
    ),
    "mailbox_removed": (
        "The mailbox was removed from the gateway before the letter left.",
        "Post a new letter from another mailbox.",
    ),
    "closed": ("A person closed this letter.", ""),
}

A = Outcome.AGAIN
F = Outcome.FAIL

BY_CODE: Final[Mapping[str, tuple[Outcome, str]]] = {
    code.casefold(): (outcome, reason)
    for outcome, reason, codes in (
        (F, "recipients", ("ErrorInvalidRecipients",)),
        (F, "too_large", ("ErrorMessageSizeExceeded",)),
        (F, "send_as", ("ErrorSendAsDenied",)),
        (A, "mailbox", ("MailboxNotEnabledForRESTAPI", "ErrorMailboxNotEnabledForRESTAPI", "ResourceNotFound")),
        (A, "item_gone", ("ErrorItemNotFound",)),
        (A, "mailbox", ("ErrorInvalidUser", "Request_ResourceNotFound")),
        (A, "access", ("ErrorAccessDenied", "Authorization_RequestDenied", "NoPermissionsInAccessToken")),
        (A, "quota", ("ErrorQuotaExceeded", "ErrorSubmissionQuotaExceeded")),
    )
    for code in codes
}
BY_KIND: Final[tuple[tuple[type[GraphError], Outcome, str], ...]] = (
    (Throttled, A, "throttled"),
    (TooLarge, F, "too_large"),
    (AccessDenied, A, "access"),
    (Unauthorized, A, "access"),
    (NotFound, A, "mailbox"),
    (Unreachable, A, "unreachable"),
    (Unavailable, A, "unavailable"),
    (BadRequest, Outcome.ASK, "not_understood"),
)
MAILBOX_WIDE: Final[Mapping[str, timedelta]] = {
    "throttled": THROTTLED_RETRY,
    "mailbox": MAILBOX_RETRY,
    "access": MAILBOX_RETRY,
    "quota": MAILBOX_RETRY,
    "unreachable": NETWORK_RETRY,
}


def problem(code: str, *, because: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A reason as it is stored and shown: `code`, `explanation`, `cure`; what is not known is left out.

    `because` is the reason that led to this one.
    """
    explanation, cure = PLAINLY[code]
    cause = None if because is None else {name: value for name, value in because.items() if name != "because"}
    return {
        name: value
        for name, value in {
            "code": code,
            "explanation": explanation,
            "cure": cure or None,
            "because": cause,
            **more,
        }.items()
        if value is not None
    }


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
            return Verdict(outcome=A, problem=problem("not_connected"), after=CREDENTIAL_RETRY, pause=True)
        case TokenError():
            return _no_token(failure)
        case GraphError():
            return _graph_error(failure, attempts)


def internal(attempts: int) -> Verdict:
    """A fault of ours met this letter: later, so that the others go on."""
    return Verdict(outcome=A, problem=problem("internal"), after=max(backoff(attempts), CREDENTIAL_RETRY), pause=False)


def _no_token(failure: TokenError) -> Verdict:
    why = problem("no_token", kind=failure.kind.value, aadsts=failure.aadsts, correlation_id=failure.correlation_id)
    why |= {"explanation": failure.explanation, "cure": failure.cure}
    after = max(failure.retry_after or CREDENTIAL_RETRY, CREDENTIAL_RETRY)
    return Verdict(outcome=A, problem=why, after=after, pause=True)


def _graph_error(failure: GraphError, attempts: int) -> Verdict:
    outcome, reason = _outcome(failure)
    why = problem(
        reason,
        graph_code=failure.code or None,
        status=failure.status,
        detail=failure.message[:500] or None,
        request_id=failure.request_id,
        final=True if outcome is Outcome.FAIL else None,
    )
    after = MAILBOX_WIDE.get(reason) or backoff(attempts)
    if failure.retry_after is not None:
        after = failure.retry_after if reason == "throttled" else max(after, failure.retry_after)
    return Verdict(
        outcome=outcome,
        problem=why,
        after=after,
        pause=outcome is A and _concerns_all(failure, reason),
    )


def _concerns_all(failure: GraphError, reason: str) -> bool:
    """Whether other letters of the mailbox would meet the same. An answer that was lost says nothing of them."""
    if isinstance(failure, Unreachable):
        return not failure.sent
    return reason in MAILBOX_WIDE or failure.retry_after is not None


def _outcome(failure: GraphError) -> tuple[Outcome, str]:
    known = BY_CODE.get(failure.code.casefold())
    if known is not None and not isinstance(failure, Throttled):
        return known
    for kind, outcome, reason in BY_KIND:
        if isinstance(failure, kind):
            return outcome, reason
    return A, "unexpected"
