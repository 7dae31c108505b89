"""Reading and searching over HTTP, at two sizes: how long an answer takes, and how much that grows with the school.

Each question is asked one after the other over one connection, of other students, threads and words each time, after a
first pass that warms the file; and once more by four readers at once while a writer commits a thousand messages a
second. The schools are made by `corpus`; `--school FILE` names one that was made before.
"""

import contextlib
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson

from tests.bench.corpus import Corpus, make
from tests.bench.machine import places
from tests.bench.numbers import Latency
from tests.bench.processes import Broken, Child
from tests.bench.reading_server import AT_ONCE, ReadingPlan

SMALL, LARGE = 10_000, 1_000_000
TIMES: Final = 200
COMMITS: Final = 1_000  # of twenty messages
READERS: Final = 4
GOALS_MS: Final[Mapping[str, float]] = {
    "threads of a student": 10,
    "thread of 30": 15,
    "search of two words": 25,
    "search within a student": 50,
}

Question = Callable[[random.Random, Corpus], str]


def _two_words(chance: random.Random, corpus: Corpus) -> str:
    kind = chance.randrange(3)
    first = "the" if kind else chance.choice(corpus.middling_words)
    second = chance.choice(corpus.middling_words if kind < 2 else corpus.rare_words)
    return f"/v1/threads?limit=20&q={quote(f'{first} {second}')}"


QUESTIONS: Final[Mapping[str, Question]] = {
    "threads of a student": lambda chance, of: f"/v1/objects/student/{chance.choice(of.students)}/threads?limit=20",
    "threads of an intake": lambda chance, of: f"/v1/objects/intake/I{chance.randrange(200)}/threads?limit=20",
    "thread of 30": lambda chance, of: f"/v1/threads/{chance.choice(of.long_threads)}",
    "page of a student": lambda chance, of: f"/objects/student/{chance.choice(of.students)}/events",
    "events of a student": lambda chance, of: f"/v1/objects/student/{chance.choice(of.students)}/events?limit=20",
    "search of two words": _two_words,
    "search for what all have": lambda chance, of: "/v1/threads?limit=20&q=the%20to",
    "search within a student": lambda chance, of: (
        f"/v1/objects/student/{chance.choice(of.students)}/threads?limit=20&q=the%20{chance.choice(of.middling_words)}"
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question at one size: alone, and with four readers and a writer."""

    question: str
    messages: int
    alone: Latency
    beside_writer: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A school: what it holds, and what of its file is the text itself.

    `written_per_second` is what the writer came to beside four readers. Its commits, of `AT_ONCE` messages: beside
    those readers, and one upon the other when they had gone.
    """

    messages: int
    threads: int
    students: int
    bytes_per_message: float
    of_text: float
    made_s: float
    written_per_second: float
    commit_beside: Latency
    commit_alone: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All questions at all sizes."""

    sizes: Sequence[Size]
    rows: Sequence[Asked]


def measure(
    *, sizes: Sequence[int] = (SMALL, LARGE), times: int = TIMES, commits: int = COMMITS, school: Path | None = None
) -> Reading:
    """Run it all. Raises `Broken` when an answer was not 200. `school` stands for the largest size."""
    found = [_at_size(size, times, commits, school if size == max(sizes) else None) for size in sizes]
    return Reading(sizes=[size for size, _ in found], rows=[row for _, rows in found for row in rows])


def _at_size(size: int, times: int, commits: int, school: Path | None) -> tuple[Size, list[Asked]]:
    with contextlib.ExitStack() as stack:
        if school is not None:
            corpus = Corpus(**orjson.loads(school.with_suffix(".json").read_bytes()))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="selma-gateway-bench-"))
            corpus = make(Path(folder) / "gateway.db", messages=size)
        plan = ReadingPlan(path=corpus.path, key=corpus.key, commits=commits, processor=places().server)
        server = stack.enter_context(Child("tests.bench.reading_server", plan))
        ready = server.heard()
        alone = {name: _of(name, corpus, ready, times, readers=1) for name in QUESTIONS}
        server.tell("write")
        began = time.perf_counter()
        beside = {name: _of(name, corpus, ready, times, readers=READERS) for name in QUESTIONS}
        wrote_s = time.perf_counter() - began
        server.ask_to_stop()
        written = server.heard()
    shape = Size(
        messages=corpus.messages,
        threads=corpus.threads,
        students=corpus.threads // 4,
        bytes_per_message=corpus.file_bytes / corpus.messages,
        of_text=corpus.file_bytes / corpus.text_bytes,
        made_s=corpus.seconds,
        written_per_second=len(written["beside"]) * AT_ONCE / wrote_s,
        commit_beside=Latency.of(written["beside"]),
        commit_alone=Latency.of(written["alone"]),
    )
    return shape, [
        Asked(question=name, messages=corpus.messages, alone=alone[name], beside_writer=beside[name])
        for name in QUESTIONS
    ]


def _of(name: str, corpus: Corpus, ready: Mapping[str, Any], times: int, *, readers: int) -> Latency:
    took: list[float] = []
    wrong: list[Exception] = []

    def read(number: int) -> None:
        try:
            took.extend(_durations(name, corpus, ready, times // readers, seed=number))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
    return Latency.of(took)


def _durations(name: str, corpus: Corpus, ready: Mapping[str, Any], times: int, *, seed: int) -> Iterator[float]:
    """The same questions twice: the first time they warm the file."""
    with httpx.Client(base_url=ready["url"], trust_env=False, verify=False, timeout=60) as client:
        client.get(ready["ticket"])
        for counts in (False, True):
            chance = random.Random(seed)
            for _ in range(max(1, times)):
                path = QUESTIONS[name](chance, corpus)
                headers = {"authorization": f"Bearer {corpus.key}"} if path.startswith("/v1") else {}
                began = time.perf_counter()
                answer = client.get(path, headers=headers)
                if answer.status_code != httpx.codes.OK:
                    raise Broken(f"{name} was answered with {answer.status_code}: {answer.text[:200]}")
                if counts:
                    yield time.perf_counter() - began
