"""Spans by OpenTelemetry, to wherever its own variables say (OTEL_EXPORTER_OTLP_ENDPOINT and its kin).

https://opentelemetry.io/docs/specs/otel/protocol/exporter/. The libraries are an extra of the package
(`pip install selma-gateway[traces]`), and are imported only where an endpoint is set. Whatever is the matter with the
endpoint, the gateway does not wait: spans are sent by a thread of their own from a queue that has an end, and what does
not fit is dropped.
"""

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gateway import __version__
from gateway.tracing.ids import Trace
from gateway.tracing.recorder import Recorder, Value, recording

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
    from opentelemetry.trace import Span as TheirSpan
    from opentelemetry.trace import SpanContext, Tracer

log = logging.getLogger(__name__)

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
DISABLED: Final = "OTEL_SDK_DISABLED"
SERVICE: Final = "selma-gateway"
LAST_WORD: Final = timedelta(seconds=3)  # what is still in the queue when the gateway stops gets so long


def is_wanted(env: Mapping[str, str]) -> bool:
    """Whether an operator has said where spans go. `OTEL_TRACES_EXPORTER=none` and OTEL_SDK_DISABLED say: nowhere."""
    if env.get(DISABLED, "").lower() == "true" or env.get("OTEL_TRACES_EXPORTER", "otlp") == "none":
        return False
    return any(env.get(name) for name in ENDPOINTS)


@contextmanager
def exporting(wanted: bool) -> Iterator[None]:
    """Send spans away until the block ends, where that is wanted."""
    if not wanted:
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError:
        log.warning("no traces: pip install 'selma-gateway[traces]' brings what sends them")
        yield
        return
    with sending_to(OTLPSpanExporter()):
        yield


@contextmanager
def sending_to(exporter: "SpanExporter") -> Iterator[None]:
    """Send spans there, from a thread of its own."""
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    # What the operator calls it goes first; the process's arguments and the machine's name are not asked for.
    named = Resource({SERVICE_NAME: SERVICE, SERVICE_VERSION: __version__}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=named, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(quiet(exporter)))
    try:
        with recording(recorder_of(provider.get_tracer(SERVICE, __version__))):
            yield
    finally:
        last = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
        last.start()
        last.join(LAST_WORD.total_seconds())


def recorder_of(tracer: "Tracer") -> Recorder:
    """Spans go to OpenTelemetry's tracer."""
    return _Recorder(tracer)


class _Span:
    def __init__(self, theirs: "TheirSpan") -> None:
        self._theirs = theirs
        context = theirs.get_span_context()
        self.trace = Trace(
            trace_id=f"{context.trace_id:032x}", span_id=f"{context.span_id:016x}", sampled=context.trace_flags.sampled
        )

    def say(self, **facts: Value | None) -> None:
        for name, value in facts.items():
            if value is not None:
                self._theirs.set_attribute(name, value)

    def failed(self, error: str) -> None:
        from opentelemetry.trace import StatusCode

        self._theirs.set_status(StatusCode.ERROR)
        self._theirs.set_attribute("error.type", error)

    def end(self) -> None:
        self._theirs.end()


class _Recorder:
    def __init__(self, tracer: "Tracer") -> None:
        self._tracer = tracer

    def begin(self, name: str, parent: Trace, links: Sequence[Trace], *, ago: timedelta) -> _Span:
        from opentelemetry.trace import Link, NonRecordingSpan, set_span_in_context

        began = time.time_ns() - ago // timedelta(microseconds=1) * 1000
        theirs = self._tracer.start_span(
            name,
            context=set_span_in_context(NonRecordingSpan(_context(parent))),
            links=[Link(_context(one)) for one in links],
            start_time=began,
        )
        return _Span(theirs)


def _context(trace: Trace) -> "SpanContext":
    from opentelemetry.trace import SpanContext, TraceFlags

    return SpanContext(
        trace_id=int(trace.trace_id, 16),
        span_id=int(trace.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if trace.sampled else TraceFlags.DEFAULT),
    )


def quiet(exporter: "SpanExporter") -> "SpanExporter":
    """Says once that spans cannot be sent, and once that they can again: the libraries say it each time."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Quiet(SpanExporter):
        is_well = True

        def export(self, spans: "Sequence[ReadableSpan]") -> "SpanExportResult":
            error = "refused"
            try:
                result = exporter.export(spans)
            except Exception as failure:
                error, result = type(failure).__name__, SpanExportResult.FAILURE
            is_well = result is SpanExportResult.SUCCESS
            if is_well != self.is_well:
                if is_well:
                    log.info("traces are sent again")
                else:
                    log.warning("traces cannot be sent; nothing else is harmed", extra={"error": error})
            self.is_well = is_well
            return result

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Quiet()
