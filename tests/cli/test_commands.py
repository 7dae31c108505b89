"""The command line, as an admin types it: what it prints, and with which exit code it ends."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from gateway.cli.app import app
from tests.end_to_end.processes import Process


@pytest.fixture(scope="module")
def sandbox() -> Iterator[dict[str, Any]]:
    """The sandbox in a process of its own; what it printed about its school."""
    with Process("sandbox", "--port", "0", "--json") as process:
        yield json.loads(process.output_line())


class Shell:
    """Runs commands in one environment."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env | {"COLUMNS": "200"}

    def run(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(app, arguments, env=self.env, input=typed)

    def json(self, *arguments: str) -> Any:
        done = self.run(*arguments, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell({"GATEWAY_DATABASE": str(tmp_path / "gateway.db")})


@pytest.fixture
def connected(shell: Shell, sandbox: dict[str, Any]) -> Shell:
    """A shell whose account is connected to the sandbox's school."""
    shell.env |= {"GATEWAY_GRAPH_URL": sandbox["url"], "GATEWAY_LOGIN_URL": sandbox["url"]}
    done = shell.run(
        *("account", "set", "--tenant-id", sandbox["tenant_id"], "--client-id", sandbox["client_id"]),
        typed=sandbox["client_secret"] + "\n",
    )
    assert done.exit_code == 0, done.output
    assert sandbox["client_secret"] not in done.output
    return shell


def commands(group: click.Command, path: Sequence[str] = ()) -> Iterator[tuple[str, ...]]:
    """Every command there is, with its groups."""
    yield tuple(path)
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", list(commands(typer.main.get_command(app))), ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, [*path, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_all_bad_values_of_an_account_are_named_at_once(shell: Shell) -> None:
    done = shell.run(
        *("account", "set", "--tenant-id", "common", "--client-id", "x", "--time-zone", "Middle/Earth"),
        typed="0b1c2d3e-0000-0000-0000-00000000000a\n",
    )
    assert done.exit_code == 2
    for name in ("tenant_id", "client_id", "client_secret", "time_zone"):
        assert f"{name}: " in done.output
    assert "Secret ID" in done.output


def test_checking_an_account_that_is_not_connected_says_what_is_missing(shell: Shell) -> None:
    done = shell.run("account", "check", "--json")
    assert done.exit_code == 1
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["configuration"]["verdict"] == "fail"
    assert "client secret" in checks["configuration"]["found"]


def test_a_connected_account_checks_green(connected: Shell) -> None:
    report = connected.json("account", "check")
    assert report["ok"] is True
    assert {check["verdict"] for check in report["checks"]} <= {"ok", "warn"}


def test_the_secret_is_never_shown_again(connected: Shell, sandbox: dict[str, Any]) -> None:
    shown = connected.run("account", "show")
    assert sandbox["client_secret"] not in shown.output
    assert sandbox["client_secret"][:3] in shown.output


def test_a_mailbox_is_validated_when_it_is_added(connected: Shell, sandbox: dict[str, Any]) -> None:
    [mailbox] = connected.json("mailboxes", "add", sandbox["mailboxes"][0])
    assert mailbox["state"] == "validated"


def test_a_mailbox_that_is_none_is_refused_with_the_reason(connected: Shell) -> None:
    done = connected.run("mailboxes", "add", "nobody@school.example", "--json")
    assert done.exit_code == 1
    [mailbox] = json.loads(done.stdout)
    assert mailbox["state"] == "refused"
    assert mailbox["problem"]["explanation"]


def test_many_mailboxes_come_from_a_file_and_each_is_told_as_it_is_done(
    connected: Shell, sandbox: dict[str, Any]
) -> None:
    names = [*sandbox["mailboxes"], "nobody@school.example"]
    done = connected.run("mailboxes", "add", "--file", "-", "--json", typed="\n".join(names))
    assert done.exit_code == 1
    assert sorted(one["address"] for one in json.loads(done.stdout)) == sorted(names)
    assert [line.split(":")[0] for line in done.stderr.splitlines()] == [f"{n} of 4" for n in (1, 2, 3, 4)]
    again = connected.run("mailboxes", "validate", "--json")
    assert {one["state"] for one in json.loads(again.stdout)} == {"validated", "refused"}


def test_adding_nothing_is_wrong_usage(connected: Shell) -> None:
    assert connected.run("mailboxes", "add").exit_code == 2


def test_an_address_that_is_none_is_wrong_usage(connected: Shell) -> None:
    done = connected.run("mailboxes", "add", "not an address")
    assert done.exit_code == 2
    assert "not a mail address" in done.output


def test_validating_without_a_connection_says_what_to_do(shell: Shell) -> None:
    done = shell.run("mailboxes", "add", "admissions@school.example")
    assert done.exit_code == 1
    assert "Account-Level Configuration" in done.output
    assert "Traceback" not in done.output


def test_a_test_email_goes_into_the_outbox(connected: Shell, sandbox: dict[str, Any]) -> None:
    connected.json("mailboxes", "add", sandbox["mailboxes"][0])
    letter = connected.json("mailboxes", "test", sandbox["mailboxes"][0])
    assert [one["id"] for one in connected.json("outbox", "list")] == [letter["id"]]


def test_a_round_trip_is_begun_and_shown(connected: Shell, sandbox: dict[str, Any]) -> None:
    connected.json("mailboxes", "add", sandbox["mailboxes"][0])
    begun = connected.json("mailboxes", "round-trip", sandbox["mailboxes"][0])
    assert (begun["state"], begun["threaded"]) == ("under_way", None)
    assert connected.json("mailboxes", "round-trip", sandbox["mailboxes"][0], "--show") == begun


def test_who_is_warned_is_said_and_shown(shell: Shell) -> None:
    assert shell.json("account", "wishes") == {"alert_address": None, "self_test": True}
    wished = shell.json("account", "wishes", "--alert-address", "it@school.example", "--no-self-test")
    assert wished == {"alert_address": "it@school.example", "self_test": False}
    assert shell.run("account", "wishes", "--alert-address", "it").exit_code == 2


def test_a_removed_mailbox_is_listed_no_more(connected: Shell, sandbox: dict[str, Any]) -> None:
    connected.json("mailboxes", "add", sandbox["mailboxes"][0])
    assert connected.run("mailboxes", "remove", sandbox["mailboxes"][0]).exit_code == 0
    assert connected.json("mailboxes", "list") == []


def test_a_key_is_shown_once_and_can_be_revoked(shell: Shell) -> None:
    made = shell.json("keys", "create", "--scope", "send", "--scope", "read", "--name", "SELMA")
    assert made["key"].startswith("selma_")
    assert made["key"] not in shell.run("keys", "list").output
    assert shell.run("keys", "revoke", made["id"]).exit_code == 0
    [listed] = shell.json("keys", "list")
    assert listed["revoked_at"] is not None


def test_a_level_of_the_log_is_asked_for_shown_and_taken_back_and_the_audit_log_knows(shell: Shell) -> None:
    assert "usual" in shell.run("log-level", "--help").output
    assert shell.json("log-level") == {"setting": "info", "for_a_while": []}
    assert "gateway.graph: debug until" in shell.run("log-level", "DEBUG", "--logger", "gateway.graph").stdout
    [held] = shell.json("log-level")["for_a_while"]
    assert (held["logger"], held["level"]) == ("gateway.graph", "debug")
    assert "gateway.graph" in shell.run("log-level").stdout
    refused = shell.run("log-level", "debug", "--logger", "httpx", "--for", "5m")
    assert (refused.exit_code, "stays off" in refused.stderr) == (2, True)
    assert shell.run("log-level", "usual").exit_code == 0
    assert shell.json("log-level")["for_a_while"] == []
    with closing(sqlite3.connect(shell.env["GATEWAY_DATABASE"])) as file:
        acts = file.execute("SELECT act, via, targets ->> 'logger' FROM audit ORDER BY seq").fetchall()
    assert acts == [("log_level.change", "command", "gateway.graph"), ("log_level.reset", "command", None)]


def test_who_made_and_revoked_a_key_is_once_in_the_audit_log(shell: Shell) -> None:
    made = shell.json("keys", "create", "--scope", "send")
    assert shell.run("keys", "revoke", made["id"]).exit_code == 0
    with closing(sqlite3.connect(shell.env["GATEWAY_DATABASE"])) as file:
        records = file.execute("SELECT act, via, targets ->> 'key_id' FROM audit ORDER BY seq").fetchall()
    assert records == [("key.create", "command", made["id"]), ("key.revoke", "command", made["id"])]


def test_a_key_can_be_held_to_mailboxes_networks_and_a_day(connected: Shell, sandbox: dict[str, Any]) -> None:
    address = sandbox["mailboxes"][0]
    connected.json("mailboxes", "add", address)
    limits = ("--mailbox", address, "--network", "198.51.100.0/24", "--expires", "2099-01-01")
    connected.json("keys", "create", "--scope", "read", *limits)
    [listed] = connected.json("keys", "list")
    assert (listed["mailboxes"], listed["networks"]) == ([address], ["198.51.100.0/24"])
    assert listed["expires_at"].startswith("2099-01-01T00:00:00")
    assert address in connected.run("keys", "list").output


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (("--mailbox", "nobody@school.example"), "not one of this account's mailboxes"),
        (("--network", "everywhere"), "no address and no network"),
        (("--expires", "2020-01-01"), "over already"),
    ],
)
def test_a_key_that_cannot_be_is_refused_and_why(shell: Shell, limit: tuple[str, str], said: str) -> None:
    done = shell.run("keys", "create", "--scope", "read", *limit)
    assert done.exit_code == 2
    assert said in done.output
    assert shell.json("keys", "list") == []


def test_revoking_a_key_that_is_not_there_is_said(shell: Shell) -> None:
    done = shell.run("keys", "revoke", "key_0")
    assert done.exit_code == 3
    assert "no live API key" in done.output


@pytest.mark.parametrize("noun", ["batches", "keys", "mailboxes", "outbox", "subscriptions"])
def test_an_empty_list_says_so_and_json_is_an_empty_list(shell: Shell, noun: str) -> None:
    assert "No " in shell.run(noun, "list").output
    assert shell.json(noun, "list") == []


def test_repairing_subscriptions_makes_the_comparison_due(connected: Shell) -> None:
    assert connected.run("subscriptions", "repair").exit_code == 0


def test_retrying_a_letter_that_is_not_there_is_said(shell: Shell) -> None:
    done = shell.run("outbox", "retry", "msg_0")
    assert done.exit_code == 3
    assert "no such letter" in done.output
