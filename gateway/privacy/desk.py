"""The rooms of this package, joined, as API, pages and command line ask for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from gateway.backups.shelf import Shelf
from gateway.clock import Clock
from gateway.privacy.erasing import Eraser
from gateway.privacy.exporting import Exporter, GraphSource
from gateway.privacy.kept import StillIn, all_kept
from gateway.privacy.retention import Retention
from storage import Store
from storage.erasures import Erasure


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyDesk:
    """Where people's data is given out, erased, and forgotten by age."""

    eraser: Eraser
    exporter: Exporter
    retention: Retention
    shelf: Shelf | None = None

    @classmethod
    def on(
        cls,
        store: Store,
        graphs: GraphSource,
        clock: Clock,
        shelf: Shelf | None = None,
        *,
        forget: Callable[[int], None] = lambda last: None,
    ) -> Self:
        """Built on these; `shelf` is where the gateway's backups lie, `forget` is the eraser's."""
        eraser = Eraser(store, clock, forget=forget)
        return cls(
            eraser=eraser,
            exporter=Exporter(store, graphs, clock),
            retention=Retention(store, eraser, clock),
            shelf=shelf,
        )

    async def still_in(self, *receipts: Erasure) -> Sequence[Sequence[StillIn]]:
        """For each receipt the backups that hold, or may hold, what was erased."""
        everywhere = await all_kept(self.shelf)
        return [
            [one for one in everywhere if receipt.purged_at is None or one.made_at <= receipt.purged_at]
            for receipt in receipts
        ]

    async def would_be_in(self) -> Sequence[StillIn]:
        """The backups that would hold what is erased now."""
        return await all_kept(self.shelf)
