"""What can be asked of the search index, and how it reads in FTS5's language."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from storage.threads import Object

MARK: Final = "\ue000"  # begins the tokens of `scope`; taken out of all that people ask
UNASKABLE: Final = re.compile(f"[\x00-\x1f{MARK}]")  # FTS5 takes a zero byte for the end of the question


class Field(StrEnum):
    """Where a word can stand."""

    SUBJECT = "subject"
    FROM = "from"
    TO = "to"
    ATTACHMENTS = "attachments"
    TEXT = "text"


COLUMNS: Final = {
    Field.SUBJECT: "subject",
    Field.FROM: "sender",
    Field.TO: "recipients",
    Field.ATTACHMENTS: "files",
    Field.TEXT: "text",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word or a phrase. `beginning`: its last word may go on."""

    text: str
    field: Field | None = None
    beginning: bool = False
    excluded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """All that is given must be so. `since` is the first moment that counts, `until` the first that does not.

    `nowhere`: something was asked that no message can have, such as an emoji alone.
    """

    terms: tuple[Term, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    mailbox: str | None = None
    direction: str | None = None
    unanswered: bool | None = None
    what: Object | None = None
    nowhere: bool = False

    @property
    def is_about_messages(self) -> bool:
        """Whether it takes a look at messages; else the list of threads answers it."""
        return bool(self.terms or self.nowhere or self.since or self.until or self.direction)


def expression(account_id: str, question: Question, mailbox_id: str | None, *, among_others: bool = True) -> str:
    """The question in FTS5's language. All that people wrote stands in quotes: none of it is an operator.

    What must be there is set side by side, not joined by AND: then FTS5 passes over a phrase without any word.
    The account is left out where it narrows nothing down: where a mailbox is named, or there are no others
    (`among_others`). FTS5 would go through everything that the account has, beside the few that are looked for.
    """
    scope = []
    if mailbox_id is not None:
        scope.append(f"m{mailbox_id[-10:]}")
    if question.direction is not None:
        scope.append(question.direction)
    if question.what is not None:
        scope.append("o" + f"{question.what.type}:{question.what.id}".encode().hex())
    words = [_phrase(one) for one in question.terms if not one.excluded]
    if (among_others and mailbox_id is None) or not (scope or words):
        scope.insert(0, f"a{account_id[-10:]}")
    whole = " ".join([*(quoted(MARK + one) for one in scope), *words])
    for one in question.terms:
        if one.excluded:
            whole = f"({whole}) NOT {_phrase(one)}"
    return f"({whole})"


def _phrase(term: Term) -> str:
    column = f"{COLUMNS[term.field]} : " if term.field is not None else ""
    return f"{column}{quoted(UNASKABLE.sub(' ', term.text))}{' *' if term.beginning else ''}"


def quoted(text: str) -> str:
    """As a string of FTS5's, in which nothing is an operator."""
    return '"' + text.replace('"', '""') + '"'
