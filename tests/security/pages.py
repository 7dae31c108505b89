"""The tables of deploy/security/README.md, made of the data beside it: `python -m tests.security.pages` writes them."""

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "security"
PAGE: Final = FOLDER / "README.md"
VERDICTS: Final = ("met", "partly", "not met", "not applicable")
CHAPTERS: Final = (
    "Encoding and sanitization",
    "Validation and business logic",
    "Web frontend",
    "API and web service",
    "File handling",
    "Authentication",
    "Sessions",
    "Authorization",
    "Self-contained tokens",
    "OAuth and OpenID Connect",
    "Cryptography",
    "Communication",
    "Configuration",
    "Data protection",
    "Architecture and dependencies",
    "Logging and errors",
    "WebRTC",
)
Entry = Mapping[str, Any]


def requirements() -> Sequence[Entry]:
    """Of ASVS."""
    found: Sequence[Entry] = tomllib.loads((FOLDER / "asvs.toml").read_text("utf-8"))["requirement"]
    return found


def threats() -> Sequence[Entry]:
    """Ours."""
    found: Sequence[Entry] = tomllib.loads((FOLDER / "threats.toml").read_text("utf-8"))["threat"]
    return found


def counts() -> str:
    """How many requirements of each chapter have which verdict."""
    by_chapter = Counter((int(one["id"][1:].split(".")[0]), one["verdict"]) for one in requirements())
    rows = [
        [f"V{number} {name}", *(str(by_chapter[number, verdict] or "") for verdict in VERDICTS)]
        for number, name in enumerate(CHAPTERS, 1)
    ]
    total = Counter(one["verdict"] for one in requirements())
    return table(["chapter", *VERDICTS], [*rows, ["all", *(str(total[verdict]) for verdict in VERDICTS)]])


def open_ends() -> str:
    """What is not met, or in part."""
    wanting = [one for one in requirements() if one["verdict"] in ("partly", "not met")]
    rows = [[one["id"], str(one["level"]), one["verdict"], one["reason"]] for one in wanting]
    return table(["requirement", "level", "verdict", "what there is, and what an operator can do"], rows)


def threat_table() -> str:
    """Each with its control and its tests, by boundary."""
    parts = []
    for boundary in dict.fromkeys(one["boundary"] for one in threats()):
        here = [one for one in threats() if one["boundary"] == boundary]
        rows = [
            [one["id"], one["stride"], one["threat"], one["control"], "<br>".join(map(_short, one["tests"]))]
            for one in here
        ]
        parts.append(f"### {boundary}\n\n" + table(["", "STRIDE", "threat", "control", "test"], rows))
    return "\n\n".join(parts)


def risks() -> str:
    """What remains."""
    return "\n".join(f"- **{one['id']}** {one['rest']}" for one in threats() if "rest" in one)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """In Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


PARTS: Final[Mapping[str, Callable[[], str]]] = {
    "threats": threat_table,
    "risks": risks,
    "counts": counts,
    "open": open_ends,
}


def written(page: str) -> str:
    """The page with every part made anew. Raises ValueError for one that has no place in it."""
    for name, make in PARTS.items():
        begins, ends = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = page.partition(begins)
        _, closed, after = rest.partition(ends)
        if not (found and closed):
            raise ValueError(f"The page has no place for {name}.")
        page = f"{before}{begins}\n{make()}\n\n{ends}{after}"
    return page


def _short(test: str) -> str:
    path, _, name = test.partition("::")
    return f"`{path.removeprefix('tests/')}` {name.rpartition('::')[2].removeprefix('test_').replace('_', ' ')}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
