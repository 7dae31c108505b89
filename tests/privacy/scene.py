"""A school in rows with something of a student in every table, each with a word of its own."""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import orjson

from storage import (
    Transaction,
    acts,
    answerers,
    api_keys,
    attachments,
    batches,
    completeness,
    deliveries,
    events,
    files,
    held_reports,
    hints,
    idempotency_keys,
    messages,
    outbox,
    read_marks,
    round_trips,
    threads,
    webhooks,
)
from storage.acts import Place
from storage.attachments import LetterAttachment
from storage.audit import Actor, Via
from storage.completeness import NewMissing
from storage.hints import NewHint
from storage.messages import Attachment, BodyType, Direction, Placement, Recipients
from storage.threads import Address, Object, ObjectType
from storage.vault import MasterKey
from tests.fakes.clock import A_MONDAY
from tests.storage import scene as rows

STUDENT = Object(type=ObjectType.STUDENT, id="S-canary-7001")
OTHER = Object(type=ObjectType.STUDENT, id="S2002")
ADDRESS = "canaryaddress.aroha@student.example"
PARENT = "whaea.parent@family.example"
CANARIES = (
    ADDRESS,
    "Canaryname Arohanui",
    "canarysubject of a letter",
    "canarybody of a letter",
    "canaryreply of the student",
    "canarynewtext of the student",
    "canarypreview of the student",
    "canaryheld of a stranger",
    "canaryfile-offer.pdf",
    "canarycontent of the file",
    "canaryheader",
    "canarymetadata",
    "canarykey-of-idempotency",
    "canarybatch of two",
    "canarygraphid",
    "canaryconversation",
    "canarymessageid",
    "canarysearchtext",
)


@dataclass
class School:
    """Ids of what stands there. `thread_id` is the student's, `shared_id` of two students."""

    base: rows.Scene
    thread_id: str = ""
    shared_id: str = ""
    kept: dict[str, Any] = field(default_factory=dict)

    @property
    def account_id(self) -> str:
        return self.base.account_id


def by(tx: Transaction, school: School) -> Actor:
    """A key of SELMA's, for a member of staff."""
    value = api_keys.new_value()
    key = api_keys.create(tx, school.account_id, name="SELMA", scopes=frozenset(), value=value, now=A_MONDAY)
    return Actor(via=Via.API, key_id=key.id, key_name="SELMA", staff="Jane Doe")


def build(tx: Transaction) -> School:
    """The student's thread with a letter, a reply and a held mail; a thread of two students; one of another."""
    school = School(rows.build(tx))
    _thread(tx, school)
    _letter(tx, school)
    _mail(tx, school)
    _traces(tx, school)
    school.shared_id = _thread_of(tx, school, "msg_shared", [STUDENT, OTHER], [PARENT, ADDRESS])
    school.kept["thread_id"] = _thread_of(tx, school, "msg_kept", [OTHER], [PARENT])
    return school


def _thread(tx: Transaction, school: School) -> None:
    base = school.base
    school.thread_id = threads.create(tx, base.account_id, base.mailbox_id, subject=CANARIES[2], now=A_MONDAY)
    threads.link(tx, base.account_id, school.thread_id, [STUDENT])
    people = [Address(name=CANARIES[1], address=ADDRESS)]
    threads.add_participants(tx, base.account_id, school.thread_id, people)
    conversation = {"mailbox_id": base.mailbox_id, "conversation_id": CANARIES[15]}
    threads.add_conversation(tx, base.account_id, school.thread_id, **conversation, now=A_MONDAY)


def _letter(tx: Transaction, school: School) -> None:
    base, to = school.base, Recipients(to=(Address(name=CANARIES[1], address=ADDRESS),))
    content = CANARIES[9].encode() * 50
    file = files.store(
        tx,
        base.account_id,
        name=CANARIES[8],
        content_type="application/pdf",
        content=content,
        sha256=hashlib.sha256(content).digest(),
        expires_at=A_MONDAY + timedelta(days=9),
        now=A_MONDAY,
    )
    message = rows.a_message(
        base,
        "msg_letter",
        thread_id=school.thread_id,
        subject=CANARIES[2],
        body=f"<p>{CANARIES[3]}</p>",
        recipients=to,
        internet_message_id=f"<{CANARIES[16]}@school.example>",
        conversation_id=CANARIES[15],
        graph_id=CANARIES[14],
        attachments=(_attached(CANARIES[8]),),
    )
    messages.insert(tx, message, text=CANARIES[17])
    batch = batches.insert(tx, base.account_id, name=CANARIES[13], created_by=None, letters=1, now=A_MONDAY)
    outbox.insert(
        tx,
        outbox.NewLetter(
            message_id="msg_letter",
            thread_id=message.thread_id,
            account_id=base.account_id,
            mailbox_id=base.mailbox_id,
            send_uid="5b0e8c1c-0000-4000-8000-000000000001",
            importance="normal",
            metadata={"note": CANARIES[11]},
            headers=(("x-note", CANARIES[10]),),
            recipients=1,
            batch_id=batch,
            batch_position=0,
            state="accepted",
            next_attempt_at=A_MONDAY,
        ),
        now=A_MONDAY,
    )
    tx.execute("UPDATE outbox SET state = 'sent', sent_at = 1, next_attempt_at = NULL, submits = 1")
    attached = LetterAttachment(
        position=0,
        name=file.name,
        content_type=file.content_type,
        content_id=None,
        size=file.size,
        sha256=file.sha256,
        file_id=file.id,
    )
    attachments.insert(tx, base.account_id, "msg_letter", [attached])
    remembered = {"fingerprint": bytes(32), "message_id": "msg_letter", "now": A_MONDAY}
    idempotency_keys.remember(tx, base.account_id, CANARIES[12], **remembered)
    answerers.leaves(tx, base.account_id, "msg_letter", [ADDRESS], now=A_MONDAY)
    answerers.answered_by_machine(tx, base.account_id, ADDRESS, now=A_MONDAY)


def _attached(name: str) -> Attachment:
    return Attachment(id="att", name=name, content_type="application/pdf", size=1, is_inline=False, content_id=None)


def _mail(tx: Transaction, school: School) -> None:
    received = {
        "thread_id": school.thread_id,
        "direction": Direction.IN,
        "sender": Address(name=CANARIES[1], address=ADDRESS),
        "recipients": Recipients(to=(Address(name="Office", address="office@school.example"),)),
        "body_type": BodyType.TEXT,
        "subject": f"Re: {CANARIES[2]}",
        "created_by": None,
    }
    reply = {"body": CANARIES[4], "new_text": CANARIES[5], "preview": CANARIES[6]}
    messages.insert(tx, rows.a_message(school.base, "msg_reply", **received, **reply))
    held = {
        "body": CANARIES[7],
        "placement": Placement.HELD,
        "evidence": {"reason": "stranger", "letters": ["msg_letter"]},
    }
    messages.insert(tx, rows.a_message(school.base, "msg_held", **received | held))
    held_reports.insert(tx, school.account_id, "msg_held", orjson.dumps({"of": ADDRESS}).decode())
    threads.summarise(tx, school.thread_id)


def _traces(tx: Transaction, school: School) -> None:
    base, thread_id = school.base, school.thread_id
    place = Place(thread_id=thread_id, placement=Placement.PLACED)
    before = Place(thread_id=thread_id, placement=Placement.HELD)
    acts.insert(tx, rows.an_act(base, "msg_reply", asked={"thread_id": thread_id}, before=before, after=place))
    data = {"direction": "in"}
    events.record(
        tx, base.account_id, "reply.received", thread_id=thread_id, message_id="msg_reply", data=data, now=A_MONDAY
    )
    hook = webhooks.add(
        tx,
        base.account_id,
        url="https://selma.school.example/mail-events",
        description=None,
        types=(),
        secret="whsec_secret",
        after=0,
        key=MasterKey.new(),
        now=A_MONDAY,
    )
    deliveries.insert(tx, hook.id, events.after(tx, base.account_id, 0, limit=1), now=A_MONDAY)
    read_marks.mark_read(tx, base.account_id, thread_id, "Jane Doe", up_to=None, now=A_MONDAY)
    hint = NewHint(account_id=base.account_id, folder_id=base.inbox_id, change_type="created", message_id=CANARIES[14])
    hints.insert(tx, [hint], now=A_MONDAY)
    trip = {"message_id": "msg_letter", "kind": round_trips.Kind.ASKED, "recipient": ADDRESS, "is_live": False}
    mailbox = {"account_id": base.account_id, "mailbox_id": base.mailbox_id}
    round_trips.insert(tx, **mailbox, **trip, late_at=A_MONDAY, ends_at=A_MONDAY, now=A_MONDAY)
    missing = [NewMissing(graph_id=CANARIES[14], folder_id=base.inbox_id, came_at=A_MONDAY)]
    completeness.checked(tx, base.mailbox_id, compared=1, missing=1, which=missing, now=A_MONDAY)


def _thread_of(tx: Transaction, school: School, message_id: str, objects: list[Object], addresses: list[str]) -> str:
    base = school.base
    people = tuple(Address(name=None, address=one) for one in addresses)
    thread_id = threads.create(tx, base.account_id, base.mailbox_id, subject="Uniform list", now=A_MONDAY)
    threads.link(tx, base.account_id, thread_id, objects)
    threads.add_participants(tx, base.account_id, thread_id, people)
    letter = rows.a_message(
        base,
        message_id,
        thread_id=thread_id,
        subject="Uniform list",
        body=f"<p>A list of shirts, for {' and '.join(addresses).upper()}</p>",
        recipients=Recipients(to=people),
    )
    messages.insert(tx, letter, text=f"A list of shirts, for {' and '.join(addresses)}")
    threads.summarise(tx, thread_id)
    return thread_id
