"""Who changed when: the memory of one folder, from which delta queries are answered."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class ChangeType(StrEnum):
    """Graph's `changeType`, seen from a folder: leaving it is `deleted`."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The latest change of an item. `entered` is the number of the change by which it came into this folder."""

    number: int
    entered: int
    immutable_id: str
    id: str
    """The default id that the item had in this folder."""
    is_removed: bool

    def type_since(self, number: int) -> ChangeType:
        """What this is to someone who has seen the folder up to change `number`."""
        if self.is_removed:
            return ChangeType.DELETED
        return ChangeType.CREATED if self.entered > number else ChangeType.UPDATED


class ChangeLog:
    """The latest change of each item a folder ever held, in order. Numbers only grow, over the whole mailbox."""

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._changes: list[Change] = []
        self._latest: dict[str, Change] = {}
        self.generation = 1
        """Delta tokens name it; raising it makes all that were handed out worthless."""

    def record(self, *, number: int, kind: ChangeType, immutable_id: str, id: str) -> None:
        """Note a change. Its number must be the highest so far."""
        before = self._latest.get(immutable_id)
        entered = number if kind is ChangeType.CREATED or before is None else before.entered
        change = Change(
            number=number, entered=entered, immutable_id=immutable_id, id=id, is_removed=kind is ChangeType.DELETED
        )
        self._latest[immutable_id] = change
        self._numbers.append(number)
        self._changes.append(change)
        if len(self._changes) > 2 * len(self._latest) + 1000:
            self._forget_overtaken()

    def between(self, after: int, upto: int) -> Iterator[Change]:
        """The items whose latest change lies in (after, upto], each once, oldest change first."""
        for position in range(bisect_right(self._numbers, after), len(self._numbers)):
            change = self._changes[position]
            if change.number > upto:
                return
            if self._latest[change.immutable_id] is change:
                yield change

    def _forget_overtaken(self) -> None:
        self._changes = [change for change in self._changes if self._latest[change.immutable_id] is change]
        self._numbers = [change.number for change in self._changes]
