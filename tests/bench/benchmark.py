"""What a benchmark is to the command: a name, how it is measured and shown, and the figures that say it in short.

Each benchmark's module ends with such a `BENCHMARK`, and `registry` has the names of the modules.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

from rich.console import Console

from tests.bench.figures import Figures

T = TypeVar("T")
Tell = Callable[[int, int, str], None]  # so many steps are done, of so many; what is on now
TELL: Final = "tell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """Of the command line. Benchmarks that have `flag` in common share it, each with its own default."""

    flag: str
    type: Callable[[str], Any]
    help: str


ROUNDS: Final = Option(flag="rounds", type=int, help="of all loads")
SECONDS: Final = Option(flag="seconds", type=float, help="of each load")
SCHOOL: Final = Option(flag="school", type=Path, help="FILE made by tests.bench.corpus: a large school")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """`options` and `quick` are by the parameters of `measure`: what can be asked for, and what a quick run asks for.

    `measure` also takes `tell`, and raises `Broken` when what it measured proves nothing. `lasts` says about how many
    seconds it takes with such parameters, on the machine that the README tells of.
    """

    name: str
    about: str
    measure: Callable[..., Any]
    show: Callable[[Any, Console], None]
    figures: Callable[[Any], Figures]
    lasts: Callable[[Mapping[str, Any]], float]
    options: Mapping[str, Option] = field(default_factory=dict)
    quick: Mapping[str, Any] = field(default_factory=dict)

    @property
    def defaults(self) -> dict[str, Any]:
        """Of all parameters of `measure`."""
        parameters = inspect.signature(self.measure).parameters
        return {name: one.default for name, one in parameters.items() if name != TELL}

    def asked_for(self, flags: Mapping[str, Any], *, quick: bool) -> dict[str, Any]:
        """What `measure` is given: what the command line says (None: nothing), what a quick run says, the defaults."""
        given = {name: flags.get(option.flag) for name, option in self.options.items()}
        return {
            **self.defaults,
            **(self.quick if quick else {}),
            **{name: value for name, value in given.items() if value is not None},
        }


def silent(done: int, of: int, what: str) -> None:
    """A `Tell` for whoever does not want to know."""


def each(
    tell: Tell, steps: Sequence[T], name: Callable[[T], str], *, before: int = 0, of: int | None = None
) -> Iterator[T]:
    """Go through the steps and tell of each before it begins. They may be some `of` many, and so many come `before`."""
    for number, step in enumerate(steps, start=before):
        tell(number, len(steps) if of is None else of, name(step))
        yield step


def a_round(number: int) -> str:
    """The name of a round that counts from 0."""
    return f"round {number + 1}"
