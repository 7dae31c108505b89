"""Proving an erasure: words of what was erased are looked for in the database file, its log, and the log's index.

Each word is looked for as it is, in UTF-16, in hex and in base64 (whose three alignments are told apart). What is found
and still stands in the text of something that is kept proves nothing and is left out; so is what was too short to be
anybody's. The words themselves are kept nowhere: they are gathered before the erasure and forgotten after the search.
"""

import base64
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from storage.messages import Message
from storage.threads import Address

SHORTEST: Final = 8  # characters
MOST: Final = (
    16  # words: each is looked for in seven spellings, and a spelling takes some tenths of a second per gigabyte
)
SLICE: Final = 48  # characters of a body
PIECE: Final = 8 * 1024 * 1024
SPELLINGS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """In which files each word was found, by its place in the list that was given."""

    files: Sequence[str]
    bytes_searched: int
    hits: dict[int, list[str]]


def words_of(messages: Iterable[Message], people: Iterable[Address], *, most: int = MOST) -> list[str]:
    """What is to be looked for: addresses and names first, then subjects, names of files and the middles of bodies."""
    names = [text for one in people for text in (one.address, one.name or "")]
    told = list(messages)
    spread = told[:: max(1, len(told) // most)]
    texts = [text for one in spread for text in (_middle(one.body), one.subject, *(a.name for a in one.attachments))]
    words = dict.fromkeys(text for text in (*names[: most // 2], *texts) if len(text) >= SHORTEST)
    return list(words)[:most]


def endings_of(words: Iterable[str], *, most: int = MOST) -> dict[str, str]:
    """How the search index writes words: in lower case, and without what one begins with as the word before it does.

    Each ending with the word that it is of.
    """
    split = ("".join(one if one.isalnum() else " " for one in word.lower()).split() for word in words)
    long = (token for tokens in split for token in tokens if len(token) >= SHORTEST + 3 and token.isascii())
    return {token[-SHORTEST:]: token for token in list(dict.fromkeys(long))[:most]}


def search(files: Iterable[Path], words: Sequence[str]) -> Found:
    """Read these files from end to end. Takes seconds for a gigabyte: not on the loop."""
    forms = [(number, form) for number, word in enumerate(words) for form in spellings(word)]
    overlap = max((len(form) for _, form in forms), default=1) - 1
    hits: dict[int, list[str]] = {}
    searched, names = 0, []
    for file in files:
        if not file.exists():
            continue
        names.append(file.name)
        for piece in _pieces(file, overlap):
            searched += len(piece)
            for number, form in forms:
                if form in piece and file.name not in hits.setdefault(number, []):
                    hits[number].append(file.name)
    return Found(files=names, bytes_searched=searched, hits={number: where for number, where in hits.items() if where})


def _pieces(file: Path, overlap: int) -> Iterator[bytes]:
    """With the end of the one before, so that nothing hides between two. Not mapped into memory: a log that is cut
    short meanwhile would end the process."""
    end = b""
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            yield end + piece
            end = (end + piece)[-overlap:] if overlap else b""


def spellings(word: str) -> list[bytes]:
    """How bytes of a word can look in a file."""
    plain = word.encode()
    hexed = plain.hex().encode()
    return [plain, word.encode("utf-16-le"), word.encode("utf-16-be"), hexed, hexed.upper(), *_in_base64(plain)]


def _in_base64(plain: bytes) -> list[bytes]:
    """Without the ends, which depend on what stands beside it."""
    found = []
    for before in range(3):
        whole = base64.b64encode(bytes(before) + plain).rstrip(b"=")
        first, last = -(-before * 8 // 6), (before + len(plain)) * 8 // 6
        found.append(whole[first:last])
    return [one for one in found if len(one) >= SHORTEST]


def _middle(text: str) -> str:
    """Of the longest run without line breaks or quotes, which JSON and HTML spell otherwise."""
    runs = sorted((run for line in text.splitlines() for run in line.split('"')), key=len)
    run = runs[-1] if runs else ""
    start = max(0, (len(run) - SLICE) // 2)
    return run[start : start + SLICE]
