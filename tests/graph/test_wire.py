from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import parse_qs, unquote, urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.graph import GraphError, OverBudget, Throttled, Unauthorized, Unavailable, Unreachable, wire
from gateway.graph.wire import MAX_TRIES, MAX_WAITING, Retry, after_failure

from .fakes import A_MONDAY, GRAPH

# No control characters: these stand in ids and addresses
words = st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: text not in (".", ".."))


@given(words)
def test_any_id_is_one_segment_of_a_path_and_survives_it(id):
    path = f"/v1.0/messages/{wire.segment(id)}/send"
    url = httpx.URL(f"{GRAPH}{path}")
    assert url.raw_path.decode() == path
    assert [unquote(part) for part in path.split("/")] == ["", "v1.0", "messages", id, "send"]


@pytest.mark.parametrize("id", ["", ".", ".."])
def test_what_would_climb_out_of_its_place_in_a_path_is_refused(id):
    with pytest.raises(ValueError, match="path"):
        wire.segment(id)


def test_guests_and_dollars_in_user_names_are_written_as_graph_wants_them():
    assert wire.user_path("ada_x#EXT#@school.example") == "users/ada_x%23EXT%23@school.example"
    assert wire.user_path("$ada's@school.example") == "users('$ada%27%27s@school.example')"


@given(st.text(st.characters(codec="utf-8")))
def test_an_odata_literal_read_by_odatas_rule_is_what_was_quoted(value):
    quoted = wire.literal(value)
    assert quoted[0] == quoted[-1] == "'"
    assert "'" not in quoted[1:-1].replace("''", "")
    assert quoted[1:-1].replace("''", "'") == value


@given(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_filter_crosses_a_url_unharmed(property_id, value):
    given_filter = wire.tag_filter(property_id, value)
    url = httpx.URL(f"{GRAPH}/v1.0/users/u/messages{wire.query(filter=given_filter, select='id')}")
    options = parse_qs(urlsplit(str(url)).query, keep_blank_values=True, strict_parsing=True)
    assert options == {"$filter": [given_filter], "$select": ["id"]}


def test_a_query_escapes_plus_and_space_and_drops_what_is_absent():
    assert wire.query(filter="a eq '<x+y@z>'", expand=None) == "?$filter=a%20eq%20%27%3Cx%2By%40z%3E%27"
    assert wire.query(select=None) == ""


def test_times_go_out_in_utc_and_naive_ones_not_at_all():
    nzst = datetime(2026, 7, 1, 12, 0, tzinfo=timezone(timedelta(hours=12)))
    assert wire.utc_text(nzst) == "2026-07-01T00:00:00Z"
    with pytest.raises(ValueError, match="zone"):
        wire.utc_text(datetime(2026, 7, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("value", "delay"),
    [
        ("10", timedelta(seconds=10)),
        ("0", timedelta()),
        (" 2.5 ", timedelta(seconds=2.5)),
        ("Mon, 02 Mar 2026 09:00:30 GMT", timedelta(seconds=30)),
        ("Monday, 02-Mar-26 09:00:30 GMT", timedelta(seconds=30)),
        ("Mon Mar  2 09:00:30 2026", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", timedelta()),
        ("9" * 400, timedelta(days=1)),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, delay):
    assert wire.retry_after(value, A_MONDAY) == delay


@given(st.text())
def test_any_retry_after_gives_a_bounded_wait_or_none(value):
    delay = wire.retry_after(value, A_MONDAY)
    assert delay is None or timedelta() <= delay <= timedelta(days=1)


TRANSIENT = (Throttled(status=429), Unavailable(status=503), Unreachable(sent=True))
waits = st.timedeltas(timedelta(), timedelta(days=1))


@given(st.data(), st.floats(0, 1), st.lists(st.none() | waits, min_size=MAX_TRIES, max_size=MAX_TRIES))
def test_all_waits_of_a_call_together_are_bounded_and_none_ends_before_retry_after(data, roll, asked):
    waited = timedelta()
    for attempt, retry_after in enumerate(asked, start=1):
        error = Throttled(status=429, retry_after=retry_after)
        delay = after_failure(attempt, error, waited=waited, roll=roll)
        if delay is None:
            break
        assert delay >= (retry_after or timedelta())
        waited += delay
    assert waited <= MAX_WAITING
    assert delay is None


def test_without_retry_after_waits_grow_and_jitter_is_full():
    longest = [after_failure(n, Unavailable(status=503), waited=timedelta(), roll=1.0) for n in (1, 2, 3, 4)]
    assert longest == [timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4), None]
    assert after_failure(3, Unavailable(status=503), waited=timedelta(), roll=0.0) == timedelta()


@pytest.mark.parametrize(
    ("error", "harmless", "if_refused"),
    [
        (Throttled(status=429), True, True),
        (Unavailable(status=503, retry_after=timedelta(seconds=1)), True, True),
        (Unavailable(status=503), True, False),
        (Unavailable(status=504, retry_after=timedelta(seconds=1)), True, False),
        (Unreachable(sent=False), True, True),
        (Unreachable(sent=True), True, False),
        (OverBudget(retry_after=timedelta(seconds=11)), False, False),
        (Unauthorized(status=401), False, False),
        (GraphError(status=507), False, False),
    ],
)
def test_what_may_be_repeated_after_which_failure(error, harmless, if_refused):
    assert wire.may_retry(Retry.HARMLESS, error) is harmless
    assert wire.may_retry(Retry.IF_REFUSED, error) is if_refused
    assert wire.may_retry(Retry.NEVER, error) is False


def test_preferences_share_one_header_with_the_immutable_id():
    request = wire.Request(
        method="GET", route="r", url="u", retry=Retry.NEVER, expect=200, prefer=("odata.maxpagesize=50",)
    )
    headers = wire.headers(request, "secret-token", "guid")
    assert headers["Prefer"] == 'IdType="ImmutableId", odata.maxpagesize=50'
    assert headers["client-request-id"] == "guid"
    assert headers["return-client-request-id"] == "true"
    assert "Content-Type" not in headers


def test_http_dates_are_aware_and_in_utc():
    assert wire.http_date("Mon, 02 Mar 2026 22:00:00 +1300") == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
