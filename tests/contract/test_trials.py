"""The second command itself, on little: the whole of it is `python -m tests.contract`."""

from argparse import Namespace
from pathlib import Path

import orjson
import pytest

from tests.contract import bombs, documents, schema, strings
from tests.contract.server import served

DOCUMENTS = {
    "y_array.json": b"[1, null, true, -0.5e10]",
    "y_object_empty_key.json": b'{"":0}',
    "y_object_duplicated_key.json": b'{"a":1,"a":2}',
    "y_string_escapes.json": rb'["\u0012\uD834\uDD1E\u0000\/"]',
    "y_structure_lonely_null.json": b"null",
    "n_array_trailing_comma.json": b"[1,]",
    "n_number_NaN.json": b"[NaN]",
    "n_number_leading_zero.json": b"[012]",
    "n_string_invalid_utf8.json": b'["\xff"]',
    "n_string_raw_tab.json": b'["\t"]',
    "n_structure_100000_opening_arrays.json": b"[" * 100_000,
    "n_structure_100000_deep.json": b'{"":' * 100_000,
    "n_structure_no_data.json": b"",
    "i_number_huge_exponent.json": b"[1e9999]",
    "i_number_too_large.json": b"[123456789012345678901234567890]",
    "i_string_lone_surrogate.json": rb'["\uD800"]',
    "i_string_utf16.json": '["é"]'.encode("utf-16"),
    "i_structure_bom.json": b"\xef\xbb\xbf{}",
}
TEXTS = (
    "",
    "undefined",
    "  spaces  around  ",
    "\\u0000\\x00%00",
    "\u0000",
    "\r\nBcc: everybody@school.example",
    "%0d%0aBcc: everybody",
    "=?utf-8?q?=0D=0ABcc:?=",
    "'; DROP TABLE messages; --",
    "<script>alert(1)</script>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "../../../../etc/passwd",
    "Ω≈ç√∫˜µ≤≥÷ ﷽ 田中さん",
    "👩‍👩‍👧‍👦🏳️‍🌈",
    "\u202etxt.exe",
    "Z\u0351\u036b\u0343A\u0334L\u0321G\u0322O",
    "\u2028\u2029\u0085\ufeff\u200b",
    "x" * 10_000,
    "1/0",
    "-9223372036854775809",
    "AND OR NOT NEAR( ^ * \" '",
)


def test_documents_are_read_or_refused_as_they_must_be() -> None:
    assert documents.broken_promises(DOCUMENTS) == []


def test_texts_that_break_programs_break_nothing_and_come_back_as_they_were() -> None:
    accepted, broken = strings.try_in_every_field(TEXTS)
    assert broken == []
    assert accepted > len(TEXTS)


def test_every_operation_answers_what_its_schema_allows_and_what_it_does_not() -> None:
    one_of_each = ("post-messages", "get-threads", "post-keys", "get-messages-one", "put-account", "get-metrics")
    assert schema.ask(examples=1, phases=("coverage",), operations=one_of_each) == 0


def test_bombs_are_refused_and_take_little_memory() -> None:
    with served() as gateway:
        made = {name: make() for name, make in bombs.BOMBS.items()}
        heard = {name: bombs.throw(gateway, bomb) for name, bomb in made.items()}
    assert {name: one.status for name, one in heard.items()} == {name: one.status for name, one in made.items()}
    assert {name: one.grown for name, one in heard.items() if one.grown > bombs.MOST_GROWTH} == {}


def test_the_command_reads_its_corpora(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test_parsing").mkdir()
    for name, content in list(DOCUMENTS.items())[:6]:
        (tmp_path / "test_parsing" / name).write_bytes(content)
    assert documents.run(Namespace(folder=tmp_path)) == 0
    assert "6 documents, each alone and within a letter: 0 promises broken." in capsys.readouterr().out
    file = tmp_path / "blns.json"
    file.write_bytes(orjson.dumps(["undefined"]))
    assert strings.run(Namespace(file=file)) == 0
    assert "1 texts in" in capsys.readouterr().out


def test_without_a_corpus_it_says_where_there_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert documents.run(Namespace(folder=tmp_path)) == 1
    assert strings.run(Namespace(file=tmp_path / "blns.json")) == 1
    said = capsys.readouterr().err
    assert documents.URL in said
    assert strings.URL in said
