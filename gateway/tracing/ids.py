"""What a trace is called: https://www.w3.org/TR/trace-context/. Only values in, only values out."""

import random
import re
from dataclasses import dataclass, replace
from typing import Final, Self

# Version 00 has exactly these four fields; of a later version the first four mean the same (section 3.2.4, "Versioning
# of traceparent"). Version ff is forbidden, and so are ids of nothing but zeros.
TRACEPARENT: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
LONGEST: Final = 512  # of any version; what is longer is not looked at
FORBIDDEN_VERSION: Final = "ff"
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16
SAMPLED: Final = 0x01
# Ids need to be unlike each other, not unguessable: nothing is let in by one. So the system is asked only once.
_RANDOM: Final = random.Random(random.SystemRandom().getrandbits(256))  # noqa: S311


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One place in one trace. `span_id` is what is done now, or by whom it was asked for. `sampled`: it is recorded."""

    trace_id: str
    span_id: str
    sampled: bool = False

    @classmethod
    def begin(cls, *, sampled: bool) -> Self:
        """A trace that nobody has begun before us."""
        ids = f"{_RANDOM.getrandbits(192):048x}"
        trace_id, span_id = ids[:32], ids[32:]
        if trace_id == NO_TRACE or span_id == NO_SPAN:
            return cls.begin(sampled=sampled)
        return cls(trace_id=trace_id, span_id=span_id, sampled=sampled)

    @property
    def traceparent(self) -> str:
        """As it goes into a header or a row."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"

    def within(self) -> Self:
        """Another step of the same trace."""
        return replace(self, span_id=new_span_id())

    def client_request_id(self) -> str:
        """A GUID for one call to Graph, unlike any other, that begins with the last 12 digits of the trace's id.

        Microsoft asks for a unique one on each request:
        https://learn.microsoft.com/graph/best-practices-concept#reliability-and-support
        """
        given, fresh = self.trace_id[-12:], f"{_RANDOM.getrandbits(80):020x}"
        variant = "89ab"[int(fresh[3], 16) & 3]  # RFC 9562, version 4
        return f"{given[:8]}-{given[8:]}-4{fresh[:3]}-{variant}{fresh[4:7]}-{fresh[7:19]}"


def new_span_id() -> str:
    """Not all zeros."""
    return f"{_RANDOM.getrandbits(64) or 1:016x}"


def parse(traceparent: str | None) -> Trace | None:
    """What a header or a row says; None for whatever is no traceparent: then a trace is begun, as the standard asks."""
    if traceparent is None or len(traceparent) > LONGEST:
        return None
    match = TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == FORBIDDEN_VERSION or (version == "00" and more) or trace_id == NO_TRACE or span_id == NO_SPAN:
        return None
    return Trace(trace_id=trace_id, span_id=span_id, sampled=bool(int(flags, 16) & SAMPLED))
