"""Can this mailbox be used? Asked step by step, each failure told apart.

No endpoint says "may this app send as X"; reading the folders exercises licence, location, policy and scope at once.
Source: https://learn.microsoft.com/graph/outlook-send-mail-from-other-user
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from gateway.graph import AccessDenied, GraphError, NotFound, TokenError
from gateway.setup.answers import explain
from gateway.setup.connections import Graph
from gateway.setup.report import Check, Verdict
from storage.folders import WellKnown

FOLDERS: Final[Mapping[WellKnown, str]] = {WellKnown.INBOX: "Inbox", WellKnown.SENT_ITEMS: "Sent Items"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a mailbox cannot be used. `code` is ours and stable; the others are sentences for people."""

    code: str
    reason: str
    cure: str

    def as_problem(self) -> dict[str, object]:
        """As it is stored with the mailbox."""
        return {"code": self.code, "explanation": self.reason, "cure": self.cure}


NO_USER: Final = Refusal(
    code="not_found",
    reason="There is no user with this address in the tenant.",
    cure="Check the spelling. Enter the User principal name as Entra shows it: an alias, a distribution list or a "
    "Microsoft 365 group is not found.",
)
NO_MAILBOX: Final = Refusal(
    code="no_mailbox",
    reason="There is a user, but no mailbox that Graph can open: it has no Exchange Online licence, or it is "
    "inactive, deleted, or on a server of the school's own.",
    cure="Assign an Exchange Online licence, or make it a shared mailbox; a new mailbox can take an hour to appear. "
    "Mailboxes on a server of the school's own cannot be used.",
)
REFUSED: Final = Refusal(
    code="access_refused",
    reason="Exchange does not let this app open the mailbox: a permission is missing, or a policy leaves the mailbox "
    "out.",
    cure="Grant Mail.ReadWrite and Mail.Send as Application permissions with admin consent. If the app is limited to "
    "some mailboxes (application access policy, RBAC for Applications), add this one. Such changes can take two hours.",
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


def refusal_of(error: GraphError | TokenError) -> Refusal | None:
    """What an error says about the mailbox; None when it says nothing, such as an outage or throttling."""
    if isinstance(error, TokenError) or error.transient:
        return None
    if isinstance(error, AccessDenied):
        return REFUSED
    known = BY_CODE.get(error.code.casefold())
    if known is None and isinstance(error, NotFound):
        return NO_MAILBOX
    return known


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the probe found. Neither `proved` nor `refusal`: nothing can be said of the mailbox now.

    `user_id` is None when this app may not look people up.
    """

    user_id: str | None = None
    display_name: str | None = None
    folder_ids: dict[WellKnown, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    refusal: Refusal | None = None
    proved: bool = False

    def took(self, name: str, tried: str, found: str) -> None:
        """A step went well."""
        self.checks.append(Check(name=name, verdict=Verdict.OK, tried=tried, found=found))


class _Failed(Exception):
    """A step failed; the later ones could only fail for the same reason."""

    def __init__(self, name: str, tried: str, error: GraphError | TokenError, refusal: Refusal | None) -> None:
        super().__init__(name)
        self.refusal = refusal
        if refusal is not None:
            found, cure = refusal.reason, refusal.cure
        else:
            plainly = explain(error)
            found, cure = f"{plainly.found} That says nothing of the mailbox.", plainly.cure
        self.check = Check(name=name, verdict=Verdict.FAIL, tried=tried, found=found, cure=cure)


async def probe(graph: Graph, address: str, *, since: datetime) -> Findings:
    """Look the user up, find both folders, and ask the Inbox what the watching will ask it. Changes nothing."""
    findings = Findings()
    try:
        await _look_up(graph, address, findings)
        user = findings.user_id or address
        for well_known, title in FOLDERS.items():
            await _open(graph, user, well_known, title, findings)
        await _read(graph, user, since, findings)
    except _Failed as failed:
        findings.checks.append(failed.check)
        findings.refusal = failed.refusal
    else:
        findings.proved = True
    return findings


async def _look_up(graph: Graph, address: str, findings: Findings) -> None:
    """A 403 says that this app may not look people up, nothing of the mailbox: then its address must do.

    Whether User.ReadBasic.All suffices is contradicted in Microsoft's own pages.
    Source: https://learn.microsoft.com/graph/api/user-get
    """
    tried = "Looked the user up."
    try:
        user = await graph.get_user(address)
    except AccessDenied as error:
        plainly = explain(error)
        findings.checks.append(
            Check(name="user", verdict=Verdict.WARN, tried=tried, found=plainly.found, cure=plainly.cure)
        )
    except (GraphError, TokenError) as error:
        raise _Failed("user", tried, error, NO_USER if isinstance(error, NotFound) else None) from error
    else:
        findings.user_id, findings.display_name = user.id, user.display_name
        findings.took("user", tried, "The user exists.")


async def _open(graph: Graph, user: str, well_known: WellKnown, title: str, findings: Findings) -> None:
    tried = f"Opened the folder {title}."
    try:
        folder = await graph.get_folder(user, well_known)
    except (GraphError, TokenError) as error:
        raise _Failed(well_known, tried, error, refusal_of(error)) from error
    findings.folder_ids[well_known] = folder.id
    findings.took(well_known, tried, "It is there.")


async def _read(graph: Graph, user: str, since: datetime, findings: Findings) -> None:
    tried = "Asked what is new in the Inbox."
    inbox = findings.folder_ids[WellKnown.INBOX]
    try:
        await graph.delta(user, inbox, since=since, select=("id",), page_size=1)
    except (GraphError, TokenError) as error:
        raise _Failed("reading", tried, error, refusal_of(error)) from error
    findings.took("reading", tried, "Graph answered.")
