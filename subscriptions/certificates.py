"""The certificates that Graph encrypts for: made when none is usable, replaced long before their end, then forgotten.

A new one is stored before Graph hears of it, and an old one stays until nothing can be under way any more that was
encrypted for it. So a crash, a lost answer or a restart at any point leaves every content openable.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa

import storage
from storage import encryption_certificates
from storage.encryption_certificates import EncryptionCertificate as Stored
from storage.vault import Key
from subscriptions.clock import Clock
from subscriptions.graph import Encryption
from subscriptions.plan import CLOCK_NOISE, LONGEST_RICH_LIFE, OVERLAP
from subscriptions.rich import EncryptionCertificate, private_key_of

log = logging.getLogger(__name__)

LIFETIME: Final = timedelta(days=365)
REPLACED_AFTER: Final = timedelta(days=90)  # a key in use for a quarter is enough, and three quarters are left
# When another has stood in its place for this long, each subscription that Graph encrypts for has been renewed or
# has ended, and what it told last has been repeated for the last time.
KEPT_AFTER: Final = LONGEST_RICH_LIFE + OVERLAP + timedelta(hours=1)

Maker = Callable[[datetime, timedelta], EncryptionCertificate]


def usable(certificates: Sequence[Stored], now: datetime) -> Stored | None:
    """The one to give to Graph: the newest, unless it is old, or made in a future that the clock was set back from."""
    found = [one for one in certificates if one.created_at - CLOCK_NOISE <= now < one.created_at + REPLACED_AFTER]
    return max(found, key=lambda one: (one.created_at, one.id), default=None)


def obsolete(certificates: Sequence[Stored], in_use: Collection[str], now: datetime) -> list[Stored]:
    """Those that nothing can be encrypted for any more. Whatever a subscription names stays in any case."""
    current = usable(certificates, now)

    def given_until(one: Stored) -> datetime:
        """From then on another was given to Graph, or, where rich notifications are switched off, none."""
        at_last = one.created_at + REPLACED_AFTER
        is_replaced = current is not None and one.created_at < current.created_at
        return min(at_last, current.created_at) if current is not None and is_replaced else at_last

    return [one for one in certificates if one.id not in in_use and now - given_until(one) >= KEPT_AFTER]


class Certificates:
    """The certificates of all accounts. Private keys are kept open in memory, as long as the store has them."""

    def __init__(
        self, store: storage.Store, key: Key, clock: Clock, *, make: Maker = EncryptionCertificate.new
    ) -> None:
        self._store = store
        self._key = key
        self._clock = clock
        self._make = make
        self._one_at_a_time = asyncio.Lock()
        self._keys: dict[str, rsa.RSAPrivateKey] = {}

    async def current(self, account_id: str) -> Encryption:
        """What to give to Graph now; made, off the loop, and stored when there is none that this gateway can open."""
        async with self._one_at_a_time:
            known = await self._store.read(encryption_certificates.of_account, account_id)
            openable = [one for one in known if self._can_be_opened(one)]
            found = usable(openable, self._clock.now())
            if found is None:
                found = await self._new(account_id)
        return Encryption(certificate=found.certificate, certificate_id=found.id)

    async def keys(self, account_id: str) -> Mapping[str, rsa.RSAPrivateKey]:
        """The private keys of an account's certificates, by the certificates' ids, also of those just replaced."""
        known = await self._store.read(encryption_certificates.of_account, account_id)
        new = [one for one in known if one.id not in self._keys]
        if new:
            self._keys |= await asyncio.to_thread(self._opened, new)
        return {one.id: self._keys[one.id] for one in known if one.id in self._keys}

    async def forget_obsolete(self, account_id: str) -> int:
        """Delete those that nothing is encrypted for any more; how many."""
        gone = await self._store.write(_forget, account_id, now=self._clock.now())
        for certificate_id in gone:
            self._keys.pop(certificate_id, None)
            log.info("encryption certificate forgotten", extra={"certificate_id": certificate_id})
        return len(gone)

    async def _new(self, account_id: str) -> Stored:
        now = self._clock.now()
        made = await asyncio.to_thread(self._make, now, LIFETIME)
        stored = await self._store.write(
            encryption_certificates.add,
            account_id,
            id=made.id,
            certificate=made.certificate,
            private_key=made.private_key,
            not_after=made.not_after,
            key=self._key,
            now=now,
        )
        fields = {"account_id": account_id, "certificate_id": stored.id, "ends_at": stored.not_after.isoformat()}
        log.info("encryption certificate made", extra=fields)
        return stored

    def _can_be_opened(self, stored: Stored) -> bool:
        """Not one that was sealed with another master key: Graph would encrypt what nobody can read."""
        try:
            stored.open(self._key)
        except storage.WrongMasterKey:
            return False
        return True

    def _opened(self, certificates: Sequence[Stored]) -> dict[str, rsa.RSAPrivateKey]:
        return {one.id: private_key_of(one.open(self._key)) for one in certificates if self._can_be_opened(one)}


def _forget(tx: storage.Transaction, account_id: str, *, now: datetime) -> list[str]:
    known = encryption_certificates.of_account(tx, account_id)
    gone = [one.id for one in obsolete(known, encryption_certificates.in_use(tx, account_id), now)]
    for certificate_id in gone:
        encryption_certificates.delete(tx, certificate_id)
    return gone
