"""Routes under `/_sandbox` by which a person or a test in another process moves the world. All bodies are JSON.

GET    /_sandbox/state                    tenant, mailboxes with their counts, subscriptions with the `clientState` that
                                          Graph would show nobody, correspondents, counters,
                                          "limits": {"busiest": {address: most calls in flight together},
                                          "refused": {"concurrency", "requests", "upload", "recipients"},
                                          "carried_over": letters that waited for the next minute}
GET    /_sandbox/ledger                   every message really sent, in order, with its files' names, sizes and sha256
POST   /_sandbox/deliver                  mail from outside arrives: {"mailbox", "from", "name"?, "subject"?, "html"?,
                                          "text"?, "in_reply_to"?, "headers"?: [[name, value]], "conversation_id"?,
                                          "folder"?} → {"id", "immutable_id", "conversation_id", "internet_message_id"}
DELETE /_sandbox/subscriptions/{id}       it vanishes; with ?notify=true a `subscriptionRemoved` goes out
POST   /_sandbox/subscriptions/{id}/lifecycle   {"event": "missed" | "reauthorizationRequired" | "subscriptionRemoved"}
POST   /_sandbox/expire-delta-tokens      {"mailbox", "folder"?}: links handed out so far are answered with 410
PATCH  /_sandbox/correspondents/{address}   other habits: {"is_silent"?, "out_of_office"?, "machine"?: "is_full" |
                                          "is_late" | "reads" | "accepts" | null, "changes_subject_to"?,
                                          "keeps_references"?, "says"?: [text]}
PATCH  /_sandbox/behaviour                fields of `Behaviour`; delays in seconds, null: no limit → all fields
GET    /_sandbox/faults                   {"struck": [what was struck, in order],
                                          "rules": [{"match", "matched", "struck"}], of those in force}
POST   /_sandbox/faults                   one rule, fields of `faults.Fault`; `delay` in seconds; a header `date:+5`
                                          is sent as the date 5 s ahead; `share` strikes that part of what matches
DELETE /_sandbox/faults                   no more trouble
POST   /_sandbox/users                    {"address", "name", "kind"?: "user" | "shared" | "unlicensed" |
                                          "on_premises" | "inactive" | "guest", "aliases"?: [address],
                                          "user_principal_name"?} → {"id"}
PATCH  /_sandbox/users/{address}          {"kind"?, "deleted"?: true or false}: soft-deleted, or restored
POST   /_sandbox/settle                   waits until nothing is under way

What an admin does in Entra is in `entra_admin`.

A request that is not understood gets 400 and {"error": "…"}.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace
from datetime import timedelta
from types import UnionType
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.sandbox.behaviour import Behaviour
from gateway.sandbox.clock import timestamp
from gateway.sandbox.correspondents import Machine
from gateway.sandbox.faults import Fault
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import Address, MailboxKind
from gateway.sandbox.notifier import LifecycleEvent

if TYPE_CHECKING:
    from gateway.sandbox.box import Sandbox

Endpoint = Callable[[Request], Awaitable[Response]]
_KINDS: Final = get_type_hints(Behaviour)


def routes(sandbox: "Sandbox") -> list[Route]:
    """The routes, below `/_sandbox`."""
    hands = _Hands(sandbox)
    return [
        Route("/state", guarded(hands.state), methods=["GET"]),
        Route("/ledger", guarded(hands.ledger), methods=["GET"]),
        Route("/deliver", guarded(hands.deliver), methods=["POST"]),
        Route("/subscriptions/{id}", guarded(hands.remove_subscription), methods=["DELETE"]),
        Route("/subscriptions/{id}/lifecycle", guarded(hands.lifecycle), methods=["POST"]),
        Route("/expire-delta-tokens", guarded(hands.expire_delta_tokens), methods=["POST"]),
        Route("/correspondents/{address}", guarded(hands.change_correspondent), methods=["PATCH"]),
        Route("/behaviour", guarded(hands.change_behaviour), methods=["PATCH"]),
        Route("/faults", guarded(hands.faults), methods=["GET", "POST", "DELETE"]),
        Route("/users", guarded(hands.add_user), methods=["POST"]),
        Route("/users/{address}", guarded(hands.change_user), methods=["PATCH"]),
        Route("/settle", guarded(hands.settle), methods=["POST"]),
    ]


def guarded(endpoint: Endpoint) -> Endpoint:
    """What is not understood is a 400 that says why."""

    async def guard(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (KeyError, TypeError, ValueError) as error:
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 400)

    return guard


async def body_of(request: Request) -> dict[str, Any]:
    body = orjson.loads(await request.body())
    if not isinstance(body, dict):
        raise TypeError("a JSON object is expected")
    return body


class _Hands:
    """One method per route."""

    def __init__(self, sandbox: "Sandbox") -> None:
        self._sandbox = sandbox
        self._world = sandbox.world

    async def state(self, request: Request) -> Response:
        mailboxes = [_mailbox(self._world.mailbox(user.id)) for user in self._world.directory.users()]
        subscriptions = [
            {
                "id": each.id,
                "resource": each.resource,
                "change_type": each.change_type,
                "notification_url": each.notification_url,
                "client_state": each.client_state,
                "expiration_date_time": timestamp(each.expiration_date_time),
            }
            for each in self._world.subscriptions
        ]
        return JSONResponse(
            {
                "tenant_id": self._world.tenant,
                "mailboxes": mailboxes,
                "subscriptions": subscriptions,
                "correspondents": [{"name": each.name, "address": each.address} for each in self._world.correspondents],
                "sent": len(self._world.ledger),
                "notifications": {"delivered": self._sandbox.notifier.delivered, "lost": self._sandbox.notifier.lost},
                "limits": {
                    "busiest": self._world.limits.busiest,
                    "refused": self._world.limits.refused,
                    "carried_over": self._world.limits.carried_over,
                },
            }
        )

    async def ledger(self, request: Request) -> Response:
        entries = [{**asdict(entry), "sent_at": timestamp(entry.sent_at)} for entry in self._world.ledger]
        return JSONResponse({"items": entries})

    async def deliver(self, request: Request) -> Response:
        body = await body_of(request)
        sender = Address(name=body.pop("name", None), address=body.pop("from"))
        body["headers"] = [(str(name), str(value)) for name, value in body.get("headers", [])]
        message = self._world.deliver(body.pop("mailbox"), from_=sender, **body)
        return JSONResponse(
            {
                "id": message.id,
                "immutable_id": message.immutable_id,
                "conversation_id": message.conversation_id,
                "internet_message_id": message.internet_message_id,
            },
            201,
        )

    async def remove_subscription(self, request: Request) -> Response:
        with_word = request.query_params.get("notify") == "true"
        remove = self._sandbox.revoke_subscription if with_word else self._world.remove_subscription
        remove(request.path_params["id"])
        return Response(status_code=204)

    async def lifecycle(self, request: Request) -> Response:
        event = LifecycleEvent((await body_of(request))["event"])
        self._sandbox.tell_lifecycle(request.path_params["id"], event)
        return Response(status_code=204)

    async def expire_delta_tokens(self, request: Request) -> Response:
        body = await body_of(request)
        self._world.expire_delta_tokens(body["mailbox"], body.get("folder", "inbox"))
        return Response(status_code=204)

    async def change_correspondent(self, request: Request) -> Response:
        habits = await body_of(request)
        if habits.get("machine") is not None:
            habits["machine"] = Machine(habits["machine"])
        if "says" in habits:
            habits["says"] = tuple(str(each) for each in habits["says"])
        self._world.correspondents.change(request.path_params["address"], **habits)
        return Response(status_code=204)

    async def change_behaviour(self, request: Request) -> Response:
        changes = await body_of(request)
        self._world.behaviour = replace(self._world.behaviour, **{n: _setting(n, v) for n, v in changes.items()})
        return JSONResponse(
            {each.name: _shown(getattr(self._world.behaviour, each.name)) for each in fields(Behaviour)}
        )

    async def faults(self, request: Request) -> Response:
        if request.method == "POST":
            self._sandbox.faults.add(Fault.from_json(await body_of(request)))
            return Response(status_code=204)
        if request.method == "DELETE":
            self._sandbox.faults.clear()
            return Response(status_code=204)
        rules = [
            {"match": rule.fault.match, "matched": rule.matched, "struck": rule.struck} for rule in self._sandbox.faults
        ]
        return JSONResponse({"struck": self._sandbox.faults.struck, "rules": rules})

    async def add_user(self, request: Request) -> Response:
        body = await body_of(request)
        user = self._world.add_user(
            body["address"],
            body["name"],
            kind=MailboxKind(body.get("kind", "user")),
            aliases=[str(each) for each in body.get("aliases", ())],
            user_principal_name=body.get("user_principal_name"),
        )
        return JSONResponse({"id": user.id, "user_principal_name": user.user_principal_name}, 201)

    async def change_user(self, request: Request) -> Response:
        body, address = await body_of(request), request.path_params["address"]
        user = self._world.mailbox(address).user
        if "kind" in body:
            user.kind = MailboxKind(body["kind"])
        if "deleted" in body:
            (self._world.delete_user if body["deleted"] else self._world.restore_user)(address)
        return Response(status_code=204)

    async def settle(self, request: Request) -> Response:
        await self._sandbox.settle()
        return Response(status_code=204)


def _mailbox(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "address": mailbox.user.mail,
        "id": mailbox.user.id,
        "messages": {folder.display_name: len(list(mailbox.messages(folder.id))) for folder in mailbox.folders()},
    }


def _setting(name: str, value: Any) -> Any:
    """A field of `Behaviour` from JSON. Raises TypeError for one that has another type, or does not exist."""
    kind = _KINDS.get(name)
    if kind is None:
        raise TypeError(f"there is no behaviour {name!r}")
    if isinstance(kind, UnionType):
        if value is None:
            return None
        kind = get_args(kind)[0]
    if kind is timedelta:
        return timedelta(seconds=value)
    if get_origin(kind) is tuple:
        return tuple(timedelta(seconds=each) for each in value)
    if get_origin(kind) is frozenset:
        return frozenset(str(each) for each in value)
    if type(value) is not kind:
        raise TypeError(f"{name} wants {kind.__name__}")
    return value


def _shown(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple | frozenset):
        return sorted(_shown(each) for each in value)
    return value
