"""A mail that came into an Inbox: which thread it goes to, and what follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from gateway.graph import Message as Item
from gateway.threads.before import Before
from gateway.threads.belonging import let_in, take_part
from gateway.threads.bounced import concerns, names_nobody
from gateway.threads.erased import is_erased
from gateway.threads.kinds import MESSAGE_CLASS, Sort, What, sort_of
from gateway.threads.matching import Evidence, Hold, Join, NotOurs, Verdict, judge, references, same_address
from gateway.threads.reports import Report
from gateway.threads.sift import Watched, letters_named, letters_reported
from gateway.threads.storing import (
    Outcome,
    Settled,
    adopt,
    as_message,
    homes_of,
    says_more,
    sender_of,
    stored_copies,
)
from gateway.threads.turning import About, keep_for_later, turn_after_all, turn_letter
from gateway.threads.wording import Wording, wording_of
from storage import Transaction, acts, answerers, events, messages, placements, threads
from storage.identities import Named
from storage.messages import Direction, Kind, Message, Placement

EVENTS: Final = {Kind.MAIL: "reply.received", Kind.AUTOMATIC: "reply.automatic"}
# What comes from a mail system, which takes part in no thread.
OF_MAIL_SYSTEMS: Final = (What.DELAYED, What.DELIVERED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a mail is, what it reports if it is a report, and the letters of ours that it names, the nearest first.

    `letters` are those that it is about: of several, the ones that a report returns, or that it answers directly.
    """

    sort: Sort
    report: Report | None
    named: Sequence[Named]
    letters: Sequence[Named]
    is_sure: bool

    @property
    def kind(self) -> Kind:
        """What lists show."""
        return self.sort.kind

    @property
    def is_of_a_mail_system(self) -> bool:
        """Then it is not asked who sent it."""
        return self.kind is Kind.BOUNCE or self.sort.what in OF_MAIL_SYSTEMS


def settle(
    tx: Transaction,
    watched: Watched,
    item: Item,
    now: datetime,
    *,
    before: Before,
    report: Report | None = None,
    words: Wording | None = None,
) -> Settled:
    """Store it in its thread, hold it for a person, or leave it alone; once, however often it is seen.

    `before` is of the page that it comes with, `report` is what it reports, if it does, and `words` how it is kept,
    where that was found out before.
    """
    if item.id in before.graph_ids:
        return Settled(outcome=Outcome.STORED)
    if before.erasures and is_erased(tx, watched.mailbox, item):
        return Settled(outcome=Outcome.NOT_OURS)
    read = _read(tx, watched, item, report)
    evidence = _evidence(tx, watched, item, read)
    verdict = judge(evidence)
    copies = stored_copies(tx, watched, item, Direction.IN, before)
    if not isinstance(verdict, NotOurs):
        copies = [copy for copy in copies if verdict.thread_id in homes_of(tx, copy)]
    if not isinstance(verdict, NotOurs) and _only_tries(tx, verdict.thread_id, read):
        return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id)
    if copies:
        return _settle_copy(tx, watched, item, verdict, copies[0], now)
    match verdict:
        case NotOurs():
            return Settled(outcome=Outcome.NOT_OURS)
        case Join():
            testimony, words = _testimony(evidence, verdict, read), words or wording_of(item)
            return _join(tx, watched, item, verdict, read, testimony, words, before, now)
        case Hold():
            testimony, words = _testimony(evidence, verdict, read), words or wording_of(item)
            return _hold(tx, watched, item, verdict, read, testimony, words, now)


def _only_tries(tx: Transaction, thread_id: str, read: Read) -> bool:
    """Of a letter that only tried the way, all that matters is that it came back; a bounce tells more."""
    return not read.is_of_a_mail_system and threads.is_self_test(tx, thread_id)


def _read(tx: Transaction, watched: Watched, item: Item, report: Report | None) -> Read:
    headers = item.internet_message_headers or ()
    sort = sort_of(
        message_class=item.extended_property(MESSAGE_CLASS),
        odata_type=item.odata_type,
        headers=headers,
        report=report,
    )
    account_id = watched.mailbox.account_id
    reported = letters_reported(tx, account_id, report) if report is not None else []
    named = letters_named(tx, account_id, item)
    return Read(
        sort=sort,
        report=report,
        named=reported or named,
        letters=reported or _answered_directly(headers, named) or named,
        is_sure=bool(reported),
    )


def _answered_directly(headers: Sequence[tuple[str, str]], named: Sequence[Named]) -> Sequence[Named]:
    if len(named) < 2:  # it makes no difference
        return named
    answers = references((name, value) for name, value in headers if name.casefold() == "in-reply-to")
    return [letter for letter in named if letter.internet_message_id in answers]


def _evidence(tx: Transaction, watched: Watched, item: Item, read: Read) -> Evidence:
    conversation = None
    if item.conversation_id:
        conversation = threads.by_conversation(tx, watched.mailbox.id, item.conversation_id)
    answered = tuple(dict.fromkeys(letter.thread_id for letter in read.named))
    candidates = {*answered, *([conversation] if conversation else [])}
    sender = sender_of(item)
    return Evidence(
        conversation=conversation,
        answered=answered,
        takes_part_in=frozenset(
            thread_id
            for thread_id in candidates
            if (read.is_sure and thread_id in answered)
            or (
                sender is not None
                and any(same_address(one.address, sender.address) for one in threads.participants(tx, thread_id))
            )
        ),
        report=read.is_of_a_mail_system and any(_may_concern(tx, thread_id, read) for thread_id in candidates),
    )


def _may_concern(tx: Transaction, thread_id: str, read: Read) -> bool:
    """Anybody can write what looks like a report; one about somebody who takes no part is held, as from a stranger."""
    if read.is_sure or read.report is None or names_nobody(read.report):
        return True
    return concerns(read.report, threads.participants(tx, thread_id))


def _testimony(evidence: Evidence, verdict: Join | Hold, read: Read) -> dict[str, Any]:
    """What is kept with the message, to answer "why is this here?". Ids and claims, nothing of the mail."""
    return {
        "reason": verdict.reason.value,
        "conversation_is_ours": evidence.conversation_is_ours,
        "references_name_ours": evidence.references_name_ours,
        "sender_is_participant": verdict.thread_id in evidence.takes_part_in,
        "new_participant": isinstance(verdict, Join) and verdict.new_participant,
        "letters": [letter.id for letter in read.letters[:10]],
        **({} if read.sort.what is None else {"what": read.sort.what.value}),
    }


def _join(
    tx: Transaction,
    watched: Watched,
    item: Item,
    verdict: Join,
    read: Read,
    testimony: dict[str, Any],
    words: Wording,
    before: Before,
    now: datetime,
) -> Settled:
    message = as_message(
        watched,
        item,
        verdict.thread_id,
        direction=Direction.IN,
        kind=read.kind,
        placement=Placement.PLACED,
        evidence=testimony,
        words=words,
        now=now,
    )
    messages.insert(tx, message, text=words.text)
    take_part(tx, message)
    # Reports of all letters of a school may share one conversation, by their subject alone.
    remember = verdict.remember and not read.is_of_a_mail_system
    remembered = remember and _remember(tx, watched, item, verdict.thread_id, now)
    for one in (message, *let_in(tx, message.thread_id, now)):
        tell(tx, one, EVENTS.get(one.kind, "thread.updated"), now)
    _count_answer(tx, message, read, before, now)
    turn_letter(tx, verdict.thread_id, _about(tx, message, read), now)
    return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id, remembered=remembered)


def _hold(
    tx: Transaction,
    watched: Watched,
    item: Item,
    verdict: Hold,
    read: Read,
    testimony: dict[str, Any],
    words: Wording,
    now: datetime,
) -> Settled:
    message = as_message(
        watched,
        item,
        verdict.thread_id,
        direction=Direction.IN,
        kind=read.kind,
        placement=Placement.HELD,
        evidence=testimony,
        words=words,
        now=now,
    )
    messages.insert(tx, message, text=words.text)
    keep_for_later(tx, message, _about(tx, message, read))
    tell(tx, message, "review.opened", now)
    return Settled(outcome=Outcome.STORED, thread_id=verdict.thread_id)


def _settle_copy(
    tx: Transaction, watched: Watched, item: Item, verdict: Verdict, stored: Message, now: datetime
) -> Settled:
    """The mail is stored already, from another folder or mailbox; this copy may tell more about it."""
    news = False
    if isinstance(verdict, Join) and stored.placement is Placement.HELD and not acts.of_message(tx, stored.id):
        placements.place(tx, stored.id, Placement.PLACED)
        take_part(tx, stored)
        turn_after_all(tx, stored, now)
        for one in let_in(tx, stored.thread_id, now):
            tell(tx, one, EVENTS.get(one.kind, "thread.updated"), now)
        news = True
    thread = threads.get(tx, stored.account_id, stored.thread_id)
    if says_more(stored, thread.mailbox_id, watched.mailbox.id, Direction.IN):
        adopt(tx, watched, item, stored, Direction.IN)
        news = news or stored.direction is Direction.OUT
    if news:
        tell(tx, stored, EVENTS.get(stored.kind, "thread.updated"), now)
    # A mail that waits for a person does not make its conversation ours.
    is_placed = news or stored.placement is Placement.PLACED
    remembered = is_placed and not isinstance(verdict, Hold) and _remember(tx, watched, item, stored.thread_id, now)
    return Settled(outcome=Outcome.STORED, thread_id=stored.thread_id, remembered=remembered)


def _remember(tx: Transaction, watched: Watched, item: Item, thread_id: str, now: datetime) -> bool:
    """Mail of this conversation belongs to this thread from now on; whether that is news."""
    if not item.conversation_id:
        return False
    if threads.by_conversation(tx, watched.mailbox.id, item.conversation_id) is not None:
        return False
    threads.add_conversation(
        tx,
        watched.mailbox.account_id,
        thread_id,
        mailbox_id=watched.mailbox.id,
        conversation_id=item.conversation_id,
        now=now,
    )
    return True


def _about(tx: Transaction, message: Message, read: Read) -> About:
    """What it tells of letters, which are read whole only where it does."""
    about = About(kind=read.kind, what=read.sort.what, report=read.report, letters=())
    if not about.turns_a_letter:
        return about
    return replace(about, letters=[messages.get(tx, message.account_id, letter.id) for letter in read.letters])


def _count_answer(tx: Transaction, message: Message, read: Read, before: Before, now: datetime) -> None:
    """Whether a person or a machine answers from there: `gateway.sending.loops` has a use for it.

    Some machines answer from another address than the letter went to.
    """
    if message.sender is None:
        return
    if message.kind is Kind.MAIL and before.machines:
        answerers.answered_in_person(tx, message.account_id, message.sender.address)
    elif message.kind is Kind.AUTOMATIC and read.sort.what is None:
        answered = [messages.recipients_of(tx, letter.id) for letter in read.letters[:1]]
        alone = [people[0].address for people in answered if len(people) == 1]
        before.machines = True
        for address in {one.strip().casefold() for one in (message.sender.address, *alone)}:
            answerers.answered_by_machine(tx, message.account_id, address, now=now)


def tell(tx: Transaction, message: Message, event: str, now: datetime) -> None:
    """Write down what happened to a mail that came in."""
    events.record(
        tx,
        message.account_id,
        event,
        thread_id=message.thread_id,
        message_id=message.id,
        data={"direction": Direction.IN.value, "kind": message.kind.value},
        now=now,
    )
