"""What the process measures of itself while it works, in memory, since its start: for `/metrics`.

Each meter is handed to the one who does the work and hears of it by a plain call, so that nothing but this package and
the scrape knows of Prometheus. All are of the process, not of an account. Labels take their values from closed sets:
never an address, an id or a URL; what is not in a set is `other`. So there are as many series as at the first start.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from prometheus_client.registry import Collector

from gateway.meters.deliveries import DeliveryMeter
from gateway.meters.graph import GraphMeter
from gateway.meters.loop import LoopMeter
from gateway.meters.store import StoreMeter

__all__ = ["DeliveryMeter", "GraphMeter", "LoopMeter", "Meters", "StoreMeter"]


@dataclass(frozen=True, slots=True)
class Meters:
    """One of each. They register nowhere by themselves: two gateways in one process do not meet."""

    graph: GraphMeter = field(default_factory=GraphMeter)
    store: StoreMeter = field(default_factory=StoreMeter)
    loop: LoopMeter = field(default_factory=LoopMeter)
    deliveries: DeliveryMeter = field(default_factory=DeliveryMeter)

    @property
    def collectors(self) -> Sequence[Collector]:
        """For a registry."""
        return (
            *self.graph.collectors,
            *self.store.collectors,
            *self.loop.collectors,
            *self.deliveries.collectors,
        )
