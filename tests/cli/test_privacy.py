"""Privacy by command line: export, erase, retention; what it says, and its exit codes."""

import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest

from storage import Transaction, accounts, audit, threads
from storage.threads import Object, ObjectType
from tests.cli.test_letters import NOW, Desk
from tests.cli.test_letters import desk as a_desk

desk = a_desk  # the fixture
STUDENT = Object(type=ObjectType.STUDENT, id="S1001")
ERASE = ("privacy", "erase", "--object", "student:S1001", "--reason", "Request 14")


def posted(desk: Desk, *, cancelled: bool = True) -> str:
    letter = desk.post("canary of an offer")
    desk.work(_link, letter)
    if cancelled:
        assert desk.shell.run("outbox", "cancel", letter).exit_code == 0
    return letter


def _link(tx: Transaction, letter: str) -> None:
    row = tx.execute("SELECT account_id, thread_id FROM messages WHERE id = ?", (letter,)).fetchone()
    threads.link(tx, row["account_id"], row["thread_id"], [STUDENT])


def acts(desk: Desk) -> list[tuple[str, str]]:
    def read(tx: Transaction) -> list[tuple[str, str]]:
        (account,) = accounts.all_of_them(tx)
        return [(one.act, one.actor.via.value) for one in reversed(audit.newest(tx, account.id, limit=99))]

    return desk.work(read)


def test_an_export_is_written_once_for_its_owner_alone(desk: Desk, tmp_path: Path) -> None:
    letter, output = posted(desk), tmp_path / "S1001.zip"
    done = desk.shell.run("privacy", "export", "student", "S1001", "--output", str(output))
    assert (done.exit_code, done.stdout) == (0, f"1 messages are in {output}.\n")
    assert output.stat().st_mode & 0o777 == 0o600
    told = json.loads(zipfile.ZipFile(output).read("manifest.json"))["messages"]
    assert [one["id"] for one in told] == [letter]
    again = desk.shell.run("privacy", "export", "student", "S1001", "--output", str(output))
    assert (again.exit_code, "File exists" in again.stderr) == (2, True)
    assert ("object.export", "command") in acts(desk)


def test_an_erasure_says_first_what_it_would_do(desk: Desk) -> None:
    posted(desk)
    planned = desk.shell.run(*ERASE, "--dry-run", "--json")
    assert planned.exit_code == 0
    assert json.loads(planned.stdout)["rows"]["messages"] == 1
    assert b"canary" in desk.path.read_bytes()


def test_an_erasure_prints_its_receipt(desk: Desk) -> None:
    posted(desk)
    done = desk.shell.run(*ERASE, "--json")
    receipt = json.loads(done.stdout)
    assert (done.exit_code, receipt["proof"]["left"], receipt["reason"]) == (0, 0, "Request 14")
    assert b"canary of an offer" not in b"".join(one.read_bytes() for one in desk.path.parent.iterdir())
    assert acts(desk)[-2:] == [("erasure.preview", "command"), ("erasure.do", "command")]


def test_a_letter_on_its_way_is_a_persons_to_stop(desk: Desk) -> None:
    letter = posted(desk, cancelled=False)
    assert desk.shell.run(*ERASE, "--dry-run").exit_code == 1
    refused = desk.shell.run(*ERASE, "--yes")
    assert (refused.exit_code, letter in refused.stderr) == (1, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ("erase", "--reason", "x"),
        ("erase", "--reason", "x", "--object", "student:1", "--address", "a@b.example"),
        ("erase", "--reason", "x", "--object", "pupil:1"),
        ("erase", "--reason", " ", "--object", "student:1"),
        ("retention", "set", "threads=never"),
        ("retention", "set", "letters=5"),
    ],
    ids=" ".join,
)
def test_what_is_not_clear_is_a_mistake_of_use(desk: Desk, arguments: tuple[str, ...]) -> None:
    assert desk.shell.run("privacy", *arguments).exit_code == 2


def test_rules_are_tried_set_shown_and_carried_out(desk: Desk) -> None:
    posted(desk)
    desk.work(_long_ago)
    tried = desk.shell.run("privacy", "retention", "set", "threads=365", "--dry-run", "--json")
    assert json.loads(tried.stdout)["threads"] == 1
    assert desk.shell.run("privacy", "retention", "show").stdout == "All is kept for ever.\n"
    assert json.loads(desk.shell.run("privacy", "retention", "run", "--json").stdout) == {"threads": 0}
    assert desk.shell.run("privacy", "retention", "set", "threads=365", "audit=1095").exit_code == 0
    assert json.loads(desk.shell.run("privacy", "retention", "show", "--json").stdout) == {
        "audit": 1095,
        "threads": 365,
    }
    assert json.loads(desk.shell.run("privacy", "retention", "preview", "--json").stdout)["threads"] == 1
    assert json.loads(desk.shell.run("privacy", "retention", "run", "--dry-run", "--json").stdout)["threads"] == 1
    assert json.loads(desk.shell.run("privacy", "retention", "run", "--json").stdout) == {"threads": 1}


def _long_ago(tx: Transaction) -> None:
    tx.execute("UPDATE outbox SET tidy_at = NULL")
    tx.execute("UPDATE messages SET message_at = ?", (NOW - timedelta(days=9000),))
    for row in tx.execute("SELECT id FROM threads").fetchall():
        threads.summarise(tx, row["id"])
