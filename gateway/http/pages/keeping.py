"""How long what is kept, in one sentence of the settings page."""

from collections.abc import Mapping
from typing import Final

from storage.retention import AUDIT, THREADS

NAMES: Final = {
    "student": "students",
    "enrolment": "enrolments",
    "intake": "intakes",
    "class": "classes",
    "contact": "contacts",
    "organisation": "organisations",
    "user": "users",
}


def keeping(rules: Mapping[str, int]) -> str:
    """The account's rules for people."""
    others = [f"those of {NAMES[what]} {_days(days)}" for what, days in rules.items() if what in NAMES]
    threads = f"Threads are kept {_days(rules[THREADS])}" if THREADS in rules else "Threads are kept for ever"
    after = " after their last message" if THREADS in rules or others else ""
    log = f"the audit log {_days(rules[AUDIT])}" if AUDIT in rules else "the audit log for ever"
    return f"{', '.join([threads, *others])}{after}; {log}."


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days:,} days"
