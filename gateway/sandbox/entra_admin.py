"""Routes under `/_sandbox` for what an admin does in Entra and Exchange. All bodies are JSON.

GET    /_sandbox/apps/{client_id}                     {"roles", "enabled", "mailboxes", "scoped", "secrets",
                                                      "certificates", "federated"}; no secret's value
PATCH  /_sandbox/apps/{client_id}                     {"roles"?: [granted], "enabled"?, "mailboxes"?: [the only ones it
                                                      may enter, by an application access policy] or null: all,
                                                      "scoped"?: [those that RBAC for Applications gives] or null: none}
POST   /_sandbox/secrets                              {"client_id", "expires_at"} → {"key_id", "client_secret"}
POST   /_sandbox/certificates                         {"client_id", "certificate": PEM} → {"key_id", "thumbprint"}
POST   /_sandbox/federated                            {"client_id", "issuer", "subject", "audience"?, "public_key": PEM}
                                                      → {"key_id"}
POST   /_sandbox/apps/{client_id}/keys/{key_id}/expire   a secret or certificate ends now
DELETE /_sandbox/apps/{client_id}/keys/{key_id}          it is deleted, of whatever kind
"""

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.sandbox.admin import body_of, guarded
from gateway.sandbox.clock import parse_timestamp, timestamp
from gateway.sandbox.directory import EXCHANGE
from gateway.sandbox.model import App

if TYPE_CHECKING:
    from gateway.sandbox.box import Sandbox


def routes(sandbox: "Sandbox") -> list[Route]:
    """The routes, below `/_sandbox`."""
    hands = _Hands(sandbox)
    return [
        Route("/apps/{client_id}", guarded(hands.app), methods=["GET", "PATCH"]),
        Route("/secrets", guarded(hands.add_secret), methods=["POST"]),
        Route("/certificates", guarded(hands.add_certificate), methods=["POST"]),
        Route("/federated", guarded(hands.add_federated), methods=["POST"]),
        Route("/apps/{client_id}/keys/{key_id}/expire", guarded(hands.expire), methods=["POST"]),
        Route("/apps/{client_id}/keys/{key_id}", guarded(hands.revoke), methods=["DELETE"]),
    ]


class _Hands:
    """One method per route."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._world = sandbox.world
        self._directory = sandbox.world.directory

    def _named(self, client_id: str) -> App:
        return self._directory.apps[client_id.lower()]

    async def app(self, request: Request) -> Response:
        app = self._named(request.path_params["client_id"])
        if request.method == "PATCH":
            changes = await body_of(request)
            if "roles" in changes:
                app.roles = frozenset(str(role) for role in changes["roles"])
            if "enabled" in changes:
                app.is_enabled = bool(changes["enabled"])
            if "mailboxes" in changes:
                self._world.restrict(app, changes["mailboxes"])
            if "scoped" in changes:
                self._world.scope(app, changes["scoped"])
        return JSONResponse(_shown(app))

    async def add_secret(self, request: Request) -> Response:
        body = await body_of(request)
        app = self._named(body["client_id"])
        value = self._world.add_secret(app, parse_timestamp(body["expires_at"]))
        return JSONResponse({"key_id": app.secrets[-1].key_id, "client_secret": value}, 201)

    async def add_certificate(self, request: Request) -> Response:
        body = await body_of(request)
        added = self._directory.add_certificate(self._named(body["client_id"]), body["certificate"])
        return JSONResponse({"key_id": added.key_id, "thumbprint": added.thumbprint}, 201)

    async def add_federated(self, request: Request) -> Response:
        body = await body_of(request)
        added = self._directory.add_federated(
            self._named(body["client_id"]),
            issuer=body["issuer"],
            subject=body["subject"],
            audience=body.get("audience", EXCHANGE),
            public_key_pem=body["public_key"],
        )
        return JSONResponse({"key_id": added.key_id}, 201)

    async def expire(self, request: Request) -> Response:
        self._directory.expire(self._named(request.path_params["client_id"]), request.path_params["key_id"])
        return Response(status_code=204)

    async def revoke(self, request: Request) -> Response:
        self._directory.revoke(self._named(request.path_params["client_id"]), request.path_params["key_id"])
        return Response(status_code=204)


def _shown(app: App) -> dict[str, object]:
    return {
        "display_name": app.display_name,
        "roles": sorted(app.roles),
        "enabled": app.is_enabled,
        "mailboxes": None if app.allowed_mailboxes is None else sorted(app.allowed_mailboxes),
        "scoped": None if app.scoped_mailboxes is None else sorted(app.scoped_mailboxes),
        "secrets": [{"key_id": one.key_id, "expires_at": timestamp(one.end_date_time)} for one in app.secrets],
        "certificates": [
            {"key_id": one.key_id, "thumbprint": one.thumbprint, "expires_at": timestamp(one.end_date_time)}
            for one in app.certificates
        ],
        "federated": [
            {"key_id": one.key_id, "issuer": one.issuer, "subject": one.subject, "audience": one.audience}
            for one in app.federated
        ],
    }
