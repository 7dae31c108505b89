"""Mail folders."""

from typing import Final

from gateway.sandbox.graph import entities, odata
from gateway.sandbox.graph.exchange import Call, Response, Route

READ: Final = frozenset({"Mail.Read", "Mail.ReadWrite"})
WRITE: Final = frozenset({"Mail.ReadWrite"})


async def list_folders(call: Call) -> Response:
    mailbox = call.mailbox()
    parent = call.folder().id if "folder" in call.params else None
    select = _select(call)
    folders = mailbox.folders(parent)
    items, next_link = odata.page(call, folders, default=10)
    value = [entities.folder(each, mailbox, select=select) for each in items]
    return Response(status=200, json=odata.collection(_context(call, select), value, next_link))


async def get_folder(call: Call) -> Response:
    select = _select(call)
    mailbox, folder = call.mailbox(), call.folder()
    context = f"{_context(call, select)}/$entity"
    return Response(status=200, json={"@odata.context": context, **entities.folder(folder, mailbox, select=select)})


async def create_folder(call: Call) -> Response:
    mailbox = call.mailbox()
    parent = call.folder().id if "folder" in call.params else None
    folder = mailbox.add_folder(str(call.json().get("displayName", "")), parent_folder_id=parent)
    return Response(
        status=201, json={"@odata.context": f"{_context(call, None)}/$entity", **entities.folder(folder, mailbox)}
    )


def _select(call: Call) -> frozenset[str] | None:
    odata.refuse_others(call.request.query, ("$select", "$top", "$skip", "$count"))
    return odata.select(call.request.query, known=entities.FOLDER_PROPERTIES, type_name="mailFolder")


def _context(call: Call, select: frozenset[str] | None) -> str:
    shown = "" if select is None else f"({','.join(sorted(select))})"
    return call.context(f"users('{call.user().id}')/mailFolders{shown}")


ROUTES: Final = (
    Route(method="GET", path="/users/{user}/mailFolders", handler=list_folders, roles=READ),
    Route(method="POST", path="/users/{user}/mailFolders", handler=create_folder, roles=WRITE),
    Route(method="GET", path="/users/{user}/mailFolders/{folder}", handler=get_folder, roles=READ),
    Route(method="GET", path="/users/{user}/mailFolders/{folder}/childFolders", handler=list_folders, roles=READ),
    Route(method="POST", path="/users/{user}/mailFolders/{folder}/childFolders", handler=create_folder, roles=WRITE),
)
