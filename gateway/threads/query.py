"""What people type into a search box, read kindly: every text means something, none is an error.

    enrolment fee          both words, in any order, anywhere in one message
    "change of address"    these words next to each other
    enrol*                 words that begin so; the `*` counts after at least four letters
    -refund                not in messages with this word; also -"two words"
    subject:offer          in the subject; also from:, to: and attachments:, with a word or "a phrase"

A message has a word in its subject, in what is new in it, in names and addresses of who wrote it and to whom, or in the
names of its attachments. Case and accents do not count: `ngati` finds Ngāti, and `Ngāti` finds ngati. Signs do not
count: `aroha@student.example` is a phrase of three words, and AND, OR and brackets are words and signs like any other.

Not found: parts of words but their beginning (`rolment`), other forms of a word (`enrolled` for `enrol`), emoji and
other signs, what a mail only quotes, what is beyond the first 100,000 characters of a text, what attachments contain.
Where words are not set apart by blanks, as in Chinese, Japanese or Thai, the beginning of a run of characters is found.
"""

import re
import unicodedata
from typing import Final

from storage.questions import UNASKABLE, Field, Term

MOST_TERMS: Final = 16
LONGEST_QUERY: Final = 500
SHORTEST_BEGINNING: Final = 4  # of three letters there are so many words that a million messages take seconds
QUOTES: Final = str.maketrans("“”„«»", '"""""')
# A field's name, then a phrase (its closing quote may be missing) or a word.
PIECE: Final = re.compile(
    r"""(?P<minus>-?)(?:(?P<field>subject|from|to|attachments):)?(?:"(?P<phrase>[^"]*)(?:"|$)|(?P<word>[^\s"]+))""",
    re.IGNORECASE,
)
# Scripts that set no blanks between words: Thai, Lao, Myanmar, Khmer, kana, ideographs.
UNSPACED: Final = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def parse(text: str) -> tuple[Term, ...]:
    """The words and phrases of a query. Empty when it has none, be it blank or signs alone."""
    text = UNASKABLE.sub(" ", text[:LONGEST_QUERY]).translate(QUOTES)
    found = [_term(piece) for piece in PIECE.finditer(text)]
    return tuple(term for term in found if term is not None)[:MOST_TERMS]


def is_blank(text: str) -> bool:
    """Whether nothing is asked at all."""
    return not UNASKABLE.sub(" ", text).strip()


def _term(piece: re.Match[str]) -> Term | None:
    said = piece["word"] if piece["phrase"] is None else piece["phrase"]
    words = said.rstrip("*")
    if not any(_is_of_a_word(one) for one in words):
        return None
    last = re.split(r"[\W_]+", words)[-1]
    is_run = UNSPACED.search(last) is not None
    return Term(
        text=words,
        field=None if piece["field"] is None else Field(piece["field"].lower()),
        beginning=is_run or (said != words and len(last) >= SHORTEST_BEGINNING),
        excluded=bool(piece["minus"]),
    )


def _is_of_a_word(character: str) -> bool:
    """As FTS5's `unicode61` sees it: letters and numbers. https://sqlite.org/fts5.html#unicode61_tokenizer"""
    return unicodedata.category(character)[0] in "LN"
