"""The machine's doctor, on machines that are well and on some that are not: what it says, and with which exit code."""

import itertools
import json
import shutil
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli.app import app
from gateway.doctor.disk import judge_filesystem, judge_flush, judge_space, kind_of
from gateway.doctor.examining import EXAMINATIONS, examine
from gateway.doctor.patient import Patient, Skipped, well
from gateway.setup.report import Verdict
from gateway.space import Room
from storage.examine import damage_within, looked_at
from storage.vault import MasterKey
from tests.end_to_end.processes import free_port
from tests.fakes.clock import FakeClock

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
Env = dict[str, str]


class Doctor:
    """Called on one environment."""

    def __init__(self, env: Env) -> None:
        self.env = env
        self.database = Path(env["GATEWAY_DATABASE"])
        self.code = -1
        self.skipped: Mapping[str, str] = {}

    def asked(self, *more: str) -> Mapping[str, Any]:
        """The checks by name."""
        done = CliRunner().invoke(app, ["doctor", "--offline", "--json", *more], env=self.env)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.output
        self.code, said = done.exit_code, json.loads(done.stdout)
        self.skipped = {one["name"]: one["because"] for one in said["skipped"]}
        return {one["name"]: one for one in said["checks"]}


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gateway that was set up."""
    folder = tmp_path_factory.mktemp("machine") / "data"
    env = {"GATEWAY_DATABASE": str(folder / "gateway.db")}
    made = CliRunner().invoke(app, ["keys", "create", "--scope", "read", "--json"], env=env)
    assert made.exit_code == 0, made.output
    return folder


@pytest.fixture
def doctor(tmp_path: Path, set_up: Path) -> Doctor:
    """A machine on which the gateway was set up, and does not run."""
    folder = shutil.copytree(set_up, tmp_path / "data")
    port = str(free_port())
    return Doctor({"GATEWAY_DATABASE": str(folder / "gateway.db"), "GATEWAY_PORT": port, "GATEWAY_FREE_SPACE": "1"})


def test_a_machine_that_is_well_says_so_check_by_check(doctor: Doctor) -> None:
    found = doctor.asked("--thorough")
    assert {name: one["verdict"] for name, one in found.items() if one["verdict"] == FAIL} == {}
    assert found["gateway"]["found"] == "It does not run; its address is free."
    assert doctor.code == 1  # for that
    assert {"integrity", "search index", "schema", "master key", "flush", "folder", "files", "clock"} <= set(found)
    assert all(one["cure"] for one in found.values() if one["verdict"] != OK)
    assert list(doctor.skipped) == ["connections"]
    assert {name for name, _ in EXAMINATIONS} == set(found) | set(doctor.skipped)


def test_before_the_first_start_there_is_nothing_to_mend(tmp_path: Path) -> None:
    doctor = Doctor({"GATEWAY_DATABASE": str(tmp_path / "new" / "gateway.db"), "GATEWAY_FREE_SPACE": "1"})
    doctor.env["GATEWAY_PORT"] = str(free_port())
    found = doctor.asked()
    assert (found["database"]["verdict"], found["folder"]["verdict"], doctor.code) == (WARN, WARN, 1)
    assert doctor.skipped["integrity"] == "There is no database yet."
    assert not (tmp_path / "new").exists()


def _damaged(doctor: Doctor) -> None:
    with closing(sqlite3.connect(doctor.database)) as file:
        file.execute("PRAGMA journal_mode = DELETE")
        [page] = file.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'messages'").fetchone()
    content = bytearray(doctor.database.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\xa5" * 4096
    doctor.database.write_bytes(content)


def _no_database(doctor: Doctor) -> None:
    doctor.database.write_bytes(b"This was a file of mine once. " * 500)


def _newer(doctor: Doctor) -> None:
    with closing(sqlite3.connect(doctor.database)) as file:
        file.execute("PRAGMA user_version = 9999")


def _older(doctor: Doctor) -> None:
    with closing(sqlite3.connect(doctor.database)) as file:
        file.execute("PRAGMA user_version = 3")


def _another_key(doctor: Doctor) -> None:
    doctor.env["GATEWAY_MASTER_KEY"] = MasterKey.new().to_text()


def _lost_key(doctor: Doctor) -> None:
    (doctor.database.parent / "master.key").unlink()


def _open_key(doctor: Doctor) -> None:
    (doctor.database.parent / "master.key").chmod(0o644)


def _open_file(doctor: Doctor) -> None:
    doctor.database.chmod(0o644)


def _open_folder(doctor: Doctor) -> None:
    doctor.database.parent.chmod(0o777)


def _full(doctor: Doctor) -> None:
    doctor.env["GATEWAY_FREE_SPACE"] = str(10**15)


def _bad_settings(doctor: Doctor) -> None:
    doctor.env |= {"GATEWAY_PROT": "8080", "GATEWAY_SWEEP_INTERVAL": "soon"}


@pytest.mark.parametrize(
    ("ill", "check", "verdict", "says"),
    [
        (_damaged, "integrity", FAIL, "damaged"),
        (_no_database, "database", FAIL, "no database"),
        (_newer, "schema", FAIL, "It is 9999"),
        (_older, "schema", WARN, "It is 3 of"),
        (_another_key, "master key", FAIL, "cannot be opened with this master key"),
        (_lost_key, "master key", FAIL, "There is none"),
        (_open_key, "master key", FAIL, "chmod 600"),
        (_open_file, "files", FAIL, "can be read by others"),
        (_open_folder, "folder", FAIL, "Everybody may write"),
        (_full, "space", FAIL, "are wanted"),
        (_bad_settings, "settings", FAIL, "Did you mean GATEWAY_PORT"),
    ],
)
def test_what_is_wrong_is_said_with_its_cure(
    doctor: Doctor, ill: Callable[[Doctor], None], check: str, verdict: Verdict, says: str
) -> None:
    ill(doctor)
    before = doctor.database.read_bytes()
    found = doctor.asked()
    assert found[check]["verdict"] == verdict
    assert says in found[check]["found"]
    assert found[check]["cure"]
    assert doctor.code == (2 if verdict == FAIL else 1)
    assert doctor.database.read_bytes() == before


def test_a_file_that_another_program_has_locked_is_said_to_be(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.examine.PATIENCE_S", 0.01)
    with closing(sqlite3.connect(doctor.database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN IMMEDIATE")
        found = doctor.asked()
    assert "locked" in found["database"]["found"]
    assert doctor.code == 2
    assert doctor.skipped["integrity"] == "It needs the check “database” to be well first."


class Stranger(BaseHTTPRequestHandler):
    """Some other program."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[int]:
    """The port of a program that is no gateway."""
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_port_that_another_program_has_is_said_to_be(doctor: Doctor, stranger: int) -> None:
    doctor.env["GATEWAY_PORT"] = str(stranger)
    assert doctor.asked()["gateway"]["found"] == "Another program answers there."
    with socket.socket() as bound:  # taken, and nobody answers
        bound.bind(("127.0.0.1", 0))
        doctor.env["GATEWAY_PORT"] = str(bound.getsockname()[1])
        assert "cannot be listened at" in doctor.asked()["gateway"]["found"]
    assert doctor.code == 2


def test_people_get_a_table_and_what_was_not_looked_at(doctor: Doctor) -> None:
    done = CliRunner().invoke(app, ["doctor", "--offline"], env=doctor.env | {"COLUMNS": "200"})
    assert "verdict" in done.output
    assert "Not checked: search index. It takes long. Ask for it with --thorough." in done.output


async def test_a_check_that_fails_itself_is_told_of_and_the_others_are_made() -> None:
    def stumbles(patient: Patient) -> Any:
        raise LookupError("secret")

    def needs_it(patient: Patient) -> Any:
        patient.needs("first")

    def skips(patient: Patient) -> Any:
        raise Skipped("Not here.")

    patient = Patient.of({}, FakeClock())
    table = [("first", stumbles), ("second", needs_it), ("third", skips), ("last", lambda _: well("last", "", ""))]
    found = await examine(patient, table)
    assert [(one.name, one.verdict) for one in found.checks] == [("first", FAIL), ("last", OK)]
    assert "secret" not in found.checks[0].found
    assert [one.name for one in found.skipped] == ["second", "third"]
    assert found.worst is FAIL


MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:27 / /srv rw - nfs4 server:/export rw
31 30 254:2 / /srv/my\\040disk rw - xfs /dev/vdb1 rw
32 22 0:30 / /run rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("path", "kind", "verdict"),
    [
        ("/var/lib/gateway", "ext4", OK),
        ("/srv/gateway", "nfs4", FAIL),
        ("/srv/my disk/gateway", "xfs", OK),
        ("/run/gateway", "tmpfs", WARN),
        ("/srvant", "ext4", OK),
    ],
)
def test_the_kind_of_filesystem_is_that_of_the_nearest_mount(path: str, kind: str, verdict: Verdict) -> None:
    assert kind_of(MOUNTS, Path(path)) == kind
    assert judge_filesystem(kind).verdict is verdict


@pytest.mark.parametrize(("took", "verdict"), [([0.002] * 19 + [0.5], OK), ([0.06] * 20, WARN), ([1.5] * 20, FAIL)])
def test_flushes_are_judged_by_their_median(took: list[float], verdict: Verdict) -> None:
    assert judge_flush(took).verdict is verdict


@pytest.mark.parametrize(("free", "verdict"), [(None, WARN), (99, FAIL), (150, WARN), (200, OK)])
def test_space_that_will_not_last_is_a_warning(free: int | None, verdict: Verdict) -> None:
    assert judge_space(Room(free=free, wanted=100, is_low=free is not None and free < 100)).verdict is verdict


def test_a_file_that_is_too_large_for_a_quick_look_is_looked_at_as_far_as_time_allows(doctor: Doctor) -> None:
    with looked_at(doctor.database) as tx:
        assert damage_within(tx, 60) == []
        tx.execute("PRAGMA cache_size = 1")
        times = itertools.count()
        assert damage_within(tx, 0, now=lambda: float(next(times))) is None
        assert damage_within(tx, 60) == []
