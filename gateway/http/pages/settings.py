"""The settings page, along the stages of the guide: Account-Level Configuration, Check Connection, Mailbox Set-up,
test email. Every form works without script: it is sent, the work is done, and the page comes back.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from starlette.responses import RedirectResponse, Response

import storage
from gateway.connections import NotConnected
from gateway.graph import GraphError, TokenError
from gateway.http.mailboxes import validation_view
from gateway.http.pages import credential_forms
from gateway.http.pages.account_form import CLOUDS, FIELDS, AccountForm, read_form, time_zones
from gateway.http.pages.confinement_form import ConfinementForm
from gateway.http.pages.credential_forms import CredentialForms
from gateway.http.pages.errors import no_such_page
from gateway.http.pages.guard import Visit
from gateway.http.pages.rendering import Renderer
from gateway.http.pages.round_trip_view import TITLES, read_part_of
from gateway.http.pages.settings_view import read_mailbox, read_settings, read_test_letter
from gateway.http.pages.several_form import SeveralForm
from gateway.http.services import Services
from gateway.sending.posted import LetterRefused
from gateway.setup.account import BadConfiguration
from gateway.setup.answers import explain
from gateway.setup.snooze import snooze
from gateway.setup.values import address_problem
from gateway.setup.wishes import wish
from gateway.threads.completeness import check_soon
from storage import credentials, mailboxes
from storage.mailboxes import MailboxState

SAID: Final[Mapping[str, str]] = {
    "account": "Saved. Now check the connection.",
    "mailbox": "The mailbox is validated: letters can be sent from it.",
    "completeness": "The mailboxes are compared with Microsoft 365. What is found stands with each of them.",
    "round-trip": "The mailbox has written to itself. Its stations stand with it.",
    "wishes": "Saved.",
    "snooze": "The warning is put off until the next one.",
    "removed": "The mailbox was removed. Its threads stay where they are.",
    **credential_forms.SAID,
}
LONGEST_ADDRESS: Final = 320


class Settings:
    """`/settings` and what its forms do. `credentials`, `confinement` and `several` have their own."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer
        self._time_zones = time_zones()
        self.credentials = CredentialForms(services, self._page)
        self.confinement = ConfinementForm(services, self._page)
        self.several = SeveralForm(services, renderer, self._page)
        self._watch: dict[str, Any] = {
            "public": services.settings.public_url is not None,
            "sweeps": services.settings.sweep_interval,
            "rich": services.settings.rich_notifications,
        }

    async def show(self, visit: Visit) -> Response:
        """`GET /settings`."""
        query = visit.request.query_params
        test = None
        if query.get("test"):
            test = await self._services.store.read(read_test_letter, visit.account.id, query["test"])
        bulk = None
        if query.get("validation"):
            bulk = await self._services.store.read(validation_view, visit.account.id, query["validation"])
        return await self._page(visit, said=SAID.get(query.get("said", "")), test=test, bulk=bulk)

    async def save_account(self, visit: Visit) -> Response:
        """`POST /settings/account`."""
        stored = await self._services.store.read(credentials.newest, visit.account.id)
        configuration, problems = read_form(visit.form, visit.account, stored, visit.now)
        if not problems:
            try:
                await self._services.setup.configure_account(visit.account.id, configuration)
            except BadConfiguration as error:
                problems = error.problems
        if problems:
            form = AccountForm.typed(visit.form, problems)
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, form=form)
        return _back("connection", said="account")

    async def check(self, visit: Visit) -> Response:
        """`POST /settings/check`."""
        report = await self._services.setup.check(visit.account.id)
        return await self._page(visit, report=report)

    async def add_mailbox(self, visit: Visit) -> Response:
        """`POST /settings/mailboxes`: add, and validate at once."""
        address = visit.form.get("address", "").strip()[:LONGEST_ADDRESS]
        problem = address_problem(address)
        if problem is None:
            try:
                added = await self._services.setup.add_mailbox(visit.account.id, address)
                visit.deed.about(mailbox_id=added.id)
            except storage.AlreadyExists:
                problem = f"{address} is in the list already. Use its button to validate it again."
        if problem is not None:
            typed = {"address": address, "problem": problem}
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, new_mailbox=typed)
        return await self._validate(visit, address)

    async def validate_mailbox(self, visit: Visit) -> Response:
        """`POST /settings/mailboxes/validate`."""
        return await self._validate(visit, visit.form.get("address", ""))

    async def remove_mailbox(self, visit: Visit) -> Response:
        """`POST /settings/mailboxes/remove`."""
        await self._is_about_mailbox(visit, visit.form.get("address", ""))
        await self._services.setup.remove_mailbox(visit.account.id, visit.form.get("address", ""))
        return _back("mailboxes", said="removed")

    async def check_completeness(self, visit: Visit) -> Response:
        """`POST /settings/completeness`: it may take minutes, so the page comes back at once and says how far it is."""
        await visit.deed.write(check_soon, visit.account.id, visit.now)
        return _back("mailboxes", said="completeness")

    async def send_test(self, visit: Visit) -> Response:
        """`POST /settings/test-message`: without an address the mailbox writes to itself."""
        mailbox = visit.form.get("mailbox", "")
        to = visit.form.get("to", "").strip()[:LONGEST_ADDRESS]
        problems = {"to": address_problem(to) if to else None, "mailbox": None if mailbox else "Choose a mailbox."}
        if not any(problems.values()):
            try:
                message_id = await self._services.setup.send_test_message(visit.account.id, mailbox, to or mailbox)
            except (storage.NotFound, LetterRefused) as error:
                problems["mailbox"] = str(error)
            else:
                visit.deed.about(message_id=message_id)
                return _back("test", test=message_id)
        typed = {"mailbox": mailbox, "to": to, "problems": problems}
        return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, new_test=typed)

    async def round_trip(self, visit: Visit) -> Response:
        """`POST /settings/mailboxes/round-trip`: the mailbox writes to itself, and the page follows it."""
        try:
            trip = await self._services.setup.start_round_trip(visit.account.id, visit.form.get("address", ""), None)
        except (storage.NotFound, LetterRefused) as error:
            trouble = {"found": str(error), "cure": None}
            validation = {"address": visit.form.get("address", ""), "report": None, "trouble": trouble}
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, validation=validation)
        visit.deed.about(mailbox_id=trip.mailbox_id, message_id=trip.message_id)
        return _back("mailboxes", said="round-trip")

    async def round_trip_progress(self, visit: Visit) -> Response:
        """`GET /settings/mailboxes/{id}/round-trip`: how far it is, for the script."""
        part = await self._services.store.read(read_part_of, visit.account.id, visit.path("id"), visit.now)
        if part is None:
            raise no_such_page()
        return self._renderer.page("_round_trip.html", visit=visit, part=part, titles=TITLES)

    async def wish(self, visit: Visit) -> Response:
        """`POST /settings/wishes`: who is warned, and whether mailboxes write to themselves."""
        address = visit.form.get("alert_address", "").strip()[:LONGEST_ADDRESS]
        tests = "self_test" in visit.form
        try:
            await visit.deed.write(wish, visit.account.id, self_test=tests, alert_address=address)
        except BadConfiguration as error:
            wishes = {"alert_address": address, "problem": error.problems["alert_address"]}
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, wishes=wishes)
        return _back("wishes", said="wishes")

    async def snooze(self, visit: Visit) -> Response:
        """`POST /settings/snooze`: the warning comes back with the next step of the countdown."""
        reason = visit.form.get("reason", "")
        try:
            await self._services.store.write(snooze, visit.account.id, reason, by=visit.deed.actor, now=visit.now)
        except (BadConfiguration, storage.Conflict) as error:
            snoozing = {"reason": reason[:300], "problem": str(error)}
            return await self._page(visit, status=HTTPStatus.UNPROCESSABLE_ENTITY, snoozing=snoozing)
        return _back("main", said="snooze")

    async def watching(self, visit: Visit) -> Response:
        """`GET /settings/mailboxes/{id}/watching`: how it is watched now, for the script."""
        store, mailbox_id = self._services.store, visit.path("id")
        view = await store.read(read_mailbox, visit.account.id, mailbox_id, now=visit.now, **self._watch)
        if view is None:
            raise no_such_page()
        return self._renderer.page("_watching.html", visit=visit, view=view)

    async def test_status(self, visit: Visit) -> Response:
        """`GET /settings/test-message/{id}`: how far the test email has come, for the script."""
        test = await self._services.store.read(read_test_letter, visit.account.id, visit.path("id"))
        return self._renderer.page("_test_letter.html", visit=visit, test=test)

    async def again(self, visit: Visit) -> Response:
        """A form's address, opened as if it were a page."""
        return _back(visit.request.url.path.rpartition("/")[2])

    async def _is_about_mailbox(self, visit: Visit, address: str) -> None:
        """For the audit log, which has the mailbox's id and not its address."""
        found = await self._services.store.read(mailboxes.find, visit.account.id, address)
        visit.deed.about(mailbox_id=None if found is None else found.id)

    async def _validate(self, visit: Visit, address: str) -> Response:
        """A refusal is stored with the mailbox; anything else that is not plain success is shown this once."""
        trouble, report = None, None
        await self._is_about_mailbox(visit, address)
        try:
            report = await self._services.setup.validate_mailbox(visit.account.id, address)
        except NotConnected as error:
            trouble = {"found": str(error), "cure": None}
        except (GraphError, TokenError) as error:
            plainly = explain(error)
            trouble = {"found": plainly.found, "cure": plainly.cure}
        if report is not None and all(check.verdict == "ok" for check in report.checks):
            return _back("mailboxes", said="mailbox")
        outcome = {"address": address, "report": report, "trouble": trouble}
        return await self._page(visit, validation=outcome)

    async def _page(self, visit: Visit, *, status: HTTPStatus = HTTPStatus.OK, **shown: Any) -> Response:
        allowance = self._services.settings.rules.allowance
        view = await self._services.store.read(
            read_settings, visit.account.id, allowance=allowance, now=visit.now, **self._watch
        )
        context: dict[str, Any] = {
            "form": AccountForm.of(view.account, view.credential),
            "said": None,
            "report": None,
            "validation": None,
            "new_mailbox": {"address": "", "problem": None},
            "new_test": {"mailbox": "", "to": "", "problems": {}},
            "test": None,
            "confinement": {"address": "", "problem": None},
            "rotation": {"problems": {}, "new_expires_at": "", "assertion_file": ""},
            "bulk": None,
            "snoozing": {"reason": "", "problem": None},
            "wishes": {"alert_address": view.wished.alert_address or "", "problem": None},
            "several": {"addresses": "", "problems": []},
        }
        return self._renderer.page(
            "settings.html",
            status=status,
            visit=visit,
            view=view,
            states=MailboxState,
            titles=TITLES,
            clouds=CLOUDS,
            fields=FIELDS,
            time_zones=self._time_zones,
            **(context | shown),
        )


def _back(section: str, **query: str) -> Response:
    parts = "&".join(f"{name}={value}" for name, value in query.items())
    return RedirectResponse(
        f"/settings{'?' if parts else ''}{parts}#{section}",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"cache-control": "no-store"},
    )
