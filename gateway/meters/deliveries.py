"""Events on their way to webhooks: how each attempt ended, and how long the receiver took."""

from collections.abc import Sequence
from typing import Final

from prometheus_client import Histogram
from prometheus_client.registry import Collector

from gateway.host.post import TIMEOUT_S, Answer

TAKEN: Final = "taken"
REFUSED: Final = "refused"
NO_ANSWER: Final = "no_answer"
SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, TIMEOUT_S)


class DeliveryMeter:
    """Hears of each attempt."""

    def __init__(self) -> None:
        self._seconds = Histogram(
            "selma_gateway_webhook_delivery_seconds",
            "How long webhooks took for an event, by what came of the attempt: taken is 2xx, refused any other answer. "
            "A receiver is to store and answer; one that works first is slow, and makes its events late.",
            ["outcome"],
            buckets=SECONDS,
            registry=None,
        )
        for outcome in (TAKEN, REFUSED, NO_ANSWER):
            self._seconds.labels(outcome)

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (self._seconds,)

    def attempted(self, answer: Answer) -> None:
        """Count an attempt."""
        outcome = TAKEN if answer.problem is None else NO_ANSWER if answer.status is None else REFUSED
        self._seconds.labels(outcome).observe(answer.took_ms / 1000)
