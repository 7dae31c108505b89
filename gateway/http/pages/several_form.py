"""Many mailboxes at once on the settings page: addresses pasted as they are, and how far their validation is."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

from starlette.responses import RedirectResponse, Response

from gateway.http.mailboxes import validation_view
from gateway.http.pages.guard import Visit
from gateway.http.pages.rendering import Renderer
from gateway.http.services import Services
from gateway.setup.account import BadConfiguration

LONGEST: Final = 50_000
# What people paste: one a line, apart by commas or semicolons, with names around, from a table. It begins where a word
# begins: else a word without an @ is looked through from each of its letters.
ADDRESS: Final = re.compile(r"(?<![^\s,;<>\"'()])[^\s,;<>\"'()]+@[^\s,;<>\"'()]+")
MOST_TOLD: Final = 5

ShowPage = Callable[..., Awaitable[Response]]


class SeveralForm:
    """The form and its progress."""

    def __init__(self, services: Services, renderer: Renderer, page: ShowPage) -> None:
        self._services = services
        self._renderer = renderer
        self._page = page

    async def ask(self, visit: Visit) -> Response:
        """`POST /settings/mailboxes/several`: the page comes back at once and says how far it is."""
        typed = visit.form.get("addresses", "")[:LONGEST]
        try:
            validation_id = await self._services.setup.validate_mailboxes(visit.account.id, addresses_in(typed))
        except BadConfiguration as error:
            told = list(error.problems.values())
            more = [f"And {len(told) - MOST_TOLD} more like these."] if len(told) > MOST_TOLD else []
            several = {"addresses": typed, "problems": told[:MOST_TOLD] + more}
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, several=several)
        visit.deed.about(validation_id=validation_id)
        return RedirectResponse(
            f"/settings?validation={validation_id}#validation",
            status_code=HTTPStatus.SEE_OTHER,
            headers={"cache-control": "no-store"},
        )

    async def progress(self, visit: Visit) -> Response:
        """`GET /settings/mailboxes/validations/{id}`: how far they are, for the script."""
        found = await self._services.store.read(validation_view, visit.account.id, visit.path("id"))
        return self._renderer.page("_validation.html", visit=visit, bulk=found)


def addresses_in(text: str) -> list[str]:
    """Whatever has an @ in it, in order; a text without any is taken for one address, to be told what is wrong."""
    found = [one.rstrip(".") for one in ADDRESS.findall(text)]
    return found or ([text.strip()] if text.strip() else [])
