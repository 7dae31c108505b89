"""Each call to Graph, in the log and in the trace of what it was made for."""

import logging
from datetime import timedelta
from http import HTTPStatus

from gateway import tracing
from gateway.graph import Call, Observer

log = logging.getLogger(__name__)


def followed_by(observer: Observer) -> Observer:
    """An observer that writes each call down, and then tells the other."""

    def observe(call: Call) -> None:
        _write_down(call)
        observer(call)

    return observe


def _write_down(call: Call) -> None:
    """Both ids: https://learn.microsoft.com/graph/best-practices-concept#reliability-and-support."""
    has_failed = call.status is None or call.status >= HTTPStatus.BAD_REQUEST
    level = logging.INFO if has_failed else logging.DEBUG
    if log.isEnabledFor(level):
        log.log(level, "graph call failed" if has_failed else "graph call", extra=_fields(call))
    tracing.mark(
        f"graph {call.method}",
        took=timedelta(seconds=call.duration_s),
        error=str(call.status or "no answer") if has_failed else None,
        facts={
            "graph.route": call.route,
            "graph.request_id": call.request_id,
            "graph.client_request_id": call.client_request_id,
            "graph.items": call.items,
            "http.request.method": call.method,
            "http.response.status_code": call.status,
        },
    )


def _fields(call: Call) -> dict[str, object]:
    fields: dict[str, object] = {
        "method": call.method,
        "route": call.route,
        "status": call.status,
        "took_ms": round(call.duration_s * 1000),
        "graph_request_id": call.request_id,
        "client_request_id": call.client_request_id,
    }
    return fields
