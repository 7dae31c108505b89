"""Looking for words that must stand nowhere: each in every form that a program could have put it into. Pure."""

import base64
import binascii
import html
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import orjson

SHORTEST: Final = 8  # what is shorter stands somewhere by chance


def forms(word: str) -> Iterator[tuple[str, bytes]]:
    """A word as it could stand somewhere; in base64 at each of its three places."""
    raw = word.encode()
    yield "raw", raw
    yield "backwards", raw[::-1]
    yield "hex", binascii.hexlify(raw)
    yield "HEX", binascii.hexlify(raw).upper()
    yield "spaced hex", binascii.hexlify(raw, " ")
    yield "percent-encoded", "".join(f"%{byte:02X}" for byte in raw).encode()
    yield "JSON-escaped", "".join(f"\\u{ord(sign):04x}" for sign in word).encode()
    for encoding in ("utf-16-le", "utf-16-be"):
        yield encoding, word.encode(encoding)
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        whole = encoded[4 if shift else 0 : len(encoded) - 4]  # without what depends on the neighbours
        yield f"base64+{shift}", whole
        yield f"base64url+{shift}", whole.translate(bytes.maketrans(b"+/", b"-_"))
    if not word.isascii():
        yield "URL", quote(word).encode()
        yield "JSON in ASCII", word.encode("ascii", "backslashreplace")
        yield "HTML", word.encode("ascii", "xmlcharrefreplace")
        yield "latin-1 of UTF-8", raw.decode("latin-1").encode()
    for escaped, name in ((html.escape(word), "HTML-escaped"), (orjson.dumps(word).decode()[1:-1], "JSON")):
        if escaped != word:
            yield name, escaped.encode()


def hits(words: Mapping[str, str], places: Mapping[str, bytes]) -> list[str]:
    """Which word stands where, in which form. Capitals make no difference, but in base64."""
    small = {place: content.lower() for place, content in places.items()}
    return [
        f"{name} in {place} as {form}"
        for name, word in words.items()
        for form, needle in forms(word)
        for place, content in (places if "base64" in form else small).items()
        if (needle if "base64" in form else needle.lower()) in content
    ]
