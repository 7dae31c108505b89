"""Starting, stopping, being killed: what an operator and a supervisor see."""

import json
import random
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.end_to_end.processes import Process, run, settings

LETTERS = 40
KILLS = 6


@pytest.fixture
def sandbox() -> Iterator[dict[str, Any]]:
    """The sandbox in a process of its own; what it printed about its school."""
    with Process("sandbox", "--port", "0", "--json") as process:
        yield json.loads(process.output_line())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def env(tmp_path: Path, sandbox: dict[str, Any]) -> dict[str, str]:
    port = free_port()
    return settings(
        tmp_path,
        GATEWAY_PORT=str(port),
        GATEWAY_PUBLIC_URL=f"http://127.0.0.1:{port}",
        GATEWAY_GRAPH_URL=sandbox["url"],
        GATEWAY_LOGIN_URL=sandbox["url"],
        GATEWAY_SWEEP_INTERVAL="10",
    )


def connect(env: dict[str, str], sandbox: dict[str, Any]) -> str:
    """Connect the school by command line; a key of all scopes."""
    done = run(
        *("account", "set", "--tenant-id", sandbox["tenant_id"], "--client-id", sandbox["client_id"]),
        env=env | {"SELMA_CLIENT_SECRET": sandbox["client_secret"]},
    )
    assert done.returncode == 0, done.stderr
    done = run("mailboxes", "add", *sandbox["mailboxes"], env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    done = run("keys", "create", "--scope", "send", "--scope", "read", "--scope", "settings", "--json", env=env)
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["key"])


def started(env: dict[str, str]) -> Process:
    process = Process("serve", env=env)
    process.log_line("recovered")
    return process


def test_sigterm_ends_the_gateway_with_exit_code_0(tmp_path: Path) -> None:
    with started(settings(tmp_path)) as process:
        code, said = process.terminate()
    assert code == 0, said
    assert "Traceback" not in said


def test_kill_9_at_any_time_loses_no_letter_and_sends_none_twice(env: dict[str, str], sandbox: dict[str, Any]) -> None:
    key = connect(env, sandbox)
    chance = random.Random(7)
    headers = {"authorization": f"Bearer {key}"}
    acknowledged = {}
    gateway = started(env)
    with httpx.Client(base_url=env["GATEWAY_PUBLIC_URL"], headers=headers, timeout=30, trust_env=False) as client:
        for number in range(LETTERS):
            answer = client.post(
                "/v1/messages", json=a_letter(number, sandbox), headers={"idempotency-key": str(number)}
            )
            assert answer.status_code == 202, answer.text
            acknowledged[answer.json()["id"]] = f"Letter {number}"
            if chance.random() < KILLS / LETTERS:
                gateway.kill()
                gateway = started(env)
        with gateway:
            wait_until_answered(client, set(acknowledged))
            assert gateway.terminate()[0] == 0
    states = letter_states(env)
    ledger = httpx.get(f"{sandbox['url']}/_sandbox/ledger", trust_env=False).json()["items"]
    left = [mail["subject"] for mail in ledger if mail["subject"].startswith("Letter ")]
    assert set(states) == set(acknowledged)
    assert len(left) == len(set(left))
    assert {message_id for message_id, state in states.items() if state == "sent"} == {
        message_id for message_id, subject in acknowledged.items() if subject in left
    }
    # Killed between the intent and the call, a letter waits as a draft until that is certain: 15 minutes.
    assert set(states.values()) <= {"sent", "unknown"}


def letter_states(env: dict[str, str]) -> dict[str, str]:
    """What the file says after all is over; and that it is whole."""
    database = sqlite3.connect(env["GATEWAY_DATABASE"])
    assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    states = dict(database.execute("SELECT message_id, state FROM outbox").fetchall())
    database.close()
    return states


def a_letter(number: int, sandbox: dict[str, Any]) -> dict[str, Any]:
    return {
        "from": sandbox["mailboxes"][number % 3],
        "to": [{"name": None, "address": sandbox["students"][number % 6]["address"]}],
        "subject": f"Letter {number}",
        "text": "Kia ora",
        "objects": [{"type": "student", "id": f"S{number}"}],
    }


def wait_until_answered(client: httpx.Client, letters: set[str]) -> None:
    """Follow the events until every letter is sent and answered, or uncertain."""
    answered = set()
    with client.stream("GET", "/v1/events/stream", headers={"last-event-id": "0"}, timeout=60) as events:
        for line in events.iter_lines():
            event = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if event.get("type") == "reply.received":
                answered.add(event["thread_id"])
            if line.startswith("data:"):
                statuses = [client.get(f"/v1/messages/{letter}").json()["status"] for letter in letters]
                if set(statuses) <= {"sent", "sending"} and statuses.count("sent") == len(answered):
                    return
    raise AssertionError("the stream of events ended")


def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    env = settings(tmp_path)
    with started(env):
        second = run("serve", env=env)
    assert second.returncode == 3
    assert "in use by another selma-gateway" in second.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", env=settings(tmp_path, GATEWAY_PORT=port))
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_master_key_is_a_clear_refusal_to_start(tmp_path: Path) -> None:
    run("keys", "list", env=settings(tmp_path))
    key = tmp_path / "master.key"
    key.write_text("A" * 43 + "=")
    done = run("serve", env=settings(tmp_path))
    assert done.returncode == 3
    assert "the key it was set up with" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_file_from_a_newer_release_is_refused(tmp_path: Path) -> None:
    run("keys", "list", env=settings(tmp_path))
    database = sqlite3.connect(tmp_path / "gateway.db")
    database.execute("PRAGMA user_version = 999")
    database.close()
    done = run("serve", env=settings(tmp_path))
    assert done.returncode == 3
    assert "newer release" in done.stderr


def test_every_bad_setting_is_named_at_once() -> None:
    done = run("serve", env={"GATEWAY_PORT": "eighty", "GATEWAY_PUBLIC_URL": "http://school.example"})
    assert done.returncode == 3
    assert "GATEWAY_PORT" in done.stderr
    assert "GATEWAY_PUBLIC_URL" in done.stderr


def test_the_data_folder_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    run("keys", "list", env=settings(folder))
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
