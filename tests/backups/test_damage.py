"""Whatever happened to a backup file is found before anything is done with it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import orjson
import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.backups.checking import verify
from gateway.backups.errors import Damaged, Locked, NoRoom, OtherMasterKey
from gateway.backups.manifest import Beside, Manifest
from gateway.backups.packing import pack, unpack
from gateway.backups.shelf import Backup, beside
from gateway.settings import from_env
from storage import SchemaTooNew
from storage.migrate import released
from storage.vault import MasterKey
from tests.backups.scene import House

QUIETLY = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def damages(draw: st.DrawFn) -> tuple[str, float, int]:
    """What is done to the file: a kind, a place from 0 to 1, and bits."""
    kind = draw(st.sampled_from(("flip", "cut", "add")))
    return kind, draw(st.floats(0, 1, exclude_max=True)), draw(st.integers(1, 255))


def damaged(whole: bytes, damage: tuple[str, float, int]) -> bytes:
    kind, place, bits = damage
    at = int(place * len(whole))
    if kind == "cut":
        return whole[:at]
    if kind == "add":
        return whole + bytes([bits])
    return whole[:at] + bytes([whole[at] ^ bits]) + whole[at + 1 :]


@pytest.fixture(params=["plain", "encrypted"])
def made(house: House, request: pytest.FixtureRequest, identity: pyrage.x25519.Identity) -> Backup:
    house.more["backup_identity"] = (str(identity),)
    if request.param == "encrypted":
        house.more["backup_recipients"] = (str(identity.to_public()),)
    return house.back_up()


@given(damage=damages())
@QUIETLY
def test_no_damaged_file_passes(house: House, made: Backup, damage: tuple[str, float, int]) -> None:
    whole = made.path.read_bytes()
    made.path.write_bytes(damaged(whole, damage))
    try:
        with pytest.raises((Damaged, Locked)):
            verify(made.path, house.settings)
    finally:
        made.path.write_bytes(whole)
    assert house.leftovers() == set()


@given(damage=damages())
@QUIETLY
def test_without_its_manifest_beside_it_a_damaged_file_never_becomes_another_database(
    house: House, made: Backup, damage: tuple[str, float, int], tmp_path: Path
) -> None:
    """Of a file that came alone only the checksums in it are known: a flipped bit may mean nothing, but never harm."""
    alone, opened = tmp_path / "alone", tmp_path / "opened"
    alone.write_bytes(damaged(made.path.read_bytes(), damage))
    try:
        with opened.open("wb") as into:
            manifest, _ = unpack(alone, into, house.settings.backup_identity, lambda done: None)
    except (Damaged, Locked):
        return
    assert manifest == made.manifest
    assert hashlib.sha256(opened.read_bytes()).hexdigest() == manifest.database_sha256


def test_one_that_lost_its_manifest_is_whole_all_the_same(house: House, made: Backup) -> None:
    beside(made.path).unlink()
    assert verify(made.path, house.settings).manifest == made.manifest


def test_what_is_cut_off_or_changed_at_its_head_is_said_even_of_a_file_alone(house: House) -> None:
    made = house.back_up()
    whole, version = made.path.read_bytes(), b'"gateway":"0.'
    assert whole.count(version) == 1
    beside(made.path).unlink()
    made.path.write_bytes(whole[:-1])
    with pytest.raises(Damaged, match="its end is missing"):
        verify(made.path, house.settings)
    made.path.write_bytes(whole.replace(version, b'"gateway":"1.'))
    with pytest.raises(Damaged, match="manifest in the backup was changed"):
        verify(made.path, house.settings)


def test_another_file_under_its_name_is_found_though_it_is_whole(house: House) -> None:
    made = house.back_up()
    said, size = beside(made.path).read_bytes(), made.path.stat().st_size
    repacked(made, house, gateway="9.9.9")
    assert made.path.stat().st_size == size
    beside(made.path).write_bytes(said)
    with pytest.raises(Damaged, match="SHA-256"):
        verify(made.path, house.settings)


def test_a_manifest_that_cannot_be_read_is_said(house: House, made: Backup) -> None:
    beside(made.path).write_bytes(b"{}")
    [found] = house.shelf.backups()
    assert found.problem is not None
    assert "manifest cannot be read" in found.problem


def test_what_is_no_backup_is_said(house: House, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(Damaged, match="no backup of selma-gateway"):
        verify(tmp_path / "x", house.settings)
    with pytest.raises(Damaged, match="There is no backup"):
        verify(tmp_path / "y", house.settings)


def repacked(made: Backup, house: House, **changes: object) -> None:
    """The same database under another manifest, with checksums that agree."""
    assert made.manifest is not None
    manifest, database = replace(made.manifest, **changes), house.folder / "unpacked.db"
    with database.open("wb") as into:
        unpack(made.path, into, house.settings.backup_identity, lambda done: None)
    with made.path.open("wb") as into:
        written = pack(database, into, manifest, house.settings.backup_recipients, lambda done: None)
    said = Beside(manifest=manifest, file_bytes=written.bytes, file_sha256=written.digest.hexdigest())
    beside(made.path).write_bytes(said.to_bytes())


def test_a_backup_of_a_newer_release_is_refused_with_its_name(house: House, made: Backup) -> None:
    newest = released()[-1].version
    repacked(made, house, schema_version=newest + 1, gateway="9.9")
    with pytest.raises(SchemaTooNew, match=rf"version {newest + 1} .*selma-gateway 9\.9.*versions up to {newest}"):
        verify(made.path, house.settings)


def test_rows_that_are_missing_are_found(house: House, made: Backup) -> None:
    assert made.manifest is not None
    repacked(made, house, rows={**made.manifest.rows, "outbox": 4})
    with pytest.raises(Damaged, match="outbox has 3, not 4"):
        verify(made.path, house.settings)


def test_an_encrypted_one_needs_its_identity(house: House, identity: pyrage.x25519.Identity) -> None:
    house.more["backup_recipients"] = (str(identity.to_public()),)
    made = house.back_up()
    assert not verify(made.path, house.settings).opened, "the file is compared with its checksum all the same"
    other = pyrage.x25519.Identity.generate()
    house.more["backup_identity"] = (str(other),)
    with pytest.raises(Locked, match="another identity"):
        verify(made.path, house.settings)
    house.more["backup_identity"] = (str(other), str(identity))
    assert verify(made.path, house.settings).opened
    beside(made.path).unlink()
    house.more["backup_identity"] = ()
    with pytest.raises(Locked, match="GATEWAY_BACKUP_IDENTITY_FILE"):
        verify(made.path, house.settings)


def test_a_master_key_that_does_not_open_it_is_said_with_the_cure(house: House) -> None:
    made = house.back_up()
    key_file = house.folder / "master.key"
    right = key_file.read_text()
    assert made.manifest is not None
    key_file.write_text(MasterKey.new().to_text())
    with pytest.raises(OtherMasterKey, match=f"master key {made.manifest.key_id}.*does not open them"):
        verify(made.path, house.settings)
    kept = house.folder / f"master.key.{made.manifest.key_id}"
    kept.write_text(right)
    kept.chmod(0o600)
    with pytest.raises(OtherMasterKey, match=rf"lies at .*{kept.name}: put it in the place of"):
        verify(made.path, house.settings)
    key_file.unlink()
    kept.unlink()
    with pytest.raises(OtherMasterKey, match="none at hand"):
        verify(made.path, house.settings)
    assert verify(made.path, replace(house.settings, master_key=MasterKey.from_text(right))).opened


def test_a_disk_without_room_for_it_is_said(house: House) -> None:
    made = house.back_up()
    assert made.beside is not None
    said = replace(made.beside, manifest=replace(made.beside.manifest, database_bytes=2**60))
    beside(made.path).write_bytes(said.to_bytes())
    with pytest.raises(NoRoom, match="too full to unpack"):
        verify(made.path, house.settings)


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"reason": "whim"}, {"made_at": "2026-03-02T09:00:00"}, {"rows": None}, {"key_id": ...}]
)
def test_a_manifest_of_another_make_is_none(house: House, change: dict[str, object]) -> None:
    made = house.back_up()
    assert made.manifest is not None
    said = orjson.loads(orjson.dumps(made.manifest.as_json())) | change
    said = {name: value for name, value in said.items() if value is not ...}
    with pytest.raises(ValueError, match=r"format|whim|time zone|missing"):
        Manifest.from_json(said)


def test_keys_of_age_are_read_as_its_tools_write_them(identity: pyrage.x25519.Identity, tmp_path: Path) -> None:
    file, public = tmp_path / "identity.txt", str(identity.to_public())
    file.write_text(f"# created: 2026-03-02T09:00:00Z\n# public key: {public}\n{identity}\n")
    found = from_env({"GATEWAY_BACKUP_IDENTITY_FILE": str(file), "GATEWAY_BACKUP_RECIPIENTS": f"{public}, {public}"})
    assert (found.backup_identity, found.backup_recipients) == ((str(identity),), (public, public))
    assert str(identity) not in repr(found)
