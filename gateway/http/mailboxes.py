"""`/v1/mailboxes`: where letters may come from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import quote

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.letters import AcceptedView, accepted_view
from gateway.http.paging import Page
from gateway.http.problem_types import ALREADY_EXISTS, MAILBOX_NOT_VALIDATED, NOT_CONNECTED, NOT_FOUND
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.setup.report import Check, Verdict
from storage import Transaction, mailboxes, outbox, validations
from storage.api_keys import Scope
from storage.mailboxes import Mailbox, MailboxState
from storage.validations import Item, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxView:
    """A mailbox, by its primary address. `problem` says why it was refused, and the cure. `aliases` are other addresses
    of it that were entered: no letter may name one of them as its sender.

    No letter leaves before `paused_until`, nor before `next_letter_at`: it has sent as much as it may for now.
    """

    address: str
    display_name: str | None
    state: MailboxState
    problem: dict[str, Any] | None
    paused_until: datetime | None
    next_letter_at: datetime | None
    validated_at: datetime | None
    created_at: datetime
    aliases: Sequence[str] = ()

    @classmethod
    def of(cls, mailbox: Mailbox, aliases: Sequence[str] = ()) -> Self:
        """As the API shows it."""
        return cls(
            address=mailbox.address,
            aliases=aliases,
            display_name=mailbox.display_name,
            state=mailbox.state,
            problem=mailbox.problem,
            paused_until=mailbox.paused_until,
            next_letter_at=mailbox.next_letter_at,
            validated_at=mailbox.validated_at,
            created_at=mailbox.created_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxReportView:
    """What validating a mailbox tried, in order, and how the mailbox stands now."""

    ok: bool
    checks: Sequence[Check]
    mailbox: MailboxView


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatedItem:
    """One address as it was entered, the mailbox that it led to, and what was tried. No outcome: its turn is to come.

    `undecided`: Microsoft 365 could not be asked, so that the mailbox is as it was.
    """

    address: str
    mailbox: str | None
    outcome: Outcome | None
    checks: Sequence[Check] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationView:
    """Many mailboxes being validated. It is kept for a week."""

    id: str
    finished: bool
    done: int
    total: int
    items: Sequence[ValidatedItem]
    created_at: datetime


def validation_view(tx: Transaction, account_id: str, validation_id: str) -> ValidationView:
    """How far it is. Raises `storage.NotFound`."""
    found = validations.get(tx, account_id, validation_id)
    names = {one.id: one.address for one in mailboxes.list_mailboxes(tx, account_id)}
    return ValidationView(
        id=found.id,
        finished=found.finished,
        done=sum(item.outcome is not None for item in found.items),
        total=len(found.items),
        items=[_item(item, names) for item in found.items],
        created_at=found.created_at,
    )


def _item(item: Item, names: Mapping[str, str]) -> ValidatedItem:
    return ValidatedItem(
        address=item.address,
        mailbox=None if item.mailbox_id is None else names.get(item.mailbox_id),
        outcome=item.outcome,
        checks=[Check(**{**check, "verdict": Verdict(check["verdict"])}) for check in item.checks],
    )


async def list_all(call: Call[schemas.Nothing]) -> Response:
    found = await call.services.store.read(_list, call.account_id)
    return json_response(Page(items=found, next=None))


def _list(tx: Transaction, account_id: str) -> list[MailboxView]:
    return [_shown(tx, one) for one in mailboxes.list_mailboxes(tx, account_id)]


def _shown(tx: Transaction, mailbox: Mailbox) -> MailboxView:
    return MailboxView.of(mailbox, mailboxes.aliases_of(tx, mailbox.id))


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await _view(call))


async def validate_many(call: Call[schemas.NewValidation]) -> Response:
    validation_id = await call.services.setup.validate_mailboxes(call.account_id, call.given.addresses)
    call.deed.about(validation_id=validation_id)
    view = await call.services.store.read(validation_view, call.account_id, validation_id)
    return json_response(view, HTTPStatus.ACCEPTED, {"location": f"/v1/mailboxes/validations/{validation_id}"})


async def show_validation(call: Call[schemas.Nothing]) -> Response:
    return json_response(await call.services.store.read(validation_view, call.account_id, call.path("id")))


async def add(call: Call[schemas.NewMailbox]) -> Response:
    mailbox = await call.services.setup.add_mailbox(call.account_id, call.given.address)
    call.deed.about(mailbox_id=mailbox.id)
    location = f"/v1/mailboxes/{quote(mailbox.address, safe='@')}"
    return json_response(MailboxView.of(mailbox), HTTPStatus.CREATED, {"location": location})


async def validate(call: Call[schemas.Nothing]) -> Response:
    report = await call.services.setup.validate_mailbox(call.account_id, call.path("address"))
    await _is_about_mailbox(call)
    return json_response(MailboxReportView(ok=report.ok, checks=report.checks, mailbox=await _view(call)))


async def send_test_message(call: Call[schemas.TestLetter]) -> Response:
    message_id = await call.services.setup.send_test_message(call.account_id, call.path("address"), call.given.to)
    await _is_about_mailbox(call)
    call.deed.about(message_id=message_id)
    letter = await call.services.store.read(outbox.get, call.account_id, message_id)
    view = accepted_view(letter, with_key=True)
    return json_response(view, HTTPStatus.ACCEPTED, {"location": f"/v1/messages/{message_id}"})


async def remove(call: Call[schemas.Nothing]) -> Response:
    await _is_about_mailbox(call)
    await call.services.setup.remove_mailbox(call.account_id, call.path("address"))
    return no_content()


async def _is_about_mailbox(call: Call[Any]) -> None:
    """For the audit log, which has the mailbox's id and not its address."""
    found = await call.services.store.read(mailbox_behind, call.account_id, call.path("address"))
    call.deed.about(mailbox_id=None if found is None else found.id)


async def _view(call: Call[Any]) -> MailboxView:
    return await call.services.store.read(_find, call.account_id, call.path("address"))


def _find(tx: Transaction, account_id: str, address: str) -> MailboxView:
    owner = mailbox_behind(tx, account_id, address)
    return _shown(tx, owner or mailboxes.get_by_address(tx, account_id, address))


def mailbox_behind(tx: Transaction, account_id: str, address: str) -> Mailbox | None:
    """By an alias too: a validation may just have found out that it is one."""
    return mailboxes.find(tx, account_id, address) or mailboxes.by_alias(tx, account_id, address)


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/mailboxes",
        scope=Scope.SETTINGS,
        summary="All mailboxes, by address",
        takes=schemas.Nothing,
        does=list_all,
        audit=unaudited(NO_MAIL),
        gives=Page[MailboxView],
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes",
        scope=Scope.SETTINGS,
        summary="Add a mailbox",
        takes=schemas.NewMailbox,
        does=add,
        audit=does("mailbox.add"),
        gives=MailboxView,
        status=HTTPStatus.CREATED,
        problems=(ALREADY_EXISTS,),
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes/validate",
        scope=Scope.SETTINGS,
        summary="Add and validate many mailboxes",
        name="post-mailboxes-validate-many",
        takes=schemas.NewValidation,
        does=validate_many,
        audit=does("mailbox.validate_many"),
        gives=ValidationView,
        status=HTTPStatus.ACCEPTED,
    ),
    Operation(
        method="GET",
        path="/v1/mailboxes/validations/{id}",
        scope=Scope.SETTINGS,
        summary="How far many mailboxes are",
        takes=schemas.Nothing,
        does=show_validation,
        audit=unaudited(NO_MAIL),
        gives=ValidationView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="GET",
        path="/v1/mailboxes/{address}",
        scope=Scope.SETTINGS,
        summary="One mailbox",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=MailboxView,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="DELETE",
        path="/v1/mailboxes/{address}",
        scope=Scope.SETTINGS,
        summary="Remove a mailbox; its threads stay",
        takes=schemas.Nothing,
        does=remove,
        audit=does("mailbox.remove"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND,),
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes/{address}/validate",
        scope=Scope.SETTINGS,
        summary="Prove that a mailbox can be used",
        takes=schemas.Nothing,
        does=validate,
        audit=does("mailbox.validate"),
        gives=MailboxReportView,
        problems=(NOT_FOUND, NOT_CONNECTED),
    ),
    Operation(
        method="POST",
        path="/v1/mailboxes/{address}/test-message",
        scope=Scope.SETTINGS,
        summary="Send a test letter from a mailbox",
        takes=schemas.TestLetter,
        does=send_test_message,
        audit=does("mailbox.test"),
        gives=AcceptedView,
        status=HTTPStatus.ACCEPTED,
        problems=(NOT_FOUND, MAILBOX_NOT_VALIDATED),
    ),
)
