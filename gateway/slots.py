"""Tokens by two credentials: the active one is asked first, the one that stands by when Entra refuses it.

The active one is asked again after each refusal's minute (see `MsalTokens`), so it takes over by itself once it is
accepted. Which credential brought the token, and why another one did not, is written down when it is news.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import storage
from gateway.clock import Clock
from gateway.graph import OF_THE_CREDENTIAL, CredentialRefused, TokenError, TokenSource
from storage import accounts, credentials, events
from storage.accounts import TokenState

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A stored credential and the tokens it brings."""

    credential_id: str
    tokens: TokenSource


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a credential brought no token."""

    credential_id: str
    error: TokenError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What asking came to: the credential that brought the token, if one did, and what failed before."""

    served_by: str | None
    failures: tuple[Refusal, ...]


class SlottedTokens:
    """A token source over the slots of an account, in the order in which they are tried."""

    def __init__(self, account_id: str, slots: Sequence[Slot], store: storage.Store, clock: Clock) -> None:
        self._account_id = account_id
        self._slots = tuple(slots)
        self._store = store
        self._clock = clock
        self._serving = self._slots[0].credential_id
        self._recorded: object = None

    async def token(self, *, refused: str | None = None) -> str:
        """As the first source that has one. Raises the `TokenError` of the first when none has."""
        failures: list[Refusal] = []
        for slot in self._slots:
            try:
                token = await slot.tokens.token(refused=refused)
            except TokenError as error:
                failures.append(Refusal(credential_id=slot.credential_id, error=error))
                if not self._is_worth_another(error):
                    break
            else:
                self._serving = slot.credential_id
                await self._record(Outcome(served_by=slot.credential_id, failures=tuple(failures)), token)
                return token
        await self._record(Outcome(served_by=None, failures=tuple(failures)), "")
        raise failures[0].error

    def _is_worth_another(self, error: TokenError) -> bool:
        """Not for what is wrong with the app or the tenant; and in an outage only the one that served may go on."""
        if isinstance(error, CredentialRefused):
            return error.kind in OF_THE_CREDENTIAL
        return self._serving != self._slots[0].credential_id

    async def _record(self, outcome: Outcome, token: str) -> None:
        """Once for each new token, and for each new reason not to have one."""
        failed = tuple((one.credential_id, one.error.kind, one.error.aadsts) for one in outcome.failures)
        news = (outcome.served_by, failed, hashlib.sha256(token.encode()).digest())
        if news == self._recorded:
            return
        try:
            await self._store.write(record, self._account_id, outcome, now=self._clock.now())
        except storage.StorageUnavailable:
            log.warning("token state not recorded", extra={"account_id": self._account_id})
            return
        self._recorded = news
        self._tell(outcome)

    def _tell(self, outcome: Outcome) -> None:
        for one in outcome.failures:
            about = {"account_id": self._account_id, "credential_id": one.credential_id}
            log.warning("no token", extra={**about, "plainly": one.error.explanation, **one.error.log_fields()})
        if outcome.served_by is not None:
            about = {"account_id": self._account_id, "credential_id": outcome.served_by}
            log.info("token obtained", extra=about)


def record(tx: storage.Transaction, account_id: str, outcome: Outcome, *, now: datetime) -> None:
    """Keep what asking showed, on the account and on each credential, and tell the host what is news."""
    stored = {one.id for one in credentials.slots(tx, account_id)}
    for one in outcome.failures:
        if one.credential_id in stored and isinstance(one.error, CredentialRefused):
            _record_refusal(tx, account_id, one, outcome.served_by, now=now)
    if outcome.served_by is None:
        error = outcome.failures[0].error
        state = TokenState.REFUSED if isinstance(error, CredentialRefused) else TokenState.UNREACHABLE
        accounts.record_token(tx, account_id, state, problem=problem_of(error), now=now)
        return
    accounts.record_token(tx, account_id, TokenState.OK, now=now)
    accounts.resume_outbox(tx, account_id)
    if outcome.served_by in stored:
        _record_use(tx, account_id, outcome.served_by, now=now)


def _record_use(tx: storage.Transaction, account_id: str, credential_id: str, *, now: datetime) -> None:
    is_other, was_refused = credentials.used(tx, account_id, credential_id, now=now)
    if was_refused:
        events.record(tx, account_id, "credential.recovered", data={"credential_id": credential_id}, now=now)
    if is_other:
        state = credentials.get(tx, account_id, credential_id).state
        data = {"credential_id": credential_id, "state": state}
        events.record(tx, account_id, "credential.used", data=data, now=now)


def _record_refusal(
    tx: storage.Transaction, account_id: str, refusal: Refusal, served_by: str | None, *, now: datetime
) -> None:
    error = refusal.error
    if credentials.refused(tx, account_id, refusal.credential_id, problem_of(error), now=now):
        data = {
            "credential_id": refusal.credential_id,
            "code": error.kind.value,
            "aadsts": error.aadsts,
            "served_by": served_by,
        }
        events.record(tx, account_id, "credential.refused", data=data, now=now)


def problem_of(error: TokenError) -> dict[str, Any]:
    """A refusal for people, as accounts and credentials keep it."""
    return {
        "code": error.kind.value,
        "aadsts": error.aadsts,
        "explanation": error.explanation,
        "cure": error.cure,
        "correlation_id": error.correlation_id,
    }
