"""The security page and the data beside it: all 253 requirements, every test that is named, and the numbers."""

import ast
import hashlib
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.security.pages import PAGE, ROOT, VERDICTS, Entry, requirements, threats, written

# Of https://github.com/OWASP/ASVS at fe04986, 5.0/docs_en/…_5.0.0_en.csv: how many there are of each level, and SHA-256
# of all lines "id level" of levels 1 and 2 in its order.
LEVELS = {1: 70, 2: 183}
IDS_AND_LEVELS = "9af37b810927c5eedfe1d3e716a571ebac199cf378c2fb4a3ccb64aa29f2a70a"
STRIDE = {
    "Spoofing",
    "Tampering",
    "Repudiation",
    "Information disclosure",
    "Denial of service",
    "Elevation of privilege",
}


@cache
def named_in(path: str) -> frozenset[str]:
    """The tests of a file, as pytest names them."""
    found = set()
    for node in ast.parse((ROOT / path).read_text("utf-8")).body:
        inner = [(f"{node.name}::", one) for one in node.body] if isinstance(node, ast.ClassDef) else [("", node)]
        for before, one in inner:
            if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)) and one.name.startswith("test_"):
                found.add(f"{path}::{before}{one.name}")
    return frozenset(found)


def exists(test: str) -> bool:
    path = test.partition("::")[0]
    return Path(ROOT / path).is_file() and test in named_in(path)


def test_each_requirement_of_levels_1_and_2_stands_there_once() -> None:
    ids = [one["id"] for one in requirements()]
    assert len(set(ids)) == len(ids) == sum(LEVELS.values())
    assert Counter(one["level"] for one in requirements()) == LEVELS
    lines = "".join(f"{one['id']} {one['level']}\n" for one in requirements())
    assert hashlib.sha256(lines.encode()).hexdigest() == IDS_AND_LEVELS


@pytest.mark.parametrize("data", [requirements, threats], ids=["asvs", "threats"])
def test_every_test_and_place_that_is_named_is_there(data: object) -> None:
    assert callable(data)
    named = 0
    for one in data():
        missing = [test for test in one.get("tests", ()) if not exists(test)]
        assert missing == [], one["id"]
        assert [place for place in one.get("where", ()) if not (ROOT / place).exists()] == [], one["id"]
        named += len(one.get("tests", ()))
    assert named > 80


def test_what_is_met_is_shown_and_what_is_not_is_explained() -> None:
    for one in requirements():
        assert one["verdict"] in VERDICTS, one["id"]
        assert set(one) <= {"id", "level", "verdict", "where", "tests", "reason"}, one["id"]
        if one["verdict"] == "met":
            assert one["where"], one["id"]
            assert one["tests"], one["id"]
        else:
            assert is_a_sentence(one), one["id"]


def is_a_sentence(one: Entry) -> bool:
    reason = one["reason"]
    return reason[0].isupper() and reason.endswith(".") and len(reason) > 10


def test_each_threat_has_its_control_and_its_test() -> None:
    assert [one["id"] for one in threats()] == [f"T{number}" for number in range(1, len(threats()) + 1)]
    for one in threats():
        assert one["stride"] in STRIDE, one["id"]
        assert one["control"], one["id"]
        assert one["tests"], one["id"]
    assert {one["stride"] for one in threats()} == STRIDE


def test_the_page_says_what_the_data_says() -> None:
    """Made anew, nothing of it changes; and every section that a requirement points to is in it."""
    page = PAGE.read_text("utf-8")
    assert written(page) == page
    for section in {name for one in requirements() for name in re.findall(r'ection "([^"]+)"', one.get("reason", ""))}:
        assert f"\n## {section}\n" in page, section


def test_the_promises_are_in_security_md() -> None:
    text = (ROOT / ".github" / "SECURITY.md").read_text("utf-8")
    for heading in ("Supported versions", "How to report", "What to expect", "Known holes in what we use"):
        assert f"\n## {heading}\n" in text
    assert re.search(r"within \d+ days", text)
