"""The page on limits says what the code does."""

import dataclasses
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "deploy" / "limits.md"
ROWS = re.findall(r"^\| (.+?) \| (\d+) \| .+? \| `([\w.]+)` \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def value_of(path: str) -> Any:
    """Of a constant of a module, or of the default of a dataclass's field."""
    module, _, name = path.rpartition(".")
    if module.rpartition(".")[2][0].isupper():
        module, _, kind = module.rpartition(".")
        defaults = {one.name: one.default for one in dataclasses.fields(getattr(import_module(module), kind))}
        return defaults[name]
    return getattr(import_module(module), name)


@pytest.mark.parametrize(("what", "bound", "path"), ROWS)
def test_the_number_on_the_page_is_that_of_the_code(what: str, bound: str, path: str) -> None:
    assert value_of(path) == int(bound), what


def test_every_row_with_a_number_is_compared() -> None:
    rows = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if re.match(r"\| [^|]+ \| \d+ \|", line)]
    assert len(rows) == len(ROWS) > 30
