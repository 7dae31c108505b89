"""Trouble by appointment: rules that answer instead of Graph, or after Graph has done what was asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any


class Effect(StrEnum):
    """When the fault strikes: instead of the act, or after it, so that only the answer is lost."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. It applies to requests whose "METHOD /path" its pattern is found in, by that request's own count.

    Of the requests that match, the first `skip` pass, the next `times` are struck (None: all), the rest pass again.
    """

    match: str
    """A regular expression, e.g. `^POST /v1.0/users/.*/send$` or `^POST /.*/token$`."""
    skip: int = 0
    times: int | None = 1
    effect: Effect = Effect.BEFORE
    status: int | None = None
    """The answer's status. None: the true answer is given, late if there is a `delay`."""
    code: str = "ServiceUnavailable"
    message: str = "Please retry again later."
    headers: Mapping[str, str] = field(default_factory=dict)
    reset: bool = False
    """Break the connection off in place of an answer."""
    delay: timedelta = timedelta(0)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> "Fault":
        """From the admin route. `delay` is in seconds. Raises TypeError or ValueError."""
        fields = dict(body)
        try:
            re.compile(fields["match"])
        except re.error as error:
            raise ValueError(f"match is no regular expression: {error}") from error
        if "effect" in fields:
            fields["effect"] = Effect(fields["effect"])
        if "delay" in fields:
            fields["delay"] = timedelta(seconds=float(fields["delay"]))
        return cls(**fields)


class ConnectionReset(Exception):
    """The answer that never comes."""


class Faults:
    """The rules in force, in order; the first that applies to a request strikes it."""

    def __init__(self) -> None:
        self._rules: list[tuple[Fault, re.Pattern[str]]] = []
        self._counts: list[int] = []
        self.struck: list[str] = []
        """What was struck, as "METHOD /path", in order."""

    def add(self, fault: Fault) -> Fault:
        self._rules.append((fault, re.compile(fault.match)))
        self._counts.append(0)
        return fault

    def clear(self) -> None:
        self._rules.clear()
        self._counts.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this request, which counts as having happened."""
        line = f"{method} {path}"
        chosen: Fault | None = None
        for position, (fault, pattern) in enumerate(self._rules):
            if pattern.search(line) is None:
                continue
            self._counts[position] += 1
            number = self._counts[position]
            is_due = number > fault.skip and (fault.times is None or number <= fault.skip + fault.times)
            if chosen is None and is_due:
                chosen = fault
                self.struck.append(line)
        return chosen


def throttling(match: str = "^GET ", *, times: int | None = 1, retry_after: str = "1") -> Fault:
    """429 as Outlook's concurrency limit words it."""
    return Fault(
        match=match,
        times=times,
        status=429,
        code="ApplicationThrottled",
        message="Application is over its MailboxConcurrency limit.",
        headers={"Retry-After": retry_after},
    )


def lost_answer(match: str = "/send$", *, status: int = 504, times: int | None = 1) -> Fault:
    """The act happens, and the answer says that something went wrong."""
    return Fault(
        match=match, times=times, effect=Effect.AFTER, status=status, code="UnknownError", message="Unknown error."
    )
