"""App registrations: when the client secrets end, where the app may read that of itself."""

from collections.abc import Sequence

from . import parsing, wire
from .resource import Resource
from .types import PasswordCredential


class Applications(Resource):
    """Source: https://learn.microsoft.com/graph/api/application-get"""

    async def get_secrets(self, client_id: str) -> Sequence[PasswordCredential]:
        """The client secrets of an app, without their values. Wants Application.Read.All, else AccessDenied."""
        path = f"applications(appId={wire.literal(client_id)})"
        answer = await self._graph.json(
            wire.Request(
                method="GET",
                route="applications(appId={id})",
                url=self._graph.url(path + wire.query(select="passwordCredentials")),
                retry=wire.Retry.HARMLESS,
                expect=200,
            )
        )
        return [PasswordCredential.from_graph(one) for one in parsing.objects(answer, "passwordCredentials") or ()]
