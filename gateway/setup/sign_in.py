"""What an answer to a token request says of each link of the chain: tenant, app, credential, permissions."""

from collections.abc import Mapping
from typing import Final

from gateway.graph import Cloud, TokenError, TokenErrorKind, consent_url
from gateway.setup.answers import explain
from gateway.setup.report import Check, Verdict
from storage.credentials import Credential, CredentialState

# What the guide for schools grants: https://learn.microsoft.com/graph/permissions-reference
ROLES: Final = ("User.ReadBasic.All", "Mail.Send", "Mail.ReadWrite")
# Not needed and of use: the first tells when the secret ends, the second some tenants want for subscriptions.
OF_USE: Final = frozenset({"Application.Read.All", "Mail.Read"})

TRIED: Final[Mapping[str, str]] = {
    "tenant": "Asked Microsoft Entra for this tenant.",
    "app": "Looked for the app in it.",
    "credential": "Showed the app's credential.",
    "token": "Asked Microsoft Entra for a token with these values.",
}
WELL: Final[Mapping[str, str]] = {
    "tenant": "It exists.",
    "app": "It is there and enabled.",
    "credential": "Entra accepts it.",
    "token": "Entra gave one: tenant, app and secret fit.",
}
CHAIN: Final = tuple(TRIED)
Kind = TokenErrorKind
BREAKS_AT: Final[Mapping[TokenErrorKind, str]] = {
    Kind.UNKNOWN_TENANT: "tenant",
    Kind.WRONG_CLOUD: "tenant",
    Kind.UNKNOWN_APP: "app",
    Kind.APP_DISABLED: "app",
    Kind.SECRET_EXPIRED: "credential",
    Kind.SECRET_WRONG: "credential",
    Kind.ASSERTION_REFUSED: "credential",
}


def refused(error: TokenError) -> list[Check]:
    """The links that hold, and the one that broke. What no link can be blamed for breaks the token itself."""
    plainly, link = explain(error), BREAKS_AT.get(error.kind)
    holds = () if link is None else CHAIN[: CHAIN.index(link)]
    name = link or "token"
    broken = Check(name=name, verdict=Verdict.FAIL, tried=TRIED[name], found=plainly.found, cure=plainly.cure)
    return [*(_well(one) for one in holds), broken]


def given(serving: list[Credential]) -> list[Check]:
    """All links hold; but the token may have come by the credential that stands by."""
    first = next((one for one in serving if one.state is CredentialState.ACTIVE), None)
    checks = [_well(one) for one in CHAIN]
    if first is None or first.problem is None:
        return checks
    number = f" (AADSTS{first.problem['aadsts']})" if first.problem.get("aadsts") else ""
    checks[CHAIN.index("credential")] = Check(
        name="credential",
        verdict=Verdict.WARN,
        tried=TRIED["credential"],
        found=f"{first.problem['explanation']}{number} The one that stands by serves in its place.",
        cure=first.problem["cure"],
    )
    return checks


def permissions(roles: frozenset[str], consent: str) -> Check:
    """Missing, granted, more than needed. Never worse than a warning: an app scoped by RBAC for Applications works
    without any role. Source: https://learn.microsoft.com/exchange/permissions-exo/application-rbac
    """
    missing = [role for role in ROLES if role not in roles]
    granted = [role for role in ROLES if role in roles]
    more = sorted(roles - frozenset(ROLES) - OF_USE)
    said = [
        f"Granted: {', '.join(granted)}." if granted else "",
        f"Not in the token: {', '.join(missing)}." if missing else "",
        f"More than is needed: {', '.join(more)}." if more else "",
    ]
    cures = [_grant(consent) if missing else "", MORE if more else ""]
    tried = f"Looked in the token for {', '.join(ROLES)}."
    if not missing and not more:
        return Check(name="permissions", verdict=Verdict.OK, tried=tried, found="All three are granted.")
    return Check(
        name="permissions",
        verdict=Verdict.WARN,
        tried=tried,
        found=" ".join(filter(None, said)),
        cure=" ".join(filter(None, cures)),
    )


MORE: Final = (
    "What is more than needed can be taken away in Entra under API permissions, unless something else uses this app."
)


def _grant(consent: str) -> str:
    return (
        "In Entra under API permissions add them as Application permissions of Microsoft Graph and click Grant "
        f"admin consent, or let an admin open {consent} once they are added; it can take some minutes until they are "
        "in a new token. If Exchange gives this app its rights by RBAC for Applications, its mail permissions are "
        "never in the token: then validate a mailbox to see."
    )


def consent_of(tenant_id: str | None, client_id: str | None, cloud: str) -> str:
    """The page on which an admin of this tenant consents to this app, in this cloud."""
    return consent_url(Cloud(cloud), tenant_id or "organizations", client_id or "")


def _well(name: str) -> Check:
    return Check(name=name, verdict=Verdict.OK, tried=TRIED[name], found=WELL[name])
