"""How often each API key came, and when last: counted in memory, so that counting costs no write.

The fields are those of https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-10.txt
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from storage import StorageUnavailable, Store, api_keys

WINDOW: Final = timedelta(minutes=1)
POLICY: Final = '"requests"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """What is left to a key: `left` of `limit` requests, for `resets_in` seconds. `is_over` when this one was too many.

    A `limit` of 0 is none.
    """

    limit: int
    left: int
    resets_in: int
    is_over: bool

    @property
    def headers(self) -> Mapping[str, str]:
        """As the caller is told."""
        if not self.limit:
            return {}
        return {
            "ratelimit-policy": f"{POLICY};q={self.limit};w={int(WINDOW.total_seconds())}",
            "ratelimit": f"{POLICY};r={self.left};t={self.resets_in}",
        }


@dataclass(slots=True)
class _Caller:
    began: datetime
    came: int = 0
    used: datetime | None = None


class Callers:
    """Counts by key, in windows of a minute that begin with a request."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Caller] = {}
        self._unkept: dict[str, datetime] = {}

    def came(self, key_id: str, *, limit: int, now: datetime) -> Quota:
        """Count a request of this key."""
        caller = self._by_key.get(key_id)
        if caller is None:
            caller = self._by_key[key_id] = _Caller(began=now)
        elif not caller.began <= now < caller.began + WINDOW:  # over, or the clock was put back
            caller.began, caller.came = now, 0
        caller.came += 1
        minute = now.replace(second=0, microsecond=0)
        if minute != caller.used:
            caller.used = self._unkept[key_id] = minute
        return Quota(
            limit=limit,
            left=max(limit - caller.came, 0),
            resets_in=math.ceil((caller.began + WINDOW - now).total_seconds()),
            is_over=bool(limit) and caller.came > limit,
        )

    async def keep(self, store: Store) -> None:
        """Write down which keys were used, each once a minute. Raises `StorageUnavailable`: then it is for later."""
        if not self._unkept:
            return
        unkept, self._unkept = self._unkept, {}
        try:
            await store.write(api_keys.record_use, unkept)
        except StorageUnavailable:
            self._unkept = unkept | self._unkept
            raise
