import pytest

from gateway.threads.kinds import What, sort_of
from gateway.threads.reports import Nature, Report
from storage.messages import Kind


@pytest.mark.parametrize(
    ("message_class", "kind"),
    [
        ("IPM.Note", Kind.MAIL),
        (None, Kind.MAIL),
        ("REPORT.IPM.Note.NDR", Kind.BOUNCE),
        ("report.ipm.note.smime.ndr", Kind.BOUNCE),
        ("REPORT.IPM.Note.DR", Kind.RECEIPT),
        ("REPORT.IPM.Note.IPNRN", Kind.RECEIPT),
        ("REPORT.IPM.Note.IPNNRN", Kind.RECEIPT),
        ("REPORT.IPM.Note.Delayed.DR", Kind.RECEIPT),
        ("IPM.Note.Rules.OofTemplate.Microsoft", Kind.AUTOMATIC),
        ("IPM.Note.Rules.ReplyTemplate.Microsoft", Kind.AUTOMATIC),
        ("IPM.Schedule.Meeting.Request", Kind.CALENDAR),
    ],
)
def test_exchanges_message_class_says_what_a_mail_is(message_class: str | None, kind: Kind) -> None:
    assert sort_of(message_class=message_class, odata_type=None, headers=()).kind is kind


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (("Auto-Submitted", "auto-replied"), Kind.AUTOMATIC),
        (("AUTO-SUBMITTED", " Auto-Replied (vacation)"), Kind.AUTOMATIC),
        (("Auto-Submitted", "no"), Kind.MAIL),
        (("Auto-Submitted", "auto-generated"), Kind.MAIL),
        (("X-Auto-Response-Suppress", "All"), Kind.MAIL),
        (("X-MS-Exchange-Inbox-Rules-Loop", "aroha@student.example"), Kind.MAIL),
        (("X-Autoreply", "yes"), Kind.AUTOMATIC),
        (("X-Autorespond", "Out of office"), Kind.AUTOMATIC),
        (("X-Autoreply", "no"), Kind.MAIL),
        (("X-Apple-Action", "VACATION"), Kind.AUTOMATIC),
        (("Precedence", "auto_reply"), Kind.AUTOMATIC),
        (("Precedence", "bulk"), Kind.MAIL),
        (("List-Id", "<news.school.example>"), Kind.MAIL),
        (("Content-Type", 'multipart/report; report-type=delivery-status; boundary="x"'), Kind.BOUNCE),
        (("Content-Type", "multipart/report; report-type=disposition-notification"), Kind.RECEIPT),
        (("Content-Type", "multipart/mixed; boundary=delivery-status"), Kind.MAIL),
    ],
)
def test_headers_say_what_a_mail_is(header: tuple[str, str], kind: Kind) -> None:
    assert sort_of(message_class="IPM.Note", odata_type=None, headers=[header]).kind is kind


def test_an_answer_to_an_invitation_is_a_calendar_matter() -> None:
    odata_type = "#microsoft.graph.eventMessageResponse"
    assert sort_of(message_class=None, odata_type=odata_type, headers=()).kind is Kind.CALENDAR


def test_two_marks_of_exchange_together_are_an_automatic_reply_that_lost_its_class() -> None:
    headers = [("X-MS-Exchange-Inbox-Rules-Loop", "aroha@student.example"), ("X-Auto-Response-Suppress", "All")]
    assert sort_of(message_class="IPM.Note", odata_type=None, headers=headers).kind is Kind.AUTOMATIC


@pytest.mark.parametrize(
    ("message_class", "what"),
    [
        ("REPORT.IPM.Note.NDR", None),
        ("REPORT.IPM.Note.Delayed.DR", What.DELAYED),
        ("REPORT.IPM.Note.Relayed.DR", What.DELIVERED),
        ("REPORT.IPM.Note.DR", What.DELIVERED),
        ("REPORT.IPM.Note.IPNRN", What.READ),
        ("REPORT.IPM.Note.IPNNRN", What.NOT_READ),
        ("IPM.Schedule.Meeting.Request", What.INVITATION),
        ("IPM.Schedule.Meeting.Canceled", What.CANCELLED),
        ("IPM.Schedule.Meeting.Resp.Pos", What.ACCEPTED),
        ("IPM.Schedule.Meeting.Resp.Tent", What.TENTATIVE),
        ("IPM.Schedule.Meeting.Resp.Neg", What.DECLINED),
    ],
)
def test_its_class_says_which_report_or_calendar_message_it_is(message_class: str, what: What | None) -> None:
    assert sort_of(message_class=message_class, odata_type=None, headers=()).what is what


def test_what_a_report_says_is_more_exact_than_its_class() -> None:
    late = sort_of(
        message_class="REPORT.IPM.Note.NDR", odata_type=None, headers=(), report=Report(nature=Nature.DELAYED)
    )
    assert (late.kind, late.what) == (Kind.RECEIPT, What.DELAYED)


def test_an_answer_of_exchange_is_no_report_whatever_it_quotes() -> None:
    away = "IPM.Note.Rules.OofTemplate.Microsoft"
    sort = sort_of(message_class=away, odata_type=None, headers=(), report=Report(nature=Nature.FAILED))
    assert sort.kind is Kind.AUTOMATIC
