"""What setting up needs of the connection to Microsoft 365, as protocols, so that tests can give fakes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from gateway.graph import Credential, DeltaPage, MailFolder, Message, Profile, TokenSource, User


class Graph(Protocol):
    """The questions that are asked of Graph here; `GraphClient` answers them.

    All but `create_draft` and `delete_message` change nothing.
    """

    async def get_user(self, user: str) -> User:
        """A user by object id or userPrincipalName."""
        ...

    async def find_users_by_mail(self, address: str) -> Sequence[User]:
        """Users with this primary address."""
        ...

    async def find_users_by_alias(self, address: str) -> Sequence[User]:
        """Users with this address beside others."""
        ...

    async def list_deleted_users(self) -> Sequence[User]:
        """Users that can still be restored."""
        ...

    async def get_profile(self, user: str) -> Profile:
        """What tells why there is no mailbox."""
        ...

    async def get_folder(self, user: str, folder: str) -> MailFolder:
        """A folder by its well-known name."""
        ...

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
        """A page of a folder's changes."""
        ...

    async def create_draft(self, user: str, payload: Mapping[str, object]) -> Message:
        """Make a draft."""
        ...

    async def find_by_tag(self, user: str, property_id: str, value: str, *, folder: str | None = None) -> list[Message]:
        """Messages with an extended property of this value."""
        ...

    async def find_by_internet_message_id(
        self, user: str, internet_message_id: str, *, folder: str | None = None
    ) -> list[Message]:
        """Messages with this Message-ID."""
        ...

    async def delete_message(self, user: str, message_id: str) -> None:
        """Delete it; one that is not there is as good."""
        ...


class GraphSource(Protocol):
    """Hands out an account's client of Graph."""

    async def graph(self, account_id: str) -> Graph:
        """Raises `NotConnected`."""
        ...


class ConnectionSource(GraphSource, Protocol):
    """Hands out an account's client of Graph and its tokens."""

    async def tokens(self, account_id: str) -> TokenSource:
        """Raises `NotConnected`."""
        ...

    async def try_out(self, account_id: str, credential: Credential) -> str:
        """A token by a credential that need not be stored. Raises `TokenError`, `NotConnected`."""
        ...

    async def forget(self, account_id: str) -> None:
        """Make the connection anew, so that what is found is so now."""
        ...
