"""Check Connection: each link of the chain tried on its own, in plain words, with the cure."""

from dataclasses import dataclass
from datetime import datetime

from gateway.clock import Clock
from gateway.graph import (
    AccessDenied,
    Cloud,
    GraphError,
    NotFound,
    Throttled,
    TokenError,
    endpoints_for,
    roles_of,
)
from gateway.setup import expiry, sign_in
from gateway.setup.answers import explain
from gateway.setup.connections import ConnectionSource
from gateway.setup.outside import Outside
from gateway.setup.report import Check, Report, Verdict
from gateway.setup.values import client_id_problem, tenant_problem
from storage import Store, Transaction, accounts, credentials, mailboxes
from storage.accounts import Account
from storage.credentials import Credential, CredentialKind


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    account: Account
    credential: Credential | None
    somebody: str  # whom Graph is asked about: a mailbox of ours, or an id that is no user's


class ConnectionCheck:
    """The doctor. Works without a credential and without Graph, and says so; it changes nothing but what is known."""

    def __init__(
        self,
        store: Store,
        connections: ConnectionSource,
        clock: Clock,
        *,
        public_url: str | None,
        graph_url: str | None = None,
        outside: Outside | None = None,
    ) -> None:
        self._store = store
        self._connections = connections
        self._clock = clock
        self._public_url = public_url
        self._graph_url = graph_url
        self._outside = outside

    async def check(self, account_id: str) -> Report:
        """Try the whole connection. Raises `storage.NotFound`."""
        stored = await self._store.read(_stored, account_id)
        configured = _configuration(stored)
        checks, token_given = [configured], False
        if configured.verdict is Verdict.OK:
            checks.append(shapes(stored.account))
            token_checks = await self._token(stored.account)
            token_given = all(check.verdict is not Verdict.FAIL for check in token_checks)
            checks += token_checks
        if token_given:
            checks.append(await self._graph(account_id, stored.somebody))
        checks += await self._clocks(stored.account)
        if stored.credential is not None:
            checks.append(
                secret_expiry(
                    stored.credential.expires_at,
                    self._clock.now(),
                    token_given=token_given,
                    time_zone=stored.account.time_zone,
                    kind=stored.credential.kind,
                )
            )
        checks.append(await self._notifications())
        return Report(checks=tuple(checks))

    async def _token(self, account: Account) -> list[Check]:
        """Ask Entra, not the memory of what Entra said before."""
        await self._connections.forget(account.id)
        try:
            token = await (await self._connections.tokens(account.id)).token()
        except TokenError as error:
            return sign_in.refused(error)
        serving = await self._store.read(credentials.serving, account.id)
        consent = sign_in.consent_of(account.tenant_id, account.client_id, account.cloud)
        return [*sign_in.given(serving), sign_in.permissions(roles_of(token), consent)]

    async def _clocks(self, account: Account) -> list[Check]:
        if self._outside is None:
            return []
        graph_url = endpoints_for(Cloud(account.cloud), graph_url=self._graph_url).graph_url
        found = await self._outside.clock_skew(graph_url)
        return [] if found is None else [found]

    async def _notifications(self) -> Check:
        if self._outside is None or self._public_url is None:
            return notifications(self._public_url)
        return await self._outside.handshake(self._public_url)

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


def shapes(account: Account) -> Check:
    """Whether the ids can be ids at all. A secret's ID in the place of its value is refused when it is entered."""
    problems = [tenant_problem(account.tenant_id or ""), client_id_problem(account.client_id or "")]
    wrong = " ".join(problem for problem in problems if problem is not None)
    tried = "Looked at the shape of the tenant ID and the client ID."
    if not wrong:
        return Check(name="ids", verdict=Verdict.OK, tried=tried, found="They look as they should.")
    return Check(name="ids", verdict=Verdict.FAIL, tried=tried, found=wrong, cure="Enter them anew.")


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
    time_zone: str,
    kind: CredentialKind = CredentialKind.CLIENT_SECRET,
) -> Check:
    """The date is a person's word: when it has passed and Entra still gives tokens, the date is what is wrong."""
    stands = expiry.standing(expires_at, now, time_zone=time_zone, kind=kind)
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
