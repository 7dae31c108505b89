"""Why a mailbox cannot be used: each reason with its sentence and its cure, and what of Graph's answers means which."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.graph import AccessDenied, GraphError, NotFound, OutOfSpace, Profile, TokenError


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a mailbox cannot be used. `code` is ours and stable; the others are sentences for people."""

    code: str
    reason: str
    cure: str

    def as_problem(self) -> dict[str, object]:
        """As it is stored with the mailbox."""
        return {"code": self.code, "explanation": self.reason, "cure": self.cure}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rights:
    """What the app may do, as far as it can be seen: the roles in its token, and whether it opens other mailboxes."""

    roles: frozenset[str] = frozenset()
    opens_others: bool = False


NO_USER: Final = Refusal(
    code="not_found",
    reason="There is no user with this address in the tenant.",
    cure="Check the spelling, and enter the primary address as the Exchange admin center shows it: an alias is found "
    "only when this app may read whole profiles (User.Read.All), and a distribution list or a Microsoft 365 group has "
    "no mailbox of its own. A user who was deleted in the last 30 days is not found either: restore it first.",
)
DELETED: Final = Refusal(
    code="deleted",
    reason="This user was deleted within the last 30 days, and its mailbox with it.",
    cure="Restore the user in Entra under Deleted users, or in the Microsoft 365 admin center; the mailbox comes back "
    "with it, then validate again.",
)
GUEST: Final = Refusal(
    code="guest",
    reason="This is a guest: the mailbox is with another organisation, and Microsoft 365 here cannot send from it.",
    cure="Use a mailbox of the school's own. A shared mailbox needs no licence.",
)
NO_LICENCE: Final = Refusal(
    code="no_licence",
    reason="There is a user, but no mailbox: no licence of Exchange Online is assigned to it.",
    cure="Assign a licence with Exchange Online in the Microsoft 365 admin center, or make it a shared mailbox, which "
    "needs none; a new mailbox can take an hour to appear.",
)
ON_PREMISES: Final = Refusal(
    code="on_premises",
    reason="This user is synchronised from the school's own servers, and Exchange Online has no mailbox of it: it is "
    "on a server of the school's own.",
    cure="Move the mailbox to Exchange Online, or use one that is there. Microsoft Graph cannot open mailboxes on a "
    "school's own servers.",
)
INACTIVE: Final = Refusal(
    code="inactive",
    reason="The user has a licence of Exchange Online, but its mailbox is not served: it is being made, or was deleted "
    "and is kept on hold.",
    cure="If the licence is new, try again in an hour. Otherwise look in the Exchange admin center, and restore the "
    "mailbox or use another.",
)
NO_MAILBOX: Final = Refusal(
    code="no_mailbox",
    reason="There is a user, but no mailbox that Graph can open: it has no Exchange Online licence, or it is "
    "inactive, deleted, or on a server of the school's own.",
    cure="Assign an Exchange Online licence, or make it a shared mailbox; a new mailbox can take an hour to appear. "
    "Mailboxes on a server of the school's own cannot be used. With User.Read.All the gateway could tell which it is.",
)
REFUSED: Final = Refusal(
    code="access_refused",
    reason="Exchange does not let this app open the mailbox: a permission is missing, or a policy leaves the mailbox "
    "out.",
    cure="Grant Mail.ReadWrite and Mail.Send as Application permissions with admin consent. If the app is limited to "
    "some mailboxes (application access policy, RBAC for Applications), add this one. Such changes can take two hours.",
)
PERMISSION_MISSING: Final = Refusal(
    code="permission_missing",
    reason="Exchange does not let this app open any mailbox: Mail.ReadWrite is not among the permissions it was "
    "granted.",
    cure="In Entra under API permissions add Mail.ReadWrite and Mail.Send as Application permissions of Microsoft "
    "Graph and click Grant admin consent. If Exchange is to give the rights by RBAC for Applications, assign its "
    "roles to this app; that can take two hours.",
)
ACCESS_POLICY: Final = Refusal(
    code="access_policy",
    reason="The app has its permissions, and Exchange still does not let it open this mailbox: an application access "
    "policy leaves it out.",
    cure="Add the mailbox to the group that the policy names, in the Exchange admin center. "
    "Test-ApplicationAccessPolicy shows the new state at once; for Graph it can take over an hour.",
)
RBAC_SCOPE: Final = Refusal(
    code="rbac_scope",
    reason="The app opens other mailboxes, but not this one: it has its rights by RBAC for Applications, and this "
    "mailbox is outside their scope.",
    cure="Let the management scope take this mailbox in; Test-ServicePrincipalAuthorization shows the new state at "
    "once, for Graph it can take two hours.",
)
CANNOT_WRITE: Final = Refusal(
    code="cannot_write",
    reason="The mailbox can be read, but no draft can be made in it: only Mail.Read is granted, not Mail.ReadWrite.",
    cure="Grant Mail.ReadWrite as an Application permission with admin consent; every letter begins as a draft.",
)
FULL: Final = Refusal(
    code="full",
    reason="The mailbox is full: no draft can be made in it.",
    cure="Make room in it, or give it a larger quota in the Exchange admin center; then validate again.",
)

# Any of these may stand for the same mailbox at different hours: microsoftgraph/microsoft-graph-docs issue 10481.
# No such user: https://learn.microsoft.com/graph/errors and what other clients have met
BY_CODE: Final[Mapping[str, Refusal]] = {
    "request_resourcenotfound": NO_USER,
    "errorinvaliduser": NO_USER,
    "mailboxnotenabledforrestapi": NO_MAILBOX,
    "errormailboxnotenabledforrestapi": NO_MAILBOX,
    "resourcenotfound": NO_MAILBOX,
    "extensionerror": NO_MAILBOX,
}
READ: Final = frozenset({"Mail.Read", "Mail.ReadWrite"})


def refusal_of(error: GraphError | TokenError) -> Refusal | None:
    """What an error says about the mailbox; None when it says nothing, such as an outage or throttling."""
    if isinstance(error, TokenError) or error.transient:
        return None
    if isinstance(error, AccessDenied):
        return REFUSED
    if isinstance(error, OutOfSpace):
        return FULL
    known = BY_CODE.get(error.code.casefold())
    if known is None and isinstance(error, NotFound):
        return NO_MAILBOX
    return known


def why_refused(rights: Rights) -> Refusal:
    """Which of the reasons for a 403 it is. Graph's words for them vary, so they are not read.

    Rights of Entra open every mailbox, whatever a scope says, so that only a policy can leave one out:
    https://learn.microsoft.com/exchange/permissions-exo/application-rbac
    """
    if READ & rights.roles:
        return ACCESS_POLICY
    if rights.opens_others:
        return RBAC_SCOPE
    return PERMISSION_MISSING if rights.roles else REFUSED


def why_no_draft(rights: Rights) -> Refusal:
    """The same for a mailbox that could be read a moment ago."""
    return CANNOT_WRITE if READ & rights.roles == {"Mail.Read"} else why_refused(rights)


def why_no_mailbox(profile: Profile | None, *, mail: str | None) -> Refusal:
    """Which of the reasons it is that there is no mailbox; `profile` is None when the app may not read it.

    A user that never had a licence, and is not synchronised, has no `mail`.
    """
    if profile is None:
        return NO_MAILBOX if mail else NO_LICENCE
    if profile.is_guest:
        return GUEST
    if profile.is_synchronised and mail:
        return ON_PREMISES
    return INACTIVE if profile.has_exchange_plan else NO_LICENCE


def is_guest_name(user_principal_name: str | None) -> bool:
    """Entra names guests so: https://learn.microsoft.com/entra/external-id/user-properties"""
    return "#ext#@" in (user_principal_name or "").casefold()
