"""What a key sees that is held to mailboxes: an account that has these mailboxes and no others.

An operation says by `Sees` how that is so. What does not say it tells of the whole account, and is closed to such keys.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import Final

from gateway.http.problem_types import LIMITED_KEY
from gateway.http.problems import Problem
from gateway.sending.posted import InBatch, LetterRefused, NewLetter, UnknownMailbox, UnknownOriginal
from storage import NotFound, Store, Transaction, mailboxes, sight
from storage.api_keys import ApiKey


class Sees(StrEnum):
    """Of what an operation tells. THREAD, MESSAGE, BATCH, ACT: of the one whose id is in the path.

    PART: the operation itself looks at the key's mailboxes. ANY: it tells of no mailbox.
    """

    WHOLE = "whole"
    PART = "part"
    ANY = "any"
    THREAD = "thread"
    MESSAGE = "message"
    BATCH = "batch"
    ACT = "act"


CHECKS: Final[Mapping[Sees, tuple[str, Callable[[Transaction, str, Collection[str], str], bool]]]] = {
    Sees.THREAD: ("There is no such thread.", sight.sees_thread),
    Sees.MESSAGE: ("There is no such message.", sight.sees_message),
    Sees.BATCH: ("There is no such batch.", sight.sees_batch),
    Sees.ACT: ("There is no such act.", sight.sees_act),
}


async def check(store: Store, key: ApiKey, sees: Sees, row_id: str) -> None:
    """Raises `Problem` (403) when the operation tells of the whole account, `NotFound` for what is not to be seen."""
    if key.mailbox_ids is None or sees in (Sees.PART, Sees.ANY):
        return
    if sees is Sees.WHOLE:
        raise Problem(LIMITED_KEY, "This tells of more than the mailboxes that the key is held to.")
    await store.glance(must_see, key, sees, row_id)


def must_see(tx: Transaction, key: ApiKey, sees: Sees, row_id: str) -> None:
    """Raises `NotFound`."""
    sentence, is_seen = CHECKS[sees]
    if key.mailbox_ids is not None and not is_seen(tx, key.account_id, key.mailbox_ids, row_id):
        raise NotFound(sentence)


async def check_letters(store: Store, key: ApiKey, letters: Sequence[NewLetter]) -> None:
    """Raises `InBatch` from the refusal of the first letter that names what is not to be seen."""
    if key.mailbox_ids is not None:
        await store.read(_must_see_all, key, letters)


def _must_see_all(tx: Transaction, key: ApiKey, letters: Sequence[NewLetter]) -> None:
    for position, letter in enumerate(letters):
        try:
            _must_see_letter(tx, key, letter)
        except LetterRefused as error:
            raise InBatch(position) from error


async def check_letter(store: Store, key: ApiKey, letter: NewLetter) -> None:
    """Raises `UnknownMailbox`, `UnknownOriginal`."""
    if key.mailbox_ids is not None:
        await store.glance(_must_see_letter, key, letter)


def _must_see_letter(tx: Transaction, key: ApiKey, letter: NewLetter) -> None:
    must_see_mailbox(tx, key, letter.sender)
    if letter.in_reply_to is not None:
        try:
            must_see(tx, key, Sees.MESSAGE, letter.in_reply_to)
        except NotFound as error:
            raise UnknownOriginal(str(error)) from None


async def check_mailbox(store: Store, key: ApiKey, address: str) -> None:
    """Raises `UnknownMailbox`."""
    if key.mailbox_ids is not None:
        await store.glance(must_see_mailbox, key, address)


def must_see_mailbox(tx: Transaction, key: ApiKey, address: str) -> None:
    """Raises `UnknownMailbox`."""
    mailbox = mailboxes.find(tx, key.account_id, address)
    if mailbox is None or not sees_mailbox(key, mailbox.id):
        raise UnknownMailbox.named(address)


def sees_mailbox(key: ApiKey, mailbox_id: str) -> bool:
    """Whether the mailbox is one of the key's."""
    return key.mailbox_ids is None or mailbox_id in key.mailbox_ids
