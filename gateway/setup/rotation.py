"""Rotation without a stop: a new credential is tried before it takes over, and the old one stands by.

Each change is an event of the account; what is to be audited changes here, in `_added`, `_taken_over` and `_removed`.
"""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

from gateway.clock import Clock
from gateway.graph import Credential as Proof
from gateway.graph import CredentialRefused, TokenError
from gateway.keyring import NoAssertion, as_given, open_stored, read_assertion
from gateway.setup import certificates, expiry
from gateway.setup.account import BadConfiguration
from gateway.setup.values import expires_problem, secret_problem
from gateway.slots import problem_of
from storage import Conflict, Store, Transaction, accounts, chores, credentials, events
from storage.accounts import Account
from storage.credentials import Credential, CredentialKind, CredentialState, NewCredential
from storage.vault import Key

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A client secret to rotate to, and the day it ends if that is known."""

    value: str = field(repr=False)
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnCertificate:
    """A private key and its certificate, both PEM, that were made elsewhere and are uploaded already."""

    private_key: str = field(repr=False)
    certificate: str


@dataclass(frozen=True, slots=True)
class AssertionFile:
    """Where another identity provider leaves its assertions, such as a Kubernetes service account's token."""

    path: str


Offer: TypeAlias = Secret | OwnCertificate | AssertionFile


class CredentialNotTaken(Exception):
    """Entra refused the credential that was tried; the text says why and what to do. What served before serves on."""

    def __init__(self, error: TokenError, *, kept: Credential | None) -> None:
        number = f" (AADSTS{error.aadsts})" if error.aadsts is not None else ""
        stored = "It is kept, and can be tried again." if kept is not None else "Nothing was stored."
        super().__init__(f"{error.explanation}{number} {error.cure} {stored}")
        self.error = error
        self.kept = kept


class Trying(Protocol):
    """Asks Entra for a token by a credential."""

    async def try_out(self, account_id: str, credential: Proof) -> str:
        """Raises `TokenError`, and `NotConnected` without tenant and app."""
        ...


class Rotation:
    """The credential slots of accounts."""

    def __init__(self, store: Store, trying: Trying, clock: Clock, key: Key) -> None:
        self._store = store
        self._trying = trying
        self._clock = clock
        self._key = key

    async def slots(self, account_id: str) -> list[Credential]:
        """Active, standing by, pending."""
        return await self._store.read(credentials.slots, account_id)

    async def add(self, account_id: str, offer: Offer, *, keep_if_refused: bool = False) -> Credential:
        """Try it, and let it take over when Entra gives a token.

        Raises `BadConfiguration` for what cannot be right, `CredentialNotTaken` when Entra refuses it, and
        `EntraUnavailable` when nobody could be asked: then nothing is stored, unless `keep_if_refused`.
        """
        account = await self._store.read(accounts.get, account_id)
        new = await asyncio.to_thread(self._read, offer, account.time_zone)
        await self._check_is_new(account_id, new)
        try:
            await self._trying.try_out(account_id, as_given(new))
        except TokenError as error:
            kept = await self._keep(account, new, error) if keep_if_refused else None
            if isinstance(error, CredentialRefused):
                raise CredentialNotTaken(error, kept=kept) from error
            raise
        return await self._store.write(_added, account, new, key=self._key, take_over=True, now=self._clock.now())

    async def make_certificate(self, account_id: str) -> Credential:
        """A fresh key pair whose certificate is to be uploaded to the app; then `try_pending`."""
        account = await self._store.read(accounts.get, account_id)
        pair = await asyncio.to_thread(certificates.make, f"selma-gateway {account.name}", self._clock.now())
        new = _certificate(pair)
        return await self._store.write(_added, account, new, key=self._key, take_over=False, now=self._clock.now())

    async def try_pending(self, account_id: str, credential_id: str) -> Credential:
        """Try one that waits, and let it take over. Raises as `add`, and `NotFound`, `Conflict`."""
        account, pending = await self._store.read(_pending, account_id, credential_id)
        try:
            await self._trying.try_out(account_id, open_stored(pending, self._key))
        except CredentialRefused as error:
            await self._store.write(
                credentials.refused, account_id, pending.id, problem_of(error), now=self._clock.now()
            )
            raise CredentialNotTaken(error, kept=pending) from error
        return await self._store.write(_taken_over, account, pending.id, now=self._clock.now())

    async def remove(self, account_id: str, credential_id: str) -> None:
        """Forget one. Raises `NotFound`, and `Conflict` for the only one that serves."""
        await self._store.write(_removed, account_id, credential_id, now=self._clock.now())

    def _read(self, offer: Offer, time_zone: str) -> NewCredential:
        """Raises `BadConfiguration`."""
        match offer:
            case Secret():
                return self._secret(offer, time_zone)
            case OwnCertificate():
                return self._pair(offer)
            case AssertionFile():
                return _assertion(offer.path.strip())

    def _secret(self, offer: Secret, time_zone: str) -> NewCredential:
        value, ends = offer.value.strip(), offer.expires_at
        late = None if ends is None else expires_problem(ends, self._clock.now(), time_zone=time_zone)
        problems = {"client_secret": secret_problem(value), "expires_at": late}
        found = {name: problem for name, problem in problems.items() if problem is not None}
        if found:
            raise BadConfiguration(found)
        return NewCredential(kind=CredentialKind.CLIENT_SECRET, secret=value, hint=value, expires_at=ends)

    def _pair(self, offer: OwnCertificate) -> NewCredential:
        try:
            return _certificate(certificates.read_pair(offer.private_key, offer.certificate, self._clock.now()))
        except certificates.BadKeyPair as error:
            raise BadConfiguration(error.problems) from None

    async def _check_is_new(self, account_id: str, new: NewCredential) -> None:
        for one in await self._store.read(credentials.serving, account_id):
            if one.kind is new.kind and one.open(self._key) == new.secret:
                name = {CredentialKind.CERTIFICATE: "certificate", CredentialKind.FEDERATED: "assertion_file"}
                raise BadConfiguration(
                    {name.get(new.kind, "client_secret"): "This one is in use already. Add a new one in Entra first."}
                )

    async def _keep(self, account: Account, new: NewCredential, error: TokenError) -> Credential:
        now = self._clock.now()
        kept = await self._store.write(_added, account, new, key=self._key, take_over=False, now=now)
        await self._store.write(credentials.refused, account.id, kept.id, problem_of(error), now=now)
        return await self._store.read(credentials.get, account.id, kept.id)


def _certificate(pair: certificates.KeyPair) -> NewCredential:
    told = certificates.facts(pair.certificate_pem)
    return NewCredential(
        kind=CredentialKind.CERTIFICATE,
        secret=pair.private_key_pem,
        hint=told.sha1,
        public_part=pair.certificate_pem,
        expires_at=told.ends_at,
    )


def _assertion(path: str) -> NewCredential:
    if not Path(path).is_absolute() or not path.isprintable():
        raise BadConfiguration({"assertion_file": "Enter the whole path of the file, from / on."})
    try:
        read_assertion(Path(path))
    except NoAssertion as error:
        raise BadConfiguration({"assertion_file": f"{error} It must hold one when it is added."}) from None
    return NewCredential(kind=CredentialKind.FEDERATED, secret=path, hint="", public_part=path)


def _pending(tx: Transaction, account_id: str, credential_id: str) -> tuple[Account, Credential]:
    found = credentials.get(tx, account_id, credential_id)
    if found.state is not CredentialState.PENDING:
        raise Conflict("This credential does not wait to be tried.")
    return accounts.get(tx, account_id), found


def _check_same_app(tx: Transaction, tried: Account) -> None:
    now = accounts.get(tx, tried.id)
    if (now.tenant_id, now.client_id, now.cloud) != (tried.tenant_id, tried.client_id, tried.cloud):
        raise Conflict("The account was connected to another app meanwhile. Try again.")


def _added(
    tx: Transaction, account: Account, new: NewCredential, *, key: Key, take_over: bool, now: datetime
) -> Credential:
    added = credentials.add(tx, account.id, new, key=key, now=now)
    data = {"credential_id": added.id, "kind": added.kind}
    events.record(tx, account.id, "credential.added", data=data, now=now)
    return _taken_over(tx, account, added.id, now=now) if take_over else added


def _taken_over(tx: Transaction, account: Account, credential_id: str, *, now: datetime) -> Credential:
    """It was tried and brought a token: the account is well again if it was not."""
    _check_same_app(tx, account)
    _pending(tx, account.id, credential_id)
    leaves = credentials.take_over(tx, account.id)
    if leaves is not None:
        _tell_removed(tx, leaves, "replaced", now=now)
    credentials.used(tx, account.id, credential_id, now=now)
    data = {"credential_id": credential_id, "state": CredentialState.ACTIVE}
    events.record(tx, account.id, "credential.used", data=data, now=now)
    accounts.record_token(tx, account.id, accounts.TokenState.OK, now=now)
    accounts.resume_outbox(tx, account.id)
    chores.done(tx, account.id, expiry.CHORE, next_at=now)
    chores.done(tx, account.id, expiry.READ_CHORE, next_at=now)
    return credentials.get(tx, account.id, credential_id)


def _removed(tx: Transaction, account_id: str, credential_id: str, *, now: datetime) -> None:
    removed = credentials.remove(tx, account_id, credential_id)
    _tell_removed(tx, removed, "asked", now=now)
    if removed.state is CredentialState.ACTIVE:
        accounts.forget_token(tx, account_id)
    chores.done(tx, account_id, expiry.CHORE, next_at=now)
    chores.done(tx, account_id, expiry.READ_CHORE, next_at=now)


def _tell_removed(tx: Transaction, credential: Credential, reason: str, *, now: datetime) -> None:
    data = {"credential_id": credential.id, "kind": credential.kind, "reason": reason}
    events.record(tx, credential.account_id, "credential.removed", data=data, now=now)
