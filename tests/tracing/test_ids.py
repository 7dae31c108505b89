"""What a trace is called: the standard's words are understood, and nothing else is let in."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tracing import Trace, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(
    ("traceparent", "sampled"),
    [
        (f"00-{TRACE}-{SPAN}-01", True),
        (f"00-{TRACE}-{SPAN}-00", False),
        (f"00-{TRACE}-{SPAN}-03", True),  # a flag of a later version beside it
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", True),
    ],
)
def test_a_traceparent_of_this_and_of_later_versions_is_gone_on_with(traceparent: str, sampled: bool) -> None:
    assert parse(traceparent) == Trace(trace_id=TRACE, span_id=SPAN, sampled=sampled)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        "",
        "aroha@student.example",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-1",
        f"cc-{TRACE}-{SPAN}-01-{'x' * 600}",
        f"00-{TRACE[:-1]}\u0663-{SPAN}-01",
    ],
)
def test_whatever_else_is_said_begins_a_trace_of_our_own(traceparent: str | None) -> None:
    assert parse(traceparent) is None


@given(st.text(max_size=80))
def test_no_text_breaks_it_and_what_it_gives_back_is_of_one_form(text: str) -> None:
    found = parse(text)
    assert found is None or re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]", found.traceparent)


def test_each_call_to_graph_gets_a_guid_of_its_own_that_tells_its_trace() -> None:
    trace = Trace.begin(sampled=True)
    ids = {trace.client_request_id() for _ in range(100)}
    assert len(ids) == 100
    for one in map(uuid.UUID, ids):
        assert (one.version, one.variant) == (4, uuid.RFC_4122)
        assert one.hex[:12] == trace.trace_id[-12:]


def test_what_is_begun_here_is_understood_everywhere() -> None:
    begun = Trace.begin(sampled=True)
    assert parse(begun.traceparent) == begun
    assert begun.within().trace_id == begun.trace_id
    assert begun.within().span_id != begun.span_id
