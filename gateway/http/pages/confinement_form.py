"""Least privilege on the settings page: a mailbox that must be refused is tried."""

from http import HTTPStatus
from typing import Final

from starlette.responses import RedirectResponse, Response

import storage
from gateway.connections import NotConnected
from gateway.http.pages.credential_forms import ShowPage
from gateway.http.pages.guard import Visit
from gateway.http.services import Services
from gateway.setup.account import BadConfiguration

LONGEST_ADDRESS: Final = 320


class ConfinementForm:
    """What the form does."""

    def __init__(self, services: Services, page: ShowPage) -> None:
        self._services = services
        self._page = page

    async def prove(self, visit: Visit) -> Response:
        """`POST /settings/least-privilege`."""
        address = visit.form.get("kept_out", "").strip()[:LONGEST_ADDRESS]
        try:
            await self._services.setup.confinement.prove(visit.account.id, address)
        except BadConfiguration as error:
            problem = " ".join(error.problems.values())
        except (storage.Conflict, NotConnected) as error:
            problem = str(error)
        else:
            headers = {"cache-control": "no-store"}
            return RedirectResponse("/settings#least-privilege", status_code=HTTPStatus.SEE_OTHER, headers=headers)
        typed = {"address": address, "problem": problem}
        return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, confinement=typed)
