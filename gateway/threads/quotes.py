"""What a mail adds to its conversation, where the mailbox could not tell: the quoted rest found by a library.

quotequail knows how mail programs introduce a quote in a dozen languages. It was chosen over others because it reads
line by line: two of its peers take minutes for 100 KB of "On On On …". A long line costs it dear too, so it is given
the beginnings of lines, and of those not too many: the most hostile text then takes some tenths of a second. What it
does not know is shown whole: it is better to show too much than to fold what somebody wrote.
"""

import re
from typing import Final

import quotequail

MOST_LINES: Final = 400  # further down nothing is looked for
LONGEST_LINE: Final = 200  # characters of it that are looked at
# "On 2 March … wrote:" has a date or an address in it; "On the form you wrote:" is a person's own sentence.
_INTRODUCES: Final = re.compile(r"[0-9@]")
# Whatever quotequail knows as an introduction, a header or a quote has one of these: most short answers have none.
_MAY_QUOTE: Final = (":", "<", ">", "___", "---")


def new_part(text: str) -> str | None:
    """What stands before the quote; None when nothing is quoted, or nothing but the quote is there."""
    if not any(mark in text for mark in _MAY_QUOTE):
        return None
    lines = text.strip().split("\n", MOST_LINES)[:MOST_LINES]
    beginnings = [line[:LONGEST_LINE] for line in lines]
    end = _introduction(beginnings) or _headers(beginnings)
    return "\n".join(lines[:end]).strip() or None if end else None


def _introduction(lines: list[str]) -> int | None:
    """How many lines stand before the one that introduces the quote."""
    said, *rest = quotequail.quote("\n".join(lines), limit=MOST_LINES, quote_intro_line=True)
    if not rest:
        return None
    end = said[1].count("\n") + 1 if said[1] else 0
    introduction = lines[end : end + 2]
    return end if introduction[0].startswith(("_", "-")) or _INTRODUCES.search(" ".join(introduction)) else None


def _headers(lines: list[str]) -> int | None:
    """Outlook's way: From, Sent, To and Subject under a rule, or under nothing."""
    found = quotequail.unwrap("\n".join(lines))
    if found is None or not {"from", "subject", "text_top"} <= found.keys():
        return None
    return str(found["text_top"]).count("\n") + 1
