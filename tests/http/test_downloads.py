"""The headers and names under which strangers' files are given out."""

import re
import unicodedata
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.http.downloads import LONGEST_NAME, disposition, item_name, safe_name, told_type

NAMES = {
    "form.pdf": "form.pdf",
    "Māori enrolment – Ngā mihi.pdf": "Māori enrolment – Ngā mihi.pdf",
    "../../etc/passwd": "_.._etc_passwd",
    "..\\..\\boot.ini": "_.._boot.ini",
    "C:\\temp\\x.txt": "C__temp_x.txt",
    "photo \u202egpj.exe": "photo gpj.exe",
    "a\u200bb\ufeffc.pdf": "abc.pdf",
    "two\r\nlines\0.pdf": "twolines.pdf",
    "invoice.pdf                                        .exe": "invoice.pdf .exe",
    "invoice.pdf.exe": "invoice.pdf.exe",
    "CON": "_CON",
    "nul.txt": "_nul.txt",
    "com1.tar.gz": "_com1.tar.gz",
    "console.txt": "console.txt",
    ".htaccess": "htaccess",
    "ends with dots...": "ends with dots",
    'say "hi"; filename=x.html': "say _hi_; filename=x.html",
    "\ud800.pdf": "pdf",
    "": "attachment",
    " . ": "attachment",
    "/": "_",
}


@pytest.mark.parametrize(("given_name", "name"), NAMES.items(), ids=[ascii(name) for name in NAMES])
def test_a_name_is_safe_on_every_disk_and_shows_what_it_is(given_name: str, name: str) -> None:
    assert safe_name(given_name) == name


def test_a_long_name_keeps_its_extension() -> None:
    name = safe_name("long " * 100 + ".pdf")
    assert len(name) <= LONGEST_NAME
    assert name.endswith(".pdf")


@given(st.text(st.characters(exclude_categories=[]), max_size=300))
def test_any_name_becomes_a_safe_one_that_stays_and_can_be_read_back(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name) <= LONGEST_NAME + 1
    assert not set('/\\:*?"<>|') & set(name)
    assert not [one for one in name if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert safe_name(name) == name
    header = disposition(name)
    assert header.isascii()
    # Read by a parser that nobody here wrote. It would take the plain name first, where RFC 6266 says the other.
    read = EmailMessage()
    read["Content-Disposition"] = re.sub(r'filename="[^"]*"; (?=filename\*)', "", header)
    assert (read.get_content_disposition(), read.get_filename()) == ("attachment", name)


@pytest.mark.parametrize(
    ("first", "name"),
    [
        (b"Received: from x", "Reminder.eml"),
        (b"BEGIN:VCARD\r\nVERSION:3.0", "Reminder.vcf"),
        (b"begin:vcalendar\r\n", "Reminder.ics"),
        (b"", "Reminder.eml"),
    ],
)
def test_an_attached_item_is_named_by_what_it_is(first: bytes, name: str) -> None:
    assert item_name("Reminder", first) == name


def test_an_item_without_a_name_is_a_message() -> None:
    assert item_name("", b"Received:") == "message.eml"
    assert item_name("Re: plan.eml", b"Received:") == "Re_ plan.eml"


@pytest.mark.parametrize("harmless", ["application/pdf", "image/png", "Image/JPEG", "text/plain; charset=utf-8"])
def test_a_browser_is_told_of_a_harmless_type(harmless: str) -> None:
    assert told_type(harmless) == harmless.partition(";")[0].lower()


ACTIVE = "text/html image/svg+xml application/xhtml+xml text/xml application/xml text/javascript application/javascript"


@pytest.mark.parametrize("active", [*ACTIVE.split(), "", "x", "multipart/x-mixed-replace", "text/html\r\nx: y", "a/b"])
def test_of_any_other_type_a_browser_is_told_that_it_is_bytes(active: str) -> None:
    assert told_type(active) == "application/octet-stream"
