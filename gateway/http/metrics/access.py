"""Whether whoever scrapes may: by the key's row, or, while the store cannot be read, by having been let in lately."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.requests import Request

from gateway.http import auth
from gateway.http.problems import Problem
from gateway.http.services import Services
from storage import StorageUnavailable
from storage.api_keys import ApiKey, Scope

GOOD_FOR: Final = timedelta(hours=1)
MOST_KNOWN: Final = 16


@dataclass(frozen=True, slots=True)
class _LetIn:
    key: ApiKey
    at: datetime


class Doorkeeper:
    """Remembers, as digests, the keys that it let in within an hour. They open no more than `/metrics`, and of that
    only what is in memory: it is during an outage of the store that the numbers are wanted most."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._let_in: OrderedDict[bytes, _LetIn] = OrderedDict()

    async def admit(self, request: Request) -> ApiKey:
        """The key that may. Raises `Problem`, and `StorageUnavailable` when the store cannot say and we do not know."""
        digest = hashlib.sha256(request.headers.get("authorization", "").encode()).digest()
        try:
            key = await auth.authenticate(self._services, request)
            auth.require(key, Scope.METRICS)
        except Problem:
            self._let_in.pop(digest, None)
            raise
        except StorageUnavailable:
            known = self._remembered(digest)
            if known is None:
                raise
            auth.check_address(known, request)
            return known
        self._remember(digest, key)
        return key

    def _remember(self, digest: bytes, key: ApiKey) -> None:
        self._let_in[digest] = _LetIn(key, self._services.clock.now())
        self._let_in.move_to_end(digest)
        if len(self._let_in) > MOST_KNOWN:
            self._let_in.popitem(last=False)

    def _remembered(self, digest: bytes) -> ApiKey | None:
        known, now = self._let_in.get(digest), self._services.clock.now()
        if known is None or known.key.is_over(now) or not known.at <= now < known.at + GOOD_FOR:
            return None
        return known.key
