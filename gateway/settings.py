"""The settings of the process: from the environment, read once, every bad one named at once.

What the school's admin decides (tenant, credentials, mailboxes, expiry dates) is not here: it lives in the database.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pyrage

from gateway.graph import LARGEST_ATTACHMENT, Limits, check_origin
from gateway.host.targets import Network, networks
from gateway.sending.rules import Allowance, Rules
from gateway.tracing.export import is_wanted
from storage.vault import MasterKey

PREFIX: Final = "GATEWAY_"
SWITCH: Final = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
LOG_FORMATS: Final = ("auto", "json", "pretty")
SHORTEST_SWEEP: Final = timedelta(seconds=10)
SHORTEST_ELSEWHERE: Final = timedelta(minutes=1)
SHORTEST_BACKUP_INTERVAL: Final = timedelta(minutes=5)
LONGEST_INTERVAL: Final = timedelta(days=1)
PLAIN_ORIGIN: Final = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d+)?")


class BadSettings(Exception):
    """One sentence per bad setting, each with what would be right."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """See `SETTINGS` for what each one means."""

    database: Path = Path("data/gateway.db")
    public_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    master_key: MasterKey | None = field(default=None, repr=False)
    graph_url: str | None = None
    login_url: str | None = None
    ca_file: Path | None = None
    log_level: str = "info"
    log_format: str = "auto"
    sweep_interval: timedelta = timedelta(seconds=600)
    elsewhere_interval: timedelta = timedelta(hours=1)
    embed_hosts: tuple[str, ...] = ()
    rich_notifications: bool = False
    trusted_proxies: tuple[Network, ...] = ()
    requests_per_minute: int = 6000
    largest_request: int = 16 * 1024 * 1024
    largest_attachment: int = LARGEST_ATTACHMENT
    largest_letter: int = LARGEST_ATTACHMENT
    letters_per_minute: int = Allowance().letters_per_minute
    recipients_per_day: int = Allowance().recipients_per_day
    mailbox_concurrency: int = Limits().at_once
    requests_per_10_minutes: int = Limits().requests
    upload_bytes_per_5_minutes: int = Limits().upload_bytes
    webhook_networks: tuple[Network, ...] = ()
    traces: bool = False  # by OpenTelemetry's own variables
    free_space: int | None = None
    backups: Path | None = None
    backup_interval: timedelta = timedelta(days=1)
    backups_daily: int = 7
    backups_weekly: int = 4
    backup_recipients: tuple[str, ...] = ()
    backup_identity: tuple[str, ...] = field(default=(), repr=False)

    @property
    def rules(self) -> Rules:
        """What letters may be, and how many of them may leave."""
        return Rules(
            largest_letter=self.largest_letter,
            allowance=Allowance(letters_per_minute=self.letters_per_minute, recipients_per_day=self.recipients_per_day),
        )

    @property
    def limits(self) -> Limits:
        """What may be asked of one mailbox."""
        return Limits(
            at_once=self.mailbox_concurrency,
            requests=self.requests_per_10_minutes,
            upload_bytes=self.upload_bytes_per_5_minutes,
        )

    @property
    def wanted_free_space(self) -> int:
        """Bytes. By default one and a half times the largest that one request may bring, as Postfix has it."""
        if self.free_space is not None:
            return self.free_space
        return 3 * max(self.largest_request, self.largest_attachment) // 2

    @property
    def local_url(self) -> str:
        """Where this machine reaches the gateway."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def url(self) -> str:
        """Where people reach the gateway."""
        return self.public_url or self.local_url


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting: its field, how its text is read (ValueError with a sentence when it is wrong), and its help."""

    name: str
    default: str
    read: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return PREFIX + self.name.upper()


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 <= int(text) <= 65535:
        raise ValueError(f"“{text}” is not a port number from 0 to 65535 (0 takes any free one).")
    return int(text)


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"“{text}” is not a number from {least} to {most}.")
        return int(text)

    return read


def _interval(shortest: timedelta) -> Callable[[str], timedelta]:
    least, most = int(shortest.total_seconds()), int(LONGEST_INTERVAL.total_seconds())

    def read(text: str) -> timedelta:
        if not text.isdecimal() or not least <= int(text) <= most:
            raise ValueError(f"“{text}” is not a number of seconds from {least} to {most}.")
        return timedelta(seconds=int(text))

    return read


def _origins(text: str) -> tuple[str, ...]:
    """Origins, apart by commas or spaces; a bare host speaks https."""
    named = text.replace(",", " ").split()
    return tuple(dict.fromkeys(_origin(one if "://" in one else f"https://{one}") for one in named))


def _origin(text: str) -> str:
    # It is put into a header, where a star or a semicolon would mean something.
    origin = check_origin(text)
    if not PLAIN_ORIGIN.fullmatch(origin):
        raise ValueError(f"“{text}” must be one host such as https://selma.school.example: no pattern, no other sign.")
    return origin


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"“{text}” is none of {', '.join(LOG_LEVELS)}.")
    return text.lower()


def _log_format(text: str) -> str:
    if text.lower() not in LOG_FORMATS:
        raise ValueError(f"“{text}” is none of {', '.join(LOG_FORMATS)}.")
    return text.lower()


def _switch(text: str) -> bool:
    if text.lower() not in SWITCH:
        raise ValueError(f"“{text}” is neither on nor off.")
    return SWITCH[text.lower()]


def _master_key(text: str) -> MasterKey:
    try:
        return MasterKey.from_text(text)
    except ValueError as error:
        raise ValueError("It must be 32 random bytes in base64, as “openssl rand -base64 32” prints them.") from error


def _recipients(text: str) -> tuple[str, ...]:
    """Public keys of age, apart by commas or spaces."""
    named = tuple(text.replace(",", " ").split())
    for one in named:
        try:
            pyrage.x25519.Recipient.from_str(one)
        except pyrage.RecipientError as error:
            raise ValueError(f"“{one}” is no recipient of age: it is a line as “age-keygen” prints, age1….") from error
    return named


def _identities(text: str) -> tuple[str, ...]:
    """Secret keys of age, as its key files have them: one a line, with comments."""
    named = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#"))
    for one in named:
        try:
            pyrage.x25519.Identity.from_str(one)
        except pyrage.IdentityError:
            raise ValueError("It must be what “age-keygen” writes: AGE-SECRET-KEY-1….") from None
    return named


def _existing_file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"There is no file {text}.")
    return path


SETTINGS: Final = (
    Setting(
        name="database",
        default="./data/gateway.db",
        read=Path,
        help="The SQLite file. Its folder is made if missing, readable for the gateway's user alone.",
    ),
    Setting(
        name="public_url",
        default="none",
        read=check_origin,
        help="The origin by which Microsoft Graph and people reach the gateway, such as https://mail.school.example. "
        "Without it the gateway watches by sweeping alone.",
    ),
    Setting(name="host", default="127.0.0.1", read=str, help="The address to listen on."),
    Setting(name="port", default="8080", read=_port, help="The port to listen on."),
    Setting(
        name="master_key",
        default="a key file beside the database",
        read=_master_key,
        help="32 random bytes in base64 that seal the stored credentials. Without it a key file is made at first "
        "start, mode 0600: back it up apart from the database.",
        secret=True,
    ),
    Setting(
        name="graph_url",
        default="by cloud",
        read=check_origin,
        help="The origin of another Graph-like server. Plain http only on this machine.",
    ),
    Setting(
        name="login_url",
        default="by cloud",
        read=check_origin,
        help="The origin of another Entra-like server. Plain http only on this machine.",
    ),
    Setting(
        name="ca_file",
        default="none",
        read=_existing_file,
        help="A PEM file of certificate authorities to trust beside the usual ones.",
    ),
    Setting(name="log_level", default="info", read=_log_level, help="debug, info, warning or error."),
    Setting(
        name="log_format",
        default="auto",
        read=_log_format,
        help="json: a line of JSON for each entry; pretty: for people; auto: pretty where stdout is a terminal.",
    ),
    Setting(
        name="sweep_interval",
        default="600",
        read=_interval(SHORTEST_SWEEP),
        help="Seconds after which a folder is pulled though no notification came.",
    ),
    Setting(
        name="elsewhere_interval",
        default="3600",
        read=_interval(SHORTEST_ELSEWHERE),
        help="Seconds after which living conversations are looked for in all other folders, Junk too.",
    ),
    Setting(
        name="embed_hosts",
        default="none",
        read=_origins,
        help="The hosts that may show an Events page in an iframe, such as https://selma.school.example, apart by "
        "commas.",
    ),
    Setting(
        name="rich_notifications",
        default="off",
        read=_switch,
        help="on: notifications about the Inbox bring encrypted metadata, so that mail that is not ours need not be "
        "fetched. Where that does not work, plain ones take their place for a day.",
    ),
    Setting(
        name="trusted_proxies",
        default="none",
        read=networks,
        help="Addresses or networks of the proxies before the gateway, apart by commas: of their requests, "
        "X-Forwarded-For says who the caller is.",
    ),
    Setting(
        name="requests_per_minute",
        default="6000",
        read=_number(0, 10_000_000),
        help="Requests that one API key may make in a minute; 0 is no limit. What is more gets 429. Microsoft Graph's "
        "requests are not counted.",
    ),
    Setting(
        name="largest_request",
        default="16777216",
        read=_number(1024, 2**30),
        help="Bytes of the JSON that posts a letter or a batch. What is larger gets 413.",
    ),
    Setting(
        name="largest_attachment",
        default="150000000",
        read=_number(1, LARGEST_ATTACHMENT),
        help="Bytes of one uploaded file. Microsoft 365 takes 150 MB; what is larger gets 413.",
    ),
    Setting(
        name="largest_letter",
        default="150000000",
        read=_number(1, LARGEST_ATTACHMENT),
        help="Bytes of all attachments of a letter. Exchange's own limit is 35 MB unless an admin raised it; what is "
        "larger gets 413.",
    ),
    Setting(
        name="letters_per_minute",
        default="30",
        read=_number(1, 100_000),
        help="Letters that may leave one mailbox in a minute. 30 is Exchange Online's limit.",
    ),
    Setting(
        name="recipients_per_day",
        default="10000",
        read=_number(1, 10_000_000),
        help="Recipients that one mailbox may write to in 24 hours. 10,000 is Exchange Online's limit.",
    ),
    Setting(
        name="mailbox_concurrency",
        default="4",
        read=_number(1, 64),
        help="Calls to Microsoft Graph that may be under way in one mailbox. 4 is Graph's limit for an app.",
    ),
    Setting(
        name="requests_per_10_minutes",
        default="10000",
        read=_number(100, 100_000_000),
        help="Calls to Microsoft Graph about one mailbox in 10 minutes. 10,000 is Graph's limit for an app.",
    ),
    Setting(
        name="upload_bytes_per_5_minutes",
        default="150000000",
        read=_number(4_000_000, 10**12),
        help="Bytes uploaded to one mailbox in 5 minutes. 150 MB is Graph's limit for an app.",
    ),
    Setting(
        name="webhook_networks",
        default="none",
        read=networks,
        help="Networks beside the public internet that events may be pushed to, such as 10.20.0.0/16, with commas "
        "between. Plain http is taken there.",
    ),
    Setting(
        name="free_space",
        default="1.5 × the largest request",
        read=_number(0, 10**15),
        help="Bytes that stay free on the database's disk: with less, new letters, uploads and exports get 503, and "
        "all else goes on. By default 1.5 times the larger of GATEWAY_LARGEST_REQUEST and "
        "GATEWAY_LARGEST_ATTACHMENT; 0 is no limit.",
    ),
    Setting(
        name="backups",
        default="none",
        read=Path,
        help="The folder of backups, of this gateway alone, best on another disk. With it the gateway backs itself up; "
        "what is asked for by hand goes there too.",
    ),
    Setting(
        name="backup_interval",
        default="86400",
        read=_interval(SHORTEST_BACKUP_INTERVAL),
        help="Seconds after which the next backup is due.",
    ),
    Setting(
        name="backups_daily",
        default="7",
        read=_number(1, 3650),
        help="Days of which the last backup is kept. All of the last day are.",
    ),
    Setting(
        name="backups_weekly",
        default="4",
        read=_number(0, 520),
        help="Weeks of which the last backup is kept.",
    ),
    Setting(
        name="backup_recipients",
        default="none",
        read=_recipients,
        help="Public keys of age (age1…), apart by commas: backups are encrypted for them.",
    ),
    Setting(
        name="backup_identity",
        default="none",
        read=_identities,
        help="The secret keys of age that open encrypted backups: to restore, verify and rehearse. Best kept "
        "elsewhere; a gateway that has none only compares checksums.",
        secret=True,
    ),
)


def from_env(env: Mapping[str, str]) -> Settings:
    """Read the settings; a secret may also be in a file, named by its variable with `_FILE` behind it.

    Raises `BadSettings` with every problem at once, also for names that are nearly ours.
    """
    values: dict[str, Any] = {}
    problems = _unknown_names(env)
    for setting in SETTINGS:
        try:
            text = _text_of(setting, env)
            if text:
                values[setting.name] = setting.read(text)
        except ValueError as error:
            problems.append(f"{setting.variable}: {error}")
    if problems:
        raise BadSettings(problems)
    return Settings(**values, traces=is_wanted(env))


def _text_of(setting: Setting, env: Mapping[str, str]) -> str:
    text = env.get(setting.variable, "")
    path = env.get(setting.variable + "_FILE", "") if setting.secret else ""
    if text and path:
        raise ValueError(f"Set either it or {setting.variable}_FILE, not both.")
    if not path:
        return text.strip()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"The file {path} cannot be read: {error}.") from error


def _unknown_names(env: Mapping[str, str]) -> list[str]:
    known = {setting.variable for setting in SETTINGS}
    known |= {f"{setting.variable}_FILE" for setting in SETTINGS if setting.secret}
    problems = []
    for name in sorted(env):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            problems.append(f"{name}: There is no such setting." + (f" Did you mean {near[0]}?" if near else ""))
    return problems
