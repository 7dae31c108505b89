from datetime import timedelta

import pytest

from gateway.connections import NotConnected
from gateway.graph import (
    AccessDenied,
    BadRequest,
    CredentialRefused,
    EntraUnavailable,
    GraphError,
    NotFound,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from gateway.sending.errors import PLAINLY, Failure, backoff, judge, problem


@pytest.mark.parametrize(
    ("failure", "outcome", "code", "pause"),
    [
        (BadRequest(status=400, code="ErrorInvalidRecipients"), "fail", "recipients", False),
        (TooLarge(status=413), "fail", "too_large", False),
        (TooLarge(status=400, code="ErrorMessageSizeExceeded"), "fail", "too_large", False),
        (AccessDenied(status=403, code="ErrorSendAsDenied"), "fail", "send_as", False),
        (NotFound(status=404, code="MailboxNotEnabledForRESTAPI"), "again", "mailbox", True),
        (NotFound(status=404, code="ResourceNotFound"), "again", "mailbox", True),
        (NotFound(status=404, code="errorItemNotFound"), "again", "item_gone", False),
        (AccessDenied(status=403, code="ErrorAccessDenied"), "again", "access", True),
        (Unauthorized(status=401, code="InvalidAuthenticationToken"), "again", "access", True),
        (GraphError(status=507, code="ErrorQuotaExceeded"), "again", "quota", True),
        (Throttled(status=429, code="ErrorQuotaExceeded"), "again", "throttled", True),
        (Unavailable(status=500), "again", "unavailable", False),
        (Unavailable(status=503, retry_after=timedelta(seconds=60)), "again", "unavailable", True),
        (Unreachable(sent=False), "again", "unreachable", True),
        (Unreachable(sent=True), "again", "unreachable", False),
        (BadRequest(status=400, code="SomethingNew"), "ask", "not_understood", False),
        (UnexpectedAnswer(status=200), "again", "unexpected", False),
        (CredentialRefused("expired"), "again", "no_token", True),
        (EntraUnavailable("busy"), "again", "no_token", True),
        (NotConnected("acc_1"), "again", "not_connected", True),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'code', '')}" if isinstance(value, Exception) else "",
)
def test_what_a_failure_means_for_a_letter(failure: Failure, outcome: str, code: str, pause: bool) -> None:
    verdict = judge(failure, 1)
    assert (verdict.outcome, verdict.problem["code"], verdict.pause) == (outcome, code, pause)
    assert verdict.problem["explanation"].endswith(".")


def test_throttling_is_obeyed_to_the_second() -> None:
    assert judge(Throttled(status=429, retry_after=timedelta(seconds=7)), 5).after == timedelta(seconds=7)


def test_a_token_is_asked_for_again_after_thirty_seconds_however_often_it_failed() -> None:
    assert {judge(CredentialRefused("expired"), n).after for n in (1, 10, 1000)} == {timedelta(seconds=30)}


def test_waits_grow_to_ten_minutes_and_no_further() -> None:
    waits = [backoff(attempts).total_seconds() for attempts in (0, 1, 2, 3, 8, 10_000)]
    assert waits == [5, 5, 10, 20, 600, 600]


def test_a_reason_keeps_what_led_to_it_but_not_a_chain() -> None:
    first = problem("unavailable")
    second = problem("stays_draft", because=problem("not_seen", because=first))
    assert second["because"]["code"] == "not_seen"
    assert "because" not in second["because"]


@pytest.mark.parametrize("code", sorted(PLAINLY))
def test_every_reason_is_a_sentence(code: str) -> None:
    explanation, cure = PLAINLY[code]
    assert explanation.endswith(".")
    assert cure == "" or cure.endswith(".")
