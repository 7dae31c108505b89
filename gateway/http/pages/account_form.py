"""The form of the Account-Level Configuration: what was typed, read into values, with every problem at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Final, Self
from zoneinfo import ZoneInfo, available_timezones

from gateway.graph import Cloud
from gateway.setup.account import AccountConfiguration, configuration_problems
from gateway.setup.values import start_of_day, time_zone_problem
from storage.accounts import Account
from storage.credentials import Credential

CLOUDS: Final = {
    Cloud.GLOBAL: "Microsoft 365 (nearly every school)",
    Cloud.GCC_HIGH: "US Government GCC High",
    Cloud.DOD: "US Government DoD",
    Cloud.CHINA: "China (operated by 21Vianet)",
}
FIELDS: Final = {
    "tenant_id": "Tenant ID",
    "client_id": "Client ID",
    "client_secret": "Client secret key",
    "secret_expires_at": "Secret expiry date",
    "cloud": "Cloud",
    "time_zone": "Time zone",
}
NOT_A_DATE: Final = "This is not a date. Enter it as year-month-day, such as 2027-03-01."


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountForm:
    """What stands in the fields. The secret is not among it: it is never sent back to a browser."""

    tenant_id: str = ""
    client_id: str = ""
    secret_expires_at: str = ""
    cloud: str = Cloud.GLOBAL.value
    time_zone: str = "UTC"
    problems: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account, credential: Credential | None) -> Self:
        """As it is stored."""
        return cls(
            tenant_id=account.tenant_id or "",
            client_id=account.client_id or "",
            secret_expires_at=_shown_day(credential, account.time_zone),
            cloud=account.cloud,
            time_zone=account.time_zone,
        )

    @classmethod
    def typed(cls, fields: Mapping[str, str], problems: Mapping[str, str]) -> Self:
        """As it was sent, with a sentence for each field that cannot be taken."""
        return cls(
            tenant_id=fields.get("tenant_id", ""),
            client_id=fields.get("client_id", ""),
            secret_expires_at=fields.get("secret_expires_at", ""),
            cloud=fields.get("cloud", ""),
            time_zone=fields.get("time_zone", ""),
            problems=problems,
        )


def read_form(
    fields: Mapping[str, str], account: Account, stored: Credential | None, now: datetime
) -> tuple[AccountConfiguration, Mapping[str, str]]:
    """What was typed, and every problem with it by the name of its field."""
    time_zone = fields.get("time_zone", "")
    text = fields.get("secret_expires_at", "").strip()
    zone = "UTC" if time_zone_problem(time_zone) else time_zone
    expires_at, date_problem = _expiry(text, zone, account, stored)
    configuration = AccountConfiguration(
        tenant_id=fields.get("tenant_id", ""),
        client_id=fields.get("client_id", ""),
        client_secret=fields.get("client_secret") or None,
        secret_expires_at=expires_at,
        cloud=fields.get("cloud", ""),
        time_zone=time_zone,
    )
    problems = configuration_problems(configuration, stored, now)
    if date_problem is not None:
        problems["secret_expires_at"] = date_problem
    return configuration, {name: problems[name] for name in FIELDS if name in problems}


@cache
def time_zones() -> Mapping[str, list[str]]:
    """The IANA names that are places, by the part of the world; the file system is asked once in a process."""
    parts: dict[str, list[str]] = {"": ["UTC"]}
    for name in sorted(available_timezones()):
        part, slash, _ = name.partition("/")
        if slash and part not in ("Etc", "SystemV", "US", "posix", "right"):
            parts.setdefault(part, []).append(name)
    return parts


def _expiry(text: str, zone: str, account: Account, stored: Credential | None) -> tuple[datetime | None, str | None]:
    """A date that was not touched stays the moment that it was."""
    if not text:
        return None, None
    if stored is not None and zone == account.time_zone and text == _shown_day(stored, zone):
        return stored.expires_at, None
    try:
        return start_of_day(date.fromisoformat(text), zone), None
    except (ValueError, OverflowError):
        return None, NOT_A_DATE


def _shown_day(credential: Credential | None, zone: str) -> str:
    if credential is None or credential.expires_at is None:
        return ""
    return credential.expires_at.astimezone(ZoneInfo(zone)).date().isoformat()
