"""What a backup says of itself, and how its files are called. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

import orjson

FORMAT: Final = 1
PLAIN: Final = ".db.zst"
ENCRYPTED: Final = ".db.zst.age"
BESIDE: Final = ".json"
PART: Final = ".part"
STAMP: Final = "%Y%m%dT%H%M%SZ"
NAME: Final = re.compile(r"gateway-\d{8}T\d{6}Z-(scheduled|asked|upgrade)(-\d+)?\.db\.zst(\.age)?")


class Reason(StrEnum):
    """Why a backup was made, which decides how long it is kept."""

    SCHEDULED = "scheduled"
    ASKED = "asked"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """`made_at` is no later than the moment that the copy shows. `key_id` tells which master key opens the secrets."""

    made_at: datetime
    reason: Reason
    gateway: str
    schema_version: int
    rows: Mapping[str, int]
    key_id: str | None
    database_bytes: int
    database_sha256: str

    def as_json(self) -> dict[str, Any]:
        """As it is written."""
        return {"format": FORMAT} | {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, said: Any) -> Self:
        """Raises `ValueError` for anything that this release did not write, or one like it."""
        try:
            if said["format"] != FORMAT:
                raise ValueError(f"its format is {said['format']}, this release knows {FORMAT}")
            made_at = datetime.fromisoformat(said["made_at"])
            if made_at.tzinfo is None:
                raise ValueError("its time has no time zone")
            return cls(
                made_at=made_at.astimezone(UTC),
                reason=Reason(said["reason"]),
                gateway=str(said["gateway"]),
                schema_version=int(said["schema_version"]),
                rows={str(table): int(count) for table, count in said["rows"].items()},
                key_id=None if said["key_id"] is None else str(said["key_id"]),
                database_bytes=int(said["database_bytes"]),
                database_sha256=str(said["database_sha256"]),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a part of it is missing: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The manifest with what is only known when the file is there."""

    manifest: Manifest
    file_bytes: int
    file_sha256: str

    def to_bytes(self) -> bytes:
        """As it lies beside the backup."""
        said = {"manifest": self.manifest.as_json(), "file_bytes": self.file_bytes, "file_sha256": self.file_sha256}
        return orjson.dumps(said, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n"

    @classmethod
    def from_bytes(cls, text: bytes) -> Self:
        """Raises `ValueError`."""
        said = orjson.loads(text)
        try:
            manifest, size, digest = Manifest.from_json(said["manifest"]), said["file_bytes"], said["file_sha256"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"a part of it is missing: {error}") from error
        return cls(manifest=manifest, file_bytes=int(size), file_sha256=str(digest))


def file_name(made_at: datetime, reason: Reason, *, encrypted: bool, number: int = 1) -> str:
    """Of the backup. `number` sets apart those of the same second."""
    more = "" if number == 1 else f"-{number}"
    return f"gateway-{made_at.astimezone(UTC).strftime(STAMP)}-{reason}{more}{ENCRYPTED if encrypted else PLAIN}"
