"""Can this mailbox be used? Asked step by step, each failure told apart.

No endpoint says "may this app send as X"; reading the folders exercises licence, location, policy and scope at once.
Source: https://learn.microsoft.com/graph/outlook-send-mail-from-other-user
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from gateway.graph import AccessDenied, GraphError, NotFound, TokenError, User
from gateway.setup.answers import explain
from gateway.setup.connections import Graph
from gateway.setup.refusals import (
    DELETED,
    GUEST,
    NO_MAILBOX,
    NO_USER,
    REFUSED,
    Refusal,
    Rights,
    is_guest_name,
    refusal_of,
    why_no_draft,
    why_no_mailbox,
    why_refused,
)
from gateway.setup.report import Check, Verdict
from gateway.setup.values import address_problem
from storage.folders import WellKnown

T = TypeVar("T")

FOLDERS: Final[Mapping[WellKnown, str]] = {WellKnown.INBOX: "Inbox", WellKnown.SENT_ITEMS: "Sent Items"}
DRAFT: Final = {
    "subject": "A test of the mail gateway, deleted at once",
    "body": {"contentType": "text", "content": "SELMA tried whether a draft can be made here. It is safe to delete."},
}


@dataclass(slots=True, kw_only=True)
class Findings:
    """What the probe found. Neither `proved` nor `refusal`: nothing can be said of the mailbox now.

    `user_id` is None when this app may not look people up. `primary` is the mailbox's primary address, as far as known.
    """

    user_id: str | None = None
    display_name: str | None = None
    primary: str | None = None
    folder_ids: dict[WellKnown, str] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    refusal: Refusal | None = None
    proved: bool = False

    def took(self, name: str, tried: str, found: str) -> None:
        """A step went well."""
        self.checks.append(Check(name=name, verdict=Verdict.OK, tried=tried, found=found))


class _Failed(Exception):
    """A step failed; the later ones could only fail for the same reason."""

    def __init__(self, name: str, tried: str, refusal: Refusal | None, error: GraphError | TokenError | None) -> None:
        super().__init__(name)
        self.refusal = refusal
        if refusal is not None:
            found, cure = refusal.reason, refusal.cure
        else:
            plainly = explain(error) if error is not None else None
            found = f"{plainly.found if plainly else ''} That says nothing of the mailbox."
            cure = plainly.cure if plainly else ""
        self.check = Check(name=name, verdict=Verdict.FAIL, tried=tried, found=found, cure=cure)


async def probe(graph: Graph, address: str, *, since: datetime, rights: Rights = Rights()) -> Findings:  # noqa: B008
    """Look the user up, find both folders, ask the Inbox what the watching will ask it, make a draft and delete it.

    `rights` is what is known of the app, to tell the reasons of a refusal apart.
    """
    asked = _Probe(graph, address, since, rights)
    try:
        await asked.run()
    except _Failed as failed:
        asked.findings.checks.append(failed.check)
        asked.findings.refusal = failed.refusal
    else:
        asked.findings.proved = True
    return asked.findings


class _Probe:
    """One mailbox, step by step. Each step raises `_Failed`."""

    def __init__(self, graph: Graph, address: str, since: datetime, rights: Rights) -> None:
        self._graph = graph
        self._address = address
        self._since = since
        self._rights = rights
        self._person: User | None = None
        self.findings = Findings()

    async def run(self) -> None:
        """All steps, in the order in which they tell most."""
        await self._look_up()
        user = self.findings.user_id or self._address
        for well_known, title in FOLDERS.items():
            await self._open(user, well_known, title)
        await self._read(user)
        await self._draft(user)

    async def _look_up(self) -> None:
        """A 403 says that this app may not look people up, nothing of the mailbox: then its address must do.

        Whether User.ReadBasic.All suffices is contradicted in Microsoft's own pages.
        Source: https://learn.microsoft.com/graph/api/user-get
        """
        tried = "Looked the user up."
        try:
            user = await self._find()
        except AccessDenied as error:
            plainly = explain(error)
            self.findings.checks.append(
                Check(name="user", verdict=Verdict.WARN, tried=tried, found=plainly.found, cure=plainly.cure)
            )
            return
        except (GraphError, TokenError) as error:
            raise _Failed("user", tried, None, error) from error
        if user is None:
            raise _Failed("user", tried, DELETED if await self._is_deleted() else NO_USER, None)
        if is_guest_name(user.user_principal_name):
            raise _Failed("user", tried, GUEST, None)
        self._person = user
        self.findings.user_id, self.findings.display_name = user.id, user.display_name
        self.findings.took("user", tried, "The user exists.")
        self._compare(user)

    def _compare(self, user: User) -> None:
        """An alias, or a name to sign in with, leads to the mailbox's primary address."""
        if user.mail is None or address_problem(user.mail) is not None:
            return
        self.findings.primary = user.mail
        if user.mail.casefold() == self._address.casefold():
            return
        found = f"{self._address} is another address of the mailbox {user.mail}: that is the one that letters name."
        self.findings.took("address", "Asked for the primary address.", found)

    async def _find(self) -> User | None:
        """By the name to sign in with, else by primary address, else by alias, where that may be asked."""
        try:
            return await self._graph.get_user(self._address)
        except NotFound:
            pass
        found = await _where_permitted(lambda: self._graph.find_users_by_mail(self._address))
        found = found or await _where_permitted(lambda: self._graph.find_users_by_alias(self._address))
        return found[0] if found else None

    async def _is_deleted(self) -> bool:
        deleted = await _if_told(self._graph.list_deleted_users) or ()
        address = self._address.casefold()
        return any(
            address == (user.mail or "").casefold() or (user.user_principal_name or "").casefold().endswith(address)
            for user in deleted
        )

    async def _open(self, user: str, well_known: WellKnown, title: str) -> None:
        tried = f"Opened the folder {title}."
        try:
            folder = await self._graph.get_folder(user, well_known)
        except (GraphError, TokenError) as error:
            raise _Failed(well_known, tried, await self._why(user, error), error) from error
        self.findings.folder_ids[well_known] = folder.id
        self.findings.took(well_known, tried, "It is there.")

    async def _read(self, user: str) -> None:
        tried = "Asked what is new in the Inbox."
        inbox = self.findings.folder_ids[WellKnown.INBOX]
        try:
            await self._graph.delta(user, inbox, since=self._since, select=("id",), page_size=1)
        except (GraphError, TokenError) as error:
            raise _Failed("reading", tried, await self._why(user, error), error) from error
        self.findings.took("reading", tried, "Graph answered.")

    async def _draft(self, user: str) -> None:
        """Every letter begins as a draft. What cannot be deleted again is said, and does no harm."""
        tried = "Made a draft and deleted it."
        try:
            draft = await self._graph.create_draft(user, DRAFT)
        except (GraphError, TokenError) as error:
            refusal = why_no_draft(self._rights) if isinstance(error, AccessDenied) else refusal_of(error)
            raise _Failed("draft", tried, refusal, error) from error
        try:
            await delete_for_good(self._graph, user, draft.id)
        except (GraphError, TokenError) as error:
            found = f"The draft was made, but not deleted. {explain(error).found}"
            cure = "Delete it by hand in Drafts: its subject says what it is."
            self.findings.checks.append(Check(name="draft", verdict=Verdict.WARN, tried=tried, found=found, cure=cure))
            return
        self.findings.took("draft", tried, "Both went well.")

    async def _why(self, user: str, error: GraphError | TokenError) -> Refusal | None:
        """What it says of the mailbox, with all that may be asked to tell its reasons apart."""
        refusal = refusal_of(error)
        if refusal is REFUSED:
            return why_refused(self._rights)
        if refusal is not NO_MAILBOX or self._person is None:
            return refusal
        profile = await _if_told(lambda: self._graph.get_profile(user))
        return why_no_mailbox(profile, mail=self._person.mail)


async def delete_for_good(graph: Graph, user: str, message_id: str) -> None:
    """Out of Deleted Items too, where a first deletion puts it: its immutable id goes with it.

    That the second deletion finds it there by that id is practice; Microsoft's page is silent.
    Source: https://learn.microsoft.com/graph/api/message-delete
    """
    await graph.delete_message(user, message_id)
    await graph.delete_message(user, message_id)


async def _where_permitted(ask: Callable[[], Awaitable[T]]) -> T | None:
    """What this app may not ask is not asked; an outage is one."""
    try:
        return await ask()
    except GraphError as error:
        if error.transient:
            raise
        return None


async def _if_told(ask: Callable[[], Awaitable[T]]) -> T | None:
    """What only tells more: any trouble with it is no trouble of the mailbox."""
    try:
        return await ask()
    except (GraphError, TokenError):
        return None
