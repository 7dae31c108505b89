"""What an admin can enter wrongly. Each function returns a sentence with the cure, or None when the value will do.

The API, the command line and the pages ask the same functions, so that every bad value can be named at once.
What was entered as an ID or a secret is never repeated in a sentence: people paste the secret into any field.
"""

import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from email_validator import EmailNotValidError, validate_email

from gateway.graph import Cloud

GUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
# RFC 1123 section 2.1, with the dot that every verified domain has
DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII
)
# Never one tenant: https://learn.microsoft.com/entra/identity-platform/reference-error-codes, AADSTS9001023
NO_TENANT: Final = frozenset({"common", "consumers", "organizations"})
MASK: Final = re.compile(r"[*•●]{3,}")
LONGEST_SECRET: Final = 1000  # a secret of Entra has about 40 characters; more than this is a pasted page
# The portal gives at most 24 months (https://learn.microsoft.com/entra/identity-platform/how-to-add-credentials),
# scripts may give more; beyond this it is a slip of the keyboard.
LONGEST_LIFE: Final = timedelta(days=3660)

OVERVIEW: Final = "in Entra, on the app's Overview page"


def tenant_problem(text: str) -> str | None:
    """A tenant is named by its GUID, or by one of its verified domains."""
    value = text.strip()
    if not value:
        return f"Enter the Directory (tenant) ID: it stands {OVERVIEW}."
    if value.lower() in NO_TENANT:
        return f"“{value}” stands for any tenant. Enter your own Directory (tenant) ID: it stands {OVERVIEW}."
    if GUID.fullmatch(value) or DOMAIN.fullmatch(value):
        return None
    return (
        f"This is not a tenant ID. Copy the Directory (tenant) ID: it stands {OVERVIEW}, and looks like "
        "8f3c2a10-0000-0000-0000-0000c0ffee00. A verified domain such as school.onmicrosoft.com will do too."
    )


def client_id_problem(text: str) -> str | None:
    """An app is named by its GUID."""
    value = text.strip()
    if not value:
        return f"Enter the Application (client) ID: it stands {OVERVIEW}."
    if GUID.fullmatch(value):
        return None
    return (
        f"This is not a client ID. Copy the Application (client) ID: it stands {OVERVIEW}, and looks like "
        "8f3c2a10-0000-0000-0000-0000c0ffee00."
    )


def secret_problem(text: str) -> str | None:
    """A secret's value is one word. Its ID, a GUID, stands beside it in Entra and is the commonest mistake.

    Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes, AADSTS7000215
    """
    value = text.strip()
    if not value:
        return "Enter the client secret: in Entra under Certificates & secrets, the column Value."
    if GUID.fullmatch(value):
        return (
            "This is the Secret ID, not the secret. Copy the column Value instead; it is shown only right after the "
            "secret was added, so add a new secret if it is hidden by now."
        )
    if MASK.search(value):
        return (
            "This is the hidden form of a secret. Entra shows the value only right after the secret was added: "
            "add a new one and copy its Value at once."
        )
    if len(value) > LONGEST_SECRET or not all("!" <= character <= "~" for character in value):
        return (
            "A client secret is one word without spaces, line breaks or accents. Copy the Value again, with the "
            "button beside it in Entra."
        )
    return None


def expires_problem(expires_at: datetime, now: datetime, *, time_zone: str) -> str | None:
    """The day a secret ends lies ahead, and not beyond all reason."""
    if expires_at <= now:
        return (
            f"{day_of(expires_at, time_zone)} has passed. Enter the date in the column Expires beside the secret in "
            "Entra, or add a new secret if it has expired."
        )
    if expires_at - now > LONGEST_LIFE:
        return (
            f"{day_of(expires_at, time_zone)} is more than ten years ahead. Check the year; leave the date empty if "
            "the secret really has no end."
        )
    return None


def cloud_problem(text: str) -> str | None:
    """One of Microsoft's clouds."""
    if text in set(Cloud):
        return None
    return f"“{_short(text)}” is not a cloud. Choose one of {', '.join(Cloud)}; nearly every school is in global."


def time_zone_problem(text: str) -> str | None:
    """A name from the IANA list."""
    if text in _time_zones():
        return None
    return f"“{_short(text)}” is not a time zone. Choose one by its IANA name, such as Pacific/Auckland or UTC."


def address_problem(text: str) -> str | None:
    """A mail address, as RFC 5321 and the mail servers of this day understand it. Nothing is looked up."""
    value = text.strip()
    if not value:
        return "Enter the mailbox's address, such as admissions@school.example."
    try:
        # test_environment takes addresses under .test (RFC 6761), which stand-ins for Microsoft 365 use.
        validate_email(value, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except EmailNotValidError as error:
        return f"“{_short(value)}” is not a mail address. {error} Enter one such as admissions@school.example."
    return None


def start_of_day(day: date, time_zone: str) -> datetime:
    """When a day begins in a time zone, in UTC: Entra shows the day a secret ends, and early is on the safe side."""
    return datetime.combine(day, time.min, tzinfo=ZoneInfo(time_zone)).astimezone(UTC)


def day_of(moment: datetime, time_zone: str) -> str:
    """The date that a moment falls on, for people who live in this time zone: the one that the pages show, too."""
    local = moment.astimezone(ZoneInfo(time_zone))
    return f"{local.day} {local:%B %Y}"


def _short(value: str) -> str:
    """Enough to recognise what was typed."""
    printable = "".join(character if character.isprintable() else "�" for character in value)
    return printable if len(printable) <= 80 else printable[:79] + "…"


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())
