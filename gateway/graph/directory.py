"""Users."""

from . import wire
from .resource import Resource
from .types import User


class Directory(Resource):
    """Source: https://learn.microsoft.com/graph/api/user-get"""

    async def get_user(self, user: str) -> User:
        """A user by object id or userPrincipalName; an alias is not found.

        AccessDenied means that we may not look people up, not that the mailbox is bad.
        """
        return User.from_graph(
            await self._graph.json(
                wire.Request(
                    method="GET",
                    route="users/{id}",
                    url=self._graph.url(
                        wire.user_path(user) + wire.query(select="id,displayName,mail,userPrincipalName")
                    ),
                    retry=wire.Retry.HARMLESS,
                    expect=200,
                )
            )
        )
