"""Where Entra and Graph live, cloud by cloud."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, urlsplit


class Cloud(StrEnum):
    """Microsoft's clouds. A token of one is no good in another.

    Source: https://learn.microsoft.com/graph/deployments
    """

    GLOBAL = "global"  # and US Government GCC
    GCC_HIGH = "gcc_high"  # US Government L4
    DOD = "dod"  # US Government L5
    CHINA = "china"  # operated by 21Vianet


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Two origins, without a path, and the resource a token is asked for.

    `resource` is the cloud's documented Graph host. It matters when `graph_url` is some other server
    (a sandbox, an emulator, a recording proxy): such a server stands in for Graph, so it is sent
    the token that Graph would be sent.
    """

    login_url: str
    graph_url: str
    resource: str = "https://graph.microsoft.com"

    @property
    def scope(self) -> str:
        """The one scope of an app-only token request.

        Source: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
        """
        resource = self.graph_url if self.graph_url in GRAPH_URLS else self.resource
        return f"{resource}/.default"


# https://learn.microsoft.com/graph/deployments, except China's login host: there the page of the
# national clouds (https://docs.azure.cn/entra/identity-platform/authentication-national-cloud) is newer.
CLOUDS: Final[Mapping[Cloud, Endpoints]] = MappingProxyType(
    {
        cloud: Endpoints(login_url=f"https://{login}", graph_url=f"https://{graph}", resource=f"https://{graph}")
        for cloud, login, graph in (
            (Cloud.GLOBAL, "login.microsoftonline.com", "graph.microsoft.com"),
            (Cloud.GCC_HIGH, "login.microsoftonline.us", "graph.microsoft.us"),
            (Cloud.DOD, "login.microsoftonline.us", "dod-graph.microsoft.us"),
            (Cloud.CHINA, "login.partner.microsoftonline.cn", "microsoftgraph.chinacloudapi.cn"),
        )
    }
)
GRAPH_URLS: Final = frozenset(endpoints.graph_url for endpoints in CLOUDS.values())


def endpoints_for(cloud: Cloud, *, login_url: str | None = None, graph_url: str | None = None) -> Endpoints:
    """The endpoints of a cloud, either origin replaced where one is given.

    Raises ValueError, with a sentence for the operator, for an origin that `check_origin` refuses.
    """
    default = CLOUDS[cloud]
    return Endpoints(
        login_url=check_origin(login_url) if login_url else default.login_url,
        graph_url=check_origin(graph_url) if graph_url else default.graph_url,
        resource=default.resource,
    )


def consent_url(cloud: Cloud, tenant_id: str, client_id: str) -> str:
    """The page on which an admin grants, for the whole tenant, what the app asks for. For a person's browser.

    Source: https://learn.microsoft.com/entra/identity/enterprise-apps/grant-admin-consent
    """
    tenant, client = quote(tenant_id, safe=""), quote(client_id, safe="")
    return f"{CLOUDS[cloud].login_url}/{tenant}/adminconsent?client_id={client}"


def check_origin(url: str) -> str:
    """The origin in its plain spelling: lower case, no trailing slash.

    Raises ValueError with a sentence when it is none, has a path, query or user name, or speaks plain
    http to anything but this machine.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"“{url}” is not a URL: {error}.") from error
    if parts.scheme not in ("http", "https") or not host or not url.isprintable() or " " in url:
        raise ValueError(f"“{url}” must be an origin such as https://graph.microsoft.com.")
    if parts.username is not None or parts.path not in ("", "/") or "?" in url or "#" in url:
        raise ValueError(f"“{url}” must be an origin only: no path, no query, no user name.")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"“{url}” must use https: plain http is for this machine only.")
    where = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{where}" + (f":{port}" if port is not None else "")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
