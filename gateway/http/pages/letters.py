"""The letters page: what is on its way, what keeps it, and what only people can decide. Usable without script."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

from gateway.http.pages.budget_view import read_budgets
from gateway.http.pages.guard import Visit
from gateway.http.pages.letters_view import read_letters
from gateway.http.pages.progress import read_batch
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.waiting_view import read_waiting, read_way
from gateway.http.services import Services
from gateway.sending import choices

PAGE: Final = "/settings/letters"
SAID: Final[Mapping[str, str]] = {
    "again": "The letter is back in the outbox: it is sent as soon as it can be.",
    "closed": "The letter is closed. Nothing more is done with it.",
    "cancelled": "The letter is cancelled. It is not sent.",
    "batch": "What of the batch had not left is cancelled.",
}


class Letters:
    """`/settings/letters` and what its forms do."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer
        self._allowance = services.settings.rules.allowance
        self._limits = services.settings.limits

    async def show(self, visit: Visit) -> Response:
        """`GET /settings/letters`."""
        query = visit.request.query_params
        view = await self._services.store.read(
            read_letters,
            visit.account.id,
            allowance=self._allowance,
            limits=self._limits,
            review_before=query.get("review") or None,
            failed_before=query.get("failed") or None,
            now=visit.now,
        )
        return self._renderer.page("letters.html", visit=visit, view=view, said=SAID.get(query.get("said", "")))

    async def retry(self, visit: Visit) -> Response:
        """`POST …/retry`: a failed letter again, or one that needs review anew."""
        visit.deed.about(message_id=_id(visit))
        await visit.deed.write(choices.retry, visit.account.id, _id(visit), now=visit.now)
        return _back("again")

    async def close(self, visit: Visit) -> Response:
        """`POST …/close`."""
        visit.deed.about(message_id=_id(visit))
        await visit.deed.write(choices.close, visit.account.id, _id(visit), now=visit.now)
        return _back("closed")

    async def cancel(self, visit: Visit) -> Response:
        """`POST …/cancel`."""
        visit.deed.about(message_id=_id(visit))
        await visit.deed.write(choices.cancel, visit.account.id, _id(visit), now=visit.now)
        return _back("cancelled")

    async def cancel_batch(self, visit: Visit) -> Response:
        """`POST …/batches/cancel`."""
        visit.deed.about(batch_id=_id(visit))
        await visit.deed.write(choices.cancel_batch, visit.account.id, _id(visit), now=visit.now)
        return _back("batch")

    async def way(self, visit: Visit) -> Response:
        """`GET …/way`: what stands in the way now, for the script; the others likewise."""
        return await self._part(visit, "_way.html", "way", read_way)

    async def budgets(self, visit: Visit) -> Response:
        """`GET …/budgets`."""
        return await self._part(
            visit, "_budgets.html", "budgets", read_budgets, allowance=self._allowance, limits=self._limits
        )

    async def waiting(self, visit: Visit) -> Response:
        """`GET …/waiting`."""
        return await self._part(visit, "_waiting.html", "waiting", read_waiting)

    async def progress(self, visit: Visit) -> Response:
        """`GET …/batches/{id}/progress`."""
        store, batch_id = self._services.store, visit.path("id")
        one = await store.read(read_batch, visit.account.id, batch_id, allowance=self._allowance, now=visit.now)
        return self._renderer.page("_progress.html", visit=visit, one=one)

    async def again(self, visit: Visit) -> Response:
        """A form's address, opened as if it were a page."""
        return _back()

    async def _part(self, visit: Visit, template: str, name: str, read: Any, **given: Any) -> Response:
        found = await self._services.store.read(read, visit.account.id, now=visit.now, **given)
        return self._renderer.page(template, visit=visit, **{name: found})


def _id(visit: Visit) -> str:
    return visit.form.get("id", "")


def _back(said: str | None = None) -> Response:
    return RedirectResponse(
        PAGE if said is None else f"{PAGE}?said={said}",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"cache-control": "no-store"},
    )
