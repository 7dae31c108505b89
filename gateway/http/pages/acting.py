"""What the forms of an Events page do: answer, cancel, and mark what was read. All work without script."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from starlette.responses import RedirectResponse, Response

from gateway.http.pages import replying
from gateway.http.pages.errors import PageError
from gateway.http.pages.events import Events, object_of
from gateway.http.pages.guard import Guard, Visit
from gateway.http.pages.live import position
from gateway.http.pages.replying import NotTaken
from gateway.http.routing import json_response, no_content
from gateway.http.services import Services
from storage import Transaction, read_marks, threads


class Acting:
    """The `POST`s under `…/events`. To our script they answer in JSON, to a browser without it by the next page."""

    def __init__(self, services: Services, guard: Guard, pages: Events) -> None:
        self._services = services
        self._guard = guard
        self._pages = pages

    async def reply(self, visit: Visit) -> Response:
        """`POST …/threads/{thread_id}/replies`: the reply is in the outbox before this is answered."""
        _must_reply(visit)
        view = await self._pages.read_thread(visit)
        [shown] = view.threads
        box, thread_id = shown.reply or replying.ReplyBox(mailbox=shown.thread.mailbox), shown.thread.id
        try:
            written = replying.checked(visit.form, visit.staff)
            message_id = await visit.deed.write_and(
                lambda letter: {"message_id": letter},
                replying.take,
                visit.account.id,
                object_of(visit),
                thread_id,
                replying.letter_from(written, box.mailbox),
                key=written.key,
                rules=self._services.settings.rules,
                refusal=self._services.space.refusal(),
                now=visit.now,
            )
        except NotTaken as error:
            if _by_script(visit):
                return json_response({"problem": str(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
            again = replace(shown, reply=replying.echoed(box, visit.form, str(error)))
            return self._pages.thread_page(visit, view, again, status=HTTPStatus.UNPROCESSABLE_ENTITY)
        if _by_script(visit):
            answer = json_response({"message_id": message_id, "key": replying.new_key(), "staff": written.staff})
        else:
            answer = _go(f"{self._pages.base_of(visit)}/threads/{thread_id}#{message_id}")
        return self._with_name(visit, answer, written.staff)

    async def cancel(self, visit: Visit) -> Response:
        """`POST …/threads/{thread_id}/cancel`: a letter that has not left."""
        _must_reply(visit)
        what, thread_id, letter = object_of(visit), visit.path("thread_id"), visit.form.get("letter", "")
        visit.deed.about(message_id=letter)
        await visit.deed.write(replying.cancel, visit.account.id, what, thread_id, letter, now=visit.now)
        return no_content() if _by_script(visit) else _go(f"{self._pages.base_of(visit)}/threads/{thread_id}")

    async def read(self, visit: Visit) -> Response:
        """`POST …/threads/{thread_id}/read`: up to the `seq` of the page that was read."""
        up_to = position(None, visit.form.get("seq"))
        await visit.deed.write(_mark_read, visit, _reader(visit), up_to)
        return no_content() if _by_script(visit) else _go(self._pages.base_of(visit))

    async def unread(self, visit: Visit) -> Response:
        """`POST …/threads/{thread_id}/unread`: put the thread aside."""
        await visit.deed.write(_mark_unread, visit, _reader(visit))
        return no_content() if _by_script(visit) else _go(self._pages.base_of(visit))

    async def name(self, visit: Visit) -> Response:
        """`POST …/name`: who looks, for as long as they are signed in."""
        try:
            staff = replying.checked_name(" ".join(visit.form.get("staff", "").split()))
        except NotTaken:
            raise PageError(
                HTTPStatus.UNPROCESSABLE_ENTITY, "That is no name", "Go back and write yours, in 200 characters."
            ) from None
        return self._with_name(visit, _go(self._pages.base_of(visit)), staff)

    async def again(self, visit: Visit) -> Response:
        """A form's address, opened as if it were a page."""
        return _go(self._pages.base_of(visit))

    def _with_name(self, visit: Visit, answer: Response, staff: str) -> Response:
        if visit.embedded is not None or visit.session.staff == staff:
            return answer
        return self._guard.remember(answer, replace(visit.session, staff=staff))


def _mark_read(tx: Transaction, visit: Visit, staff: str, up_to: int | None) -> None:
    thread_id = _thread(tx, visit)
    read_marks.mark_read(tx, visit.account.id, thread_id, staff, up_to=up_to, now=visit.now)


def _mark_unread(tx: Transaction, visit: Visit, staff: str) -> None:
    read_marks.mark_unread(tx, visit.account.id, _thread(tx, visit), staff, now=visit.now)


def _thread(tx: Transaction, visit: Visit) -> str:
    """The thread that the address names. Raises `storage.NotFound` when it is none of this tab's."""
    thread_id = threads.get(tx, visit.account.id, visit.path("thread_id")).id
    threads.check_linked(tx, thread_id, object_of(visit))
    return thread_id


def _must_reply(visit: Visit) -> None:
    if not visit.may_reply:
        raise PageError(
            HTTPStatus.FORBIDDEN, "You cannot write from here", "Ask for a link or an API key that may send letters."
        )


def _reader(visit: Visit) -> str:
    if visit.staff is None:
        raise PageError(HTTPStatus.CONFLICT, "Who are you?", "Write your name on the Events page first.")
    return visit.staff


def _by_script(visit: Visit) -> bool:
    headers: Mapping[str, str] = visit.request.headers
    return headers.get("accept") == "application/json"


def _go(path: str) -> Response:
    return RedirectResponse(path, status_code=HTTPStatus.SEE_OTHER, headers={"cache-control": "no-store"})
