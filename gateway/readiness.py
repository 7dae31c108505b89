"""Whether the gateway can do its work now, part by part, and what keeps it from that."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import storage
from gateway.backups.keeper import Standing
from gateway.clock import Clock
from gateway.pace import Pace
from gateway.pulse import Pulse
from gateway.setup.expiry import standing_of
from gateway.space import Space
from gateway.threads.indexing import sentence
from storage import accounts, credentials, search_backlogs
from storage.accounts import Account, TokenState


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that must work. `detail` is a sentence."""

    name: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Ready when every part is."""

    parts: tuple[Part, ...]

    @property
    def ready(self) -> bool:
        """Whether every part is well."""
        return all(part.ok for part in self.parts)


class Health:
    """Looks at the store, its disk, the workers, the credentials, and whether recovery is done. Asks nobody outside."""

    def __init__(
        self,
        store: storage.Store,
        clock: Clock,
        pace: Pace,
        *,
        space: Space,
        pulse: Pulse,
        backups: Callable[[], Standing] = Standing.of_none,
    ) -> None:
        self._store = store
        self._clock = clock
        self._pace = pace
        self._space = space
        self._pulse = pulse
        self._backups = backups
        self.recovered = False

    async def readiness(self) -> Readiness:
        """What `/readyz` tells."""
        parts = [
            await self._writable(),
            self._disk(),
            self._recovery(),
            self._workers(),
            self._notifications(),
            self._backup(),
        ]
        try:
            parts.append(await self._store.read(_search_part))
            parts += await self._store.read(_credential_parts, self._clock.now())
        except storage.StorageUnavailable as error:
            parts.append(Part(name="credential", ok=False, detail=f"Not known: {error}"))
        return Readiness(parts=tuple(parts))

    async def _writable(self) -> Part:
        try:
            await self._store.write(storage.vault.touch)
        except storage.StorageUnavailable as error:
            return Part(name="store", ok=False, detail=str(error))
        return Part(name="store", ok=True, detail="The database can be written.")

    def _disk(self) -> Part:
        room = self._space.room()
        return Part(name="disk", ok=not room.is_low, detail=room.sentence)

    def _workers(self) -> Part:
        return Part(name="workers", ok=self._pulse.is_well, detail=self._pulse.sentence)

    def _recovery(self) -> Part:
        if self.recovered:
            return Part(name="recovery", ok=True, detail="Work left by the last run was taken up.")
        return Part(name="recovery", ok=False, detail="Work left by the last run is being taken up.")

    def _notifications(self) -> Part:
        """Always well: where answers are too slow letters leave all the same, and replies come by sweeping."""
        return Part(name="notifications", ok=True, detail=self._pace.figures(self._clock.now()).sentence)

    def _backup(self) -> Part:
        """Always well: without backups letters leave and replies come all the same. Metrics and log are louder."""
        return Part(name="backups", ok=True, detail=self._backups().sentence)


def _search_part(tx: storage.Transaction) -> Part:
    """Always well: what cannot be found yet can be read all the same."""
    return Part(name="search", ok=True, detail=sentence(search_backlogs.backlogs(tx)))


def _credential_parts(tx: storage.Transaction, now: datetime) -> list[Part]:
    return [_credential_part(tx, account, now) for account in accounts.all_of_them(tx)]


def _credential_part(tx: storage.Transaction, account: Account, now: datetime) -> Part:
    name = f"credential of {account.name}"
    serving = credentials.serving(tx, account.id)
    expiry = standing_of(serving, now, time_zone=account.time_zone)
    if account.tenant_id is None or expiry is None:
        return Part(name=name, ok=False, detail="Not connected yet: enter tenant ID, client ID and client secret.")
    if account.token_state is TokenState.REFUSED and account.token_problem is not None:
        problem = account.token_problem
        return Part(name=name, ok=False, detail=f"{problem['explanation']} {problem['cure']}")
    if serving[0].problem is not None and account.token_state is TokenState.OK:
        told = f"The newest credential is refused: {serving[0].problem['explanation']} The one before serves."
        return Part(name=name, ok=not expiry.degraded, detail=f"{told} {expiry.sentence}")
    return Part(name=name, ok=not expiry.degraded, detail=expiry.sentence)
