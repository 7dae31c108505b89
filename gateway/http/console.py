"""`/v1/status`: what is flowing, what is stuck, why, and what helps, for programs."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from starlette.responses import Response

from gateway.console import Console, judge
from gateway.console.process import look_around
from gateway.console.snapshot import read_snapshot
from gateway.http import schemas
from gateway.http.auditing import NO_MAIL, unaudited
from gateway.http.routing import Call, Operation, json_response
from gateway.http.services import Services
from gateway.readiness import Part
from storage.api_keys import Scope

PATIENCE: Final = timedelta(seconds=2)  # with a disk that does not answer


async def read_console(services: Services, account_id: str) -> Console:
    """How everything stands now. What cannot be written, and who cannot be reached, keeps nothing from being read."""
    now, settings = services.clock.now(), services.settings
    snapshot = await services.store.read(read_snapshot, account_id, settings=settings, now=now)
    parts = await _parts(services)
    place = look_around(
        settings,
        parts,
        alive_at=snapshot.alive_at,
        running_since=services.running_since,
        room=services.space.room(),
        backups=services.backups(),
        now=now,
    )
    return judge(snapshot, place)


async def _parts(services: Services) -> Sequence[Part]:
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            return (await services.readiness.readiness()).parts
    except TimeoutError:
        waited = f"The database did not answer within {PATIENCE.total_seconds():.0f} seconds."
        return [Part(name="store", ok=False, detail=waited)]


async def show(call: Call[schemas.Nothing]) -> Response:
    return json_response(await read_console(call.services, call.account_id))


OPERATIONS: Final = (
    Operation(
        method="GET",
        path="/v1/status",
        scope=Scope.SETTINGS,
        summary="What is flowing, what is stuck, why, and what helps",
        takes=schemas.Nothing,
        does=show,
        audit=unaudited(NO_MAIL),
        gives=Console,
    ),
)
