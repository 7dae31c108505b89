"""What setting up needs of the connection to Microsoft 365, as protocols, so that tests can give fakes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from gateway.graph import Credential, DeltaPage, MailFolder, TokenSource, User


class Graph(Protocol):
    """The questions that are asked of Graph here; `GraphClient` answers them. Each changes nothing."""

    async def get_user(self, user: str) -> User:
        """A user by object id or userPrincipalName."""
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
