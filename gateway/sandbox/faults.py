"""Trouble by appointment: rules that answer instead of Graph, or after Graph has done what was asked."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import Any, Final, Literal

import httpx

_AHEAD: Final = re.compile(r"date:\+(\d+)")


class Effect(StrEnum):
    """When the fault strikes: instead of the act, or after it, so that only the answer is lost."""

    BEFORE = "before"
    AFTER = "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule. It applies to requests whose "METHOD /path" its pattern is found in, by that request's own count.

    Of the requests that match, the first `skip` pass, the next `times` are struck (None: all), the rest pass again.
    With a `share` below 1 the lot decides for each after the first `skip`, until `times` were hit by it.
    """

    match: str
    """A regular expression, e.g. `^POST /v1.0/users/.*/send$`, `^PUT .*` for uploads, or `^POST /.*/token$`."""
    skip: int = 0
    times: int | None = 1
    share: float = 1.0
    """How many of the requests that match are struck, from 0 to 1; `seed` decides which, so that runs repeat."""
    seed: int = 0
    effect: Effect = Effect.BEFORE
    status: int | None = None
    """The answer's status. None: the true answer is given, late if there is a `delay`."""
    code: str = "ServiceUnavailable"
    message: str = "Please retry again later."
    headers: Mapping[str, str] = field(default_factory=dict)
    """Added to the answer. A value of the form `date:+5` becomes the HTTP-date 5 s ahead (RFC 9110, 10.2.3)."""
    reset: bool = False
    """Break the connection off in place of an answer."""
    delay: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share is from 0 to 1, not {self.share}")

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

    def headers_at(self, now: datetime) -> dict[str, str]:
        """The headers as they go out at `now`."""
        return {name: _rendered(value, now) for name, value in self.headers.items()}


class ConnectionReset(httpx.RemoteProtocolError):
    """The answer that never comes. Where no socket can be closed, a client in process meets it as it is."""

    def __init__(self) -> None:
        super().__init__("Server disconnected without sending a response.")


class Rule:
    """A fault in force, and what became of it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.matched = 0
        self.struck = 0
        self._pattern = re.compile(fault.match)
        self._lots = random.Random(fault.seed)  # noqa: S311 - nothing here guards anything
        self._hits = 0

    def is_due(self, line: str) -> bool:
        """Whether it would strike this request, which it counts if it matches."""
        if self._pattern.search(line) is None:
            return False
        self.matched += 1
        if self.matched <= self.fault.skip or self._lots.random() >= self.fault.share:
            return False
        self._hits += 1
        return self.fault.times is None or self._hits <= self.fault.times


class Faults:
    """The rules in force, in order; the first that applies to a request strikes it."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self.struck: list[str] = []
        """What was struck, as "METHOD /path", in order."""

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)

    def add(self, fault: Fault) -> Fault:
        self._rules.append(Rule(fault))
        return fault

    def clear(self) -> None:
        self._rules.clear()

    def strike(self, method: str, path: str) -> Fault | None:
        """The fault for this request, which counts as having happened."""
        line = f"{method} {path}"
        due = [rule for rule in self._rules if rule.is_due(line)]
        if not due:
            return None
        due[0].struck += 1
        self.struck.append(line)
        return due[0].fault


def _rendered(value: str, now: datetime) -> str:
    ahead = _AHEAD.fullmatch(value)
    if ahead is None:
        return value
    return format_datetime(now + timedelta(seconds=int(ahead.group(1))), usegmt=True)


def throttling(
    match: str = "^GET ",
    *,
    times: int | None = 1,
    retry_after: str = "1",
    form: Literal["seconds", "date"] = "seconds",
) -> Fault:
    """429 as Outlook's concurrency limit words it; `retry_after` in seconds, told in either form of RFC 9110."""
    return Fault(
        match=match,
        times=times,
        status=429,
        code="ApplicationThrottled",
        message="Application is over its MailboxConcurrency limit.",
        headers={"Retry-After": f"date:+{retry_after}" if form == "date" else retry_after},
    )


def lost_answer(match: str = "/send$", *, status: int = 504, times: int | None = 1) -> Fault:
    """The act happens, and the answer says that something went wrong."""
    return Fault(
        match=match, times=times, effect=Effect.AFTER, status=status, code="UnknownError", message="Unknown error."
    )


def accepted_with_retry_after(match: str = "/send$", *, times: int | None = 1, retry_after: str = "5") -> Fault:
    """The act happens and is answered as ever, for /send with 202, but `Retry-After` stands in the answer.

    It is no request to repeat anything: clients that did so sent twice (msgraph-sdk-java#1487).
    """
    return Fault(match=match, times=times, effect=Effect.AFTER, headers={"Retry-After": retry_after})
