"""Templates to pages. Everything is escaped; what is not, is `Markup` that Python made of cleaned mail."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from gateway.http.pages.assets import Assets
from gateway.http.pages.sessions import Sessions

if TYPE_CHECKING:
    from gateway.http.pages.guard import Visit

# Nothing but our own files, no inline script or style.
OWN_FILES_ONLY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors "
)
# And no frame around us.
CONTENT_SECURITY_POLICY: Final = OWN_FILES_ONLY + "'none'"
HEADERS: Final = {
    "content-security-policy": CONTENT_SECURITY_POLICY,
    "cache-control": "no-store",
    # With no-referrer, browsers say `Origin: null` when our own forms are sent.
    "referrer-policy": "same-origin",
}
KB: Final = 1000


class Renderer:
    """Renders the templates of this package. May be used from several threads."""

    def __init__(self, assets: Assets, sessions: Sessions, embed_hosts: Sequence[str] = ()) -> None:
        self._sessions = sessions
        self._embed_headers = {
            "content-security-policy": OWN_FILES_ONLY + (" ".join(embed_hosts) or "'none'"),
            "cache-control": "no-store",
            # The address is the proof of who may be here, so nobody else may hear of it.
            "referrer-policy": "no-referrer",
        }
        self._environment = Environment(
            loader=PackageLoader("gateway.http.pages"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {
            "asset": assets.url,
            "when": time_tag,
            "size": size,
            "day": day,
            "count": count,
            "clock": clock_tag,
        }

    def page(
        self,
        template: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        visit: "Visit | None" = None,
        embedded: bool = False,
        **context: Any,
    ) -> HTMLResponse:
        """A page, or a part of one. With a `visit` it knows the account and its forms carry the session's token.

        `embedded`: for an iframe of one of the hosts that may have one.
        """
        embedded = embedded or (visit is not None and visit.embedded is not None)
        if visit is not None:
            context |= {
                "zone": visit.zone,
                "form_token": self._sessions.form_token(visit.session),
                "pass_to": partial(self._sessions.passes.sign, visit.key.id, now=visit.now),
            }
        html = self._environment.get_template(template).render(visit=visit, embedded=embedded, **context)
        return HTMLResponse(html, status_code=status, headers=self._embed_headers if embedded else HEADERS)


def time_tag(moment: datetime, zone: ZoneInfo) -> Markup:
    """A moment as people of this zone read it, and in UTC for machines."""
    local = moment.astimezone(zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        f"{local:%A}, {local.day} {local:%B %Y} at {local:%H:%M:%S %Z}",
        f"{local.day} {local:%b %Y, %H:%M}" + (f" {local:%Z}" if _comes_twice(local) else ""),
    )


def clock_tag(moment: datetime, zone: ZoneInfo) -> Markup:
    """The time of day to the second, where the day is said already."""
    local = moment.astimezone(zone)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        moment.strftime("%Y-%m-%dT%H:%M:%SZ"), f"{local:%A}, {local.day} {local:%B %Y}", f"{local:%H:%M:%S}"
    )


def _comes_twice(local: datetime) -> bool:
    """Whether clocks show this time again on the same day, as they do when summer time ends."""
    return local.replace(fold=0).utcoffset() != local.replace(fold=1).utcoffset()


def day(moment: datetime, zone: ZoneInfo) -> str:
    """The date that a moment falls on."""
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"


def size(length: int) -> str:
    """A number of bytes, as people say it."""
    if length < KB:
        return f"{length} bytes"
    if length < KB * KB:
        return f"{length / KB:.0f} KB"
    return f"{length / KB / KB:.1f} MB"


def count(number: int, noun: str = "") -> str:
    """A number, with the noun that it counts."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if noun else f"{number:,}"
