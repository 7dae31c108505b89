"""Where the URLs in Graph's answers may lead: nothing else is ever contacted."""

from typing import Final

import httpx

from .errors import ForeignUrl

# The documented host, and the one seen as often (microsoft-graph-docs-contrib issue 8880); in China by
# https://learn.microsoft.com/previous-versions/office/office-365-api/api/o365-china-endpoints. The US Government
# clouds L4 and L5 have no upload sessions: https://learn.microsoft.com/graph/api/attachment-createuploadsession
UPLOAD_HOSTS: Final = frozenset({"outlook.office.com", "outlook.office365.com", "partner.outlook.cn"})


def own_url(url: str, origin: str) -> str:
    """A link of an answer, if it leads back to `origin`. Raises ForeignUrl, before anything is contacted."""
    try:
        link, own = httpx.URL(url), httpx.URL(origin)
    except (httpx.InvalidURL, ValueError) as error:
        raise ForeignUrl("a link that is not a URL") from error
    if link.userinfo or (link.scheme, link.host, port_of(link)) != (own.scheme, own.host, port_of(own)):
        raise ForeignUrl(f"a link to {link.scheme}://{link.host} instead of {origin}")
    return url


def port_of(url: httpx.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def upload_url(url: str, origin: str) -> str:
    """An upload URL, if it leads to a host of Outlook over TLS, or back to `origin`.

    Raises ForeignUrl, before anything is contacted and without a word of the URL but its host.
    """
    try:
        link, own = httpx.URL(url), httpx.URL(origin)
    except (httpx.InvalidURL, ValueError):
        raise ForeignUrl("an upload URL that is no URL") from None
    port = port_of(link)
    is_outlook = (link.scheme, port) == ("https", 443) and link.host in UPLOAD_HOSTS
    is_ours = (link.scheme, link.host, port) == (own.scheme, own.host, port_of(own))
    if link.userinfo or not (is_outlook or is_ours):
        raise ForeignUrl(f"an upload URL of {link.host}")
    return url
