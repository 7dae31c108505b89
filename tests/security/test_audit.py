"""What the code rests on: the floors of what stands inside wheels, and an audit that says what it could not ask."""

import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from tests.audit.__main__ import code_of
from tests.audit.asking import about_crates, of_pip_audit
from tests.audit.floors import FLOORS, Component, components, fallen_below
from tests.audit.regexes import Found, all_patterns, worst_of

AMMONIA = Component(wheel="nh3", name="ammonia", version="4.1.2", purl="pkg:cargo/ammonia@4.1.2")


def test_what_stands_inside_the_installed_wheels_is_above_every_floor() -> None:
    assert fallen_below(FLOORS, components()) == []


def test_a_library_below_its_floor_or_that_no_wheel_names_is_told() -> None:
    floor = next(one for one in FLOORS if one.name == "ammonia")
    assert "nh3 carries ammonia 4.1.2; 4.2.3 is the least." in fallen_below([floor], [AMMONIA])[0]
    assert fallen_below([floor], [replace(AMMONIA, version="4.2.3", purl="pkg:cargo/ammonia@4.2.3")]) == []
    assert "does not say that ammonia is inside" in fallen_below([floor], [replace(AMMONIA, wheel="other")])[0]


def test_a_package_that_pip_audit_skipped_was_not_asked_about() -> None:
    """pip-audit itself ends with 0 when it could look up nothing at all."""
    told: dict[str, Any] = {
        "dependencies": [
            {"name": "starlette", "version": "0.49.0", "vulns": [{"id": "GHSA-7f5h", "fix_versions": ["0.49.1"]}]},
            {"name": "nh3", "version": "0.3.8", "vulns": []},
            {"name": "msal", "skip_reason": "Dependency not found on PyPI and could not be audited"},
        ]
    }
    answer = of_pip_audit(told)
    assert (answer.asked, len(answer.unasked)) == (2, 1)
    assert answer.holes == ["starlette 0.49.0: GHSA-7f5h, mended in 0.49.1"]
    assert code_of(answer) == 1
    skipped = of_pip_audit({"dependencies": told["dependencies"][2:]})
    assert code_of(skipped) == 3
    assert code_of(of_pip_audit({"dependencies": told["dependencies"][1:2]})) == 0


def test_crates_are_asked_for_by_their_purl_and_those_of_the_wheels_own_sources_are_not() -> None:
    asked = []

    def osv(request: httpx.Request) -> httpx.Response:
        asked.append(request.read().decode())
        return httpx.Response(200, json={"results": [{"vulns": [{"id": "RUSTSEC-2025-0071"}]}]})

    own = replace(AMMONIA, name="own", purl="pkg:cargo/own@1?download_url=file://own")
    with httpx.Client(transport=httpx.MockTransport(osv)) as client:
        answer = about_crates([AMMONIA, own, AMMONIA], client)
    assert asked == ['{"queries":[{"package":{"purl":"pkg:cargo/ammonia@4.1.2"}}]}']
    assert answer.holes == ["nh3 carries ammonia 4.1.2: RUSTSEC-2025-0071"]


@pytest.mark.parametrize("answer", [httpx.Response(503), httpx.Response(200, json={}), httpx.Response(200, text="<")])
def test_an_answer_that_says_nothing_is_not_nothing_found(answer: httpx.Response) -> None:
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as client:
        assert code_of(about_crates([AMMONIA], client)) == 3


def test_every_regular_expression_is_known_to_the_audit_which_finds_a_bad_one() -> None:
    found = {one.where for one in all_patterns()}
    assert {"gateway.http.pages.sessions.LOCAL_PATH", "gateway.threads.matching.ID"} & found
    assert len(all_patterns()) > 80
    bad = Found(pattern=re.compile("(a+)+b"), where="tests.none")
    assert worst_of(bad, length=2000, patience_s=0.05).seconds == 0.05
