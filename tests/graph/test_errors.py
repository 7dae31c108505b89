from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import (
    AccessDenied,
    BadRequest,
    Conflict,
    Gone,
    GraphError,
    NotFound,
    OutOfSpace,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    wire,
)

from .fakes import A_MONDAY, SAMPLES, sample
from .strategies import json_values


def error_of(status, body, **headers):
    return wire.error_from(status, {k.replace("_", "-"): v for k, v in headers.items()}, body, now=A_MONDAY)


@pytest.mark.parametrize(
    ("name", "status", "kind", "code"),
    [
        ("access-denied", 403, AccessDenied, "ErrorAccessDenied"),
        ("access-denied-generic", 403, AccessDenied, "ErrorAccessDenied"),
        ("application-throttled", 429, Throttled, "ApplicationThrottled"),
        ("attachment-too-small", 400, BadRequest, "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"),
        ("authorization-request-denied", 403, AccessDenied, "Authorization_RequestDenied"),
        ("delta-filter", 400, BadRequest, "ErrorInvalidUrlQuery"),
        ("generic", 416, Conflict, "badRequest"),
        ("id-malformed", 400, BadRequest, "ErrorInvalidIdMalformed"),
        ("inefficient-filter", 400, BadRequest, "InefficientFilter"),
        ("invalid-recipients", 400, BadRequest, "ErrorInvalidRecipients"),
        ("invalid-recipients-none", 400, BadRequest, "ErrorInvalidRecipients"),
        ("invalid-token", 401, Unauthorized, "InvalidAuthenticationToken"),
        ("item-not-found", 404, NotFound, "ErrorItemNotFound"),
        ("mailbox-not-enabled", 404, NotFound, "MailboxNotEnabledForRESTAPI"),
        ("mailbox-not-enabled-old", 404, NotFound, "MailboxNotEnabledForRESTAPI"),
        ("message-size-exceeded", 400, TooLarge, "ErrorMessageSizeExceeded"),
        ("mime-base64", 400, BadRequest, "ErrorMimeContentInvalidBase64String"),
        ("no-permissions", 401, Unauthorized, "NoPermissionsInAccessToken"),
        ("request-resource-not-found", 404, NotFound, "Request_ResourceNotFound"),
        ("request-too-long", 413, TooLarge, "BadRequest"),
        ("resource-not-found", 404, NotFound, "ResourceNotFound"),
        ("send-as-denied", 403, AccessDenied, "ErrorSendAsDenied"),
        ("subscription-duplicate", 409, Conflict, "Conflict"),
        ("subscription-expiration", 400, BadRequest, "ExtensionError"),
        ("subscription-gone", 404, NotFound, "ResourceNotFound"),
        ("subscription-resource", 400, BadRequest, "ExtensionError"),
        ("subscription-validation", 400, BadRequest, "ValidationError"),
        ("subscription-validation-timeout", 400, BadRequest, "InvalidRequest"),
        ("sync-state-not-found", 410, Gone, "SyncStateNotFound"),
        ("sync-state-not-found", 400, Gone, "SyncStateNotFound"),
        ("throttled", 429, Throttled, "TooManyRequests"),
        ("too-many-headers", 400, BadRequest, "InvalidInternetMessageHeaderCollection"),
    ],
)
def test_every_documented_error_becomes_its_class_and_keeps_its_code(name, status, kind, code):
    error = error_of(status, sample(f"error-{name}"))
    assert type(error) is kind
    assert error.code == code
    assert error.message == sample(f"error-{name}")["error"]["message"]


def test_no_sampled_error_is_forgotten_above():
    marks = test_every_documented_error_becomes_its_class_and_keeps_its_code.pytestmark
    assert {f"error-{case[0]}.json" for case in marks[0].args[1]} == {p.name for p in SAMPLES.glob("error-*.json")}


@pytest.mark.parametrize("status", [500, 502, 503, 504, 509, 408, 424])
def test_trouble_at_microsoft_is_transient(status):
    error = error_of(status, b"<html>Service unavailable</html>")
    assert isinstance(error, Unavailable)
    assert error.transient


@pytest.mark.parametrize("status", [402, 405, 423, 501])
def test_other_refusals_are_plain_and_not_transient(status):
    assert type(error_of(status, b"")) is GraphError
    assert not error_of(status, b"").transient


@pytest.mark.parametrize(("status", "code"), [(507, ""), (413, "ErrorQuotaExceeded"), (429, "errorQuotaExceeded")])
def test_a_full_mailbox_is_neither_too_large_a_letter_nor_a_matter_of_waiting(status, code):
    error = error_of(status, {"error": {"code": code}}, Retry_After="5")
    assert type(error) is OutOfSpace
    assert not error.transient


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ErrorExceededMessageLimit", 429, Throttled),
        ("ErrorSubmissionQuotaExceeded", 429, Throttled),
        ("ErrorSubmissionQuotaExceeded", 403, AccessDenied),
        ("InvalidInternetMessageHeader", 400, BadRequest),
        ("ErrorMailboxNotEnabledForRESTAPI", 404, NotFound),
        ("ErrorCannotOpenFileAttachment", 500, Unavailable),
    ],
)
def test_a_code_that_someone_acts_upon_is_found_within_a_vaguer_one(code, status, kind):
    error = error_of(status, {"error": {"code": "UnknownError", "innerError": {"code": code.lower()}}})
    assert type(error) is kind
    assert error.code == code


def test_a_success_that_is_not_the_documented_one_is_unexpected():
    assert type(error_of(302, b"")) is UnexpectedAnswer


def test_the_innermost_known_code_wins_in_either_spelling_of_inner_error_and_any_case():
    body = {
        "error": {
            "code": "UnknownError",
            "innererror": {"code": "resyncrequired", "innerError": {"code": "mystery", "request-id": "r-1"}},
        }
    }
    error = error_of(400, body)
    assert isinstance(error, Gone)
    assert error.code == "resyncRequired"
    assert error.request_id == "r-1"


def test_of_two_known_codes_the_inner_one_is_the_more_specific():
    body = {"error": {"code": "ErrorAccessDenied", "innerError": {"code": "ErrorSendAsDenied"}}}
    assert error_of(403, body).code == "ErrorSendAsDenied"


def test_an_empty_code_is_no_code():
    error = error_of(403, sample("batch.response")["responses"][1]["body"])
    assert error.code == ""
    assert error.request_id == "93b6f17e-c05d-4f45-ad2a-6665c708d8a0"


def test_what_support_asks_for_comes_from_the_headers():
    error = error_of(
        429,
        sample("error-application-throttled"),
        request_id="r-1",
        Date="Mon, 02 Mar 2026 09:00:00 GMT",
        Retry_After="17",
        x_ms_ags_diagnostic='{"ServerInfo":{}}',
    )
    assert error.log_fields() == {
        "error": "Throttled",
        "status": 429,
        "code": "ApplicationThrottled",
        "graph_request_id": "r-1",
        "date": A_MONDAY.isoformat(),
        "retry_after_s": 17.0,
        "diagnostic": '{"ServerInfo":{}}',
    }
    assert error.retry_after == timedelta(seconds=17)


def test_neither_a_log_nor_a_traceback_says_what_graph_said():
    error = error_of(404, sample("error-request-resource-not-found"))
    assert "nobody@contoso.com" in error.message
    assert "nobody" not in f"{error} {error.log_fields()}"


def test_unreachable_tells_the_log_whether_anything_was_sent():
    assert Unreachable(sent=False).log_fields() == {"error": "Unreachable", "sent": False}


@given(st.integers(300, 599), json_values | st.binary(), st.dictionaries(st.text(), st.text()))
def test_any_answer_at_all_becomes_a_graph_error(status, body, headers):
    error = wire.error_from(status, headers, body, now=A_MONDAY)
    assert error.status == status
    assert isinstance(error.log_fields(), dict)
