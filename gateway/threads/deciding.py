"""What people decide about where a mail belongs, and take back. Each function is one transaction's work.

Of two people at once the first wins: the other gets `storage.Conflict` with a sentence. The same person asking for
the same again gets the same act, and nothing is done twice. Acts on one message are undone in turn, the last first.

A conversation stays with its thread when a mail is moved, for it may hold much else; it follows only if nothing else
of it is left there, for then it came with that mail.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from gateway.threads.belonging import forget, learn
from gateway.threads.incoming import EVENTS
from gateway.threads.turning import turn_after_all, turn_back
from storage import Conflict, Transaction, acts, audit, events, messages, outbox, placements, threads
from storage.acts import Act, ActKind, Place
from storage.audit import Actor
from storage.ids import new_id
from storage.messages import Direction, Message, Placement
from storage.threads import Object

WORDS: Final[Mapping[ActKind, str]] = {
    ActKind.ACCEPT: "accepted it",
    ActKind.DISMISS: "dismissed it",
    ActKind.MOVE: "moved it to another thread",
    ActKind.UNLINK: "took it out of its thread",
}
NOT_NOW: Final[Mapping[Placement, str]] = {
    Placement.PLACED: "It stands in its thread and does not wait for review.",
    Placement.HELD: "It waits for review: accept or dismiss it.",
    Placement.DISMISSED: "It was dismissed: undo that first.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Into:
    """Where a mail is accepted: the proposed thread, another, or, with `objects`, a new one about these."""

    thread_id: str | None = None
    objects: tuple[Object, ...] = ()

    def asked(self, proposed: str) -> dict[str, Any]:
        """As it is kept, to know it again."""
        if self.objects:
            return {"objects": [[one.type.value, one.id] for one in sorted(self.objects)]}
        return {"thread_id": self.thread_id or proposed}


PROPOSED: Final = Into()


def accept(
    tx: Transaction, account_id: str, message_id: str, *, into: Into = PROPOSED, by: Actor, now: datetime
) -> Act:
    """Let a mail that was held stand in a thread. Raises `storage.NotFound`, `storage.Conflict`."""
    message, last = _mail(tx, account_id, message_id)
    known = _again(message, last, ActKind.ACCEPT, by)
    if known is not None and known.asked == into.asked(known.before.thread_id):
        return known
    _require(message, Placement.HELD, last)
    asked = into.asked(message.thread_id)
    if into.objects:
        thread_id = threads.create(tx, account_id, message.mailbox_id, subject=message.subject, now=now)
        threads.link(tx, account_id, thread_id, into.objects)
    else:
        thread_id = threads.get(tx, account_id, asked["thread_id"]).id
    after = Place(thread_id=thread_id, placement=Placement.PLACED)
    return _do(tx, message, ActKind.ACCEPT, asked, after, by, now)


def dismiss(tx: Transaction, account_id: str, message_id: str, *, by: Actor, now: datetime) -> Act:
    """A mail that was held belongs nowhere. Raises `storage.NotFound`, `storage.Conflict`."""
    message, last = _mail(tx, account_id, message_id)
    known = _again(message, last, ActKind.DISMISS, by)
    if known is not None:
        return known
    _require(message, Placement.HELD, last)
    after = Place(thread_id=message.thread_id, placement=Placement.DISMISSED)
    return _do(tx, message, ActKind.DISMISS, {}, after, by, now)


def move(tx: Transaction, account_id: str, message_id: str, thread_id: str, *, by: Actor, now: datetime) -> Act:
    """Let a mail stand in another thread. Raises `storage.NotFound`, `storage.Conflict`."""
    message, last = _mail(tx, account_id, message_id)
    asked = {"thread_id": threads.get(tx, account_id, thread_id).id}
    known = _again(message, last, ActKind.MOVE, by)
    if known is not None and known.asked == asked:
        return known
    _require(message, Placement.PLACED, last)
    if message.thread_id == thread_id:
        raise Conflict("It stands in that thread already.")
    after = Place(thread_id=thread_id, placement=Placement.PLACED)
    return _do(tx, message, ActKind.MOVE, asked, after, by, now)


def unlink(
    tx: Transaction, account_id: str, message_id: str, *, for_good: bool = False, by: Actor, now: datetime
) -> Act:
    """Take a mail out of its thread: back into the tray, or, `for_good`, dismissed. Raises `NotFound`, `Conflict`."""
    message, last = _mail(tx, account_id, message_id)
    placement = Placement.DISMISSED if for_good else Placement.HELD
    asked = {"placement": placement.value}
    known = _again(message, last, ActKind.UNLINK, by)
    if known is not None and known.asked == asked:
        return known
    _require(message, Placement.PLACED, last)
    return _do(tx, message, ActKind.UNLINK, asked, Place(thread_id=message.thread_id, placement=placement), by, now)


def undo(tx: Transaction, account_id: str, act_id: str, *, by: Actor, now: datetime) -> Act:
    """Take an act back, if nothing was built on it. Raises `storage.NotFound`, `storage.Conflict`."""
    act = acts.get(tx, account_id, act_id)
    if act.undone_by is not None:
        if act.undone_by == by.staff:
            return act
        raise Conflict(f"{act.undone_by} has undone it already.")
    message, last = _mail(tx, account_id, act.message_id)
    if last is not None and last.id != act.id:
        raise Conflict(f"{last.done_by} {WORDS[last.kind]} since: undo that first.")
    if outbox.has_answer(tx, message.thread_id, message.id, since=act.done_at):
        raise Conflict("The message was answered since: move it, or take it out of its thread, instead.")
    acts.mark_undone(tx, act.id, by=_name(by), now=now)
    _change(tx, message, act.before, acts.latest(tx, message.id), now)
    _audit(tx, by, f"{_noun(act.kind)}.{act.kind}.undo", act, now)
    return acts.get(tx, account_id, act.id)


def _mail(tx: Transaction, account_id: str, message_id: str) -> tuple[Message, Act | None]:
    """The mail, and the act that counts for it."""
    message = messages.get(tx, account_id, message_id)
    if message.status is not None:
        raise Conflict("A letter of SELMA’s stays in its thread: link the thread to another record instead.")
    return message, acts.latest(tx, message.id)


def _again(message: Message, last: Act | None, kind: ActKind, by: Actor) -> Act | None:
    """The act that counts, if this person asks for one of its kind again."""
    same = last is not None and (last.kind, last.done_by) == (kind, by.staff) and last.after == _place(message)
    return last if same else None


def _require(message: Message, placement: Placement, last: Act | None) -> None:
    if message.placement is placement:
        return
    raise Conflict(NOT_NOW[message.placement] if last is None else f"{last.done_by} {WORDS[last.kind]} already.")


def _place(message: Message) -> Place:
    return Place(thread_id=message.thread_id, placement=message.placement)


def _do(
    tx: Transaction, message: Message, kind: ActKind, asked: dict[str, Any], after: Place, by: Actor, now: datetime
) -> Act:
    act = Act(
        id=new_id("act", now),
        account_id=message.account_id,
        message_id=message.id,
        kind=kind,
        asked=asked,
        before=_place(message),
        after=after,
        done_by=_name(by),
        done_at=now,
    )
    is_first = all(Placement.PLACED not in (one.before.placement, one.after.placement) for one in _so_far(tx, message))
    acts.insert(tx, act)
    _change(tx, message, after, act, now, is_first=is_first and message.placement is Placement.HELD)
    _audit(tx, by, f"{_noun(kind)}.{kind}", act, now)
    return act


def _so_far(tx: Transaction, message: Message) -> list[Act]:
    return acts.of_message(tx, message.id)


def _change(
    tx: Transaction, message: Message, after: Place, because: Act | None, now: datetime, *, is_first: bool = False
) -> None:
    """Let the mail stand where it is to, with all that follows. `is_first`: nobody has heard of it yet."""
    moved = replace(message, thread_id=after.thread_id, placement=after.placement)
    evidence = _evidence(message.evidence, because)
    placements.move(tx, message.id, thread_id=after.thread_id, placement=after.placement, evidence=evidence)
    if message.placement is Placement.PLACED:
        forget(tx, message)
        turn_back(tx, message, now)
    if after.placement is Placement.PLACED:
        learn(tx, moved, now)
        turn_after_all(tx, moved, now)
    for thread_id in {message.thread_id, after.thread_id}:
        threads.summarise(tx, thread_id)
    for event, thread_id in what_to_tell(message, after, is_first=is_first):
        data = {"direction": message.direction.value, "kind": message.kind.value}
        if event == "message.moved":
            data |= {"from_thread_id": message.thread_id}
        events.record(tx, message.account_id, event, thread_id=thread_id, message_id=message.id, data=data, now=now)


def _evidence(known: dict[str, Any] | None, because: Act | None) -> dict[str, Any] | None:
    """What is kept with the mail, with the decision that counts."""
    without = {name: value for name, value in (known or {}).items() if name != "decision"}
    if because is None:
        return without or None
    at = because.done_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return without | {"decision": {"act": because.kind.value, "act_id": because.id, "by": because.done_by, "at": at}}


def what_to_tell(message: Message, after: Place, *, is_first: bool) -> list[tuple[str, str]]:
    """The events of a change, each with its thread. Of a reply the host hears once, when it is first placed. Pure."""
    came = EVENTS.get(message.kind, "thread.updated") if message.direction is Direction.IN else "thread.updated"
    match message.placement, after.placement:
        case Placement.PLACED, Placement.PLACED:
            return [("thread.updated", message.thread_id), ("message.moved", after.thread_id)]
        case Placement.PLACED, Placement.HELD:
            return [("message.unlinked", message.thread_id), ("review.opened", after.thread_id)]
        case Placement.PLACED, _:
            return [("message.unlinked", message.thread_id)]
        case Placement.HELD, Placement.PLACED:
            news = came if is_first else "thread.updated"
            return [("review.accepted", after.thread_id), (news, after.thread_id)]
        case _, Placement.PLACED:
            return [("thread.updated", after.thread_id)]
        case _, Placement.HELD:
            return [("review.opened", after.thread_id)]
        case _:
            return [("review.dismissed", after.thread_id)]


def _audit(tx: Transaction, by: Actor, what: str, act: Act, now: datetime) -> None:
    targets = {
        "act_id": act.id,
        "message_id": act.message_id,
        "from_thread_id": act.before.thread_id,
        "thread_id": act.after.thread_id,
    }
    audit.record(tx, act.account_id, by, what, targets, now=now)


def _noun(kind: ActKind) -> str:
    return "review" if kind in (ActKind.ACCEPT, ActKind.DISMISS) else "message"


def _name(by: Actor) -> str:
    """An act is a person's."""
    if not by.staff:
        raise ValueError("nobody is named")
    return by.staff
