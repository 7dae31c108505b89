"""Calls to Microsoft Graph: what was asked, how it was answered, how long that took, and how long we were to wait."""

from collections.abc import Mapping, Sequence
from typing import Final

from prometheus_client import Counter, Histogram
from prometheus_client.registry import Collector

from gateway.graph import Call, GraphError, Observer, Throttled

OTHER: Final = "other"
NO_ANSWER: Final = "none"
MESSAGE: Final = "users/{id}/messages/{id}"

# What a call is for, by its method and its route. A route has no ids; one that is not here is OTHER.
KINDS: Final[Mapping[tuple[str, str], str]] = {
    ("POST", "users/{id}/messages"): "create_draft",
    ("POST", f"{MESSAGE}/createReply"): "create_reply",
    ("PATCH", MESSAGE): "update_draft",
    ("POST", f"{MESSAGE}/attachments"): "attach",
    ("POST", f"{MESSAGE}/attachments/createUploadSession"): "begin_upload",
    ("PUT", "AttachmentSessions/{id}"): "upload",
    ("DELETE", "AttachmentSessions/{id}"): "end_upload",
    ("POST", f"{MESSAGE}/send"): "send",
    ("DELETE", MESSAGE): "delete",
    ("GET", "users/{id}/mailFolders/{id}/messages/delta"): "delta",
    ("POST", "$batch"): "read_batch",
    ("GET", MESSAGE): "read",
    ("GET", f"{MESSAGE}/$value"): "read_mime",
    ("GET", f"{MESSAGE}/attachments"): "list_attachments",
    ("GET", f"{MESSAGE}/attachments/{{id}}/$value"): "read_attachment",
    ("GET", "users/{id}/messages"): "find",
    ("GET", "users/{id}/mailFolders/{id}/messages"): "find",
    ("GET", "users/{id}/mailFolders/{id}"): "read_folder",
    ("GET", "users"): "directory",
    ("GET", "users/{id}"): "directory",
    ("GET", "directory/deletedItems/microsoft.graph.user"): "directory",
    ("GET", "applications(appId={id})"): "directory",
    ("GET", "subscriptions"): "subscriptions",
    ("GET", "subscriptions/{id}"): "subscriptions",
    ("POST", "subscriptions"): "subscribe",
    ("PATCH", "subscriptions/{id}"): "renew",
    ("POST", "subscriptions/{id}/reauthorize"): "renew",
    ("DELETE", "subscriptions/{id}"): "unsubscribe",
}
# https://learn.microsoft.com/graph/errors, and the successes of what we ask
STATUSES: Final = frozenset(
    (
        *(200, 201, 202, 204, 206),
        *(400, 401, 402, 403, 404, 405, 406, 409, 410, 411, 412, 413, 415, 416, 422, 423, 429),
        *(500, 501, 502, 503, 504, 507, 509),
    )
)
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
WAITS_S: Final = (1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 3600.0)


class GraphMeter:
    """Hears of each call by `called`, retries too, and of each wish to be left alone by `told_to_wait`."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "selma_gateway_graph_call_seconds",
            "How long Microsoft Graph took to answer a call, by what it was for; one without an answer counts until it "
            "was given up. When it grows for all kinds, see Microsoft's service health or the network.",
            ["kind"],
            buckets=SECONDS,
            registry=None,
        )
        self._calls = Counter(
            "selma_gateway_graph_calls",
            "Calls to Microsoft Graph, by what they were for and their HTTP status: none is no answer. Many of 429: it "
            "is asked too much; of 401 and 403: see the check of the connection; of 5xx: see its service health.",
            ["kind", "status"],
            registry=None,
        )
        self._waits = Histogram(
            "selma_gateway_graph_retry_after_seconds",
            "How long Microsoft Graph asked to be left alone (Retry-After), items of batches too. Letters and pulls "
            "wait for it by themselves; when it happens all day, find who else uses the app or the mailbox.",
            buckets=WAITS_S,
            registry=None,
        )
        self._throttled = Counter(
            "selma_gateway_graph_throttled",
            "Answers of Microsoft Graph that a limit was reached (429), items of batches too, Retry-After or not.",
            registry=None,
        )
        for kind in (*KINDS.values(), OTHER):
            self._seconds.labels(kind)

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (self._seconds, self._calls, self._waits, self._throttled)

    def called(self, call: Call) -> None:
        """Count a call. It is the client's `Observer`."""
        kind = KINDS.get((call.method, call.route), OTHER)
        self._seconds.labels(kind).observe(call.duration_s)
        self._calls.labels(kind, status_of(call.status)).inc()

    def heard_by(self, observer: Observer) -> Observer:
        """One that counts a call and hands it on."""

        def both(call: Call) -> None:
            self.called(call)
            observer(call)

        return both

    def told_to_wait(self, error: GraphError) -> None:
        """Count that Graph wants to be left alone, for how long if it said so."""
        if error.retry_after is not None:
            self._waits.observe(error.retry_after.total_seconds())
        if isinstance(error, Throttled):
            self._throttled.inc()


def status_of(status: int | None) -> str:
    """As a label."""
    if status is None:
        return NO_ANSWER
    return str(status) if status in STATUSES else OTHER
