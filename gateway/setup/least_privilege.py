"""Least privilege, proved: the commands that keep the app out of every mailbox but ours, and the proof that they do.

Sources: https://learn.microsoft.com/exchange/permissions-exo/application-rbac and, for the older way,
https://learn.microsoft.com/graph/auth-limit-mailbox-access
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

NAME: Final = "SELMA mail gateway"
GROUP: Final = "selma-mail-gateway"
ROLES: Final = ("Mail.ReadWrite", "Mail.Send")
GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scripts:
    """PowerShell for an Exchange administrator, to be read and pasted. `policy` is the older way, for one reason only:
    a tenant that uses it already.
    """

    rbac: str
    policy: str


def scripts(client_id: str, mailboxes: Sequence[str]) -> Scripts:
    """For exactly these mailboxes; run again after a change, the group has exactly these again."""
    return Scripts(
        rbac="\n".join([*_group(mailboxes), *_principal(client_id), *_roles(), *_unscoped(), *_test(mailboxes)]) + "\n",
        policy="\n".join([*_group(mailboxes), *_policy(client_id), *_policy_test(client_id, mailboxes)]) + "\n",
    )


def quoted(text: str) -> str:
    """A PowerShell string in which nothing is expanded; typographic quotes end one just as straight ones do."""
    for quote in "'‘’‚‛":
        text = text.replace(quote, quote * 2)
    return f"'{text}'"


def _group(mailboxes: Sequence[str]) -> list[str]:
    members = ", ".join(quoted(one) for one in mailboxes)
    return [
        "# A mail-enabled security group with exactly the mailboxes that SELMA sends from.",
        "Connect-ExchangeOnline",
        f"$group = Get-DistributionGroup {quoted(GROUP)} -ErrorAction SilentlyContinue",
        f"if (-not $group) {{ $group = New-DistributionGroup -Name {quoted(GROUP)} -Type Security }}",
        f"Update-DistributionGroupMember -Identity $group.DistinguishedName -Members @({members}) -Confirm:$false",
        "",
    ]


def _principal(client_id: str) -> list[str]:
    return [
        "# The app, as Exchange knows it. The object ID is that of the enterprise application.",
        "Connect-MgGraph -Scopes Application.Read.All, AppRoleAssignment.ReadWrite.All",
        f'$app = Get-MgServicePrincipal -Filter "AppId eq {quoted(client_id)}"',
        "if (-not (Get-ServicePrincipal $app.Id -ErrorAction SilentlyContinue)) {",
        f"  New-ServicePrincipal -AppId $app.AppId -ObjectId $app.Id -DisplayName {quoted(NAME)}",
        "}",
        "",
    ]


def _roles() -> list[str]:
    name, filtered = quoted(NAME), "\"MemberOfGroup -eq '$($group.DistinguishedName)'\""
    lines = [
        "# The rights, for the members of the group only.",
        f"if (-not (Get-ManagementScope {name} -ErrorAction SilentlyContinue)) {{",
        f"  New-ManagementScope -Name {name} -RecipientRestrictionFilter {filtered}",
        "}",
    ]
    for role in ROLES:
        assignment = quoted(f"{NAME} {role}")
        lines += [
            f"if (-not (Get-ManagementRoleAssignment {assignment} -ErrorAction SilentlyContinue)) {{",
            f"  New-ManagementRoleAssignment -Name {assignment} -App $app.Id "
            f"-Role {quoted(f'Application {role}')} -CustomResourceScope {name}",
            "}",
        ]
    return [*lines, ""]


def _unscoped() -> list[str]:
    roles = ", ".join(quoted(role) for role in ROLES)
    return [
        "# What Entra grants for every mailbox must go: both together are the union of both.",
        f'$graph = Get-MgServicePrincipal -Filter "AppId eq {quoted(GRAPH_APP_ID)}"',
        f"$wide = ($graph.AppRoles | Where-Object {{ $_.Value -in {roles} }}).Id",
        "Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id -All |",
        "  Where-Object { $_.AppRoleId -in $wide } |",
        "  ForEach-Object {",
        "    Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $app.Id -AppRoleAssignmentId $_.Id",
        "  }",
        "",
    ]


def _test(mailboxes: Sequence[str]) -> list[str]:
    return [
        "# True for each of these. Exchange itself may take up to two hours to follow.",
        *(f"Test-ServicePrincipalAuthorization $app.Id -Resource {quoted(one)}" for one in mailboxes),
    ]


def _policy(client_id: str) -> list[str]:
    return [
        "# An application access policy (the older way): all rights in Entra stay, and hold for the group only.",
        f"New-ApplicationAccessPolicy -AppId {quoted(client_id)} -PolicyScopeGroupId $group.PrimarySmtpAddress "
        f"-AccessRight RestrictAccess -Description {quoted(NAME)}",
        "",
    ]


def _policy_test(client_id: str, mailboxes: Sequence[str]) -> list[str]:
    return [
        "# Granted for each of these. Exchange itself may take more than an hour to follow.",
        *(f"Test-ApplicationAccessPolicy -AppId {quoted(client_id)} -Identity {quoted(one)}" for one in mailboxes),
    ]
