"""Which thread a mail belongs to, and why. Pure.

Three witnesses: the conversation that Exchange put it in, the letters that its headers say it answers, and who wrote
it. None alone is enough. Exchange gives strangers the same conversation when nothing but a plain subject ties them
(microsoft-graph-docs issue 869), headers can be written by anybody, and so can the sender.

    conversation  headers name   sender
    is ours       a letter       takes part
    yes           yes            any          join; a new sender is marked
    yes           no             yes          join
    no            yes            yes          join, and remember the conversation
    no            yes            no           hold for review
    yes           no             no           hold for review
    no            no             any          not ours

Where the witnesses name different threads, two students may be about to be mixed up. Then a mail joins only if it
answers a letter of exactly one thread in which its sender takes part: the letter is more exact than the
conversation, which stays where it is. Anything else that contradicts itself is held.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MAX_REFERENCES: Final = 100  # of a message, the nearest are kept
MAX_ID_LENGTH: Final = 998  # RFC 5322 section 2.1.1: the longest line there can be

# RFC 5322 section 3.6.4, read generously: real ids break the grammar, but hold neither blanks nor brackets.
MESSAGE_ID: Final = re.compile(rf"<[^<>\s\x00-\x1f\x7f]{{1,{MAX_ID_LENGTH - 2}}}>")


class Reason(StrEnum):
    """Why a mail is where it is; kept with it and shown."""

    CONVERSATION_AND_REFERENCES = "conversation_and_references"
    CONVERSATION = "conversation"
    REFERENCES = "references"
    COPY = "copy"
    WRITTEN_IN_MAILBOX = "written_in_mailbox"
    STRANGER_IN_CONVERSATION = "stranger_in_conversation"
    STRANGER_WITH_REFERENCES = "stranger_with_references"
    WITNESSES_DISAGREE = "witnesses_disagree"
    NOT_OURS = "not_ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of an incoming mail. Threads are named by id.

    `answered`: the threads of the letters that In-Reply-To and References name, the nearest letter's first.
    `takes_part_in`: those of all these threads in which the sender takes part. A delivery report comes from the mail
    system, which takes part nowhere, so for a `report` it is not asked who sent it.
    """

    conversation: str | None
    answered: tuple[str, ...]
    takes_part_in: frozenset[str]
    report: bool = False

    @property
    def conversation_is_ours(self) -> bool:
        """The first witness."""
        return self.conversation is not None

    @property
    def references_name_ours(self) -> bool:
        """The second witness."""
        return bool(self.answered)

    def sender_is_participant(self, thread_id: str) -> bool:
        """The third witness."""
        return self.report or thread_id in self.takes_part_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """It belongs to this thread. `remember`: its conversation does, too, from now on."""

    thread_id: str
    reason: Reason
    remember: bool = False
    new_participant: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """It may belong to this thread: a person decides."""

    thread_id: str
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NotOurs:
    """Nothing of it is kept."""

    reason: Reason = Reason.NOT_OURS


Verdict = Join | Hold | NotOurs


def judge(evidence: Evidence) -> Verdict:
    """The table above."""
    conversation, answered = evidence.conversation, evidence.answered
    if conversation is None:
        return _by_references(evidence, answered) if answered else NotOurs()
    if conversation in answered:
        return Join(
            thread_id=conversation,
            reason=Reason.CONVERSATION_AND_REFERENCES,
            new_participant=not evidence.sender_is_participant(conversation),
        )
    if answered:
        return _against_the_conversation(evidence, conversation)
    if evidence.sender_is_participant(conversation):
        return Join(thread_id=conversation, reason=Reason.CONVERSATION)
    return Hold(thread_id=conversation, reason=Reason.STRANGER_IN_CONVERSATION)


def _by_references(evidence: Evidence, answered: Sequence[str]) -> Verdict:
    nearest = answered[0]
    if len(set(answered)) > 1:
        return Hold(thread_id=nearest, reason=Reason.WITNESSES_DISAGREE)
    if evidence.sender_is_participant(nearest):
        return Join(thread_id=nearest, reason=Reason.REFERENCES, remember=True)
    return Hold(thread_id=nearest, reason=Reason.STRANGER_WITH_REFERENCES)


def _against_the_conversation(evidence: Evidence, conversation: str) -> Verdict:
    """The conversation is another thread's, as when Exchange made it from a subject that many letters share."""
    if len(set(evidence.answered)) == 1 and evidence.answered[0] in evidence.takes_part_in:
        return Join(thread_id=evidence.answered[0], reason=Reason.REFERENCES)
    return Hold(thread_id=conversation, reason=Reason.WITNESSES_DISAGREE)


def judge_written(conversation: str, sharing: Mapping[str, frozenset[str]], recipients: Sequence[str]) -> Verdict:
    """Where a mail belongs that staff wrote in Outlook within a conversation of ours.

    In the conversation's thread; but where letters to several people share the conversation, in the thread of those
    it is written to. `sharing` has for each such thread who takes part in it, as addresses.
    """
    takers = {
        thread_id: {one for one in recipients if any(same_address(one, other) for other in people)}
        for thread_id, people in sharing.items()
    }
    concerned = set().union(*takers.values())
    if concerned <= takers.get(conversation, set()):
        return Join(thread_id=conversation, reason=Reason.WRITTEN_IN_MAILBOX)
    others = [thread_id for thread_id, some in takers.items() if concerned == some]
    if len(others) == 1:
        return Join(thread_id=others[0], reason=Reason.WRITTEN_IN_MAILBOX)
    return Hold(thread_id=conversation, reason=Reason.WITNESSES_DISAGREE)


def usable_message_id(text: str | None) -> str | None:
    """A Message-ID that can tell one mail from another, with its brackets; None for empty and malformed ones."""
    found = MESSAGE_ID.fullmatch((text or "").strip())
    return found[0] if found else None


def references(headers: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """The Message-IDs that a mail says it answers, nearest first: In-Reply-To, then References from its end.

    Source: RFC 5322 section 3.6.4. Header names without case; each id once; at most MAX_REFERENCES.
    """
    in_reply_to: list[str] = []
    chain: list[str] = []
    for name, value in headers:
        match name.casefold():
            case "in-reply-to":
                in_reply_to += MESSAGE_ID.findall(value)
            case "references":
                chain += MESSAGE_ID.findall(value)
    nearest_first = [*in_reply_to, *reversed(chain)]
    return tuple(dict.fromkeys(nearest_first))[:MAX_REFERENCES]


def same_address(one: str | None, other: str | None) -> bool:
    """Whether two addresses are the same mailbox, as far as anybody treats them: without case. None is nobody."""
    if not one or not other:
        return False
    return one.strip().casefold() == other.strip().casefold()
