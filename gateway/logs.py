"""Logs are data: one JSON object a line, with ids, counts and durations; never what people wrote or who they are."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

import orjson

STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
TEXT_LIMIT: Final = 500
# They log whole URLs, and a URL can hold an address or a delta token.
QUIET: Final = ("httpx", "httpcore", "msal", "apscheduler", "urllib3", "asyncio", "uvicorn.access")


class JsonFormatter(logging.Formatter):
    """`time`, `level`, `logger`, `event`, and whatever was passed as `extra`.

    Of an exception only its type and where it was raised are written: its text can quote the mail it choked on.
    """

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage()[:TEXT_LIMIT],
        }
        line |= {name: value for name, value in vars(record).items() if name not in STANDARD}
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _where(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


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
        at = at.__cause__ or at.__context__
    return chain


def set_up(level: str) -> None:
    """Write logs of `level` and above to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
