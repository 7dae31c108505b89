"""Spans leave by OpenTelemetry where an operator wants them to, and harm nothing where they cannot."""

import logging
import subprocess
import sys
from collections.abc import Sequence

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from gateway.tracing import begun, span
from gateway.tracing.export import is_wanted, quiet, sending_to
from tests.tracing.collector import collecting

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.mark.parametrize(
    ("env", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_opentelemetrys_own_variables_say_whether_spans_are_sent(env: dict[str, str], wanted: bool) -> None:
    assert is_wanted(env) is wanted


def test_spans_come_to_a_collector_with_their_trace_their_parent_and_the_name_of_the_service() -> None:
    with collecting() as collector, sending_to(OTLPSpanExporter(endpoint=collector.url)):
        with begun("r-1", traceparent=f"00-{TRACE}-b7ad6b7169203331-01", message_id="msg_1"), span("draft", attempt=2):
            pass
        with begun(traceparent=f"00-{TRACE}-b7ad6b7169203331-00"), span("unsampled"):
            pass
    [draft] = collector.spans()
    assert (draft.name, draft.trace_id.hex(), draft.parent_span_id.hex()) == ("draft", TRACE, "b7ad6b7169203331")
    said = {one.key: one.value.string_value or one.value.int_value for one in draft.attributes}
    assert said == {"attempt": 2, "message_id": "msg_1", "request_id": "r-1"}
    [request] = collector.requests()
    resource = {one.key: one.value.string_value for one in request.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "selma-gateway"
    assert not [name for name in resource if name.startswith(("process.", "host."))]


class Broken(SpanExporter):
    """Refuses, breaks, and then is well again."""

    def __init__(self, *outcomes: SpanExportResult | Exception) -> None:
        self.outcomes = list(outcomes)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def test_trouble_with_the_endpoint_is_said_once_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    refused, taken = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    exporter = quiet(Broken(refused, OSError("aroha@student.example"), refused, taken, taken))
    assert [exporter.export([]) for _ in range(5)] == [refused, refused, refused, taken, taken]
    assert [record.getMessage() for record in caplog.records] == [
        "traces cannot be sent; nothing else is harmed",
        "traces are sent again",
    ]


def test_where_no_endpoint_is_set_nothing_is_imported() -> None:
    code = "import sys, gateway.tracing.export as e\nwith e.exporting(False): print('opentelemetry' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
