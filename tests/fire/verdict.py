"""What was promised, compared with what the file holds and what really left. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.sending.draft import TAG
from tests.fire.books import Row

ENDS: Final = frozenset({"sent", "failed", "needs_review"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`lost` and `doubled` count letters; `violations` are sentences, one for each thing that must not be."""

    rows: int
    states: Mapping[str, int]
    in_ledger: int
    submitted_again: int
    lost: int
    doubled: int
    violations: Sequence[str]


def judge(promised: Mapping[str, str], rows: Sequence[Row], ledger: Sequence[Mapping[str, Any]]) -> Verdict:
    """`promised` is the id that each key was answered with; `ledger` what the sandbox says was sent."""
    left = Counter(entry["extended_properties"].get(TAG) for entry in ledger)
    by_id = {row.message_id: row for row in rows}
    lost = [
        *(f"{key} was promised as {one} and has no row" for key, one in promised.items() if one not in by_id),
        *(f"{row.message_id} is called sent and never left" for row in rows if _is_missing(row, left)),
    ]
    keys = Counter(row.key for row in rows)
    doubled = [
        *(f"the letter with send_uid {uid} left {count} times" for uid, count in left.items() if count > 1),
        *(f"{count} rows have the key {key}" for key, count in keys.items() if count > 1),
    ]
    return Verdict(
        rows=len(rows),
        states=dict(Counter(row.state for row in rows)),
        in_ledger=len(ledger),
        submitted_again=sum(row.submits > 1 for row in rows),
        lost=len(lost),
        doubled=len(doubled),
        violations=[*lost, *doubled, *_untruths(promised, rows, left)],
    )


def _is_missing(row: Row, left: Mapping[str | None, int]) -> bool:
    return row.state == "sent" and not left.get(row.send_uid)


def _untruths(promised: Mapping[str, str], rows: Sequence[Row], left: Mapping[str | None, int]) -> list[str]:
    """What is neither lost nor doubled, and yet not as it should be."""
    known = {row.send_uid for row in rows}
    promises = {(one, key) for key, one in promised.items()}
    return [
        *(f"mail left that no row knows of: {uid}" for uid in left if uid not in known),
        *(f"{row.message_id} has not come to an end: it is {row.state}" for row in rows if row.state not in ENDS),
        *(
            f"{row.message_id} is called failed and left"
            for row in rows
            if row.state == "failed" and left[row.send_uid]
        ),
        *(
            f"{row.message_id} has the key {row.key}, which was promised otherwise"
            for row in rows
            if (row.message_id, row.key) not in promises
        ),
    ]
