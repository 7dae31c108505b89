"""Starting and stopping: what an operator and a supervisor see."""

import socket
import sqlite3
from pathlib import Path

from tests.end_to_end.processes import run, settings, started, tried


def test_sigterm_ends_the_gateway_with_exit_code_0(tmp_path: Path) -> None:
    with started(settings(tmp_path)) as process:
        code, said = process.terminate()
    assert code == 0, said
    assert "Traceback" not in said


def test_a_second_gateway_on_the_same_file_is_refused(tmp_path: Path) -> None:
    env = settings(tmp_path)
    with started(env):
        second = tried("serve", env=env)
    assert second.returncode == 3
    assert "in use by another selma-gateway" in second.stderr


def test_a_port_that_is_taken_is_said_in_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = tried("serve", env=settings(tmp_path, GATEWAY_PORT=port))
    assert done.returncode == 3
    assert f"port {port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_master_key_is_a_clear_refusal_to_start(tmp_path: Path) -> None:
    run("keys", "list", env=settings(tmp_path))
    key = tmp_path / "master.key"
    key.write_text("A" * 43 + "=")
    done = tried("serve", env=settings(tmp_path))
    assert done.returncode == 3
    assert "the key it was set up with" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_a_file_from_a_newer_release_is_refused(tmp_path: Path) -> None:
    run("keys", "list", env=settings(tmp_path))
    database = sqlite3.connect(tmp_path / "gateway.db")
    database.execute("PRAGMA user_version = 999")
    database.close()
    done = tried("serve", env=settings(tmp_path))
    assert done.returncode == 3
    assert "newer release" in done.stderr


def test_every_bad_setting_is_named_at_once() -> None:
    done = tried("serve", env={"GATEWAY_PORT": "eighty", "GATEWAY_PUBLIC_URL": "http://school.example"})
    assert done.returncode == 3
    assert "GATEWAY_PORT" in done.stderr
    assert "GATEWAY_PUBLIC_URL" in done.stderr


def test_the_data_folder_is_the_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    run("keys", "list", env=settings(folder))
    assert folder.stat().st_mode & 0o077 == 0
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
