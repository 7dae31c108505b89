"""Asking what is known of holes: pip-audit about Python packages, OSV about the crates inside wheels.

Both can answer nothing in a way that looks like nothing found: pip-audit counts a package that it could not look up as
skipped, and ends with 0. So what was really asked is counted, and anything less than all is told apart.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import httpx

from tests.audit.floors import Component

CONSTRAINTS: Final = Path(__file__).parents[2] / "deploy" / "constraints.txt"
OSV: Final = "https://api.osv.dev/v1/querybatch"  # https://google.github.io/osv.dev/post-v1-querybatch/
MOST_QUERIES: Final = 1000
LONGEST_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking: one line per hole that is known; one per thing that could not be asked about."""

    asked: int
    holes: Sequence[str]
    unasked: Sequence[str]


def about_packages(constraints: Path = CONSTRAINTS) -> Answer:
    """The versions in the constraints, by pip-audit, without resolving or installing anything."""
    if find_spec("pip_audit") is None:
        return _nothing('pip-audit is not installed: pip install -e ".[audit]"')
    command = [sys.executable, "-m", "pip_audit", "-r", str(constraints), "--no-deps", "--disable-pip"]
    how = ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run([*command, *how], capture_output=True, text=True, timeout=LONGEST_S, check=False)
        return of_pip_audit(json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return _nothing(f"pip-audit was not done within {LONGEST_S} seconds.")
    except ValueError:
        return _nothing("pip-audit gave no list: " + done.stderr.strip().rpartition("\n")[2][:300])


def of_pip_audit(told: Mapping[str, Any]) -> Answer:
    """Its JSON: a package that was skipped was not asked about."""
    packages = told["dependencies"]
    skipped = [f"{one['name']}: {one['skip_reason']}" for one in packages if "skip_reason" in one]
    holes = [
        f"{one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in packages
        for hole in one.get("vulns", ())
    ]
    return Answer(asked=len(packages) - len(skipped), holes=holes, unasked=skipped)


def about_crates(found: Sequence[Component], client: httpx.Client) -> Answer:
    """The crates inside wheels, by OSV, which has RustSec's advisories."""
    crates = sorted({one.purl: one for one in found if one.is_crate}.values(), key=lambda one: one.purl)
    holes: list[str] = []
    try:
        for start in range(0, len(crates), MOST_QUERIES):
            holes += _ask(crates[start : start + MOST_QUERIES], client)
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return _nothing(f"{httpx.URL(OSV).host} could not be asked about {len(crates)} crates: {error}")
    return Answer(asked=len(crates), holes=holes, unasked=())


def _ask(crates: Sequence[Component], client: httpx.Client) -> Sequence[str]:
    answer = client.post(OSV, json={"queries": [{"package": {"purl": one.purl}} for one in crates]})
    answer.raise_for_status()
    results = answer.json()["results"]
    return [
        f"{one.wheel} carries {one.name} {one.version}: {hole['id']}"
        for one, result in zip(crates, results, strict=True)
        for hole in result.get("vulns", ())
    ]


def _nothing(why: str) -> Answer:
    return Answer(asked=0, holes=(), unasked=(why,))
