"""Regular expressions: all that the code has, and texts that are the worst for each.

What takes a time that grows with the square of the text keeps a worker busy for minutes, with one letter of 100 KB.
The patterns are those that modules keep, and those that stand as literals in calls of `re`. The worst texts are made of
each pattern's own parts, again and again: what a repetition takes without end, and all but the last of what matches.
"""

import ast
import importlib
import pkgutil
import re
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final

import gateway
import storage
import subscriptions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the parser of `re` has no public name
    import sre_parse

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = (gateway, storage, subscriptions)
SANDBOX: Final = "gateway.sandbox"  # a stand-in for tests, which no stranger reaches
LENGTH: Final = 100_000
PATIENCE_S: Final = 1.0
MOST_SAMPLES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A pattern, and one place where it stands."""

    pattern: re.Pattern[Any]
    where: str

    @property
    def is_anchored(self) -> bool:
        """Whether it is kept under a name and only ever asked for whole texts."""
        name = self.where.rpartition(".")[2]
        uses = set(
            re.findall(rf"\b{re.escape(name)}\.(search|match|fullmatch|findall|finditer|subn?|split)\b", _source())
        )
        return uses == {"fullmatch"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """The worst text found for a pattern, by how it is made, and how long 100 KB of it took."""

    found: Found
    made_of: str
    seconds: float


@cache
def all_patterns() -> Sequence[Found]:
    """Each once."""
    kept = {one.pattern.pattern: one for one in _kept()}
    return sorted(({one.pattern.pattern: one for one in _literal()} | kept).values(), key=lambda one: one.where)


def worst_of(found: Found, *, length: int = LENGTH, patience_s: float = PATIENCE_S) -> Slow:
    """The slowest of all texts that are tried; `patience_s` for one that was given up."""
    ask = found.pattern.fullmatch if found.is_anchored else found.pattern.search
    tried = [
        Slow(found=found, made_of=unit, seconds=_seconds(ask, text, patience_s)) for unit, text in _texts(found, length)
    ]
    return max(tried, key=lambda one: one.seconds)


def _files(package: ModuleType) -> Iterator[Path]:
    for path in Path(package.__path__[0]).rglob("*.py"):
        if "sandbox" not in path.parts:
            yield path


@cache
def _source() -> str:
    return "\n".join(
        path.read_text("utf-8") for package in PACKAGES for path in Path(package.__path__[0]).rglob("*.py")
    )


def _kept() -> Iterator[Found]:
    for package in PACKAGES:
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__") and not module.name.startswith(SANDBOX):
                for name, value in vars(importlib.import_module(module.name)).items():
                    yield from (Found(pattern=one, where=f"{module.name}.{name}") for one in _patterns_in(value))


def _patterns_in(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, dict):
        for one in (*value.keys(), *value.values()):
            yield from _patterns_in(one)
    elif isinstance(value, (tuple, list, frozenset)):
        for one in value:
            yield from _patterns_in(one)


def _literal() -> Iterator[Found]:
    for package in PACKAGES:
        for path in _files(package):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="re")), args=[ast.Constant(value=pattern), *_]):
                        yield Found(pattern=re.compile(pattern), where=f"{path.relative_to(ROOT)}:{node.lineno}")


def _texts(found: Found, length: int) -> Iterator[tuple[str, Any]]:
    parsed = sre_parse.parse(found.pattern.pattern, found.pattern.flags & ~re.DEBUG)
    whole = _least(parsed)
    units = dict.fromkeys([*_repeated(parsed), whole, whole[:-1], " ", "a"])
    for unit in [one for one in units if one][:MOST_SAMPLES]:
        again = unit * (length // len(unit))
        for text in (again, whole[:-1] + again, again + "\x00"):
            yield unit, text if isinstance(found.pattern.pattern, str) else text.encode("latin-1", "replace")


def _least(parsed: Any) -> str:
    """About the shortest text that matches: enough to get a search going."""
    return "".join(_least_of(op, argument) for op, argument in parsed)


def _least_of(op: Any, argument: Any) -> str:
    match str(op):
        case "LITERAL":
            return chr(argument)
        case "NOT_LITERAL":
            return "a" if argument != ord("a") else "b"
        case "IN":
            return _one_of(argument)
        case "ANY":
            return "a"
        case "BRANCH":
            return max((_least(one) for one in argument[1]), key=len)
        case "SUBPATTERN":
            return _least(argument[3])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _least(argument[2]) * max(argument[0], 1)
        case "ATOMIC_GROUP":
            return _least(argument)
        case _:
            return ""


def _one_of(choices: Any) -> str:
    negated = str(choices[0][0]) == "NEGATE"
    if negated:
        out = {chr(argument) for op, argument in choices if str(op) == "LITERAL"}
        return next(one for one in "a <-1\t\n" if one not in out)
    op, argument = choices[0]
    match str(op):
        case "LITERAL":
            return chr(argument)
        case "RANGE":
            return chr(argument[0])
        case _:
            return {"CATEGORY_SPACE": " ", "CATEGORY_DIGIT": "1"}.get(str(argument), "a")


def _repeated(parsed: Any) -> Iterator[str]:
    """What each repetition takes, at any depth, alone and behind what stands before it."""
    before = ""
    for op, argument in parsed:
        match str(op):
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                yield _least(argument[2])
                yield before + _least(argument[2])
                yield from _repeated(argument[2])
            case "SUBPATTERN":
                yield from _repeated(argument[3])
            case "BRANCH":
                for one in argument[1]:
                    yield from _repeated(one)
            case _:
                pass
        before += _least_of(op, argument)


class _TooLong(Exception):
    pass


def _seconds(ask: Callable[[Any], object], text: Any, patience_s: float) -> float:
    """Processor seconds for an answer, `patience_s` at most: `re` heeds signals while it matches."""
    old = signal.signal(signal.SIGVTALRM, _give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, patience_s)
    began = time.thread_time()
    try:
        ask(text)
        return time.thread_time() - began
    except _TooLong:
        return patience_s
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, old)


def _give_up(number: int, frame: FrameType | None) -> None:
    raise _TooLong
