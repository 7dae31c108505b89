"""Graph's door measures itself: how long its answers take, what it let in, and what it refused and why.

https://prometheus.io/docs/practices/naming/
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from itertools import accumulate
from typing import Final

from prometheus_client import Counter
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from gateway.clock import Clock
from gateway.pace import EDGES_S, Pace
from gateway.threads.opening import OUTCOMES
from subscriptions.judging import Reason
from subscriptions.receiver import Receipt

TOO_LARGE: Final = "too_large"
STORE_UNAVAILABLE: Final = "store_unavailable"
# A request that is refused as a whole says nothing of its items: it counts once.
WHOLE: Final[Mapping[int, str]] = {
    HTTPStatus.BAD_REQUEST: Reason.MALFORMED.value,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE: STORE_UNAVAILABLE,
}


class Seconds(Collector):
    """A histogram of `EDGES_S`. `Pace` has found where each answer belongs, so it is not looked for once more."""

    def __init__(self) -> None:
        self._counts = [0] * (len(EDGES_S) + 1)
        self._sum_s = 0.0

    def count(self, edge: int, took_s: float) -> None:
        """One more. `edge` is the number of the first edge that is no less."""
        self._counts[edge] += 1
        self._sum_s += took_s

    def collect(self) -> Iterable[Metric]:
        """For a registry."""
        names = [*map(str, EDGES_S), "+Inf"]
        yield HistogramMetricFamily(
            "selma_gateway_notification_answer_seconds",
            "How long it took to answer a request of Microsoft Graph. Slower than 3 s is too slow.",
            buckets=list(zip(names, accumulate(self._counts), strict=True)),
            sum_value=self._sum_s,
        )


class Door:
    """What is known of the door's answers: by `pace` of the last ten minutes, by the metrics of all since the start."""

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._seconds = Seconds()
        self._accepted = Counter("selma_gateway_notifications_accepted", "Notifications that were kept.", registry=None)
        self._refused = Counter(
            "selma_gateway_notifications_refused",
            "Notifications that were refused; where a whole request was, it counts as one.",
            ["reason"],
            registry=None,
        )
        self._opened = Counter(
            "selma_gateway_rich_notifications",
            "Encrypted contents that notifications brought, by what came of them.",
            ["outcome"],
            registry=None,
        )
        for outcome in OUTCOMES:
            self._opened.labels(outcome)
        for reason in (*(one.value for one in Reason), *WHOLE.values()):
            self._refused.labels(reason)

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (self._seconds, self._accepted, self._refused, self._opened)

    def received(self, receipt: Receipt) -> None:
        """Count the items of a request that was understood."""
        self._accepted.inc(receipt.kept)
        for reason, count in receipt.reasons.items():
            self._refused.labels(reason.value).inc(count)

    def kept(self, count: int) -> None:
        """Count items of a request of which none was refused."""
        self._accepted.inc(count)

    def opened(self, outcomes: Mapping[str, int]) -> None:
        """Count encrypted contents."""
        for outcome, count in outcomes.items():
            self._opened.labels(outcome).inc(count)

    def answered(self, status: int, took_s: float, clock: Clock) -> None:
        """Count an answer."""
        self._seconds.count(self.pace.answered(took_s, clock.now()), took_s)
        if (reason := WHOLE.get(status)) is not None:
            self._refused.labels(reason).inc()
