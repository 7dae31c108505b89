"""What a check found, in the same four columns wherever it is shown: tried, verdict, found, cure."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """WARN: it works, or may work, and somebody should still read the sentence."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was tried. The last three are sentences for people; `cure` is None when all is well."""

    name: str
    verdict: Verdict
    tried: str
    found: str
    cure: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The checks in the order they were made. What could not be tried because an earlier one failed is not in it."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed; warnings do not count."""
        return all(check.verdict is not Verdict.FAIL for check in self.checks)
