"""The console page: what is flowing, what is stuck, why, and the button that helps. Usable without script."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Concatenate, Final

from starlette.responses import RedirectResponse, Response

from gateway.console import Console, acts
from gateway.console.stream import Act, Verdict
from gateway.host import webhooks
from gateway.http.console import read_console
from gateway.http.pages.guard import Handler, Visit
from gateway.http.pages.rendering import Renderer
from gateway.http.services import Services
from gateway.setup.self_test import Noticing
from gateway.threads.completeness import check_soon
from storage import Transaction
from subscriptions import ledger

PAGE: Final = "/settings/console"
Work = Callable[Concatenate[Transaction, ...], object]

SAID: Final[Mapping[str, str]] = {
    Act.CHECK_CONNECTION: "The connection is well.",
    Act.RESUME_OUTBOX: "Resumed: what waits is tried now.",
    Act.RESUME_MAILBOX: "Resumed: what waits is tried now.",
    Act.PULL: "The mailbox is being read.",
    Act.LOOK_AGAIN: "The mail is being looked at again.",
    Act.ROUND_TRIP: "The mailbox has written to itself, and the letter is followed.",
    Act.REPAIR: "The subscriptions are compared with Microsoft 365, and what differs is mended.",
    Act.ENABLE_WEBHOOK: "What waits is being delivered.",
    Act.REDELIVER: "The events are being delivered again.",
    Act.CHECK_COMPLETENESS: "The mailboxes are compared with Microsoft 365. That may take minutes.",
}
WORDS: Final = {
    Verdict.STUCK: "Stuck",
    Verdict.SLOW: "Look at this",
    Verdict.FLOWING: "Flowing",
    Verdict.OFF: "Not in use",
}
TONES: Final = {Verdict.STUCK: "bad", Verdict.SLOW: "warn", Verdict.FLOWING: "good", Verdict.OFF: "quiet"}
ICONS: Final = {Verdict.STUCK: "fail", Verdict.SLOW: "warn", Verdict.FLOWING: "ok", Verdict.OFF: "off"}


class ConsolePage:
    """`/settings/console` and what its buttons do. It needs the file to be read, and nothing else."""

    def __init__(self, services: Services, renderer: Renderer) -> None:
        self._services = services
        self._renderer = renderer
        settings = services.settings
        self._noticing = Noticing(is_live=settings.public_url is not None, sweeps=settings.sweep_interval)

    async def show(self, visit: Visit) -> Response:
        """`GET /settings/console`."""
        return await self._page(visit, said=SAID.get(visit.request.query_params.get("said", "")))

    async def streams(self, visit: Visit) -> Response:
        """`GET …/streams`: how everything stands now, for the script."""
        return self._render(visit, "_streams.html", await self._read(visit))

    async def check_connection(self, visit: Visit) -> Response:
        """`POST …/check`: what is found wanting stands on the page that comes back."""
        report = await self._services.setup.check(visit.account.id)
        return _back(Act.CHECK_CONNECTION) if report.ok else await self._page(visit, report=report)

    async def resume_outbox(self, visit: Visit) -> Response:
        """`POST …/outbox/resume`."""
        await visit.deed.write(acts.resume_outbox, visit.account.id, now=visit.now)
        return _back(Act.RESUME_OUTBOX)

    async def repair(self, visit: Visit) -> Response:
        """`POST …/subscriptions/repair`."""
        await visit.deed.write(ledger.hurry, visit.account.id, visit.now)
        return _back(Act.REPAIR)

    async def check_completeness(self, visit: Visit) -> Response:
        """`POST …/completeness`."""
        await visit.deed.write(check_soon, visit.account.id, visit.now)
        return _back(Act.CHECK_COMPLETENESS)

    async def round_trip(self, visit: Visit) -> Response:
        """`POST …/mailboxes/round-trip`."""
        visit.deed.about(mailbox_id=visit.form.get("id", ""))
        await visit.deed.write_and(
            lambda trip: {"message_id": trip.message_id},
            acts.try_round_trip,
            visit.account.id,
            visit.form.get("id", ""),
            noticing=self._noticing,
            now=visit.now,
        )
        return _back(Act.ROUND_TRIP)

    def doing(self, act: Act) -> Handler:
        """`POST …/` the rest: one transaction about the thing that the form names."""
        what, work = OF_ONE[act]

        async def handler(visit: Visit) -> Response:
            named = visit.form.get("id", "")
            visit.deed.about(**{what: named})
            await visit.deed.write(work, visit.account.id, named, now=visit.now)
            return _back(act)

        return handler

    async def again(self, visit: Visit) -> Response:
        """A form's address, opened as if it were a page."""
        return _back()

    async def _read(self, visit: Visit) -> Console:
        return await read_console(self._services, visit.account.id)

    async def _page(self, visit: Visit, **shown: Any) -> Response:
        context: dict[str, Any] = {"said": None, "report": None}
        return self._render(visit, "console.html", await self._read(visit), **(context | shown))

    def _render(self, visit: Visit, template: str, console: Console, **shown: Any) -> Response:
        return self._renderer.page(
            template, visit=visit, console=console, words=WORDS, tones=TONES, icons=ICONS, at=PAGE, **shown
        )


OF_ONE: Final[Mapping[Act, tuple[str, Work]]] = {
    Act.RESUME_MAILBOX: ("mailbox_id", acts.resume_mailbox),
    Act.PULL: ("mailbox_id", acts.pull),
    Act.LOOK_AGAIN: ("mailbox_id", acts.look_again),
    Act.ENABLE_WEBHOOK: ("webhook_id", webhooks.enable),
    Act.REDELIVER: ("webhook_id", acts.redeliver),
}


def _back(said: Act | None = None) -> Response:
    return RedirectResponse(
        PAGE if said is None else f"{PAGE}?said={said}",
        status_code=HTTPStatus.SEE_OTHER,
        headers={"cache-control": "no-store"},
    )
