"""Every public payload that we know of, as mail on the real page, in Chromium: nothing may come of any of them.

    python -m tests.corpora xss                  clones what it needs for the run
    python -m tests.corpora xss --from DIR       reads DIR/DOMPurify, DIR/H5SC, …, which were got by, for each,
                                                 git clone --depth 1 https://github.com/cure53/DOMPurify DIR/DOMPurify

Each payload stands in a message of its own: in its body, in what it adds, in its subject, and as the name of its
sender, its writer and its file. All frames are opened, and everything in them is pointed at and focused. What counts:
dialogs, navigations and new pages, requests to anybody but the gateway, and markup that could run. And whatever was
made safe must stay as it is when it is made safe again.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.async_api import Page, async_playwright

from gateway.demo import Demo
from gateway.threads.framed import kept_in_frame
from gateway.threads.html import safe_html
from tests.browser.conftest import ARGUMENTS, system_chromium
from tests.browser.stage import Happened, shown
from tests.corpora import clones
from tests.corpora.payloads import CORPORA, Corpus
from tests.end_to_end.conftest import running_school

NAME: Final = "xss"
HELP: Final = "payloads that others have collected, played on the real page in Chromium"
AT_ONCE: Final = 40  # messages in a thread


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Of one corpus."""

    corpus: Corpus
    version: str
    payloads: int
    unstable: int
    happened: Happened
    seconds: float

    @property
    def line(self) -> str:
        """For people."""
        what = self.happened
        counts = f"{len(what.dialogs):7} {len(what.navigations):11} {len(what.outside):8} {len(what.markup):7}"
        named = f"{self.corpus.repository:42} {self.version:12} {self.payloads:6} {what.frames:7}"
        return f"{named} {counts} {self.unstable:9} {self.seconds:6.0f}"


HEADING: Final = (
    f"{'repository':42} {'commit':12} {'mails':>6} {'frames':>7} {'dialogs':>7} {'navigations':>11} {'requests':>8} "
    f"{'markup':>7} {'unstable':>9} {'s':>6}"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the copies are, and how many payloads are enough."""
    parser.add_argument("--from", dest="folder", type=Path, help="a folder with copies of the repositories")
    parser.add_argument("--most", type=int, help="of each corpus not more than so many payloads, evenly picked")


def run(given: argparse.Namespace) -> int:
    """0 when nothing happened."""
    with tempfile.TemporaryDirectory(prefix="selma-corpora-") as temporary:
        folder: Path = given.folder or Path(temporary)
        outcomes = asyncio.run(_run(folder, is_fresh=given.folder is None, most=given.most))
    print(f"{sum(one.payloads for one in outcomes)} mails, {sum(one.happened.frames for one in outcomes)} frames")
    return 0 if outcomes and all(one.happened.nothing and not one.unstable for one in outcomes) else 1


async def _run(folder: Path, *, is_fresh: bool, most: int | None) -> list[Outcome]:
    outcomes = []
    print(HEADING, flush=True)
    async with running_school() as school, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=system_chromium(), args=ARGUMENTS)
        for number, corpus in enumerate(CORPORA):
            if is_fresh:
                clones.clone(corpus.repository, folder)
            if not (folder / corpus.name).exists():
                print(f"{corpus.repository:42} is not in {folder}: left out", file=sys.stderr)
                continue
            context = await browser.new_context()
            page = await context.new_page()
            payloads = _picked(await corpus.read(folder / corpus.name, page), most)
            happened = Happened(origin=school.url)
            happened.watch(context, page)
            began = time.perf_counter()
            await _play(school, page, happened, f"X{number}", payloads)
            outcome = Outcome(
                corpus=corpus,
                version=clones.version(folder / corpus.name),
                payloads=len(payloads),
                unstable=sum(map(_is_unstable, payloads)),
                happened=happened,
                seconds=time.perf_counter() - began,
            )
            print(outcome.line, flush=True)
            for one in (*happened.dialogs, *happened.navigations, *happened.outside, *happened.markup)[:10]:
                print(f"    {one[:300]!r}")
            outcomes.append(outcome)
            await context.close()
        await browser.close()
    return outcomes


async def _play(school: Demo, page: Page, happened: Happened, student: str, payloads: Sequence[str]) -> None:
    for some in _batches(payloads):
        before = len(happened.dialogs) + len(happened.navigations) + len(happened.outside) + len(happened.markup)
        await shown(school, page, happened, student, some)
        after = len(happened.dialogs) + len(happened.navigations) + len(happened.outside) + len(happened.markup)
        if after > before:
            print(f"    among: {[one[:120] for one in some]}")


def _picked(payloads: Sequence[str], most: int | None) -> list[str]:
    """Each once, and only what UTF-8 can say, as mail is stored."""
    sayable = (one.encode("utf-8", "replace").decode() for one in payloads)
    every = list(dict.fromkeys(one for one in sayable if one.strip()))
    return every if most is None else every[:: max(1, len(every) // most)][:most]


def _batches(payloads: Sequence[str]) -> Iterator[list[str]]:
    rest = iter(payloads)
    while some := list(itertools.islice(rest, AT_ONCE)):
        yield some


def _is_unstable(payload: str) -> bool:
    """Whether it changes when it is made safe again."""
    once, kept = safe_html(payload), kept_in_frame(payload)
    return safe_html(once) != once or kept_in_frame(kept) != kept
