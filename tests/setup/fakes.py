"""A Microsoft 365 that answers what a test tells it to, with the client's real errors."""

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from gateway.connections import NotConnected
from gateway.graph import Credential, DeltaPage, GraphError, MailFolder, Message, Profile, TokenError, User
from gateway.graph import errors as graph_errors
from gateway.setup.sign_in import ROLES

TENANT_ID = "8f3c2a10-1111-4222-8333-c0ffee000001"
CLIENT_ID = "8f3c2a10-1111-4222-8333-c0ffee000002"
SECRET = "Zk8Q~aVerySecretValue.0123456789-abcdefg"

Answer = GraphError | TokenError | None


def answered(status: int, code: str) -> GraphError:
    """The error that this status and code make in the client."""
    return graph_errors.error_class(status, code)(status=status, code=code, request_id="req-1")


def token_with(roles: Sequence[str]) -> str:
    claims = base64.urlsafe_b64encode(orjson.dumps({"roles": list(roles)})).rstrip(b"=").decode()
    return f"e30.{claims}.c2ln"


@dataclass(kw_only=True)
class FakeGraph:
    """Each question is answered well, or with the error that stands under its name."""

    user: Answer = None
    inbox: Answer = None
    sentitems: Answer = None
    delta_page: Answer = None
    draft: Answer = None
    deletion: Answer = None
    profile: Answer | Profile = None
    by_mail: Answer | User = None
    by_alias: Answer | User = None
    deleted: Answer | User = None
    mail: str | None = None  # the user's primary address; by default the one that is asked for
    name: str | None = None  # and its name to sign in with
    object_id: str = "user-object-id"
    folders: dict[str, str] = field(default_factory=lambda: {"inbox": "AAMkInbox", "sentitems": "AAMkSent"})
    asked: list[tuple[str, ...]] = field(default_factory=list)
    meeting: asyncio.Barrier | None = None  # met twice while a user is looked up: coming and going

    async def get_user(self, user: str) -> User:
        self.asked.append(("user", user))
        if self.meeting is not None:
            await self.meeting.wait()
            await self.meeting.wait()
        raise_if(self.user)
        return User(
            id=self.object_id,
            display_name="Admissions",
            mail=self.mail or user,
            user_principal_name=self.name or user,
        )

    async def find_users_by_mail(self, address: str) -> list[User]:
        self.asked.append(("by mail", address))
        return users(self.by_mail)

    async def find_users_by_alias(self, address: str) -> list[User]:
        self.asked.append(("by alias", address))
        return users(self.by_alias)

    async def list_deleted_users(self) -> list[User]:
        self.asked.append(("deleted",))
        return users(self.deleted)

    async def get_profile(self, user: str) -> Profile:
        self.asked.append(("profile", user))
        if isinstance(self.profile, Profile):
            return self.profile
        raise self.profile or answered(403, "Authorization_RequestDenied")

    async def create_draft(self, user: str, payload: Mapping[str, object]) -> Message:
        self.asked.append(("draft", user))
        raise_if(self.draft)
        return Message.from_graph({"id": "AAMkDraft"})

    async def delete_message(self, user: str, message_id: str) -> None:
        self.asked.append(("delete", user, message_id))
        raise_if(self.deletion)

    async def get_folder(self, user: str, folder: str) -> MailFolder:
        self.asked.append(("folder", user, folder))
        raise_if(self.inbox if folder == "inbox" else self.sentitems)
        return MailFolder(id=self.folders[folder])

    async def delta(
        self,
        user: str,
        folder: str,
        *,
        link: str | None = None,
        since: datetime | None = None,
        select: Sequence[str],
        page_size: int = 50,
    ) -> DeltaPage:
        self.asked.append(("delta", user, folder))
        raise_if(self.delta_page)
        return DeltaPage(items=(), next_link=None, delta_link="https://graph.microsoft.com/delta")


def users(answer: Answer | User) -> list[User]:
    if isinstance(answer, User):
        return [answer]
    raise_if(answer)
    return []


def raise_if(answer: Answer) -> None:
    if answer is not None:
        raise answer


class FakeTokens:
    def __init__(self, answer: TokenError | str) -> None:
        self._answer = answer

    async def token(self, *, refused: str | None = None) -> str:
        if isinstance(self._answer, TokenError):
            raise self._answer
        return self._answer


class FakeConnections:
    """Connected, unless told otherwise. `graphs` has a Graph for an account of its own."""

    def __init__(self, graph: FakeGraph | None = None, *, token: TokenError | str | None = None) -> None:
        self.the_graph = graph or FakeGraph()
        self.remembered: TokenError | str | None = None
        self.token: TokenError | str = token_with(ROLES) if token is None else token
        self.tried: list[Credential] = []
        self.connected = True

    async def graph(self, account_id: str) -> FakeGraph:
        self._check(account_id)
        return self.the_graph

    async def tokens(self, account_id: str) -> FakeTokens:
        self._check(account_id)
        return FakeTokens(self.token if self.remembered is None else self.remembered)

    async def try_out(self, account_id: str, credential: Credential) -> str:
        self._check(account_id)
        self.tried.append(credential)
        if isinstance(self.token, TokenError):
            raise self.token
        return self.token

    async def forget(self, account_id: str) -> None:
        self.remembered = None

    def _check(self, account_id: str) -> None:
        if not self.connected:
            raise NotConnected(account_id)
