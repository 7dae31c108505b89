"""The rooms of this package, joined, as API, pages and command line ask for them."""

from dataclasses import dataclass
from typing import Self

from gateway.clock import Clock
from gateway.privacy.erasing import Eraser
from gateway.privacy.exporting import Exporter, GraphSource
from gateway.privacy.retention import Retention
from storage import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyDesk:
    """Where people's data is given out, erased, and forgotten by age."""

    eraser: Eraser
    exporter: Exporter
    retention: Retention

    @classmethod
    def on(cls, store: Store, graphs: GraphSource, clock: Clock) -> Self:
        """Built on these."""
        eraser = Eraser(store, clock)
        return cls(
            eraser=eraser,
            exporter=Exporter(store, graphs, clock),
            retention=Retention(store, eraser, clock),
        )
