"""What a process really asked of the kernel, and in which order: traces of strace, read. Pure, but for the command."""

import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

# "4711 1795688174.015606 fdatasync(15</data/gateway.db-wal>) = 0", or the half of it before or after an interruption.
LINE: Final = re.compile(r"(?P<thread>\d+)\s+(?P<at_s>\d+\.\d+) (?P<said>.*)")
WHOLE: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\)\s+= (?P<result>-?\d+|\?)(?: .*)?")
BEGUN: Final = re.compile(r"(?P<name>\w+)\((?P<arguments>.*?)\s*<unfinished \.\.\.>")
RESUMED: Final = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<arguments>.*)\)\s+= (?P<result>-?\d+|\?)(?: .*)?")
FLUSHES: Final = frozenset({"fdatasync", "fsync"})
ANSWERS: Final = frozenset({"write", "writev", "sendto", "sendmsg"})
SHOWN_BYTES: Final = 8192  # of what is written: a page of the file, or a whole answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A system call. `began` and `ended` are lines of the trace: strace sees one event after the other.

    `ended` is None for a call that never returned; `began_at_s` is for people.
    """

    thread: int
    name: str
    arguments: str
    result: int | None
    began: int
    ended: int | None
    began_at_s: float


def strace(trace: Path, *options: str) -> Sequence[str]:
    """The command under which a gateway writes `trace`. Fails with a sentence where there is no strace."""
    command = shutil.which("strace")
    assert command is not None, "strace is not on the PATH. Install it (Debian and Ubuntu: sudo apt install strace)."
    return [command, "-f", "-y", "-ttt", "-s", str(SHOWN_BYTES), "-o", str(trace), *options]


def calls(lines: Iterable[str]) -> list[Call]:
    """All calls of a trace in the order in which they began, the halves of interrupted lines put together."""
    found: dict[int, Call] = {}
    open_calls: dict[int, int] = {}
    for number, line in enumerate(lines):
        match = LINE.fullmatch(line.rstrip("\n"))
        if match is None:
            continue
        thread, at_s, said = int(match["thread"]), float(match["at_s"]), match["said"]
        if resumed := RESUMED.fullmatch(said):
            began = open_calls.pop(thread, None)
            if began is not None and found[began].name == resumed["name"]:
                found[began] = _completed(found[began], resumed, number)
        elif begun := BEGUN.fullmatch(said):
            found[number] = _call(begun, thread, number, at_s)
            open_calls[thread] = number
        elif whole := WHOLE.fullmatch(said):
            found[number] = _completed(_call(whole, thread, number, at_s), whole, number, arguments=False)
    return list(found.values())


def _call(said: re.Match[str], thread: int, number: int, at_s: float) -> Call:
    return Call(
        thread=thread,
        name=said["name"],
        arguments=said["arguments"],
        result=None,
        began=number,
        ended=None,
        began_at_s=at_s,
    )


def _completed(call: Call, said: re.Match[str], number: int, *, arguments: bool = True) -> Call:
    """With its end. What is read stands behind the interruption, what is written before it."""
    result = None if said["result"] == "?" else int(said["result"])
    more = said["arguments"] if arguments else ""
    return replace(call, arguments=call.arguments + more, result=result, ended=number)


def answered_too_early(trace: Sequence[Call], promised: Iterable[str]) -> Iterator[str]:
    """A sentence for each promised id whose answer left before the write-ahead log with it was on disk.

    On disk: a write to the log had the id, a flush of the log began after that write and returned 0. Only then may
    the answer with the id be handed to the kernel.
    """
    written = [call for call in trace if call.name == "pwrite64" and _is_log(call)]
    flushed = [call for call in trace if call.name in FLUSHES and _is_log(call) and call.result == 0]
    answers = [call for call in trace if call.name in ANSWERS and "HTTP/1.1 202" in call.arguments]
    for one in promised:
        answer = next((call for call in answers if one in call.arguments), None)
        write = next((call for call in written if one in call.arguments), None)
        if answer is None or write is None:
            yield f"{one}: the trace shows no {'answer' if answer is None else 'write to the log'}"
        elif not any(_is_between(write, flush, answer) for flush in flushed):
            times = f"{answer.began_at_s:.6f} without a flush since its write at {write.began_at_s:.6f}"
            yield f"{one}: answered at {times}"


def _is_log(call: Call) -> bool:
    return "-wal>" in call.arguments.partition(",")[0]


def _is_between(write: Call, flush: Call, answer: Call) -> bool:
    """Whether the flush began when the write was over, and was over when the answer began."""
    if write.ended is None or flush.ended is None:
        return False
    return write.ended < flush.began and flush.ended < answer.began
