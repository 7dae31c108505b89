"""The public lists of payloads, and how each is read."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from playwright.async_api import Page

from tests.corpora import clones

Read = Callable[[Path, Page], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """A repository on GitHub, and how its payloads are got out of it."""

    repository: str
    licence: str
    read: Read

    @property
    def name(self) -> str:
        """The repository's own, and the folder's."""
        return self.repository.rpartition("/")[2]


async def dompurify(copy: Path, page: Page) -> list[str]:
    """A JavaScript module with a list of {payload, …}: the browser reads it."""
    source = clones.text(copy, "test/fixtures/expect.mjs").replace("export default", "return", 1)
    found: list[str] = await page.evaluate("source => Function(source)().map(one => one.payload)", source)
    return found


async def html5sec(copy: Path, page: Page) -> list[str]:
    """Two scripts: vectors with placeholders, and what to fill in; and the files that it attaches to mail."""
    sources = [clones.text(copy, "items.js"), clones.text(copy, "payloads.js")]
    items, fillings = await page.evaluate(RUN, sources)
    attached = [clones.text(copy, name) for name in clones.names(copy, "attachments/") if name.endswith(TEXTS)]
    filled = [PLACEHOLDER.sub(lambda found: str(fillings.get(found[1], found[0])), one["data"]) for one in items]
    return filled + attached


async def portswigger(copy: Path, page: Page) -> list[str]:
    """JSON of several shapes: whatever is called `code` or `payload`."""
    documents = [json.loads(clones.text(copy, name)) for name in clones.names(copy, "json/") if name.endswith(".json")]
    return [one.replace("<*", "<b").replace("</*", "</b") for document in documents for one in _codes(document)]


async def payloadbox(copy: Path, page: Page) -> list[str]:
    """One a line."""
    return clones.text(copy, "Intruder/xss-payload-list.txt").splitlines()


async def payloads_all_the_things(copy: Path, page: Page) -> list[str]:
    """Several lists, one payload a line."""
    lists = [name for name in clones.names(copy, "XSS Injection/Intruders/") if name.endswith(".txt")]
    return [line for name in lists for line in clones.text(copy, name).splitlines()]


async def naughty_strings(copy: Path, page: Page) -> list[str]:
    """A list of strings."""
    found: list[str] = json.loads(clones.text(copy, "blns.json"))
    return found


async def bleach(copy: Path, page: Page) -> list[str]:
    """Each file is a payload, and what is expected of it below a line."""
    every = [clones.text(copy, name) for name in clones.names(copy, "tests/data/") if name.endswith(".test")]
    return [one.partition("\n--\n")[0] for one in every]


RUN: Final = """all => all.map(one => {
  const m = {exports: {}};
  Function("module", "exports", one)(m, {});
  return m.exports;
})"""
PLACEHOLDER: Final = re.compile(r"%(\w+)%")
TEXTS: Final = (".css", ".dtd", ".eml", ".hta", ".htc", ".html", ".sct", ".svg", ".vml", ".xbl", ".xdr", ".xml", ".xsl")
CORPORA: Final = (
    Corpus(repository="cure53/DOMPurify", licence="Apache-2.0 or MPL-2.0", read=dompurify),
    Corpus(repository="cure53/H5SC", licence="MPL-2.0", read=html5sec),
    Corpus(repository="PortSwigger/xss-cheatsheet-data", licence="its own terms: for testing", read=portswigger),
    Corpus(repository="payloadbox/xss-payload-list", licence="MIT", read=payloadbox),
    Corpus(repository="swisskyrepo/PayloadsAllTheThings", licence="MIT", read=payloads_all_the_things),
    Corpus(repository="minimaxir/big-list-of-naughty-strings", licence="MIT", read=naughty_strings),
    Corpus(repository="mozilla/bleach", licence="Apache-2.0", read=bleach),
)


def _codes(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("code", "payload") and isinstance(value, str):
                yield value
            else:
                yield from _codes(value)
    elif isinstance(node, list):
        for one in node:
            yield from _codes(one)
