"""`selma-gateway backup` and `restore`, as an operator types them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import app
from storage import held_alone
from storage.vault import MasterKey
from tests.backups.scene import House


class Shell:
    """Runs commands on a house."""

    def __init__(self, house: House) -> None:
        self.env = {
            "GATEWAY_DATABASE": str(house.database),
            "GATEWAY_BACKUPS": str(house.shelf.folder),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, arguments, env=self.env)

    def json(self, *arguments: str, code: int = 0) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)


@pytest.fixture
def shell(house: House) -> Shell:
    return Shell(house)


def test_a_backup_is_made_listed_verified_rehearsed_and_restored(shell: Shell, house: House) -> None:
    made = shell.json("backup")
    name = Path(made["path"]).name
    assert made["manifest"]["rows"]["outbox"] == 3
    assert (made["encrypted"], made["kept_until"], made["problem"]) == (False, None, None)
    assert shell.json("backup", "list") == [made]
    listed = shell.run("backup", "list").output
    assert name in listed
    assert "deleted by hand" in listed
    assert shell.json("backup", "verify", name)["ok"] is True
    assert "is whole" in shell.run("backup", "verify", made["path"]).output
    rehearsed = shell.json("backup", "rehearse")
    assert (rehearsed["ok"], rehearsed["opened"], rehearsed["backup"]) == (True, True, name)
    refused = shell.run("restore", name)
    assert (refused.exit_code, "--force" in refused.output) == (1, True)
    done = shell.json("restore", name, "--force")
    assert (done["letters_in_doubt"], done["erasures_since"]) == (3, [])
    assert Path(done["put_aside"]).exists()
    said = shell.run("restore", name, "--force").output
    assert "3 open letters are looked for in their mailboxes before they are sent." in said


def test_exit_codes_tell_a_bad_backup_from_trouble_of_our_own(shell: Shell, house: House) -> None:
    assert shell.run("backup", "rehearse").exit_code == 1, "there is none"
    name = Path(shell.json("backup")["path"]).name
    with held_alone(house.database):
        running = shell.run("restore", name, "--force")
    assert (running.exit_code, "Stop that one first" in running.output) == (3, True)
    shell.env["GATEWAY_MASTER_KEY"] = MasterKey.new().to_text()
    sealed = shell.run("restore", name, "--force")
    assert (sealed.exit_code, "sealed with an earlier master key" in sealed.output) == (1, True)
    del shell.env["GATEWAY_MASTER_KEY"]
    place = house.shelf.folder / name
    place.write_bytes(bytes(place.stat().st_size))
    damaged = shell.run("backup", "verify", name)
    assert (damaged.exit_code, "no backup of selma-gateway" in damaged.output) == (1, True)
    rehearsed = shell.json("backup", "rehearse", code=1)
    assert rehearsed["ok"] is False
    assert rehearsed["problem"]
    assert "could not be restored" in shell.run("backup", "rehearse").output
    house.shelf.folder.rename(house.folder / "moved")
    house.shelf.folder.write_text("in the way")
    assert shell.run("backup").exit_code == 3
    assert shell.run("backup", "--to", str(house.folder / "another")).exit_code == 0
    shell.env["GATEWAY_DATABASE"] = str(house.folder / "none.db")
    assert shell.run("backup").exit_code == 3


def test_bad_keys_of_age_are_named_before_anything_is_done(shell: Shell, house: House) -> None:
    shell.env |= {"GATEWAY_BACKUP_RECIPIENTS": "age1x", "GATEWAY_BACKUP_IDENTITY": "AGE-SECRET-KEY-1SECRET"}
    done = shell.run("backup")
    assert done.exit_code == 3
    assert "GATEWAY_BACKUP_RECIPIENTS" in done.output
    assert "GATEWAY_BACKUP_IDENTITY" in done.output
    assert "1SECRET" not in done.output
    assert not house.shelf.folder.exists()
