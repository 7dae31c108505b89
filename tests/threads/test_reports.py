"""What mail systems report: natures, recipients, reasons, and the letter it is about."""

from email import message_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.threads.kinds import sort_of
from gateway.threads.reports import Action, may_be_report, read_report, read_shown
from gateway.threads.reports.codes import EXCHANGE, RFC, reason_of
from gateway.threads.reports.fields import status_of
from gateway.threads.reports.reading import LARGEST
from tests.threads.report_samples import FORMAL, ID, NO_REPORTS, PROSE, RETURNED, TO, Sample

REPORTS = [*FORMAL, *PROSE]


def by_name(sample: Sample) -> str:
    return sample.name


def headers_of(mime: bytes) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, value in message_from_bytes(mime).items()]


@pytest.mark.parametrize("sample", REPORTS, ids=by_name)
def test_a_report_is_read(sample: Sample) -> None:
    report = read_report(sample.mime)
    assert report is not None
    assert report.nature == sample.nature
    if sample.recipient is not None and report.nature in ("failed", "delayed", "delivered"):
        about = [one for one in report.deliveries if sample.recipient in one.addresses]
        assert [one.status for one in about] == [sample.status] or sample.status is None
        assert about
    assert report.message_ids == ((ID,) if sample.names_the_letter else ())


@pytest.mark.parametrize("sample", REPORTS, ids=by_name)
def test_its_headers_make_it_worth_reading(sample: Sample) -> None:
    assert may_be_report(message_class="IPM.Note", headers=headers_of(sample.mime))


@pytest.mark.parametrize("sample", NO_REPORTS, ids=by_name)
def test_what_is_no_report_is_not_taken_for_one(sample: Sample) -> None:
    assert read_report(sample.mime) is None


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_however_its_lines_end(ending: bytes) -> None:
    report = read_report(FORMAL[0].mime.replace(b"\n", ending))
    assert report is not None
    assert (report.message_ids, report.deliveries[0].status) == ((ID,), "5.1.1")


def test_our_own_header_comes_back_and_names_the_letter_whatever_became_of_its_message_id() -> None:
    mime = FORMAL[0].mime.replace(f"Message-ID: {ID}".encode(), b"X-Selma-Send-Uid: 0B2E-77aa-11")
    report = read_report(mime)
    assert report is not None
    assert (report.send_uid, report.message_ids) == ("0b2e-77aa-11", ())


def test_a_report_that_is_encoded_is_read() -> None:
    plain = (
        f"\n\nReporting-MTA: dns; mx.student.example\n\nFinal-Recipient: rfc822; {TO}\nAction: failed\nStatus: 5.1.1"
    )
    mime = FORMAL[0].mime.replace(
        f"Content-Type: message/delivery-status{plain}".encode(),
        b"Content-Type: message/delivery-status\nContent-Transfer-Encoding: base64\n\n"
        b"RmluYWwtUmVjaXBpZW50OiByZmM4MjI7YXJvaGFAc3R1ZGVudC5leGFtcGxlCkFjdGlvbjogZmFpbGVkClN0YXR1czogNS4xLjEK",
    )
    report = read_report(mime)
    assert report is not None
    assert report.deliveries[0].addresses == (TO,)


def test_of_a_report_with_a_large_letter_the_beginning_is_enough() -> None:
    mime = FORMAL[0].mime.replace(b"Kia ora\n", b"Kia ora " * LARGEST)
    report = read_report(mime)
    assert report is not None
    assert (report.message_ids, report.deliveries[0].status) == ((ID,), "5.1.1")


def test_what_a_mailbox_shows_of_a_report_is_read_where_its_bytes_are_not_to_be_had() -> None:
    report = read_shown(
        subject="Undeliverable: Your enrolment",
        sender="postmaster@school.example",
        text=f"Delivery has failed to these recipients:\n\n{TO}\n\n550 5.1.10 not found\n\n{RETURNED}",
    )
    assert report is not None
    assert (report.deliveries[0].addresses, report.deliveries[0].status) == ((TO,), "5.1.10")
    assert report.message_ids == (ID,)


def test_parts_within_parts_without_end_are_given_up() -> None:
    assert read_report(b"Content-Type: message/rfc822\n\n" * 3000) is None


@given(st.binary(max_size=600))
def test_any_bytes_are_read_to_an_end(mime: bytes) -> None:
    read_report(mime)
    read_report(b"From: <>\nSubject: failure notice\n" + mime)
    read_report(b'Content-Type: multipart/report; report-type=delivery-status; boundary="x"\n' + mime)


@given(st.sampled_from([*REPORTS, *NO_REPORTS]), st.data())
def test_a_report_that_was_damaged_on_its_way_is_read_to_an_end(sample: Sample, data: st.DataObject) -> None:
    mime = sample.mime
    at = data.draw(st.integers(0, len(mime)))
    until = data.draw(st.integers(at, len(mime)))
    broken = mime[:at] + data.draw(st.binary(max_size=40)) + mime[until:]
    report = read_report(broken)
    headers = headers_of(mime)
    sort_of(message_class=data.draw(st.text(max_size=30)), odata_type=None, headers=headers, report=report)


class TestReasons:
    @pytest.mark.parametrize(
        ("status", "code"),
        [
            ("5.1.1", "no_such_address"),
            ("5.1.10", "no_such_address"),  # in Exchange's words; by RFC 7505 it would be the domain
            ("4.1.10", "no_such_domain"),
            ("5.4.1", "no_such_address"),
            ("4.4.1", "no_answer"),
            ("5.2.2", "mailbox_full"),
            ("4.2.2", "mailbox_full"),
            ("5.4.7", "expired"),
            ("5.4.300", "expired"),
            ("5.7.606", "sender_blocked"),
            ("4.7.500", "sender_blocked"),
            ("5.7.323", "insecure"),
            ("5.7.1", "refused"),
            ("5.7.999", "refused"),
            ("5.9.9", "not_delivered"),
            (None, "not_delivered"),
        ],
    )
    def test_a_code_has_a_reason(self, status: str | None, code: str) -> None:
        assert reason_of(status).code == code

    def test_every_reason_is_a_sentence_with_something_to_do(self) -> None:
        for reason in (*EXCHANGE.values(), *RFC.values(), reason_of(None)):
            assert reason.explanation.endswith(".")
            assert reason.cure.endswith(".")

    @given(st.from_regex(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}", fullmatch=True))
    def test_every_code_there_can_be_has_one(self, status: str) -> None:
        assert reason_of(status).explanation

    def test_the_first_figure_says_whether_it_is_for_good(self) -> None:
        report = read_report(FORMAL[0].mime)
        assert report is not None
        assert [one.is_permanent for one in report.of_action(Action.FAILED)] == [True]

    @pytest.mark.parametrize(
        ("status", "answer", "read"),
        [("5.0.0", "550 5.1.1 no", "5.1.1"), ("5.1.1", "5.2.2", "5.1.1"), ("", "", None), ("5.0.0", "no", "5.0.0")],
    )
    def test_the_more_exact_code_counts(self, status: str, answer: str, read: str | None) -> None:
        assert status_of(status, answer) == read
