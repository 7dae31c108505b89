"""How the backups stand. Nothing of this asks the database, so it is there when the database is not."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric

from gateway.backups.keeper import Standing
from gateway.clock import Clock
from gateway.http.metrics.families import one


@dataclass(frozen=True, slots=True)
class Backups:
    """A collector for the application's registry. It has nothing to say where no backups are wanted."""

    standing: Callable[[], Standing]
    clock: Clock

    def collect(self) -> Iterable[Metric]:
        """As it is now."""
        found = self.standing()
        if not found.wanted:
            return
        if (age := found.age(self.clock.now())) is not None:
            yield one("backup_age_seconds", "How long ago the newest good backup was made.", age.total_seconds())
        yield one(
            "backup_failed",
            "1 when the gateway's last try to make a backup failed, or the last rehearsal of one: the log has why.",
            int(found.has_failed),
        )
