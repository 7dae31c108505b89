"""Logs are data: one line with ids, counts and durations; never what people wrote or who they are.

Each line carries the ids of what it was written for (`gateway.tracing`): the request, the trace, the letter. What
other people's libraries say is shortened to the part that they wrote before they knew of any mail.
"""

import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, TextIO

import orjson
from rich.console import Console
from rich.text import Text

from gateway.tracing import log_fields

STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
TEXT_LIMIT: Final = 500
# Only what is ours is written below warnings: httpx logs whole URLs, which can hold an address or a delta token, and
# aiosqlite each statement with its values.
OURS: Final = ("gateway", "subscriptions", "storage")
# They repeat with each try what `gateway.tracing.export` says once.
MUTE: Final = ("opentelemetry",)
NAMES: Final[Mapping[str, int]] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
STYLES: Final = {"debug": "dim", "info": "green", "warning": "yellow", "error": "red", "critical": "bold red"}
LAST: Final = ("request_id", "trace_id")  # long, and the same in many lines


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `event`, the ids of the running unit, and whatever was passed as `extra`.

    Of an exception only its type and where it was raised are written: its text can quote the mail it choked on.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        return orjson.dumps(fields_of(record), default=str).decode()


class PrettyFormatter(logging.Formatter):
    """The same for people before a terminal. What could move its cursor is written as JSON writes it."""

    def __init__(self, *, in_colour: bool) -> None:
        super().__init__()
        # Only turns styles into signs; the handler writes.
        self._console = Console(force_terminal=in_colour, color_system="standard" if in_colour else None, width=10_000)

    def format(self, record: logging.LogRecord) -> str:
        """One line: time of day, level, event, then name=value."""
        fields = fields_of(record)
        time, level, logger, event = (str(fields.pop(name)) for name in ("time", "level", "logger", "event"))
        last = [(name, fields.pop(name)) for name in LAST if name in fields]
        line = Text(end="")
        line.append(time[11:23] + " ", "dim").append(f"{level:<8}", STYLES.get(level, "")).append(_plain(event), "bold")
        for name, value in (*fields.items(), *last, ("logger", logger)):
            line.append(f" {name}=", "dim").append(_shown(value))
        with self._console.capture() as written:
            self._console.print(line, soft_wrap=True, highlight=False, end="")
        return written.get()


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "event": _event(record),
    }
    line |= log_fields()
    if is_ours(record.name):
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
    if record.exc_info and record.exc_info[1] is not None:
        line["exception"] = _where(record.exc_info[1])
    return line


def is_ours(name: str) -> bool:
    """Whether this logger belongs to a package of ours."""
    return name.partition(".")[0] in OURS


def _event(record: logging.LogRecord) -> str:
    """A library's sentence can have been put together from anything; its first line before that is its own."""
    if is_ours(record.name):
        return record.getMessage()[:TEXT_LIMIT]
    return str(record.msg).partition("\n")[0][:TEXT_LIMIT]


def _where(error: BaseException) -> list[str]:
    """The type of the error and of its causes, each with the innermost place it came from."""
    chain: list[str] = []
    at: BaseException | None = error
    while at is not None and len(chain) < 5:
        frame = at.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = "" if frame is None else f" at {frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}"
        chain.append(type(at).__qualname__ + place)
        at = at.exceptions[0] if isinstance(at, BaseExceptionGroup) else at.__cause__ or at.__context__
    return chain


def _plain(text: str) -> str:
    return text if text.isprintable() else orjson.dumps(text).decode()


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else orjson.dumps(value, default=str).decode()
    return text if text.isprintable() and text and " " not in text else orjson.dumps(text).decode()


def set_up(level: str, *, stream: TextIO, style: str = "auto") -> None:
    """Write logs of `level` and above there: as JSON lines, or pretty; `auto`: pretty where a person sees them."""
    is_pretty = style == "pretty" or (style == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(PrettyFormatter(in_colour=stream.isatty()) if is_pretty else JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for name in MUTE:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    set_levels(level, {})
    catch_the_rest()


def set_levels(usual: str, special: Mapping[str, str], before: Iterable[str] = ()) -> None:
    """All of ours at `usual`, but for those that are named; "" is everything of ours. `before` were named until now."""
    wanted = {name: special.get("", usual) for name in OURS} | {name: level for name, level in special.items() if name}
    for name in before:
        if name and name not in wanted:
            logging.getLogger(name).setLevel(logging.NOTSET)
    for name, level in wanted.items():
        logging.getLogger(name).setLevel(NAMES[level])


def catch_the_rest() -> None:
    """What nobody catches is told as any other error, and not as Python does, with all that its text may quote."""
    log = logging.getLogger(__name__)

    def ended(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        log.critical("ended by a fault", exc_info=(kind, error, at))

    def thread_ended(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is not None:
            log.error("a thread ended by a fault", exc_info=args.exc_value)

    def unraisable(args: Any) -> None:
        if args.exc_value is not None:
            log.error("a fault where nobody could hear of it", exc_info=args.exc_value)

    sys.excepthook = ended
    threading.excepthook = thread_ended
    sys.unraisablehook = unraisable
