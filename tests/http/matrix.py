"""Who gets what answer on which operation: one entry for each, and a school with one of everything to ask about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import httpx

from gateway.graph.token_errors import token_error_from
from gateway.http.app import OPERATIONS
from gateway.http.routing import Operation
from storage import Transaction, credentials, deliveries, erasures, events, mailboxes
from storage.credentials import CredentialState
from storage.erasures import What
from storage.messages import Attachment, Placement
from storage.threads import Address, Object, ObjectType
from tests.http.scene import CLIENT, MAILBOX, TENANT, Scene, a_letter
from tests.pages.desk import STUDENT, letter, reply, thread_of

BY: Final = {"by": "Jane Doe"}
READER: Final = {"reader": "Jane Doe"}
STRANGER: Final = Address(name="A stranger", address="stranger@elsewhere.example")
OTHER_MAILBOX: Final = "registry@school.example"
ATTACHMENT: Final = "att-1"
APP: Final = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": "s~2"}
HOOK: Final = {"url": "https://selma.school.example/mail-events"}
ERASURE: Final = {"objects": [{"type": "student", "id": "S0"}], "reason": "Request 14", "by": "Jane Doe"}
AN_ATTACHMENT: Final = Attachment(
    id=ATTACHMENT, name="offer.pdf", content_type="application/pdf", size=4, is_inline=False, content_id=None
)
REFUSED: Final = token_error_from({"error": "invalid_client", "error_codes": [7000215]}, status=401)
NO_ID: Final = "msg_019cadc69a80d0f2e760bb7a3845"

ABOUT: Final = (STUDENT, Object(type=ObjectType.ENROLMENT, id="E77"))

Stage = Mapping[str, str]
Body = Callable[[Stage], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`good` is the answer to a key that may do all.

    `names`: which thing of the stage the path, or else the body, names. To another account, and to a key of another
    mailbox, it is as if it were not there: `absent`. `limited` is the answer to a key of another mailbox where that
    is not so; where an `absent` list is asked for, nothing stands in it.
    """

    good: int
    names: str | None = None
    body: Body | None = None
    query: Mapping[str, str] | None = None
    absent: int = 404
    limited: int | None = None


def _letter(**changes: Any) -> Body:
    def body(stage: Stage) -> Any:
        return a_letter(**{name: value(stage) if callable(value) else value for name, value in changes.items()})

    return body


def _just(body: Any) -> Body:
    return lambda stage: body


SETTINGS: Final = 403  # a key that is held to mailboxes cannot have the scope
WHOLE: Final = 403

MATRIX: Final[Mapping[str, Entry]] = {
    "POST /v1/messages": Entry(good=202, body=_letter(), limited=422),
    "GET /v1/messages": Entry(good=200, limited=200),
    "GET /v1/messages/{id}": Entry(good=200, names="letter"),
    "POST /v1/messages/{id}/cancel": Entry(good=200, names="letter"),
    "POST /v1/messages/{id}/retry": Entry(good=409, names="letter"),
    "POST /v1/messages/{id}/close": Entry(good=409, names="letter"),
    "POST /v1/batches": Entry(good=202, body=_just({"letters": [a_letter()]}), limited=422),
    "GET /v1/batches": Entry(good=200, limited=WHOLE),
    "GET /v1/batches/{id}": Entry(good=200, names="batch"),
    "POST /v1/batches/{id}/cancel": Entry(good=200, names="batch"),
    "POST /v1/files": Entry(good=201, query={"name": "offer.pdf"}, limited=201),
    "GET /v1/files/{id}": Entry(good=200, names="file", limited=200),
    "POST /v1/threads/{id}/replies": Entry(good=202, names="thread", body=_just({"text": "Kia ora"})),
    "GET /v1/threads": Entry(good=200, limited=200),
    "GET /v1/messages/{id}/attachments": Entry(good=200, names="letter"),
    "GET /v1/messages/{id}/attachments/{attachment_id:path}": Entry(good=200, names="letter"),
    "POST /v1/threads": Entry(
        good=404,  # the mailbox of the fake has no such conversation
        body=_just({"mailbox": MAILBOX, "conversation_id": "c", "objects": [{"type": "student", "id": "S1"}]}),
        limited=422,
    ),
    "GET /v1/threads/{id}": Entry(good=200, names="thread"),
    "POST /v1/threads/{id}/objects": Entry(good=200, names="thread", body=_just({"type": "class", "id": "C1"})),
    "DELETE /v1/threads/{id}/objects/{type}/{object_id:path}": Entry(good=204, names="thread"),
    "GET /v1/objects/{type}/{id:path}/threads": Entry(good=200, names="student", absent=200),
    "GET /v1/objects/{type}/{id:path}/events": Entry(good=200, names="student", absent=200),
    "GET /v1/reviews": Entry(good=200, limited=200),
    "POST /v1/reviews/{id}/accept": Entry(good=200, names="held", body=_just(BY)),
    "POST /v1/reviews/{id}/dismiss": Entry(good=200, names="held", body=_just(BY)),
    "POST /v1/messages/{id}/move": Entry(
        good=200, names="reply", body=lambda stage: BY | {"thread_id": stage["other_thread"]}
    ),
    "POST /v1/messages/{id}/unlink": Entry(good=200, names="reply", body=_just(BY)),
    "POST /v1/acts/{id}/undo": Entry(good=200, names="act", body=_just(BY)),
    "POST /v1/threads/{id}/read": Entry(good=200, names="thread", body=_just(READER)),
    "POST /v1/threads/{id}/unread": Entry(good=200, names="thread", body=_just(READER)),
    "POST /v1/embed-links": Entry(
        good=201, body=_just({"object": {"type": "student", "id": "S1"}, "staff": "Jane Doe"}), limited=WHOLE
    ),
    "GET /v1/account": Entry(good=200, limited=SETTINGS),
    "PUT /v1/account": Entry(
        good=200,
        body=_just({"tenant_id": TENANT, "client_id": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11", "client_secret": "s~3"}),
        limited=SETTINGS,
    ),
    "POST /v1/account/check": Entry(good=200, limited=SETTINGS),
    "POST /v1/account/snooze": Entry(good=409, body=_just({"reason": "Asked for a new one"}), limited=SETTINGS),
    "DELETE /v1/account/snooze": Entry(good=204, limited=SETTINGS),
    "POST /v1/account/credentials": Entry(
        good=201, body=_just({"kind": "client_secret", "client_secret": "s~4"}), limited=SETTINGS
    ),
    "POST /v1/account/credentials/{id}/try": Entry(good=200, names="credential", limited=SETTINGS),
    "DELETE /v1/account/credentials/{id}": Entry(good=204, names="credential", limited=SETTINGS),
    "GET /v1/account/least-privilege": Entry(good=200, limited=SETTINGS),
    "POST /v1/account/least-privilege": Entry(
        good=200, body=_just({"address": "head@school.example"}), limited=SETTINGS
    ),
    "GET /v1/mailboxes": Entry(good=200, limited=SETTINGS),
    "POST /v1/mailboxes": Entry(good=201, body=lambda stage: {"address": f"a{stage['n']}@b.example"}, limited=SETTINGS),
    "GET /v1/mailboxes/{address}": Entry(good=200, names="mailbox", limited=SETTINGS),
    "DELETE /v1/mailboxes/{address}": Entry(good=204, names="mailbox", limited=SETTINGS),
    "POST /v1/mailboxes/validate": Entry(good=202, body=_just({"addresses": ["a@b.example"]}), limited=SETTINGS),
    "GET /v1/mailboxes/validations/{id}": Entry(good=200, names="validation", limited=SETTINGS),
    "POST /v1/mailboxes/{address}/round-trip": Entry(good=202, names="mailbox", body=_just({}), limited=SETTINGS),
    "GET /v1/mailboxes/{address}/round-trip": Entry(good=200, names="mailbox", limited=SETTINGS),
    "GET /v1/mailboxes/{address}/round-trips": Entry(good=200, names="mailbox", limited=SETTINGS),
    "POST /v1/mailboxes/{address}/validate": Entry(good=200, names="mailbox", limited=SETTINGS),
    "POST /v1/mailboxes/{address}/test-message": Entry(
        good=202, names="mailbox", body=_just({"to": "a@b.example"}), limited=SETTINGS
    ),
    "GET /v1/subscriptions": Entry(good=200, limited=SETTINGS),
    "GET /v1/completeness": Entry(good=200, limited=200),
    "POST /v1/completeness/check": Entry(good=202, limited=SETTINGS),
    "GET /v1/status": Entry(good=200, limited=SETTINGS),
    "GET /v1/events": Entry(good=200, limited=WHOLE),
    "GET /v1/events/stream": Entry(good=200, limited=WHOLE),
    "GET /v1/audit": Entry(good=200, limited=SETTINGS),
    "POST /v1/webhooks": Entry(good=201, body=_just(HOOK), limited=SETTINGS),
    "GET /v1/webhooks": Entry(good=200, limited=SETTINGS),
    "GET /v1/webhooks/{id}": Entry(good=200, names="webhook", limited=SETTINGS),
    "PUT /v1/webhooks/{id}": Entry(good=200, names="webhook", body=_just(HOOK), limited=SETTINGS),
    "DELETE /v1/webhooks/{id}": Entry(good=204, names="webhook", limited=SETTINGS),
    "POST /v1/webhooks/{id}/rotate-secret": Entry(good=200, names="webhook", limited=SETTINGS),
    "POST /v1/webhooks/{id}/enable": Entry(good=200, names="webhook", limited=SETTINGS),
    "POST /v1/webhooks/{id}/test": Entry(good=202, names="webhook", limited=SETTINGS),
    "GET /v1/webhooks/{id}/deliveries": Entry(good=200, names="webhook", limited=SETTINGS),
    "POST /v1/webhooks/{id}/deliveries/{event_id}/redeliver": Entry(good=202, names="webhook", limited=SETTINGS),
    "GET /v1/objects/{type}/{id:path}/export": Entry(good=200, names="student", absent=200, limited=SETTINGS),
    "POST /v1/erasures": Entry(good=200, body=_just(ERASURE | {"dry_run": True}), limited=SETTINGS),
    "GET /v1/erasures": Entry(good=200, limited=SETTINGS),
    "GET /v1/erasures/{id}": Entry(good=200, names="erasure", limited=SETTINGS),
    "GET /v1/retention": Entry(good=200, limited=SETTINGS),
    "PUT /v1/retention": Entry(good=200, body=_just({"threads": 2555}), limited=SETTINGS),
    "GET /v1/retention/preview": Entry(good=200, limited=SETTINGS),
    "GET /v1/keys": Entry(good=200, limited=SETTINGS),
    "POST /v1/keys": Entry(good=201, body=_just({"name": "One", "scopes": ["read"]}), limited=SETTINGS),
    "DELETE /v1/keys/{id}": Entry(good=204, names="key", limited=SETTINGS),
}

# What else a body can name.
NAMED_ELSEWHERE: Final = (
    (
        "POST /v1/messages",
        Entry(good=202, names="reply", body=_letter(in_reply_to=lambda stage: stage["reply"]), absent=422, limited=422),
    ),
    (
        "POST /v1/messages",
        Entry(
            good=202,
            names="file",
            body=_letter(attachments=lambda stage: [{"file": stage["file"]}]),
            absent=422,
            limited=422,
        ),
    ),
    (
        "POST /v1/reviews/{id}/accept",
        Entry(good=200, names="other_thread", body=lambda stage: BY | {"thread_id": stage["other_thread"]}),
    ),
    (
        "POST /v1/messages/{id}/move",
        Entry(good=200, names="other_thread", body=lambda stage: BY | {"thread_id": stage["other_thread"]}),
    ),
)


def key_of(operation: Operation[Any]) -> str:
    """How the matrix calls it."""
    return f"{operation.method} {operation.path}"


BY_NAME: Final = {key_of(operation): operation for operation in OPERATIONS}


async def set_stage(scene: Scene, number: int = 0) -> dict[str, str]:
    """One of everything, all of it in MAILBOX; by name, what it is called."""
    scene.clock.advance(timedelta(seconds=1))
    async with scene.client() as api:
        sent, second = await letter(scene, objects=ABOUT), await letter(scene)
        thread, other = await thread_of(scene, sent), await thread_of(scene, second)
        await scene.store.write(_give_graph_id, sent)
        waits = {"placement": Placement.HELD, "sender": STRANGER, "evidence": {"reason": "stranger", "letters": []}}
        held = await reply(scene, sent, conversation_id=f"theirs-{number}", **waits)
        decided = await reply(scene, sent, conversation_id=f"others-{number}", **waits)
        act = await _made(api, f"/v1/reviews/{decided}/accept", json=BY)
        batch = await _made(api, "/v1/batches", json={"letters": [a_letter()]})
        file = await _made(api, f"/v1/files?name=a-{number}.pdf", content=b"%PDF")
        key = await _made(api, "/v1/keys", json={"name": "A key", "scopes": ["read"]})
        credential = await _refused_credential(scene, api)
        hooks = (await api.get("/v1/webhooks")).json()["items"]
        hook = hooks[0] if hooks else await _made(api, "/v1/webhooks", json=HOOK)
        mailbox = f"bursar-{number}@school.example"
        await scene.store.write(_validated, scene, mailbox)
        await _made(api, f"/v1/mailboxes/{mailbox}/round-trip", json={})
        validation = await _made(api, "/v1/mailboxes/validate", json={"addresses": [mailbox]})
    scene.attachments.holds[(sent, ATTACHMENT)] = (AN_ATTACHMENT, [b"%PDF"])
    return {
        "n": str(number),
        "letter": sent,
        "reply": await reply(scene, sent, conversation_id=f"replies-{number}", graph_id=f"g-{number}"),
        "thread": thread,
        "other_thread": other,
        "held": held,
        "act": act["id"],
        "batch": batch["id"],
        "file": file["id"],
        "key": key["id"],
        "credential": credential,
        "webhook": hook["id"],
        "event": await scene.store.write(_to_be_delivered, scene, hook["id"]),
        "erasure": await scene.store.write(_erased, scene),
        "mailbox": mailbox,
        "validation": validation["id"],
        "student": "S1001",
    }


async def _made(api: httpx.AsyncClient, path: str, **how: Any) -> dict[str, Any]:
    answer = await api.post(path, **how)
    assert answer.status_code < 300, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def _refused_credential(scene: Scene, api: httpx.AsyncClient) -> str:
    """One that waits to be tried again."""
    assert (await api.put("/v1/account", json=APP)).status_code == 200
    scene.setup.entra.refuses = REFUSED
    new = {"kind": "client_secret", "client_secret": f"s~{scene.clock.now().timestamp()}", "keep_if_refused": True}
    assert (await api.post("/v1/account/credentials", json=new)).status_code == 422
    scene.setup.entra.refuses = None
    slots = await scene.store.read(credentials.slots, scene.account_id)
    return next(one.id for one in slots if one.state is CredentialState.PENDING)


def _to_be_delivered(tx: Transaction, scene: Scene, webhook_id: str) -> str:
    newest = events.after(tx, scene.account_id, events.last_seq(tx, scene.account_id) - 1, limit=1)
    deliveries.insert(tx, webhook_id, newest, now=scene.clock.now())
    return str(newest[0].seq)


def _erased(tx: Transaction, scene: Scene) -> str:
    gone = {"threads": [], "messages": [], "unlinked_threads": [], "edited_messages": [], "rows": {}}
    return erasures.insert(
        tx,
        scene.account_id,
        what=What.OBJECTS,
        objects=ERASURE["objects"],
        reason=ERASURE["reason"],
        done_by=ERASURE["by"],
        removed=gone,
        now=scene.clock.now(),
    )


def _validated(tx: Transaction, scene: Scene, address: str) -> None:
    found = mailboxes.find(tx, scene.account_id, address)
    if found is None:
        found = mailboxes.add(tx, scene.account_id, address, now=scene.clock.now())
    mailboxes.mark_validated(tx, found.id, user_id=f"u-{address}", display_name=None, now=scene.clock.now())


def _give_graph_id(tx: Transaction, message_id: str) -> None:
    tx.execute("UPDATE messages SET graph_id = :id WHERE id = :id", {"id": message_id})


async def other_mailbox(scene: Scene) -> str:
    """The address of a mailbox of the school in which nothing is."""
    await scene.store.write(_validated, scene, OTHER_MAILBOX)
    return OTHER_MAILBOX


def absent(stage: Stage, name: str) -> dict[str, str]:
    """The same stage, but that this thing is none that ever was."""
    return {**stage, name: "none@school.example" if name == "mailbox" else "S0" if name == "student" else NO_ID}


def request_for(operation: Operation[Any], entry: Entry, stage: Stage) -> dict[str, Any]:
    """What `httpx` sends for it."""
    path = operation.path.replace(":path", "").replace("{type}", "student")
    path = path.replace("{attachment_id}", ATTACHMENT).replace("{event_id}", stage["event"])
    if operation.path.endswith("/objects/{type}/{object_id:path}"):
        path = path.replace("{object_id}", "S1001")
    own = entry.names if "{id}" in path or "{address}" in path else None
    in_path = {"POST /v1/reviews/{id}/accept": "held", "POST /v1/messages/{id}/move": "reply"}
    if entry.names == "other_thread":
        own = in_path[key_of(operation)]
    if own is not None:
        path = path.replace("{id}", stage[own]).replace("{address}", stage[own])
    assert "{" not in path, f"{key_of(operation)}: the entry does not say what its path names"
    asked: dict[str, Any] = {"method": operation.method, "url": path, "params": entry.query}
    if entry.body is not None:
        asked["json"] = entry.body(stage)
    if operation.raw:
        asked["content"] = b"%PDF"
    return asked
