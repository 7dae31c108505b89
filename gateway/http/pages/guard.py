"""The door of every page: who is here, what they may see, and whether a form really came from one of our pages."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qsl, quote, urlsplit
from zoneinfo import ZoneInfo

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from gateway.http import auth
from gateway.http.auditing import Audited, Deed, Unaudited, actor, begun
from gateway.http.pages.errors import NotSignedIn, PageError, as_page_error
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.sessions import SESSION_LIVES, Embedded, Session, Sessions, read_embed
from gateway.http.problem_types import LIMITED_KEY
from gateway.http.problems import Problem, log_unforeseen, request_id
from gateway.http.services import Services
from storage import Transaction, accounts, api_keys, ended_sessions
from storage.accounts import Account
from storage.api_keys import ApiKey, Scope
from storage.audit import Via

MOST_FIELDS: Final = 50
FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request of somebody who may be here: signed in, or `embedded` by a link of SELMA's."""

    request: Request
    session: Session
    key: ApiKey
    account: Account
    now: datetime
    deed: Deed
    form: Mapping[str, str] = field(default_factory=dict, repr=False)
    embedded: Embedded | None = None

    @property
    def staff(self) -> str | None:
        """Who looks, by name, if that is known."""
        return self.session.staff if self.embedded is None else self.embedded.staff

    @property
    def may_reply(self) -> bool:
        """Whether they may write."""
        return Scope.SEND in self.key.scopes and (self.embedded is None or self.embedded.can_reply)

    @property
    def zone(self) -> ZoneInfo:
        """The account's time zone, in which people read times."""
        return ZoneInfo(self.account.time_zone)

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])


Endpoint = Callable[[Request], Awaitable[Response]]
Handler = Callable[[Visit], Awaitable[Response]]


class Guard:
    """Makes endpoints of handlers. Nothing is remembered between requests."""

    def __init__(self, services: Services, sessions: Sessions, renderer: Renderer) -> None:
        self._services = services
        self._sessions = sessions
        self._renderer = renderer
        self._secure = (services.settings.public_url or "").startswith("https:")
        # The prefix keeps other hosts of the domain from planting a cookie (RFC 6265bis, section 4.1.3.2).
        self._cookie = "__Host-selma_session" if self._secure else "selma_session"

    def page(self, handler: Handler, *scopes: Scope, audit: Audited | Unaudited, fetched: bool = False) -> Endpoint:
        """For holders of a key with one of `scopes`. `fetched` by our script: answers 401 instead of a redirect."""

        async def endpoint(request: Request) -> Response:
            visit = await self.visit(request, audit)
            check_key(visit.key, *scopes)
            response = await handler(visit)
            await visit.deed.ended(response)
            return response

        return self.net(endpoint, fetched=fetched)

    def in_frame(self, handler: Handler, *, audit: Audited | Unaudited) -> Endpoint:
        """For pages in an iframe, where no cookie comes along: the address itself is the proof, also of forms."""

        async def endpoint(request: Request) -> Response:
            try:
                visit = await self._embedded_visit(request, audit)
                response = await handler(visit)
                await visit.deed.ended(response)
                return response
            except Exception as error:
                return self._error_page(request, error, embedded=True)

        return endpoint

    def net(self, endpoint: Endpoint, *, fetched: bool = False) -> Endpoint:
        """Turns the errors of an endpoint into pages."""

        async def caught(request: Request) -> Response:
            try:
                return await endpoint(request)
            except NotSignedIn:
                return self._sign_in_first(request, fetched=fetched)
            except Exception as error:
                return self._error_page(request, error)

        return caught

    async def visit(self, request: Request, audit: Audited | Unaudited) -> Visit:
        """Who is here. Raises `NotSignedIn`, and `PageError` when a form is not one of ours."""
        now = self._services.clock.now()
        session = self.session(request)
        if session is None or session.key_id is None:
            raise NotSignedIn
        found = await self._services.store.glance(_signed_in, session, now)
        if found is None:
            raise NotSignedIn
        key, account = found
        auth.check_address(key, request)
        form = await self.form(request, session) if request.method == "POST" else {}
        deed = self._deed(request, audit, key, session.staff, request.path_params, now)
        return Visit(request=request, session=session, key=key, account=account, now=now, deed=deed, form=form)

    def _deed(
        self,
        request: Request,
        audit: Audited | Unaudited,
        key: ApiKey,
        staff: str | None,
        parts: Mapping[str, object],
        now: datetime,
    ) -> Deed:
        services, by = self._services, actor(request, key, Via.PAGE, staff)
        return begun(services.store, services.trail, audit, parts, account_id=key.account_id, by=by, at=now)

    async def _embedded_visit(self, request: Request, audit: Audited | Unaudited) -> Visit:
        """Who looks by an embed link. Raises `PageError` when it is over, its key was revoked, or lacks a scope."""
        now = self._services.clock.now()
        embedded = read_embed(self._services.session_key, request.path_params["token"], now=now)
        found = None if embedded is None else await self._services.store.glance(_key_and_account, embedded.key_id, now)
        if embedded is None or found is None or Scope.READ not in found[0].scopes:
            raise PageError(
                HTTPStatus.GONE,
                "This page was open for too long",
                "Reload the page of SELMA around it, and go on from there.",
            )
        session = Session(id="embedded", key_id=embedded.key_id, expires_at=embedded.last_end)
        form = await _fields(request) if request.method == "POST" else {}
        what = {"type": embedded.what.type.value, "id": embedded.what.id}
        deed = self._deed(request, audit, found[0], embedded.staff, request.path_params | what, now)
        return Visit(
            request=request,
            session=session,
            key=found[0],
            account=found[1],
            now=now,
            deed=deed,
            form=form,
            embedded=embedded,
        )

    async def still_welcome(self, visit: Visit) -> bool:
        """Whether the session and its key are still good, for answers that last."""
        now = self._services.clock.now()
        if now >= visit.session.expires_at:
            return False
        return await self._services.store.glance(_signed_in, visit.session, now) is not None

    async def is_signed_in(self, request: Request) -> bool:
        """Whether the session that the request carries has a live key."""
        session = self.session(request)
        if session is None or session.key_id is None:
            return False
        return await self._services.store.glance(_signed_in, session, self._services.clock.now()) is not None

    def session(self, request: Request) -> Session | None:
        """The session that the request carries."""
        cookie = request.cookies.get(self._cookie)
        return None if cookie is None else self._sessions.read(cookie, now=self._services.clock.now())

    async def form(self, request: Request, session: Session) -> Mapping[str, str]:
        """The fields of a form that this session's page sent. Raises `PageError` (403) for any other."""
        fields = await _fields(request)
        same_origin = _is_same_origin(request, self._services.settings.public_url)
        if not same_origin or not self._sessions.is_form_token(session, fields.pop("form_token", "")):
            raise PageError(
                HTTPStatus.FORBIDDEN,
                "Nothing was changed",
                "This form did not come from a page of your present session. Go back, reload the page, and try again.",
            )
        return fields

    def remember(self, response: Response, session: Session) -> Response:
        """Give the session to the browser."""
        response.set_cookie(
            self._cookie,
            self._sessions.seal(session),
            max_age=int(SESSION_LIVES.total_seconds()),
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )
        return response

    async def end(self, session: Session) -> None:
        """Whoever has a copy of it is signed out too."""
        await self._services.store.write(_end, session)

    def forget(self, response: Response) -> Response:
        """Take the session from the browser."""
        response.delete_cookie(self._cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return response

    def _sign_in_first(self, request: Request, *, fetched: bool) -> Response:
        if fetched:
            return Response("Sign in first.", status_code=HTTPStatus.UNAUTHORIZED, media_type="text/plain")
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        back = path if request.method in ("GET", "HEAD") else "/"
        return RedirectResponse(f"/sign-in?next={quote(back, safe='')}", status_code=HTTPStatus.SEE_OTHER)

    def _error_page(self, request: Request, error: Exception, *, embedded: bool = False) -> Response:
        known = as_page_error(error)
        if known is None:
            log_unforeseen(error, request_id(request.scope))
            known = PageError(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The gateway made a mistake",
                "Give the gateway’s operator this number; the log has the rest under it: " + request_id(request.scope),
            )
        return self._renderer.page(
            "error.html", status=known.status, title=known.title, detail=known.detail, embedded=embedded
        )


def check_key(key: ApiKey, *scopes: Scope) -> None:
    """Raises `Problem` (403) when the key is held to mailboxes, `PageError` (403) when it has none of the scopes."""
    if key.mailbox_ids is not None:
        raise Problem(LIMITED_KEY, "Pages tell of more than the mailboxes that your key is held to.")
    if not set(scopes) & key.scopes:
        raise _missing(scopes)


def _missing(scopes: tuple[Scope, ...]) -> PageError:
    needed = " or ".join(scope.value for scope in scopes)
    return PageError(
        HTTPStatus.FORBIDDEN,
        "Your key does not open this page",
        f"It needs an API key with the scope {needed}. Sign out, and sign in with such a key.",
    )


def _signed_in(tx: Transaction, session: Session, now: datetime) -> tuple[ApiKey, Account] | None:
    if session.key_id is None or ended_sessions.is_ended(tx, session.id):
        return None
    return _key_and_account(tx, session.key_id, now)


def _end(tx: Transaction, session: Session) -> None:
    key = None if session.key_id is None else api_keys.find_by_id(tx, session.key_id)
    if key is not None:
        ended_sessions.end(tx, key.account_id, session.id, ends_at=session.expires_at)


def _key_and_account(tx: Transaction, key_id: str, now: datetime) -> tuple[ApiKey, Account] | None:
    key = auth.live(tx, key_id, now)
    return None if key is None else (key, accounts.get(tx, key.account_id))


async def _fields(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise PageError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "Nothing was changed", "This is not a form of ours.")
    try:
        text = (await request.body()).decode("ascii")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS))
    except (ValueError, ClientDisconnect):
        raise PageError(HTTPStatus.BAD_REQUEST, "Nothing was changed", "The form could not be read.") from None


def _is_same_origin(request: Request, public_url: str | None) -> bool:
    """Browsers say where a form was sent from. Behind a proxy the scheme may differ from ours; the host may not."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin == public_url or urlsplit(origin).netloc == request.headers.get("host")
