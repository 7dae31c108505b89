"""Whatever JSON comes, no route falls over, and what is accepted is kept as it was."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage import open_store
from tests.fakes.clock import FakeClock
from tests.http.scene import MAILBOX, Scene, a_letter, build
from tests.http.shape import assert_problem

text = st.text(st.characters(codec="utf-8"), max_size=30)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(text, inside, max_size=4),
    max_leaves=12,
)
person = st.fixed_dictionaries(
    {"address": st.sampled_from(["a@b.example", "x"]) | text | st.emails()}, optional={"name": text | json}
)
attachment = st.fixed_dictionaries(
    {"name": text | json, "content": st.sampled_from(["JVBERi0=", "", "="]) | text},
    optional={"content_type": st.sampled_from(["text/plain", "x"]) | json, "content_id": text | json},
)
what = st.fixed_dictionaries({"type": st.sampled_from(["student", "x"]) | json, "id": text | json})
nearly_a_letter = st.fixed_dictionaries(
    {"from": st.sampled_from([MAILBOX, "x"]) | json, "subject": text | json},
    optional={
        "to": st.lists(person, max_size=3) | json,
        "cc": st.lists(person, max_size=3) | json,
        "bcc": json,
        "reply_to": st.lists(person, max_size=2),
        "html": text | json,
        "text": text | json,
        "attachments": st.lists(attachment, max_size=2) | json,
        "objects": st.lists(what, max_size=3) | json,
        "created_by": text | json,
        "in_reply_to": st.none() | json,
        "send_at": st.datetimes().map(str) | st.sampled_from(["2026-03-02T09:00:00Z"]) | json,
        "importance": st.sampled_from(["low", "urgent"]) | json,
        "metadata": st.dictionaries(text, json, max_size=3) | json,
    },
)


class Asked:
    """One gateway that all examples share, asked without await: a hypothesis test is no coroutine."""

    def __init__(self, runner: asyncio.Runner, scene: Scene) -> None:
        self._runner = runner
        self._scene = scene
        self._client = scene.client()

    def request(self, method: str, path: str, **how: Any) -> httpx.Response:
        return self._runner.run(self._client.request(method, path, **how))

    def rows(self) -> Any:
        return self._runner.run(self._scene.rows())


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    path = tmp_path_factory.mktemp("gateway") / "gateway.db"
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        store = runner.run(stack.enter_async_context(open_store(path)))
        yield Asked(runner, runner.run(build(store, FakeClock())))
        runner.run(stack.aclose())


def assert_unharmed(asked: Asked, method: str, path: str, content: bytes) -> httpx.Response:
    """The answer is good, or a problem of the caller's that left nothing behind."""
    before = asked.rows()
    answer = asked.request(method, path, content=content, headers={"content-type": "application/json"})
    if answer.status_code >= 400:
        assert answer.status_code < 500, answer.text
        assert_problem(answer, answer.status_code, answer.json()["type"].removeprefix("/problems/"))
        assert asked.rows() == before
    return answer


@given(body=json)
def test_any_json_gets_an_answer(asked: Asked, body: Any) -> None:
    assert assert_unharmed(asked, "POST", "/v1/messages", orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS))


@given(content=st.binary(max_size=200))
def test_any_bytes_get_an_answer(asked: Asked, content: bytes) -> None:
    assert_unharmed(asked, "POST", "/v1/messages", content)


@settings(max_examples=300)
@given(body=nearly_a_letter)
def test_what_is_nearly_a_letter_gets_an_answer(asked: Asked, body: dict[str, Any]) -> None:
    assert_unharmed(asked, "POST", "/v1/messages", orjson.dumps(body))


@given(subject=text, name=text, created_by=text, words=text, metadata=st.dictionaries(text, json, max_size=3), key=text)
def test_what_is_accepted_comes_back_unchanged(
    asked: Asked, subject: str, name: str, created_by: str, words: str, metadata: dict[str, Any], key: str
) -> None:
    letter = a_letter(
        subject=subject or "x",
        to=[{"name": name, "address": "a@b.example"}],
        created_by=created_by,
        html=...,
        text=words or "x",
        metadata=metadata,
        objects=[{"type": "student", "id": key or "x"}],
    )
    answer = assert_unharmed(asked, "POST", "/v1/messages", orjson.dumps(letter))
    if answer.status_code == 202:
        shown = asked.request("GET", answer.headers["location"]).json()
        for field in ("subject", "to", "created_by", "text", "metadata", "objects"):
            assert shown[field] == letter[field], field


@given(body=json, path=st.sampled_from(["/v1/account", "/v1/mailboxes", "/v1/account/check"]))
def test_any_json_gets_an_answer_from_the_settings_too(asked: Asked, body: Any, path: str) -> None:
    assert_unharmed(asked, "PUT" if path == "/v1/account" else "POST", path, orjson.dumps(body))


@given(
    path=st.sampled_from(["/v1/messages", "/v1/events", "/v1/mailboxes", "/v1/threads", "/v1/threads"]),
    name=st.sampled_from(["after", "limit", "x", "q", "q", "from", "to", "mailbox"]) | text,
    value=st.integers().map(str) | text,
)
def test_any_query_gets_an_answer(asked: Asked, path: str, name: str, value: str) -> None:
    answer = asked.request("GET", path, params={name: value})
    assert answer.status_code in (200, 422), answer.text
    if answer.status_code == 422:
        assert_problem(answer, 422, "invalid-request")


@given(part=st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_any_id_gets_an_answer(asked: Asked, part: str) -> None:
    for path in ("/v1/messages/{}", "/v1/mailboxes/{}"):
        answer = asked.request("GET", path.format(quote(part, safe="")))
        assert answer.status_code in (200, 404), answer.text
