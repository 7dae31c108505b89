"""What stands inside wheels: libraries in Rust and C that no list of Python packages names.

Wheels say so in CycloneDX (PEP 770: `*.dist-info/sboms/`). `FLOORS` are the versions below which we do not go, and why.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from packaging.version import Version


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One library inside a wheel. `purl` is its package URL, without where it was loaded from."""

    wheel: str
    name: str
    version: str
    purl: str

    @property
    def is_crate(self) -> bool:
        """Whether crates.io has it: not when it was built from the wheel's own sources."""
        return self.purl.startswith("pkg:cargo/") and "?" not in self.purl


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """`wheel` must have the library inside, and at least this version of it. `kind`: crates are "cargo"."""

    wheel: str
    name: str
    least: str
    why: str
    kind: str = "cargo"

    def is_about(self, one: Component) -> bool:
        """Whether it is this library in this wheel: OpenSSL's crate has the name of the library that it calls."""
        return (one.wheel, one.purl.partition("@")[0]) == (self.wheel, f"pkg:{self.kind}/{self.name}")


PYO3: Final = "The bridge to Python. RUSTSEC-2025-0020: PyString::from_object read beyond the text it was given."
FLOORS: Final[Sequence[Floor]] = (
    Floor(
        wheel="nh3",
        name="ammonia",
        least="4.2.3",
        why="Makes mail safe. RUSTSEC-2025-0071 and CVE-2026-63430 are mutation XSS; what CSS url() fetches was mended "
        "in 4.2.3.",
    ),
    Floor(
        wheel="cryptography",
        name="openssl",
        kind="generic",
        least="3.6.2",
        why="Seals the credentials. CVE-2026-31790 (RSA KEM) and CVE-2026-28386 (reads beyond a buffer) were mended "
        "in it.",
    ),
    *(Floor(wheel=one, name="pyo3", least="0.24.1", why=PYO3) for one in ("nh3", "cryptography", "pydantic_core")),
)


def components() -> Sequence[Component]:
    """Of all installed wheels that say what is inside them."""
    return [
        component
        for distribution in distributions()
        for path in distribution.files or ()
        if path.parent.name == "sboms" and path.suffix == ".json"
        for component in read(distribution.name, Path(str(distribution.locate_file(path))))
    ]


def read(wheel: str, path: Path) -> Iterator[Component]:
    """Those of one list. Raises ValueError when it is none."""
    listed = json.loads(path.read_text("utf-8"))
    if listed.get("bomFormat") != "CycloneDX":
        raise ValueError(f"{path} is not a list in CycloneDX.")
    for one in listed.get("components", ()):
        purl = one.get("purl", "")
        yield Component(wheel=wheel, name=one["name"], version=one.get("version", ""), purl=purl)


def fallen_below(floors: Sequence[Floor], found: Sequence[Component]) -> Sequence[str]:
    """One sentence for each floor that does not hold, also where the library is not named at all."""
    return [
        sentence
        for floor in floors
        for sentence in _broken(floor, [one.version for one in found if floor.is_about(one)])
    ]


def _broken(floor: Floor, versions: Sequence[str]) -> Iterator[str]:
    if not versions:
        yield f"{floor.wheel} does not say that {floor.name} is inside it; {floor.least} is the least. {floor.why}"
    for version in versions:
        if Version(version) < Version(floor.least):
            yield f"{floor.wheel} carries {floor.name} {version}; {floor.least} is the least. {floor.why}"
