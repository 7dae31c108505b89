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
from rich.console import Console

from tests.bench import figures, tables
from tests.bench.benchmark import SCHOOL, Benchmark, Option, Tell, silent
from tests.bench.corpus import Corpus, make
from tests.bench.figures import Better, Figures
from tests.bench.goals import QUESTIONS as GOALS_MS
from tests.bench.machine import places
from tests.bench.numbers import Latency
from tests.bench.processes import Broken, Child
from tests.bench.reading_server import AT_ONCE, ReadingPlan

SMALL, LARGE = 10_000, 1_000_000
COMMITS: Final = 1_000  # of twenty messages
READERS: Final = 4
STAGES: Final = 3

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
    least_of_text: float
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
    *,
    sizes: Sequence[int] = (SMALL, LARGE),
    times: int = 200,
    commits: int = COMMITS,
    school: Path | None = None,
    tell: Tell = silent,
) -> Reading:
    """Run it all. Raises `Broken` when an answer was not 200. `school` stands for the largest size."""
    found = []
    for number, size in enumerate(sizes):

        def within_size(done: int, of: int, what: str, number: int = number, size: int = size) -> None:
            tell(number * of + done, len(sizes) * of, f"{size:,} messages: {what}")

        found.append(_at_size(size, times, commits, school if size == max(sizes) else None, within_size))
    return Reading(sizes=[size for size, _ in found], rows=[row for _, rows in found for row in rows])


def _at_size(size: int, times: int, commits: int, school: Path | None, tell: Tell) -> tuple[Size, list[Asked]]:
    with contextlib.ExitStack() as stack:
        tell(0, STAGES, "they are made")
        if school is not None:
            corpus = Corpus(**orjson.loads(school.with_suffix(".json").read_bytes()))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="selma-gateway-bench-"))
            corpus = make(Path(folder) / "gateway.db", messages=size)
        plan = ReadingPlan(path=corpus.path, key=corpus.key, commits=commits, processor=places().server)
        server = stack.enter_context(Child("tests.bench.reading_server", plan))
        ready = server.heard()
        tell(1, STAGES, "read by one")
        alone = {name: _of(name, corpus, ready, times, readers=1) for name in QUESTIONS}
        tell(2, STAGES, "read by four beside a writer")
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
        least_of_text=corpus.least_bytes / corpus.text_bytes,
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


def show(found: Reading, console: Console) -> None:
    """As a table."""
    title = "Answers over HTTP, warm; beside: 4 readers, and a writer that commits 1,000 messages a second"
    headings = ("question", "messages", "p50 ms", "p99 ms", "of smallest", "goal", "beside p50", "beside p99")
    table = tables.with_headings(title, headings, left=("question",))
    largest = max(one.messages for one in found.rows)
    for question in QUESTIONS:
        rows = [row for row in found.rows if row.question == question]
        for row in rows:
            table.add_row(
                question,
                f"{row.messages:,}",
                f"{row.alone.p50_ms:.1f}",
                f"{row.alone.p99_ms:.1f}",
                f"{row.alone.p99_ms / rows[0].alone.p99_ms:.1f}",
                f"{GOALS_MS[question]:g}" if question in GOALS_MS else "",
                f"{row.beside_writer.p50_ms:.1f}",
                f"{row.beside_writer.p99_ms:.1f}",
                end_section=row.messages == largest,
            )
    console.print(table)
    for size in found.sizes:
        console.print(
            f"{size.messages:,} messages in {size.threads:,} threads of {size.students:,} students: "
            f"{size.bytes_per_message:,.0f} bytes of the file each, {size.of_text:.2f} × the text itself (text, index "
            f"and plain text of letters alone: {size.least_of_text:.2f}); made in {size.made_s:.0f} s. The writer "
            f"wrote {size.written_per_second:,.0f} a second.",
            highlight=False,
        )
        for when, commits in (("beside the readers", size.commit_beside), ("alone", size.commit_alone)):
            p50, p99, worst = tables.milliseconds(commits)
            console.print(
                f"  {commits.count:,} commits of {AT_ONCE} messages {when}: p50 {p50} ms, p99 {p99}, worst {worst}",
                highlight=False,
            )


def in_short(found: Reading) -> Figures:
    """At the largest size, and by the smallest; `beside` is with four readers and a writer."""
    by_question = {name: [row for row in found.rows if row.question == name] for name in QUESTIONS}
    largest = found.sizes[-1]
    short = {
        "size of the text": figures.times(largest.of_text, Better.LOWER),
        "size of the text: text, index, plain text of letters": figures.times(largest.least_of_text, Better.LOWER),
    }
    for question, rows in by_question.items():
        growth = rows[-1].alone.p99_ms / rows[0].alone.p99_ms
        short |= {
            f"{question}: p99": figures.ms(rows[-1].alone.p99_ms),
            f"{question}: p99 of that at the smallest size": figures.times(growth, Better.LOWER),
            f"{question}: p99 beside": figures.ms(rows[-1].beside_writer.p99_ms),
        }
    worst = max(by_question[question][-1].beside_writer.p99_ms for question in GOALS_MS)
    return {**short, "worst p99 beside": figures.ms(worst)}


def _lasts(given: Mapping[str, Any]) -> float:
    made = sum(given["sizes"]) - (max(given["sizes"]) if given["school"] else 0)
    return made * 0.0003 + len(given["sizes"]) * (1 + given["times"] * 0.3 + given["commits"] * 0.03)


BENCHMARK: Final = Benchmark(
    name="reading",
    about="threads, pages and search at 10,000 and at 1,000,000 messages; at one against the other",
    measure=measure,
    show=show,
    figures=in_short,
    lasts=_lasts,
    options={
        "times": Option(flag="times", type=int, help="each question is asked"),
        "school": SCHOOL,
    },
    quick={"sizes": (1_000, 10_000), "times": 10, "commits": 10},
)
