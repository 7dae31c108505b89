"""`/v1/keys`: the API keys of the account. A key is shown once, when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from http import HTTPStatus
from typing import Final

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, does, unaudited
from gateway.http.paging import Page
from gateway.http.problem_types import MORE_THAN_ITS_MAKER, NOT_FOUND
from gateway.http.problems import BadValue, Problem
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.setup import keys
from gateway.setup.keys import NewKey
from storage import Transaction, api_keys
from storage.api_keys import ApiKey, Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """An API key. `hint` is how it begins; `last_used_at` is known to the minute.

    `mailboxes` and `networks` are what it is held to, null where it is not. It is refused from `revoked_at` on, and
    from `expires_at` on.
    """

    id: str
    name: str
    hint: str
    scopes: Sequence[Scope]
    mailboxes: Sequence[str] | None
    networks: Sequence[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKeyView(KeyView):
    """A key that was made just now. `key` is what goes behind `Bearer`: keep it, it is not shown again."""

    key: str


def key_view(tx: Transaction, key: ApiKey) -> KeyView:
    """As the API shows it."""
    return KeyView(
        id=key.id,
        name=key.name,
        hint=key.hint,
        scopes=sorted(key.scopes),
        mailboxes=keys.addresses_of(tx, key),
        networks=None if key.networks is None else [str(one) for one in key.networks],
        created_at=key.created_at,
        expires_at=key.expires_at,
        revoked_at=key.revoked_at,
        last_used_at=key.last_used_at,
    )


async def list_all(call: Call[schemas.Nothing]) -> Response:
    return json_response(Page(items=await call.services.store.read(_views, call.account_id), next=None))


def _views(tx: Transaction, account_id: str) -> list[KeyView]:
    return [key_view(tx, one) for one in api_keys.list_keys(tx, account_id)]


async def create(call: Call[schemas.NewKey]) -> Response:
    given = call.given
    wanted = NewKey(
        name=given.name,
        scopes=frozenset(given.scopes),
        mailboxes=None if given.mailboxes is None else tuple(given.mailboxes),
        networks=None if given.networks is None else tuple(given.networks),
        expires_at=given.expires_at,
    )
    if more := keys.more_than(call.key, wanted):
        errors = [BadValue(pointer=f"/{name}", detail=detail) for name, detail in more.items()]
        raise Problem(MORE_THAN_ITS_MAKER, "The new key would be able to do more; see errors.", errors=errors)
    value = api_keys.new_value()
    view = await call.deed.write_and(lambda made: {"key_id": made.id}, _create, call, wanted, value)
    return json_response(view, HTTPStatus.CREATED, {"location": "/v1/keys"})


def _create(tx: Transaction, call: Call[schemas.NewKey], wanted: NewKey, value: str) -> NewKeyView:
    key = keys.create(tx, call.account_id, wanted, value=value, now=call.now)
    view = key_view(tx, key)
    return NewKeyView(**{field.name: getattr(view, field.name) for field in fields(view)}, key=value)


async def revoke(call: Call[schemas.Nothing]) -> Response:
    await call.deed.write(api_keys.revoke, call.account_id, call.path("id"), now=call.now)
    return no_content()


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/keys",
        scope=Scope.SETTINGS,
        summary="The API keys, oldest first, revoked ones too",
        takes=schemas.Nothing,
        does=list_all,
        audit=unaudited(NO_MAIL),
        gives=Page[KeyView],
    ),
    Operation(
        method="POST",
        path="/v1/keys",
        scope=Scope.SETTINGS,
        summary="Make an API key, which may do what the key that makes it may, or less",
        takes=schemas.NewKey,
        does=create,
        audit=does("key.create"),
        gives=NewKeyView,
        status=HTTPStatus.CREATED,
        problems=(MORE_THAN_ITS_MAKER,),
    ),
    Operation(
        method="DELETE",
        path="/v1/keys/{id}",
        scope=Scope.SETTINGS,
        summary="Revoke an API key: it is refused from now on",
        takes=schemas.Nothing,
        does=revoke,
        audit=does("key.revoke", id="key_id"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND,),
    ),
)
