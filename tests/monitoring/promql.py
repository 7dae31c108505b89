"""Which metrics a PromQL expression asks for.

Not by Prometheus's own parser, which `promtool` has but does not show: what is no name is taken away, and what is left
and is neither a word of the language nor a function is a name.
https://prometheus.io/docs/prometheus/latest/querying/basics/
"""

import re
from typing import Final

STRINGS: Final = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|`[^`]*`")
MATCHERS: Final = re.compile(r"\{[^{}]*\}")
RANGES: Final = re.compile(r"\[[^\]]*\]")
LABELS: Final = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^()]*\)")
NAME: Final = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\w*\s*\()")
WORDS: Final = frozenset({"and", "or", "unless", "bool", "offset", "by", "without", "on", "ignoring", "inf", "nan"})


def metrics_of(expression: str) -> set[str]:
    """Their names."""
    bare = expression
    for taken_away in (STRINGS, MATCHERS, RANGES, LABELS):
        bare = taken_away.sub(" ", bare)
    return {name for name in NAME.findall(bare) if name.lower() not in WORDS}
