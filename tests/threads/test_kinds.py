import pytest

from gateway.threads.kinds import sort_of
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
        ("IPM.Note.Rules.OofTemplate.Microsoft", Kind.AUTOMATIC),
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
