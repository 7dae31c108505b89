import string
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.setup.values import (
    address_problem,
    client_id_problem,
    cloud_problem,
    expires_problem,
    secret_problem,
    start_of_day,
    tenant_problem,
    time_zone_problem,
)
from tests.fakes.clock import A_MONDAY

GUID = "8f3c2a10-1111-4222-8333-c0ffee000001"


@pytest.mark.parametrize("value", [GUID, GUID.upper(), f"  {GUID}\n", "school.onmicrosoft.com", "SCHOOL.ac.nz"])
def test_a_tenant_is_named_by_its_id_or_by_a_domain(value: str) -> None:
    assert tenant_problem(value) is None


@pytest.mark.parametrize(
    "value",
    [
        "school",
        GUID[:-1],
        f"{{{GUID}}}",
        "common",
        "Consumers",
        "organizations",
        "https://school.ac.nz",
        "a..b",
        "a b.c",
    ],
)
def test_what_names_no_tenant_is_refused_with_the_place_to_look(value: str) -> None:
    assert "Directory (tenant) ID" in (tenant_problem(value) or "")


@pytest.mark.parametrize("value", ["", "   ", "school.ac.nz", GUID + "0", GUID.replace("-", "")])
def test_an_app_is_named_by_its_id_alone(value: str) -> None:
    assert client_id_problem(GUID) is None
    assert "Application (client) ID" in (client_id_problem(value) or "")


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("", "Enter the client secret"),
        (GUID, "This is the Secret ID"),
        (f" {GUID.upper()} ", "This is the Secret ID"),
        ("Zk8******************", "hidden form"),
        ("Zk8••••••••", "hidden form"),
        ("two words", "one word"),
        ("line\nbreak", "one word"),
        ("tést", "one word"),
        ("x" * 1001, "one word"),
    ],
)
def test_what_is_no_secret_is_told_apart(value: str, sentence: str) -> None:
    assert sentence in (secret_problem(value) or "")


@given(st.text(alphabet=string.ascii_letters + string.digits + "~._-", min_size=30, max_size=50))
def test_what_entra_calls_a_secret_is_taken(value: str) -> None:
    assert secret_problem(value) is None


@given(st.text(min_size=4))
def test_no_sentence_repeats_what_was_entered_as_an_id_or_a_secret(value: str) -> None:
    """People paste the secret into the field beside its own."""
    marked = f"qq{value}qq"
    for problem in (tenant_problem, client_id_problem, secret_problem):
        assert marked not in (problem(marked) or "")


@pytest.mark.parametrize(
    ("ahead", "sentence"),
    [
        (timedelta(seconds=1), None),
        (timedelta(days=730), None),
        (timedelta(0), "has passed"),
        (timedelta(days=-1), "has passed"),
        (timedelta(days=3661), "Check the year"),
    ],
)
def test_a_secret_ends_in_the_future_and_within_reason(ahead: timedelta, sentence: str | None) -> None:
    found = expires_problem(A_MONDAY + ahead, A_MONDAY, time_zone="UTC")
    assert found is None if sentence is None else sentence in (found or "")


def test_clouds_and_time_zones_are_known_ones() -> None:
    assert [cloud_problem(one) for one in ("global", "gcc_high", "dod", "china")] == [None] * 4
    assert "Choose one of global" in (cloud_problem("azure") or "")
    assert [time_zone_problem(one) for one in ("UTC", "Pacific/Auckland")] == [None, None]
    for wrong in ("Auckland", "", "../../etc/passwd", "NZST"):
        assert "Pacific/Auckland" in (time_zone_problem(wrong) or "")


@pytest.mark.parametrize("value", ["admissions@school.example", " a.b+c@school.ac.nz ", "mail@stand-in.test"])
def test_mail_addresses_are_taken(value: str) -> None:
    assert address_problem(value) is None


@pytest.mark.parametrize("value", ["", "admissions", "a@b", "a@b@c.nz", "a b@c.nz", "a@c.nz\r\nBcc: d@e.nz", "ā@c.nz"])
def test_what_is_no_mail_address_is_refused_with_an_example(value: str) -> None:
    assert "admissions@school.example" in (address_problem(value) or "")


@given(st.text())
def test_every_question_is_answered_whatever_is_entered(value: str) -> None:
    for problem in (
        tenant_problem,
        client_id_problem,
        secret_problem,
        cloud_problem,
        time_zone_problem,
        address_problem,
    ):
        found = problem(value)
        assert found is None or found.endswith(".")


def test_a_day_begins_when_it_begins_at_the_school() -> None:
    assert start_of_day(date(2027, 1, 1), "Pacific/Auckland") == datetime(2026, 12, 31, 11, 0, tzinfo=UTC)
