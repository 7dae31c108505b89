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
    OutOfSpace,
    OverBudget,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from gateway.sending.errors import RULES, Failure, backoff, judge
from gateway.sending.reasons import PLAINLY, problem


@pytest.mark.parametrize(
    ("failure", "outcome", "code", "pause"),
    [
        (BadRequest(status=400, code="ErrorInvalidRecipients"), "fail", "recipients", "letter"),
        (TooLarge(status=413), "fail", "too_large", "letter"),
        (TooLarge(status=400, code="ErrorMessageSizeExceeded"), "fail", "too_large", "letter"),
        (AccessDenied(status=403, code="ErrorSendAsDenied"), "fail", "send_as", "letter"),
        (NotFound(status=404, code="MailboxNotEnabledForRESTAPI"), "again", "mailbox", "mailbox"),
        (NotFound(status=404, code="ResourceNotFound"), "again", "mailbox", "mailbox"),
        (NotFound(status=404, code="errorItemNotFound"), "again", "item_gone", "letter"),
        (AccessDenied(status=403, code="ErrorAccessDenied"), "again", "access", "mailbox"),
        (Unauthorized(status=401, code="InvalidAuthenticationToken"), "again", "access", "mailbox"),
        (GraphError(status=507, code="ErrorQuotaExceeded"), "again", "quota", "mailbox"),
        (OutOfSpace(status=507), "again", "quota", "mailbox"),
        (BadRequest(status=400, code="ErrorSubmissionQuotaExceeded"), "again", "quota", "mailbox"),
        (BadRequest(status=400, code="InvalidInternetMessageHeaderCollection"), "fail", "headers", "letter"),
        (OverBudget(retry_after=timedelta(seconds=9)), "again", "budget", "mailbox"),
        (Throttled(status=429, code="ErrorQuotaExceeded"), "again", "throttled", "mailbox"),
        (Unavailable(status=500), "again", "unavailable", "letter"),
        (Unavailable(status=503, retry_after=timedelta(seconds=60)), "again", "unavailable", "mailbox"),
        (Unreachable(sent=False), "again", "unreachable", "mailbox"),
        (Unreachable(sent=True), "again", "unreachable", "letter"),
        (BadRequest(status=400, code="SomethingNew"), "ask", "not_understood", "letter"),
        (UnexpectedAnswer(status=200), "again", "unexpected", "letter"),
        (CredentialRefused("expired"), "again", "no_token", "account"),
        (EntraUnavailable("busy"), "again", "no_token", "account"),
        (NotConnected("acc_1"), "again", "not_connected", "account"),
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


def test_each_row_of_the_table_has_its_reason_in_plain_words() -> None:
    assert {rule.reason for rule in RULES} <= set(PLAINLY)


def test_no_code_stands_in_two_rows() -> None:
    codes = [code for rule in RULES for code in rule.codes]
    assert len(codes) == len(set(codes))
