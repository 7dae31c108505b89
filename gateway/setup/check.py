"""Check Connection: each link of the chain tried on its own, in plain words, with the cure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.clock import Clock
from gateway.graph import AccessDenied, GraphError, NotFound, Throttled, TokenError, roles_of
from gateway.setup import expiry
from gateway.setup.answers import explain
from gateway.setup.connections import ConnectionSource
from gateway.setup.report import Check, Report, Verdict
from storage import Store, Transaction, accounts, credentials, mailboxes
from storage.accounts import Account
from storage.credentials import Credential, CredentialKind

# What the guide for schools grants: https://learn.microsoft.com/graph/permissions-reference
ROLES: Final = ("User.ReadBasic.All", "Mail.Send", "Mail.ReadWrite")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    account: Account
    credential: Credential | None
    somebody: str  # whom Graph is asked about: a mailbox of ours, or an id that is no user's


class ConnectionCheck:
    """The doctor. Works without a credential and without Graph, and says so; it changes nothing but what is known."""

    def __init__(self, store: Store, connections: ConnectionSource, clock: Clock, *, public_url: str | None) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock
        self._public_url = public_url

    async def check(self, account_id: str) -> Report:
        """Try the whole connection. Raises `storage.NotFound`."""
        stored = await self._store.read(_stored, account_id)
        configured = _configuration(stored)
        checks, token_given = [configured], False
        if configured.verdict is Verdict.OK:
            token_checks = await self._token(stored.account)
            token_given = token_checks[0].verdict is Verdict.OK
            checks += token_checks
        if token_given:
            checks.append(await self._graph(account_id, stored.somebody))
        if stored.credential is not None:
            ends, kind = stored.credential.expires_at, stored.credential.kind
            checks.append(secret_expiry(ends, self._clock.now(), token_given=token_given, kind=kind))
        checks.append(notifications(self._public_url))
        return Report(checks=tuple(checks))

    async def _token(self, account: Account) -> list[Check]:
        """Ask Entra, not the memory of what Entra said before."""
        tried = "Asked Microsoft Entra for a token with these values."
        await self._connections.forget(account.id)
        try:
            token = await (await self._connections.tokens(account.id)).token()
        except TokenError as error:
            plainly = explain(error)
            return [Check(name="token", verdict=Verdict.FAIL, tried=tried, found=plainly.found, cure=plainly.cure)]
        given = Check(
            name="token", verdict=Verdict.OK, tried=tried, found="Entra gave one: tenant, app and secret fit."
        )
        return [given, permissions(roles_of(token))]

    async def _graph(self, account_id: str, somebody: str) -> Check:
        try:
            await (await self._connections.graph(account_id)).get_user(somebody)
        except (GraphError, TokenError) as error:
            return reachability(error)
        return reachability(None)


def _stored(tx: Transaction, account_id: str) -> _Stored:
    account = accounts.get(tx, account_id)
    known = mailboxes.list_mailboxes(tx, account_id)
    somebody = known[0].user if known else account.client_id or ""
    return _Stored(account=account, credential=credentials.active(tx, account_id), somebody=somebody)


def _configuration(stored: _Stored) -> Check:
    missing = [] if stored.account.client_id else ["tenant ID", "client ID"]
    missing += [] if stored.credential else ["client secret"]
    tried = "Looked whether tenant ID, client ID and client secret are stored."
    if not missing:
        return Check(name="configuration", verdict=Verdict.OK, tried=tried, found="All three are.")
    return Check(
        name="configuration",
        verdict=Verdict.FAIL,
        tried=tried,
        found=f"Missing: {', '.join(missing)}.",
        cure="Enter them under Account-Level Configuration; stages 1 and 2 of the guide say where they stand in Entra.",
    )


def permissions(roles: frozenset[str]) -> Check:
    """A missing role is a warning only: an app scoped by RBAC for Applications works without any.

    Source: https://learn.microsoft.com/exchange/permissions-exo/application-rbac
    """
    missing = [role for role in ROLES if role not in roles]
    tried = f"Looked in the token for {', '.join(ROLES)}."
    if not missing:
        return Check(name="permissions", verdict=Verdict.OK, tried=tried, found="All three are granted.")
    return Check(
        name="permissions",
        verdict=Verdict.WARN,
        tried=tried,
        found=f"Not in the token: {', '.join(missing)}.",
        cure="In Entra under API permissions add them as Application permissions of Microsoft Graph and click Grant "
        "admin consent; it can take some minutes until they are in a new token. If Exchange gives this app its rights "
        "by RBAC for Applications, its mail permissions are never in the token: then validate a mailbox to see.",
    )


def reachability(error: GraphError | TokenError | None) -> Check:
    """What an answer to a question about one user says about Graph; None is a user."""
    tried = "Asked Microsoft Graph about one user."
    if error is None or isinstance(error, NotFound):  # that user may be missing, but Graph has looked
        return Check(name="graph", verdict=Verdict.OK, tried=tried, found="Graph answered.")
    harmless = isinstance(error, (AccessDenied, Throttled))
    verdict, plainly = Verdict.WARN if harmless else Verdict.FAIL, explain(error)
    return Check(name="graph", verdict=verdict, tried=tried, found=plainly.found, cure=plainly.cure)


def secret_expiry(
    expires_at: datetime | None,
    now: datetime,
    *,
    token_given: bool,
    kind: CredentialKind = CredentialKind.CLIENT_SECRET,
) -> Check:
    """The date is a person's word: when it has passed and Entra still gives tokens, the date is what is wrong."""
    stands = expiry.standing(expires_at, now, kind=kind)
    verdict, found, cure = Verdict.WARN, stands.sentence, f"{expiry.CURES[kind]}."
    if stands.days_left is None and stands.level is not expiry.Level.OK:
        cure = "Enter the date from the column Expires, in Entra under Certificates & secrets."
    elif stands.level is expiry.Level.EXPIRED and token_given:
        found = "The date entered has passed, and Entra still takes the secret: the date is wrong."
        cure = "Correct it: Entra shows it in the column Expires under Certificates & secrets."
    elif stands.level is expiry.Level.EXPIRED:
        verdict = Verdict.FAIL
    elif stands.level is not expiry.Level.WARNING:
        return Check(name="secret_expiry", verdict=Verdict.OK, tried="Looked at the date entered.", found=found)
    return Check(name="secret_expiry", verdict=verdict, tried="Looked at the date entered.", found=found, cure=cure)


def notifications(public_url: str | None) -> Check:
    """Whether Graph can tell us of mail at once."""
    tried = "Looked for the address at which Graph can call the gateway."
    if public_url is not None:
        found = f"Graph calls {public_url}/graph/notifications as soon as mail arrives."
        return Check(name="notifications", verdict=Verdict.OK, tried=tried, found=found)
    return Check(
        name="notifications",
        verdict=Verdict.WARN,
        tried=tried,
        found="There is none: replies are found by sweeping only, minutes after they arrive.",
        cure="Set GATEWAY_PUBLIC_URL to the https address by which the gateway is reached from outside.",
    )
