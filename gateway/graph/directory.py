"""Users: who is behind an address, and why there may be no mailbox."""

from collections.abc import Sequence
from typing import Final

from . import wire
from .resource import Resource
from .types import Profile, User

BASIC: Final = "id,displayName,mail,userPrincipalName"
PROFILE: Final = "id,assignedPlans,onPremisesSyncEnabled,userType"
MOST_PER_PAGE: Final = "999"  # https://learn.microsoft.com/graph/api/directory-deleteditems-list


class Directory(Resource):
    """Source: https://learn.microsoft.com/graph/api/user-get"""

    async def get_user(self, user: str) -> User:
        """A user by object id or userPrincipalName; an alias is not found.

        AccessDenied means that we may not look people up, not that the mailbox is bad.
        """
        return User.from_graph(await self._graph.json(_get("users/{id}", self._user_url(user, BASIC))))

    async def find_users_by_mail(self, address: str) -> Sequence[User]:
        """Users whose `mail` is this: their primary address, or, of a guest, the one outside.

        Source: https://learn.microsoft.com/graph/api/user-list
        """
        return await self._users(f"mail eq {wire.literal(address)}")

    async def find_users_by_alias(self, address: str) -> Sequence[User]:
        """Users one of whose `proxyAddresses` is this. Wants User.Read.All: without, a filter passes over what may not
        be read, or is refused (AccessDenied); which of them is not documented.

        Source: https://learn.microsoft.com/graph/filter-query-parameter
        """
        return await self._users(f"proxyAddresses/any(p:p eq {wire.literal(f'smtp:{address}')})")

    async def get_profile(self, user: str) -> Profile:
        """What tells why a user has no mailbox. Wants User.Read.All, else AccessDenied."""
        return Profile.from_graph(await self._graph.json(_get("users/{id}", self._user_url(user, PROFILE))))

    async def list_deleted_users(self) -> Sequence[User]:
        """Users deleted within 30 days; their userPrincipalName begins with their id. Wants User.Read.All.

        Source: https://learn.microsoft.com/graph/api/directory-deleteditems-list
        """
        route = "directory/deletedItems/microsoft.graph.user"
        url = self._graph.url(route + wire.query(select=BASIC, top=MOST_PER_PAGE))
        return [User.from_graph(item) async for item in self._items(_get(route, url))]

    async def _users(self, filter: str) -> Sequence[User]:
        url = self._graph.url("users" + wire.query(filter=filter, select=BASIC))
        return [User.from_graph(item) async for item in self._items(_get("users", url))]

    def _user_url(self, user: str, select: str) -> str:
        return self._graph.url(wire.user_path(user) + wire.query(select=select))


def _get(route: str, url: str) -> wire.Request:
    return wire.Request(method="GET", route=route, url=url, retry=wire.Retry.HARMLESS, expect=200)
