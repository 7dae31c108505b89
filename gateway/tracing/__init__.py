"""Following one thing through all that happens to it.

`ids` is what a trace is called, `current` which one the running task works for, `spans` what is recorded of it, and
`export` where that is sent, when an operator wants it sent anywhere. Ids are always there and cost next to nothing;
spans are recorded only while somebody exports them, and hold ids, counts and states, never mail and no address.
"""

from gateway.tracing.current import Unit, about, begun, client_request_id, current, log_fields, taken_up
from gateway.tracing.ids import Trace, parse
from gateway.tracing.recorder import Recorder, Span, recording
from gateway.tracing.spans import mark, span

__all__ = [
    "Recorder",
    "Span",
    "Trace",
    "Unit",
    "about",
    "begun",
    "client_request_id",
    "current",
    "log_fields",
    "mark",
    "parse",
    "recording",
    "span",
    "taken_up",
]
