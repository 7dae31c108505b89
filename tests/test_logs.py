"""Logs: one JSON object a line; of an error only its type and place."""

import logging
from pathlib import Path

import orjson

from gateway.logs import JsonFormatter


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
        record = logging.makeLogRecord({"msg": "failed", "exc_info": (type(error), error, error.__traceback__)})
    text = JsonFormatter().format(record)
    assert "aroha" not in text
    assert "ValueError" in text
    assert Path(__file__).name in text


def test_what_json_has_no_word_for_is_written_as_text() -> None:
    record = logging.makeLogRecord({"msg": "odd", "path": Path("/x")})
    assert line(record)["path"] == "/x"
