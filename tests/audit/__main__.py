"""Looks through what the code rests on.

python -m tests.audit packages   the versions in deploy/constraints.txt, by pip-audit (wants the network)
python -m tests.audit wheels     what stands inside wheels: below our floors; known holes in crates, by OSV (network)
python -m tests.audit regexes    every regular expression against 100 KB of its worst texts
python -m tests.audit            all three

Ends with 0 when all was asked and nothing found, 1 when something was found, 3 when something could not be asked.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from tests.audit.asking import Answer, about_crates, about_packages
from tests.audit.floors import FLOORS, components, fallen_below
from tests.audit.regexes import all_patterns, worst_of

CLEAN: Final = 0
FOUND: Final = 1
UNASKED: Final = 3
SLOW_S: Final = 0.25
TIMEOUT_S: Final = 30


def packages() -> Answer:
    """deploy/constraints.txt."""
    return about_packages()


def wheels() -> Answer:
    """Floors need no network; holes do."""
    found = components()
    with httpx.Client(timeout=TIMEOUT_S) as client:
        known = about_crates(found, client)
    return Answer(
        asked=known.asked + len(FLOORS), holes=(*fallen_below(FLOORS, found), *known.holes), unasked=known.unasked
    )


def regexes() -> Answer:
    """Slower than SLOW_S is a hole."""
    worst = [worst_of(one) for one in all_patterns()]
    slow = [one for one in worst if one.seconds > SLOW_S]
    said = [
        f"{one.found.where} takes {one.seconds:.2f} s or more for “{one.made_of[:40]}” again and again" for one in slow
    ]
    slowest = max(worst, key=lambda one: one.seconds)
    print(f"regexes: the slowest is {slowest.found.where}, {slowest.seconds * 1000:.0f} ms")
    return Answer(asked=len(worst), holes=said, unasked=())


AUDITS: Final[Mapping[str, Callable[[], Answer]]] = {"packages": packages, "wheels": wheels, "regexes": regexes}


def main(arguments: list[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.audit", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=AUDITS)
    what = parser.parse_args(arguments).what
    code = CLEAN
    for name in [what] if what else AUDITS:
        answer = AUDITS[name]()
        code = max(code, code_of(answer), key=(CLEAN, UNASKED, FOUND).index)
        print(f"{name}: {answer.asked} asked, {len(answer.holes)} found, {len(answer.unasked)} could not be asked")
        for line in (*answer.holes, *answer.unasked[:5]):
            print(f"  {line}")
    return code


def code_of(answer: Answer) -> int:
    """A hole counts for more than what is not known."""
    return FOUND if answer.holes else UNASKED if answer.unasked or not answer.asked else CLEAN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
