"""`/v1/account/snooze`: the warning of a credential that ends, put off until the next one."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final, Self

from starlette.responses import Response

from gateway.http import schemas
from gateway.http.actors import actor_of
from gateway.http.auditing import records_itself
from gateway.http.problem_types import CONFLICT
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.setup.snooze import snooze, wake
from storage.api_keys import Scope
from storage.snoozes import Snooze


@dataclass(frozen=True, slots=True, kw_only=True)
class SnoozeView:
    """A warning that was put off: until when, why, by whom."""

    until: datetime
    reason: str
    by: str
    created_at: datetime

    @classmethod
    def of(cls, found: Snooze) -> Self:
        """As the API shows it."""
        return cls(until=found.until, reason=found.reason, by=found.snoozed_by, created_at=found.created_at)


async def put_off(call: Call[schemas.NewSnooze]) -> Response:
    given, by = call.given, actor_of(call, call.given.by)
    found = await call.services.store.write(
        snooze, call.account_id, given.reason, until=given.until, by=by, now=call.now
    )
    return json_response(SnoozeView.of(found))


async def end(call: Call[schemas.StaffQuery]) -> Response:
    await call.services.store.write(wake, call.account_id, by=actor_of(call, call.given.by), now=call.now)
    return no_content()


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/account/snooze",
        scope=Scope.SETTINGS,
        summary="Put the warning of a credential that ends off, until the next one",
        takes=schemas.NewSnooze,
        does=put_off,
        audit=records_itself("expiry.snooze"),
        gives=SnoozeView,
        problems=(CONFLICT,),
    ),
    Operation(
        method="DELETE",
        path="/v1/account/snooze",
        scope=Scope.SETTINGS,
        summary="Say a warning that was put off again",
        takes=schemas.StaffQuery,
        does=end,
        audit=records_itself("expiry.wake"),
        status=HTTPStatus.NO_CONTENT,
    ),
)
