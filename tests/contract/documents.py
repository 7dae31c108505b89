"""`json`: documents that are JSON, are not, or may be either, alone and within a letter.

The names of the files say which: y_ must be read, n_ must be refused, i_ is for the reader to decide.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx
import orjson

from tests.contract.room import with_client
from tests.http.scene import a_letter

NAME: Final = "json"
HELP: Final = "Every document of JSONTestSuite, alone and within a letter."
URL: Final = "https://github.com/nst/JSONTestSuite"
JSON: Final = {"content-type": "application/json"}
# RFC 8259 section 4 leaves open what a name that stands twice means. Here it is refused, and said so.
REFUSED_THOUGH_JSON: Final = ("y_object_duplicated_key",)
HERE: Final = '"HERE"'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the documents are."""
    parser.add_argument("--from", dest="folder", type=Path, required=True, help=f"A clone of {URL}.")


def run(given: argparse.Namespace) -> int:
    """Post all of them."""
    found = {one.name: one.read_bytes() for one in sorted(given.folder.glob("test_parsing/*.json"))}
    if not found:
        print(f"There is nothing in {given.folder / 'test_parsing'}. Clone {URL}.", file=sys.stderr)
        return 1
    broken = broken_promises(found)
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{len(found)} documents, each alone and within a letter: {len(broken)} promises broken.")
    return 1 if broken else 0


def broken_promises(documents: Mapping[str, bytes]) -> list[str]:
    """What was answered that must not be, in a sentence each."""

    async def try_all(client: httpx.AsyncClient) -> list[str]:
        found = []
        for name, content in documents.items():
            alone = await client.post("/v1/messages", content=content, headers=JSON)
            found += [f"{name}, alone: {wrong}" for wrong in _alone(name, alone)]
            letter = orjson.dumps(a_letter(metadata={"document": "HERE"})).replace(HERE.encode(), content)
            within = await client.post("/v1/messages", content=letter, headers=JSON)
            found += [f"{name}, in a letter: {wrong}" for wrong in await _within(client, name, content, within)]
        return found

    return with_client(try_all)


def _alone(name: str, answer: httpx.Response) -> list[str]:
    """None of the documents is a letter."""
    status = answer.status_code
    if name.startswith("y_") and not name.startswith(REFUSED_THOUGH_JSON):
        return [] if status == 422 else [f"JSON got {status}"]
    if name.startswith(("n_", *REFUSED_THOUGH_JSON)):
        return [] if status == 400 else [f"what is no JSON got {status}"]
    return [] if status in (400, 422) else [f"it got {status}"]


async def _within(client: httpx.AsyncClient, name: str, content: bytes, answer: httpx.Response) -> list[str]:
    """What was accepted comes back the same."""
    if answer.status_code not in (202, 400, 422):
        return [f"it got {answer.status_code}"]
    if name.startswith("y_") and not name.startswith(REFUSED_THOUGH_JSON) and answer.status_code == 400:
        return ["JSON was not read"]
    if answer.status_code != 202:
        return []
    kept = (await client.get(answer.headers["location"])).json()["metadata"]
    return [] if kept == {"document": orjson.loads(content)} else ["it came back changed"]
