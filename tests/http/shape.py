"""What every error must look like, in one place."""

from typing import Any

import httpx

from gateway.http.problem_types import TYPES

INTERNALS = ("traceback", "sqlite", "gateway.db", "site-packages", ".py", "line ")


def assert_problem(answer: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The answer is this problem, in RFC 9457's shape and telling nothing of our insides; its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert set(body) - {"errors"} == {"type", "title", "status", "detail", "instance"}
    assert body["type"] == f"/problems/{name}"
    assert name in TYPES
    assert body["status"] == status == TYPES[name].status
    assert body["title"] == TYPES[name].title
    assert body["detail"]
    assert body["instance"] == answer.headers["x-request-id"]
    for error in body.get("errors", []):
        assert set(error) == {"in", "pointer", "detail"}
        assert error["pointer"] == "" or error["pointer"].startswith("/")
    if status >= 500:
        assert not any(word in answer.text.lower() for word in INTERNALS)
    if status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer ")
    if status == 503:
        assert int(answer.headers["retry-after"]) > 0
    return body


def assert_bad_values(answer: httpx.Response, *pointers: str, where: str = "body") -> dict[str, str]:
    """The answer names exactly these values as bad; what it says of each, by pointer."""
    body = assert_problem(answer, 422, "invalid-request")
    assert {error["in"] for error in body["errors"]} == {where}
    assert sorted(error["pointer"] for error in body["errors"]) == sorted(pointers)
    return {error["pointer"]: error["detail"] for error in body["errors"]}
