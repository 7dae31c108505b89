"""The credentials on the settings page: a new one tried and put in the place of the old, without a stop."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from http import HTTPStatus
from typing import Any, Final, Protocol

from starlette.responses import RedirectResponse, Response

import storage
from gateway.connections import NotConnected
from gateway.graph import TokenError
from gateway.http.pages.account_form import NOT_A_DATE
from gateway.http.pages.errors import no_such_page
from gateway.http.pages.guard import Visit
from gateway.http.services import Services
from gateway.setup.account import BadConfiguration
from gateway.setup.answers import explain
from gateway.setup.rotation import AssertionFile, CredentialNotTaken, Offer, Secret
from gateway.setup.values import start_of_day
from storage import credentials
from storage.credentials import Credential, CredentialKind

SAID: Final[Mapping[str, str]] = {
    "rotated": "Entra accepts the new credential. It serves from now on; the one before stands by.",
    "certificate": "The certificate is made. Upload it to the app in Entra, then try it.",
    "forgotten": "The credential is forgotten.",
}


class ShowPage(Protocol):
    """Shows the settings page, with what a form of it came to."""

    async def __call__(self, visit: Visit, *, status: HTTPStatus = ..., **shown: Any) -> Response: ...


class CredentialForms:
    """What the forms about credentials do."""

    def __init__(self, services: Services, page: ShowPage) -> None:
        self._services = services
        self._page = page

    async def add(self, visit: Visit) -> Response:
        """`POST /settings/credentials`: by its kind, a secret or an assertion's file that is tried at once."""
        rotation, form = self._services.setup.rotation, visit.form
        if form.get("kind") == CredentialKind.CERTIFICATE:
            await rotation.make_certificate(visit.account.id)
            return _back("certificate")
        offer, problem = _offer(form, visit.account.time_zone)
        if offer is None:
            return await self._again(visit, {"new_expires_at": problem or ""})
        return await self._rotated(visit, lambda: rotation.add(visit.account.id, offer))

    async def try_pending(self, visit: Visit) -> Response:
        """`POST /settings/credentials/try`."""
        credential_id, rotation = visit.form.get("id", ""), self._services.setup.rotation
        return await self._rotated(visit, lambda: rotation.try_pending(visit.account.id, credential_id))

    async def remove(self, visit: Visit) -> Response:
        """`POST /settings/credentials/remove`."""
        try:
            await self._services.setup.rotation.remove(visit.account.id, visit.form.get("id", ""))
        except storage.Conflict as error:
            return await self._again(visit, {"": str(error)})
        return _back("forgotten")

    async def certificate(self, visit: Visit) -> Response:
        """`GET /settings/credentials/{id}/certificate`: the public part, as a file."""
        found = await self._services.store.read(credentials.get, visit.account.id, visit.path("id"))
        if found.kind is not CredentialKind.CERTIFICATE or found.public_part is None:
            raise no_such_page()
        headers = {
            "content-disposition": 'attachment; filename="selma-gateway.cer"',
            "cache-control": "no-store",
        }
        return Response(found.public_part, media_type="application/x-pem-file", headers=headers)

    async def _rotated(self, visit: Visit, rotate: Callable[[], Awaitable[Credential]]) -> Response:
        try:
            await rotate()
        except BadConfiguration as error:
            return await self._again(visit, {FIELD_OF.get(name, ""): text for name, text in error.problems.items()})
        except (CredentialNotTaken, NotConnected, storage.Conflict) as error:
            return await self._again(visit, {"": str(error)})
        except TokenError as error:
            plainly = explain(error)
            return await self._again(visit, {"": f"{plainly.found} {plainly.cure} Nothing was stored."})
        return _back("rotated")

    async def _again(self, visit: Visit, problems: Mapping[str, str]) -> Response:
        """The page with what is wrong, and with what was typed except the secret."""
        typed = {name: visit.form.get(name, "") for name in ("new_expires_at", "assertion_file")}
        status = HTTPStatus.UNPROCESSABLE_ENTITY
        return await self._page(visit, status=status, rotation={"problems": problems, **typed})


FIELD_OF: Final[Mapping[str, str]] = {
    "client_secret": "new_secret",
    "expires_at": "new_expires_at",
    "assertion_file": "assertion_file",
}


def _offer(form: Mapping[str, str], time_zone: str) -> tuple[Offer | None, str | None]:
    """What was typed, or what is wrong with the date."""
    if form.get("kind") == CredentialKind.FEDERATED:
        return AssertionFile(form.get("assertion_file", "")), None
    text = form.get("new_expires_at", "").strip()
    try:
        ends = start_of_day(date.fromisoformat(text), time_zone) if text else None
    except (ValueError, OverflowError):
        return None, NOT_A_DATE
    return Secret(value=form.get("new_secret", ""), expires_at=ends), None


def _back(said: str) -> Response:
    return RedirectResponse(
        f"/settings?said={said}#account", status_code=HTTPStatus.SEE_OTHER, headers={"cache-control": "no-store"}
    )
