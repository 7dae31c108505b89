"""Rotation, least privilege and the master key on the command line: what is printed, and with which exit code."""

from pathlib import Path
from typing import Any

import httpx

from storage.vault import MasterKey
from tests.cli.test_commands import Shell, connected, sandbox, shell

__all__ = ["connected", "sandbox", "shell"]

WRONG = "wrong~value-0123456789"


def test_a_secret_that_entra_refuses_is_explained_and_the_old_one_stays(connected: Shell) -> None:
    before = connected.json("account", "credentials")
    done = connected.run("account", "rotate", typed=WRONG + "\n")
    assert done.exit_code == 1
    assert "AADSTS7000215" in done.output
    assert WRONG not in done.output
    assert [one["id"] for one in connected.json("account", "credentials")] == [one["id"] for one in before]


def test_a_certificate_is_written_to_a_file_uploaded_and_tried(
    connected: Shell, sandbox: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "gateway.cer"
    made = connected.json("account", "rotate", "--kind", "certificate", "--file", str(file))
    assert connected.run("account", "rotate", "--try", made["id"]).exit_code == 1
    body = {"client_id": sandbox["client_id"], "certificate": file.read_text()}
    assert httpx.post(f"{sandbox['url']}/_sandbox/certificates", json=body, trust_env=False).status_code == 201
    done = connected.run("account", "rotate", "--try", made["id"])
    assert (done.exit_code, "serves from now on" in done.output) == (0, True)
    [active, standby] = connected.json("account", "credentials")
    assert (active["kind"], standby["kind"]) == ("certificate", "client_secret")
    assert connected.run("account", "forget", standby["id"]).exit_code == 0
    assert connected.run("account", "forget", active["id"]).exit_code == 3


def test_a_federated_credential_needs_its_file(connected: Shell) -> None:
    assert connected.run("account", "rotate", "--kind", "federated").exit_code == 2
    done = connected.run("account", "rotate", "--kind", "federated", "--file", "/nowhere/token")
    assert (done.exit_code, "There is no file" in done.output) == (2, True)


def test_the_commands_for_least_privilege_are_printed_and_the_proof_told(
    connected: Shell, sandbox: dict[str, Any]
) -> None:
    assert connected.run("account", "least-privilege").exit_code == 1, "no mailbox is validated yet"
    connected.json("mailboxes", "add", sandbox["mailboxes"][0])
    assert sandbox["mailboxes"][0] in connected.run("account", "least-privilege").output
    assert "New-ApplicationAccessPolicy" in connected.run("account", "least-privilege", "--policy").output
    done = connected.run("account", "least-privilege", "--prove", sandbox["mailboxes"][1])
    assert (done.exit_code, "The app can open this mailbox" in done.output) == (1, True)


def test_the_master_key_is_replaced_and_what_was_stored_still_opens(connected: Shell) -> None:
    done = connected.run("master-key", "rotate")
    assert (done.exit_code, "One secret is sealed" in done.output) == (0, True)
    assert connected.run("account", "check").exit_code == 0


def test_a_master_key_of_the_environment_is_not_ours_to_replace(shell: Shell) -> None:
    shell.env["GATEWAY_MASTER_KEY"] = MasterKey.new().to_text()
    done = shell.run("master-key", "rotate")
    assert (done.exit_code, "take the variable away" in done.output) == (2, True)
