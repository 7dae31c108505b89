"""Users: `/users` and `/users/{id | userPrincipalName}`."""

import re
from typing import Final

from gateway.sandbox.graph import entities, errors, odata
from gateway.sandbox.graph.exchange import Call, Response, Route
from gateway.sandbox.model import User

READ_BASIC: Final = "User.ReadBasic.All"
LOOK_UP: Final = frozenset({READ_BASIC, "User.Read.All", "User.ReadWrite.All", "Directory.Read.All"})
_EQUALS: Final = re.compile(r"(mail|userPrincipalName|id)\s+eq\s+'((?:[^']|'')*)'", re.I)
_HAS: Final = re.compile(r"proxyAddresses/any\((\w+):\s*\1\s+eq\s+'((?:[^']|'')*)'\)", re.I)


async def get_user(call: Call) -> Response:
    select = _select(call)
    reference = call.params["user"]
    found = call.world.directory.find(reference)
    if found is None:
        raise errors.no_such_user(reference)
    shown = "" if select is None else f"({','.join(sorted(select))})"
    context = call.context(f"users{shown}/$entity")
    return Response(status=200, json={"@odata.context": context, **entities.user(found, select=select)})


async def list_users(call: Call) -> Response:
    query = call.request.query
    odata.refuse_others(query, ("$select", "$top", "$filter", "$skip"))
    select = _select(call)
    found = sorted(call.world.directory.users(), key=lambda user: user.display_name)
    if "$filter" in query:
        if _HAS.fullmatch(query["$filter"].strip()) and not _sees_whole_profiles(call):
            # Others report an empty list: a filter passes over what may not be read. UNCONFIRMED.
            raise errors.insufficient_privileges()
        found = [user for user in found if _holds(user, query["$filter"])]
    items, next_link = odata.page(call, found, default=call.world.behaviour.user_page_size, most=999)
    shown = "" if select is None else f"({','.join(sorted(select))})"
    value = [entities.user(user, select=select) for user in items]
    return Response(status=200, json=odata.collection(call.context(f"users{shown}"), value, next_link))


async def list_deleted(call: Call) -> Response:
    """Source: https://learn.microsoft.com/graph/api/directory-deleteditems-list"""
    query = call.request.query
    odata.refuse_others(query, ("$select", "$top", "$skip"))
    select = odata.select(query, known=entities.WHOLE_PROFILE, type_name="user")
    found = sorted(call.world.directory.deleted.values(), key=lambda user: user.id)
    items, next_link = odata.page(call, found, default=call.world.behaviour.user_page_size, most=999)
    value = [entities.user(user, select=select) for user in items]
    return Response(status=200, json=odata.collection(call.context("users"), value, next_link))


def _sees_whole_profiles(call: Call) -> bool:
    return bool(call.roles & (LOOK_UP - {READ_BASIC}))


def _select(call: Call) -> frozenset[str] | None:
    """What is selected, if the app may see it: User.ReadBasic.All shows the basic profile only."""
    sees_whole_profiles = _sees_whole_profiles(call)
    if not sees_whole_profiles and not call.world.behaviour.read_basic_may_look_up:
        raise errors.insufficient_privileges()
    select = odata.select(call.request.query, known=entities.WHOLE_PROFILE, type_name="user")
    if select is not None and not select <= set(entities.BASIC_PROFILE) and not sees_whole_profiles:
        raise errors.insufficient_privileges()
    return select


def _holds(user: User, text: str) -> bool:
    has = _HAS.fullmatch(text.strip())
    if has is not None:
        wanted = has.group(2).replace("''", "'").lower()
        return wanted in {f"smtp:{address}".lower() for address in (user.mail, *user.aliases)}
    match = _EQUALS.fullmatch(text.strip())
    if match is None:
        raise errors.bad_request("Unsupported or invalid query filter clause specified.", "Request_UnsupportedQuery")
    name, value = match.group(1).lower(), match.group(2).replace("''", "'").lower()
    own = {"mail": user.mail, "userprincipalname": user.user_principal_name, "id": user.id}[name]
    return own.lower() == value


DELETED: Final = frozenset({"User.Read.All", "User.ReadWrite.All", "Directory.Read.All"})
ROUTES: Final = (
    Route(
        method="GET",
        path="/directory/deletedItems/user",
        handler=list_deleted,
        roles=DELETED,
        is_directory=True,
    ),
    Route(method="GET", path="/users", handler=list_users, roles=LOOK_UP, is_directory=True),
    Route(method="GET", path="/users/{user}", handler=get_user, roles=LOOK_UP, is_directory=True),
)
