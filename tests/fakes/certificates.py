"""Certificates that cost nothing to make, for tests in which nothing is encrypted."""

import itertools
from datetime import datetime, timedelta

from subscriptions.rich import EncryptionCertificate


class FakeMaker:
    """Makes one after the other, each with its own name."""

    def __init__(self) -> None:
        self.made = itertools.count(1)

    def __call__(self, now: datetime, lifetime: timedelta) -> EncryptionCertificate:
        number = next(self.made)
        return EncryptionCertificate(
            id=f"certificate {number}",
            certificate=f"MII{number}",
            private_key=f"key {number}",
            not_after=now + lifetime,
        )
