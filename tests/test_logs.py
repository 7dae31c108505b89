"""Logs: one JSON object a line; of an error only its type and place."""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

import storage
from gateway.levels import CannotLog, Levels, duration, wish
from gateway.logs import MUTE, OURS, JsonFormatter, PrettyFormatter, set_up
from gateway.tracing import about, begun
from storage import log_levels
from storage.log_levels import LogLevel
from tests.fakes.clock import FakeClock


def line(record: logging.LogRecord) -> dict[str, object]:
    return dict(orjson.loads(JsonFormatter().format(record)))


def test_what_is_passed_as_extra_stands_beside_the_event() -> None:
    record = logging.makeLogRecord({"name": "gateway.x", "levelname": "INFO", "msg": "sent", "message_id": "msg_1"})
    assert line(record) | {"time": ""} == {
        "time": "",
        "level": "info",
        "logger": "gateway.x",
        "event": "sent",
        "message_id": "msg_1",
    }


def test_an_exception_shows_its_type_and_place_but_never_its_text() -> None:
    try:
        raise ValueError("aroha@student.example wrote this")
    except ValueError as error:
        record = logging.makeLogRecord(
            {"name": "gateway.x", "msg": "failed", "exc_info": (type(error), error, error.__traceback__)}
        )
    text = JsonFormatter().format(record)
    assert "aroha" not in text
    assert "ValueError" in text
    assert Path(__file__).name in text


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    record = logging.makeLogRecord({"name": "gateway.x", "msg": "odd", "path": Path("/x")})
    assert line(record)["path"] == "/x"


def test_a_line_carries_the_ids_of_what_it_was_written_for_and_its_own_go_first() -> None:
    record = logging.makeLogRecord({"name": "gateway.x", "msg": "seen", "message_id": "msg_2"})
    with begun("r-1", message_id="msg_1", mailbox_id="mbx_1") as unit:
        about(batch_id="bat_1")
        found = line(record)
    assert (found["request_id"], found["trace_id"]) == ("r-1", unit.trace.trace_id)
    assert (found["message_id"], found["mailbox_id"], found["batch_id"]) == ("msg_2", "mbx_1", "bat_1")
    assert "trace_id" not in line(record)


@pytest.mark.parametrize("form", [JsonFormatter(), PrettyFormatter(in_colour=False)])
def test_of_what_libraries_say_nothing_is_written_that_they_put_together(form: logging.Formatter) -> None:
    told = logging.makeLogRecord(
        {
            "name": "asyncio",
            "msg": "Task exception was never retrieved\nfuture: <aroha@student.example>",
            "url": "aroha",
        }
    )
    asked = logging.makeLogRecord(
        {"name": "httpx", "msg": "HTTP Request: %s", "args": ("/users/aroha@student.example",)}
    )
    text = form.format(told) + form.format(asked)
    assert "Task exception was never retrieved" in text
    assert "aroha" not in text


def test_pretty_lines_are_one_line_each_and_move_no_cursor() -> None:
    record = logging.makeLogRecord(
        {"name": "gateway.x", "levelname": "WARNING", "created": 0.0, "msg": "odd", "why": "\x1b[2J\nno", "n": 3}
    )
    with begun("r-1"):
        text = PrettyFormatter(in_colour=False).format(record)
        coloured = PrettyFormatter(in_colour=True).format(record)
    assert text.startswith('00:00:00.000 warning odd why="\\u001b[2J\\nno" n=3 request_id=r-1 trace_id=')
    assert coloured.startswith("\x1b[2m00:00:00.000")
    assert "\n" not in text + coloured


@pytest.fixture
def untouched() -> Iterator[None]:
    """Loggers and hooks are the process's: they are put back."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook)
    handlers, names = root.handlers[:], ("", *OURS, "gateway.graph", *MUTE)
    levels = {name: logging.getLogger(name).level for name in names}
    yield
    root.handlers[:] = handlers
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


@pytest.mark.usefixtures("untouched")
def test_only_what_is_ours_is_written_below_warnings_at_debug_too() -> None:
    stream = io.StringIO()
    set_up("debug", stream=stream)
    for name in ("gateway.graph", "aiosqlite", "httpx", "uvicorn.access", "root"):
        logging.getLogger(name).debug("quietly")
        logging.getLogger(name).info("aloud")
    logging.getLogger("opentelemetry.x").error("again and again")
    lines = [orjson.loads(text) for text in stream.getvalue().splitlines()]
    assert {one["logger"] for one in lines} == {"gateway.graph"}
    assert {one["level"] for one in lines} == {"debug", "info"}


@pytest.mark.usefixtures("untouched")
def test_what_nobody_catches_is_told_without_its_text() -> None:
    stream = io.StringIO()
    set_up("info", stream=stream)
    error = ExceptionGroup("unhandled", [ValueError("aroha@student.example")])
    sys.excepthook(type(error), error, None)
    thread = threading.Thread(target=lambda: int("aroha@student.example"))
    thread.start()
    thread.join()
    assert "aroha" not in stream.getvalue()
    ended, in_thread = [orjson.loads(text) for text in stream.getvalue().splitlines()]
    assert (ended["level"], ended["exception"]) == ("critical", ["ExceptionGroup", "ValueError"])
    assert in_thread["exception"][0].startswith("ValueError at ")


@pytest.mark.usefixtures("untouched")
async def test_a_level_holds_for_a_while_in_a_running_gateway_and_ends_by_itself(tmp_path: Path) -> None:
    clock = FakeClock()
    set_up("warning", stream=io.StringIO())
    async with storage.open_store(tmp_path / "gateway.db") as store:
        levels = Levels(store, clock, "warning")
        graph = LogLevel(logger="gateway.graph", level="debug", until=clock.now() + duration("15m"))
        all_of_it = LogLevel(logger="", level="info", until=clock.now() + duration("30s"))
        await store.write(log_levels.set_for_a_while, graph)
        await store.write(log_levels.set_for_a_while, all_of_it)

        async def at_work() -> tuple[int, int]:
            await levels.keep()
            return (
                logging.getLogger("gateway.graph.wire").getEffectiveLevel(),
                logging.getLogger("subscriptions").getEffectiveLevel(),
            )

        assert await at_work() == (logging.DEBUG, logging.INFO)
        clock.advance(timedelta(minutes=1))
        assert await at_work() == (logging.DEBUG, logging.WARNING)
        clock.advance(timedelta(minutes=15))
        assert await at_work() == (logging.WARNING, logging.WARNING)
        await store.write(log_levels.set_for_a_while, replace(graph, until=clock.now() + timedelta(hours=1)))
        await levels.begin()  # a restart
        assert await at_work() == (logging.WARNING, logging.WARNING)


@pytest.mark.parametrize(
    ("level", "logger", "lasts"),
    [
        ("loud", "", "15m"),
        ("debug", "httpx", "15m"),
        ("debug", "gateway.x y", "15m"),
        ("debug", "", "2d"),
        ("debug", "", "0m"),
        ("debug", "", "25h"),
    ],
)
def test_what_cannot_be_logged_is_refused_with_a_reason(level: str, logger: str, lasts: str) -> None:
    with pytest.raises(CannotLog):
        wish(level, logger, lasts)
