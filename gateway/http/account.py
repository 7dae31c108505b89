"""`/v1/account`: the connection to Microsoft 365. The secret goes in and never comes out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.responses import Response

from gateway.graph import Cloud
from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.credentials import CredentialView
from gateway.http.routing import Call, Operation, json_response
from gateway.http.snoozes import SnoozeView
from gateway.setup.expiry import ending, standing
from gateway.setup.report import Check, Report
from gateway.setup.snooze import snoozed
from gateway.setup.wishes import wish
from storage import Transaction, accounts, credentials, preferences
from storage.accounts import TokenState
from storage.api_keys import Scope
from storage.credentials import CredentialState


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account. `secret_hint` is the first three characters of the secret; all of `secret_` tells of the active one.

    `token_state` is what the last attempt to get a token showed; `token_problem` says what was wrong and the cure. No
    letter leaves before `outbox_paused_until`; without a token it is put off again and again, with one it is gone.

    `alert_address` gets letters of warning. `self_test`: each validated mailbox writes to itself daily.
    `snooze` is there while the warning of the secret's end is put off.
    """

    id: str
    name: str
    tenant_id: str | None
    client_id: str | None
    secret_hint: str | None
    secret_expires_at: datetime | None
    secret_days_left: int | None
    secret_standing: str | None
    cloud: Cloud
    time_zone: str
    token_state: TokenState
    token_problem: dict[str, Any] | None
    token_checked_at: datetime | None
    outbox_paused_until: datetime | None
    alert_address: str | None
    self_test: bool
    snooze: SnoozeView | None
    created_at: datetime
    updated_at: datetime
    credentials: Sequence[CredentialView]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportView:
    """What was tried, in order. `ok` when nothing failed."""

    ok: bool
    checks: Sequence[Check]

    @classmethod
    def of(cls, report: Report) -> "ReportView":
        """As the API shows it."""
        return cls(ok=report.ok, checks=report.checks)


def account_view(tx: Transaction, account_id: str, now: datetime) -> AccountView:
    """The account as it stands at `now`."""
    account, wished = accounts.get(tx, account_id), preferences.get(tx, account_id)
    slots = credentials.slots(tx, account_id)
    secret = next((one for one in slots if one.state is CredentialState.ACTIVE), None)
    stands = None if secret is None else standing(secret.expires_at, now, time_zone=account.time_zone, kind=secret.kind)
    quiet = snoozed(tx, ending(credentials.serving(tx, account_id)), now)
    return AccountView(
        id=account.id,
        name=account.name,
        tenant_id=account.tenant_id,
        client_id=account.client_id,
        secret_hint=None if secret is None else secret.hint,
        secret_expires_at=None if secret is None else secret.expires_at,
        secret_days_left=None if stands is None else stands.days_left,
        secret_standing=None if stands is None else stands.sentence,
        cloud=Cloud(account.cloud),
        time_zone=account.time_zone,
        token_state=account.token_state,
        token_problem=account.token_problem,
        token_checked_at=account.token_checked_at,
        outbox_paused_until=account.outbox_paused_until,
        alert_address=wished.alert_address,
        self_test=wished.self_test,
        snooze=None if quiet is None else SnoozeView.of(quiet),
        created_at=account.created_at,
        updated_at=account.updated_at,
        credentials=[CredentialView.of(one, now, account.time_zone) for one in slots],
    )


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(account_view, call.account_id, call.now))


async def configure(call: Call[schemas.AccountSettings]) -> Response:
    await call.services.setup.configure_account(call.account_id, call.given.configuration())
    await call.services.store.write(wish, call.account_id, **call.given.wishes())
    return json_response(await call.services.store.read(account_view, call.account_id, call.now))


async def check(call: Call[schemas.Nothing]) -> Response:
    return json_response(ReportView.of(await call.services.setup.check(call.account_id)))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/account",
        scope=Scope.SETTINGS,
        summary="How the account is connected",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=AccountView,
    ),
    Operation(
        method="PUT",
        path="/v1/account",
        scope=Scope.SETTINGS,
        summary="Connect the account to a tenant",
        takes=schemas.AccountSettings,
        does=configure,
        audit=does("account.configure"),
        gives=AccountView,
    ),
    Operation(
        method="POST",
        path="/v1/account/check",
        scope=Scope.SETTINGS,
        summary="Try the connection, step by step",
        takes=schemas.Nothing,
        does=check,
        audit=does("account.check"),
        gives=ReportView,
    ),
)
