"""Entra's side: the token endpoint (entra/v2-oauth2-client-creds-grant-flow) and the pages a client reads before."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus, urlsplit

from gateway.sandbox import assertions
from gateway.sandbox.graph.service import GRAPH_AUDIENCES
from gateway.sandbox.model import App
from gateway.sandbox.tokens import TokenMint, seconds
from gateway.sandbox.world import World

WITHOUT_TENANT: Final = frozenset({"common", "consumers", "organizations"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenRefused(Exception):
    """Why there is no token. `number` is the n of AADSTSn (entra/reference-error-codes)."""

    status: int = 400
    error: str
    number: int
    text: str


class Entra:
    """One tenant's login service."""

    def __init__(self, *, world: World, mint: TokenMint) -> None:
        self._world = world
        self._mint = mint

    def token(self, tenant: str, form: Mapping[str, str], authorization: str, origin: str) -> dict[str, Any]:
        """The answer to a token request. Raises TokenRefused."""
        self._check_tenant(tenant)
        grant = _required(form, "grant_type")
        if grant != "client_credentials":
            raise TokenRefused(
                error="unsupported_grant_type",
                number=70003,
                text=f"The app requested an unsupported grant type '{grant}'.",
            )
        form = {**form, **_basic(authorization)}
        app = self._app(tenant, _required(form, "client_id"))
        audience = _audience(_required(form, "scope"), origin)
        self._check_credential(app, form, origin)
        return self._issue(app, audience)

    def metadata(self, tenant: str, origin: str) -> dict[str, Any]:
        """The OpenID configuration of the tenant. Raises TokenRefused."""
        self._check_tenant(tenant)
        base = f"{origin}/{self._world.tenant}"
        return {
            "token_endpoint": f"{origin}/{tenant}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{origin}/{tenant}/discovery/v2.0/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{origin}/{tenant}/oauth2/v2.0/devicecode",
            "end_session_endpoint": f"{origin}/{tenant}/oauth2/v2.0/logout",
            "tenant_region_scope": "OC",
            "cloud_instance_name": urlsplit(origin).netloc,
            "cloud_graph_host_name": "graph.windows.net",
            "msgraph_host": urlsplit(origin).netloc,
        }

    def common_metadata(self, origin: str) -> dict[str, Any]:
        """The OpenID configuration of no tenant, as far as those need it who check tokens."""
        return {
            "issuer": "https://sts.windows.net/{tenantid}/",
            "jwks_uri": f"{origin}/common/discovery/keys",
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def instance_discovery(self, tenant: str, origin: str) -> dict[str, Any]:
        """What `/common/discovery/instance` says to a client that asks whether this host is a login host."""
        host = urlsplit(origin).netloc
        return {
            "tenant_discovery_endpoint": f"{origin}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        }

    def keys(self) -> dict[str, Any]:
        return self._mint.keys()

    def refusal(self, refused: TokenRefused) -> dict[str, Any]:
        """The body of an error, with its CRLF lines, as Entra writes it."""
        stamp = self._world.clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        trace, correlation = self._world.identities.guid(), self._world.identities.guid()
        return {
            "error": refused.error,
            "error_description": f"AADSTS{refused.number}: {refused.text}\r\n"
            f"Trace ID: {trace}\r\nCorrelation ID: {correlation}\r\nTimestamp: {stamp}",
            "error_codes": [refused.number],
            "timestamp": stamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={refused.number}",
        }

    def _check_tenant(self, tenant: str) -> None:
        if tenant.lower() in WITHOUT_TENANT:
            raise TokenRefused(
                error="invalid_request",
                number=9001023,
                text=f"The grant type is not supported over the /{tenant} endpoint. "
                "Please use a tenant-specific endpoint.",
            )
        if not self._world.directory.is_tenant(tenant):
            raise TokenRefused(
                error="invalid_request",
                number=90002,
                text=f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID "
                "and are signing into the correct cloud.",
            )

    def _app(self, tenant: str, client_id: str) -> App:
        app = self._world.directory.apps.get(client_id.lower())
        if app is None:
            raise TokenRefused(
                error="unauthorized_client",
                number=700016,
                text=f"Application with identifier '{client_id}' was not found in the directory '{tenant}'.",
            )
        if not app.is_enabled:
            raise TokenRefused(
                status=401,
                error="unauthorized_client",
                number=7000112,
                text=f"Application '{client_id}'({app.display_name}) is disabled.",
            )
        return app

    def _check_credential(self, app: App, form: Mapping[str, str], origin: str) -> None:
        """A client secret or an assertion."""
        if form.get("client_assertion"):
            self._check_assertion(app, form, origin)
            return
        secret = form.get("client_secret")
        if not secret:
            raise TokenRefused(
                status=401,
                error="invalid_client",
                number=7000218,
                text="The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
            )
        fitting = [each for each in app.secrets if hmac.compare_digest(each.value.encode(), secret.encode())]
        if not fitting:
            raise TokenRefused(
                status=401,
                error="invalid_client",
                number=7000215,
                text="Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{app.app_id}'.",
            )
        if all(each.end_date_time <= self._world.clock.now() for each in fitting):
            raise TokenRefused(
                status=401,
                error="invalid_client",
                number=7000222,
                text=f"The provided client secret keys for app '{app.app_id}' are expired. Visit the Azure portal to "
                "create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate "
                "credentials for added security: https://aka.ms/certCreds.",
            )

    def _check_assertion(self, app: App, form: Mapping[str, str], origin: str) -> None:
        if form.get("client_assertion_type") != assertions.TYPE:
            raise TokenRefused(
                error="invalid_request",
                number=900144,
                text="The request body must contain the following parameter: 'client_assertion_type'.",
            )
        directory = self._world.directory
        try:
            assertions.check(
                app,
                form["client_assertion"],
                tenant_ids=frozenset({directory.tenant_id, *directory.domains}),
                origin=origin,
                now=self._world.clock.now(),
            )
        except assertions.BadAssertion as bad:
            raise TokenRefused(status=401, error="invalid_client", number=bad.number, text=bad.text) from bad

    def _issue(self, app: App, audience: str) -> dict[str, Any]:
        """A token. Without consent it simply has no `roles`."""
        now = self._world.clock.now()
        lifetime = int(self._world.behaviour.token_lifetime.total_seconds())
        claims: dict[str, Any] = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self._world.tenant}/",
            "iat": seconds(now),
            "nbf": seconds(now),
            "exp": seconds(now) + lifetime,
            "app_displayname": app.display_name,
            "appid": app.app_id,
            "appidacr": "1",
            "idtyp": "app",
            "oid": app.object_id,
            "sub": app.object_id,
            "tid": self._world.tenant,
            "uti": self._world.identities.token(16),
            "ver": "1.0",
        }
        if app.roles:
            claims["roles"] = sorted(app.roles)
        return {
            "token_type": "Bearer",
            "expires_in": lifetime,
            "ext_expires_in": lifetime,
            "access_token": self._mint.sign(claims),
        }


def _required(form: Mapping[str, str], name: str) -> str:
    value = form.get(name)
    if not value:
        raise TokenRefused(
            error="invalid_request",
            number=900144,
            text=f"The request body must contain the following parameter: '{name}'.",
        )
    return value


def _basic(authorization: str) -> dict[str, str]:
    """Client id and secret of an HTTP Basic header, each URL-encoded within it (RFC 6749 2.3.1)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}


def _audience(scope: str, origin: str) -> str:
    """The resource of the one `.default` scope. Raises TokenRefused."""
    scopes = [each for each in scope.split() if each not in ("openid", "profile", "offline_access")]
    if len(scopes) > 1:
        raise TokenRefused(
            error="invalid_request",
            number=700022,
            text=f"Invalid multiple resources scope. The scope {scope} isn't valid.",
        )
    resource, default, rest = scopes[0].rpartition("/.default") if scopes else ("", "", "")
    if not default or rest or not resource:
        raise TokenRefused(
            error="invalid_scope",
            number=70011,
            text=f"The provided value for the input parameter 'scope' isn't valid. The scope {scope} isn't valid.",
        )
    is_local = urlsplit(resource).hostname in ("localhost", "127.0.0.1", "::1")
    if resource.rstrip("/") not in GRAPH_AUDIENCES | {origin} and not is_local:
        raise TokenRefused(
            error="invalid_resource",
            number=500011,
            text=f"The resource principal named {resource} was not found in the tenant.",
        )
    return resource.rstrip("/")
