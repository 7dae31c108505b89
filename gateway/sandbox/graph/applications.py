"""App registrations: `/applications(appId='…')`, as far as the end of a secret needs it."""

from datetime import timedelta
from typing import Final

from gateway.sandbox.clock import timestamp
from gateway.sandbox.graph import errors, odata
from gateway.sandbox.graph.exchange import Call, Response, Route

ROLES: Final = frozenset({"Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy"})
HINT: Final = 3
_KNOWN: Final = ("id", "appId", "displayName", "passwordCredentials")


async def get_application(call: Call) -> Response:
    """Secrets without their values (https://learn.microsoft.com/graph/api/resources/passwordcredential)."""
    reference = call.params["app"]
    app = call.world.directory.apps.get(reference.lower())
    if app is None:
        raise errors.no_such_user(reference)
    select = odata.select(call.request.query, known=_KNOWN, type_name="application")
    whole = {
        "id": app.object_id,
        "appId": app.app_id,
        "displayName": app.display_name,
        "passwordCredentials": [
            {
                "customKeyIdentifier": None,
                "displayName": "SELMA",
                "endDateTime": timestamp(one.end_date_time),
                "hint": one.value[:HINT],
                "keyId": one.key_id,
                "secretText": None,
                "startDateTime": timestamp(one.end_date_time - timedelta(days=180)),
            }
            for one in app.secrets
        ],
    }
    shown = {name: value for name, value in whole.items() if select is None or name in select}
    return Response(status=200, json={"@odata.context": call.context("applications/$entity"), **shown})


ROUTES: Final = (
    Route(method="GET", path="/applications/{app}", handler=get_application, roles=ROLES, is_directory=True),
)
