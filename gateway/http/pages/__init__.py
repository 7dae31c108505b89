"""The pages for people: signing in, the settings along the guide's stages, the letters, the review tray, and the Events
tab.

Server-rendered, usable without script, with no build step: templates in `templates/`, small scripts and style
sheets in `static/`. `guard` is the door of each page, `sessions` what is signed, `rendering` how a page is made.
"""

from starlette.routing import BaseRoute, Route

from gateway.http.pages.acting import Acting
from gateway.http.pages.assets import Assets
from gateway.http.pages.events import Events
from gateway.http.pages.finding import Finding
from gateway.http.pages.guard import Guard
from gateway.http.pages.letters import Letters
from gateway.http.pages.message_body import MessageBody
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.reviews import Reviews
from gateway.http.pages.sessions import Sessions, sign_ticket, ticket_url
from gateway.http.pages.settings import Settings
from gateway.http.pages.sign_in import SignIn
from gateway.http.services import Services
from storage.api_keys import Scope

__all__ = ["page_routes", "sign_ticket", "ticket_url"]


def page_routes(services: Services) -> list[BaseRoute]:
    """All pages on these services."""
    assets, sessions = Assets.load(), Sessions(services.session_key)
    renderer = Renderer(assets, sessions, services.settings.embed_hosts)
    guard = Guard(services, sessions, renderer)
    events = Events(services, guard, renderer)
    sign_in = SignIn(services, sessions, guard, renderer)
    return [
        Route("/static/{name}", guard.net(assets.serve)),
        Route("/", guard.net(sign_in.front)),
        Route("/sign-in", guard.net(sign_in.show)),
        Route("/sign-in", guard.net(sign_in.enter), methods=["POST"]),
        Route("/sign-out", guard.net(sign_in.leave), methods=["POST"]),
        *_settings_routes(guard, Settings(services, renderer)),
        *_letters_routes(guard, Letters(services, renderer)),
        *_reviews_routes(guard, Reviews(services, renderer)),
        *MessageBody(services, guard, renderer).routes(),
        *_events_routes(guard, events, Finding(services, events), Acting(services, guard, events)),
    ]


def _settings_routes(guard: Guard, page: Settings) -> list[BaseRoute]:
    posts = {
        "/settings/account": page.save_account,
        "/settings/credentials": page.credentials.add,
        "/settings/credentials/try": page.credentials.try_pending,
        "/settings/credentials/remove": page.credentials.remove,
        "/settings/least-privilege": page.confinement.prove,
        "/settings/check": page.check,
        "/settings/mailboxes": page.add_mailbox,
        "/settings/mailboxes/validate": page.validate_mailbox,
        "/settings/mailboxes/remove": page.remove_mailbox,
        "/settings/completeness": page.check_completeness,
        "/settings/test-message": page.send_test,
    }
    fetched = {
        "/settings/mailboxes/{id}/watching": page.watching,
        "/settings/test-message/{id}": page.test_status,
    }
    return [
        Route("/settings", guard.page(page.show, Scope.SETTINGS)),
        Route("/settings/credentials/{id}/certificate", guard.page(page.credentials.certificate, Scope.SETTINGS)),
        *(Route(path, guard.page(handler, Scope.SETTINGS), methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, guard.page(page.again, Scope.SETTINGS)) for path in posts),
        *(Route(path, guard.page(handler, Scope.SETTINGS, fetched=True)) for path, handler in fetched.items()),
    ]


def _letters_routes(guard: Guard, page: Letters) -> list[BaseRoute]:
    posts = {
        "/settings/letters/retry": page.retry,
        "/settings/letters/close": page.close,
        "/settings/letters/cancel": page.cancel,
        "/settings/letters/batches/cancel": page.cancel_batch,
    }
    fetched = {
        "/settings/letters/way": page.way,
        "/settings/letters/budgets": page.budgets,
        "/settings/letters/waiting": page.waiting,
        "/settings/letters/batches/{id}/progress": page.progress,
    }
    return [
        Route("/settings/letters", guard.page(page.show, Scope.SETTINGS)),
        *(Route(path, guard.page(handler, Scope.SETTINGS), methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, guard.page(page.again, Scope.SETTINGS)) for path in posts),
        *(Route(path, guard.page(handler, Scope.SETTINGS, fetched=True)) for path, handler in fetched.items()),
    ]


def _reviews_routes(guard: Guard, page: Reviews) -> list[BaseRoute]:
    posts = {"/reviews/accept": page.accept, "/reviews/dismiss": page.dismiss, "/reviews/undo": page.undo}
    return [
        Route("/reviews", guard.page(page.show, Scope.READ)),
        *(Route(path, guard.page(handler, Scope.SEND), methods=["POST"]) for path, handler in posts.items()),
        *(Route(path, guard.page(page.again, Scope.READ)) for path in posts),
    ]


def _events_routes(guard: Guard, page: Events, finding: Finding, acting: Acting) -> list[BaseRoute]:
    pages = {"/threads/{thread_id}": page.thread, "/search": finding.show, "": page.show}
    fetched = {"/stream": page.stream, "/threads/{thread_id}/part": page.part}
    posts = {
        "/threads/{thread_id}/replies": acting.reply,
        "/threads/{thread_id}/cancel": acting.cancel,
        "/threads/{thread_id}/read": acting.read,
        "/threads/{thread_id}/unread": acting.unread,
    }
    own, framed = "/objects/{type}/{id:path}/events", "/embed/{token}/events"
    own_posts = {**posts, "/name": acting.name}
    framed_posts = {**posts, "/renew": page.renew}
    return [
        Route("/objects", guard.page(page.choose, Scope.READ)),
        *(Route(own + path, guard.page(handler, Scope.READ, fetched=True)) for path, handler in fetched.items()),
        *(Route(own + path, guard.page(handler, Scope.READ), methods=["POST"]) for path, handler in own_posts.items()),
        *(Route(own + path, guard.page(acting.again, Scope.READ)) for path in own_posts),
        *(Route(own + path, guard.page(handler, Scope.READ)) for path, handler in pages.items()),
        *(Route(framed + path, guard.in_frame(handler)) for path, handler in fetched.items()),
        *(Route(framed + path, guard.in_frame(handler), methods=["POST"]) for path, handler in framed_posts.items()),
        *(Route(framed + path, guard.in_frame(acting.again)) for path in framed_posts),
        *(Route(framed + path, guard.in_frame(handler)) for path, handler in pages.items()),
    ]
