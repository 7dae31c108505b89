"""The second command itself, on a corpus of a few mails."""

from argparse import Namespace
from pathlib import Path

import pytest

from tests.corpora import bounces, odd
from tests.threads.report_samples import FORMAL, NO_REPORTS, PROSE


def corpus(folder: Path, *, others: dict[str, bytes] | None = None, reports: int = 20) -> Path:
    maildir = folder / "maildir"
    for name in bounces.FOLDERS:
        (maildir / name).mkdir(parents=True)
        for number, sample in enumerate((*FORMAL[:3], *PROSE)[:reports]):
            (maildir / name / f"lhost-{number}.eml").write_bytes(sample.mime)
        (maildir / name / "rfc3834-1.eml").write_bytes(b"Auto-Submitted: auto-replied\n\nI am away.")
    (maildir / "not").mkdir()
    for name, mime in (others or {"1.eml": NO_REPORTS[0].mime}).items():
        (maildir / "not" / name).write_bytes(mime)
    return folder


def test_a_corpus_that_is_recognised_is_as_promised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bounces.run(Namespace(folder=corpus(tmp_path), missed=False)) == 0
    said = capsys.readouterr().out
    assert "19 of 19 (100.0%) reports recognised, 1 of them of a delay" in said
    assert "automatic replies: 1 of 1" in said
    assert "0 of 1 mails that are no bounces" in said


def test_one_that_is_marked_and_is_none_breaks_the_promise(tmp_path: Path) -> None:
    assert bounces.run(Namespace(folder=corpus(tmp_path, others={"1.eml": PROSE[0].mime}), missed=False)) == 1


def test_too_many_that_are_missed_break_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = corpus(tmp_path, reports=18)
    (folder / "maildir" / "bsd" / "lhost-99.eml").write_bytes(NO_REPORTS[0].mime)
    assert bounces.run(Namespace(folder=folder, missed=True)) == 1
    assert "missed: lhost-99.eml" in capsys.readouterr().out


def test_without_a_corpus_it_says_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bounces.run(Namespace(folder=tmp_path, missed=False)) == 1
    assert bounces.URL in capsys.readouterr().out


def test_odd_mail_is_read_without_an_exception(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd_ones = (
        b"Subject: =?no-such-set?q?=ff?=\nContent-Type: text/plain; charset=no-such-set\n\n\xff\xfe",
        b"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Transfer-Encoding: base64\n\n!!!\n",
        b"From: \x00<@>\nContent-Type: multipart/report; report-type=delivery-status\n\nno boundary",
        b"",
    )
    for number, mime in enumerate(odd_ones):
        (tmp_path / f"{number}.eml").write_bytes(mime)
    assert odd.run(Namespace(folder=tmp_path)) == 0
    assert "4 mails read, 0 raised" in capsys.readouterr().out
