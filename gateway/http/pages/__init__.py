"""The pages for people: signing in, the settings along the guide's stages, the letters, the review tray, and the Events
tab.

Server-rendered, usable without script, with no build step: templates in `templates/`, small scripts and style
sheets in `static/`. `guard` is the door of each page, `sessions` what is signed, `rendering` how a page is made.
"""

from collections.abc import Mapping
from typing import Final

from starlette.routing import BaseRoute, Route

from gateway.console.stream import Act
from gateway.http.auditing import NO_MAIL, Audited, Unaudited, does, reads, records_itself, unaudited
from gateway.http.pages.acting import Acting
from gateway.http.pages.assets import Assets
from gateway.http.pages.console import ConsolePage
from gateway.http.pages.events import Events
from gateway.http.pages.finding import Finding
from gateway.http.pages.guard import Guard, Handler
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

Form = tuple[Handler, Audited | Unaudited]


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
        *_console_routes(guard, ConsolePage(services, renderer)),
        *_reviews_routes(guard, Reviews(services, renderer)),
        *MessageBody(services, guard, renderer).routes(),
        *_events_routes(guard, events, Finding(services, events), Acting(services, guard, events)),
    ]


READS_LETTERS: Final = reads("letter.list")
READS_TAB: Final = reads("object.read_events", type="object_type", id="object_id")
SEARCHES_TAB: Final = reads("thread.search", type="object_type", id="object_id")
READS_THREAD: Final = reads("thread.read", type="object_type", id="object_id", thread_id="thread_id")
LEADS_ON: Final = unaudited("It only leads to another page.")


def _settings_routes(guard: Guard, page: Settings) -> list[BaseRoute]:
    posts = {
        "/settings/account": (page.save_account, does("account.configure")),
        "/settings/credentials": (page.credentials.add, does("credential.add")),
        "/settings/credentials/try": (page.credentials.try_pending, does("credential.try")),
        "/settings/credentials/remove": (page.credentials.remove, does("credential.remove")),
        "/settings/least-privilege": (page.confinement.prove, does("confinement.prove")),
        "/settings/check": (page.check, does("account.check")),
        "/settings/mailboxes": (page.add_mailbox, does("mailbox.add")),
        "/settings/mailboxes/validate": (page.validate_mailbox, does("mailbox.validate")),
        "/settings/mailboxes/several": (page.several.ask, does("mailbox.validate_many")),
        "/settings/mailboxes/remove": (page.remove_mailbox, does("mailbox.remove")),
        "/settings/completeness": (page.check_completeness, does("completeness.check")),
        "/settings/test-message": (page.send_test, does("mailbox.test")),
        "/settings/mailboxes/round-trip": (page.round_trip, does("mailbox.round_trip")),
        "/settings/wishes": (page.wish, does("account.wish")),
        "/settings/snooze": (page.snooze, records_itself("expiry.snooze")),
    }
    fetched = {
        "/settings/mailboxes/{id}/watching": page.watching,
        "/settings/mailboxes/{id}/round-trip": page.round_trip_progress,
        "/settings/mailboxes/validations/{id}": page.several.progress,
        "/settings/test-message/{id}": page.test_status,
    }
    return [
        Route("/settings", guard.page(page.show, Scope.SETTINGS, audit=unaudited(NO_MAIL))),
        Route(
            "/settings/credentials/{id}/certificate",
            guard.page(page.credentials.certificate, Scope.SETTINGS, audit=unaudited(NO_MAIL)),
        ),
        *_forms(guard, posts, Scope.SETTINGS),
        *(Route(path, guard.page(page.again, Scope.SETTINGS, audit=LEADS_ON)) for path in posts),
        *(
            Route(path, guard.page(handler, Scope.SETTINGS, audit=unaudited(NO_MAIL), fetched=True))
            for path, handler in fetched.items()
        ),
    ]


def _letters_routes(guard: Guard, page: Letters) -> list[BaseRoute]:
    posts = {
        "/settings/letters/retry": (page.retry, does("letter.retry")),
        "/settings/letters/close": (page.close, does("letter.close")),
        "/settings/letters/cancel": (page.cancel, does("letter.cancel")),
        "/settings/letters/batches/cancel": (page.cancel_batch, does("batch.cancel")),
    }
    fetched = {
        "/settings/letters/way": page.way,
        "/settings/letters/budgets": page.budgets,
        "/settings/letters/waiting": page.waiting,
        "/settings/letters/batches/{id}/progress": page.progress,
    }
    return [
        Route("/settings/letters", guard.page(page.show, Scope.SETTINGS, audit=READS_LETTERS)),
        *_forms(guard, posts, Scope.SETTINGS),
        *(Route(path, guard.page(page.again, Scope.SETTINGS, audit=LEADS_ON)) for path in posts),
        *(
            Route(path, guard.page(handler, Scope.SETTINGS, audit=READS_LETTERS, fetched=True))
            for path, handler in fetched.items()
        ),
    ]


def _console_routes(guard: Guard, page: ConsolePage) -> list[BaseRoute]:
    posts: dict[str, Form] = {
        f"/settings/console/{act}": form
        for act, form in {
            Act.CHECK_CONNECTION: (page.check_connection, does("account.check")),
            Act.RESUME_OUTBOX: (page.resume_outbox, does("outbox.resume")),
            Act.RESUME_MAILBOX: (page.doing(Act.RESUME_MAILBOX), does("mailbox.resume")),
            Act.PULL: (page.doing(Act.PULL), does("mailbox.pull")),
            Act.LOOK_AGAIN: (page.doing(Act.LOOK_AGAIN), does("mailbox.look_again")),
            Act.ROUND_TRIP: (page.round_trip, does("mailbox.round_trip")),
            Act.REPAIR: (page.repair, does("subscriptions.repair")),
            Act.ENABLE_WEBHOOK: (page.doing(Act.ENABLE_WEBHOOK), does("webhook.enable")),
            Act.REDELIVER: (page.doing(Act.REDELIVER), does("webhook.redeliver")),
            Act.CHECK_COMPLETENESS: (page.check_completeness, does("completeness.check")),
        }.items()
    }
    told = unaudited(NO_MAIL)
    return [
        Route("/settings/console", guard.page(page.show, Scope.SETTINGS, audit=told)),
        Route("/settings/console/streams", guard.page(page.streams, Scope.SETTINGS, audit=told, fetched=True)),
        *_forms(guard, posts, Scope.SETTINGS),
        *(Route(path, guard.page(page.again, Scope.SETTINGS, audit=LEADS_ON)) for path in posts),
    ]


def _reviews_routes(guard: Guard, page: Reviews) -> list[BaseRoute]:
    posts = {
        "/reviews/accept": (page.accept, records_itself("review.accept")),
        "/reviews/dismiss": (page.dismiss, records_itself("review.dismiss")),
        "/reviews/unlink": (page.unlink, records_itself("message.unlink")),
        "/reviews/undo": (page.undo, records_itself("review.undo")),
    }
    return [
        Route("/reviews", guard.page(page.show, Scope.READ, audit=reads("review.list"))),
        *_forms(guard, posts, Scope.SEND),
        *(Route(path, guard.page(page.again, Scope.READ, audit=LEADS_ON)) for path in posts),
    ]


def _events_routes(guard: Guard, page: Events, finding: Finding, acting: Acting) -> list[BaseRoute]:
    thread = {"type": "object_type", "id": "object_id", "thread_id": "thread_id"}
    shown = {
        "/threads/{thread_id}": (page.thread, READS_THREAD),
        "/search": (finding.show, SEARCHES_TAB),
        "": (page.show, READS_TAB),
    }
    fetched = {"/stream": (page.stream, READS_TAB), "/threads/{thread_id}/part": (page.part, READS_THREAD)}
    posts: dict[str, Form] = {
        "/threads/{thread_id}/replies": (acting.reply, does("letter.post", **thread)),
        "/threads/{thread_id}/cancel": (acting.cancel, does("letter.cancel", **thread)),
        "/threads/{thread_id}/read": (acting.read, does("thread.mark_read", **thread)),
        "/threads/{thread_id}/unread": (acting.unread, does("thread.mark_unread", **thread)),
    }
    own, framed = "/objects/{type}/{id:path}/events", "/embed/{token}/events"
    own_posts: dict[str, Form] = {
        own + path: form
        for path, form in {**posts, "/name": (acting.name, unaudited("A name is for the records after it."))}.items()
    }
    framed_posts: dict[str, Form] = {**posts, "/renew": (page.renew, READS_TAB)}
    return [
        Route("/objects", guard.page(page.choose, Scope.READ, audit=LEADS_ON)),
        *(
            Route(own + path, guard.page(handler, Scope.READ, audit=audit, fetched=True))
            for path, (handler, audit) in fetched.items()
        ),
        *_forms(guard, own_posts, Scope.READ),
        *(Route(path, guard.page(acting.again, Scope.READ, audit=LEADS_ON)) for path in own_posts),
        *(Route(own + path, guard.page(handler, Scope.READ, audit=audit)) for path, (handler, audit) in shown.items()),
        *(Route(framed + path, guard.in_frame(handler, audit=audit)) for path, (handler, audit) in fetched.items()),
        *(
            Route(framed + path, guard.in_frame(handler, audit=audit), methods=["POST"])
            for path, (handler, audit) in framed_posts.items()
        ),
        *(Route(framed + path, guard.in_frame(acting.again, audit=LEADS_ON)) for path in framed_posts),
        *(Route(framed + path, guard.in_frame(handler, audit=audit)) for path, (handler, audit) in shown.items()),
    ]


def _forms(guard: Guard, posts: Mapping[str, Form], scope: Scope) -> list[BaseRoute]:
    return [
        Route(path, guard.page(handler, scope, audit=audit), methods=["POST"])
        for path, (handler, audit) in posts.items()
    ]
