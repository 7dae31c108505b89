"""What a scrape asks, and how its numbers are handed to the library."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

from gateway.graph import Limits
from gateway.sending.rules import Allowance
from storage import Transaction, outbox

NAMESPACE: Final = "selma_gateway"
RECOUNT_AFTER: Final = timedelta(minutes=5)


@dataclass(slots=True)
class Ended:
    """How many letters of each account have come to an end, counted now and then: of a million it takes 0.1 s."""

    _by_account: dict[str, tuple[datetime, Mapping[str, int]]] = field(default_factory=dict)

    def counts(self, tx: Transaction, account_id: str, states: Iterable[str], now: datetime) -> Mapping[str, int]:
        """By state, and at most RECOUNT_AFTER old."""
        known = self._by_account.get(account_id)
        if known is None or abs(now - known[0]) >= RECOUNT_AFTER:  # clocks are put back, too
            known = self._by_account[account_id] = (now, outbox.counts_in(tx, account_id, states))
        return known[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrape:
    """Whose numbers are wanted, and as of when. `is_notified`: Graph is asked to tell of new mail."""

    account_id: str
    allowance: Allowance
    limits: Limits
    is_notified: bool
    ended: Ended
    now: datetime

    def since(self, moment: datetime | None) -> float:
        """Seconds since then; 0 for None and for what lies ahead."""
        return 0.0 if moment is None else max((self.now - moment).total_seconds(), 0.0)


Group = Callable[[Transaction, Scrape], Iterable[Metric]]


def one(name: str, meaning: str, value: float) -> Metric:
    """A number that goes up and down."""
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, value=value)


def by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    """One for each value of a label."""
    return by_all((label,), name, meaning, {(key,): value for key, value in values.items()})


def by_all(labels: Sequence[str], name: str, meaning: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    """One for each of some labels' values."""
    family = GaugeMetricFamily(f"{NAMESPACE}_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def total_by(label: str, name: str, meaning: str, values: Mapping[str, float]) -> Metric:
    """Numbers that only grow; the library adds `_total` to the name."""
    family = CounterMetricFamily(f"{NAMESPACE}_{name}", meaning, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
