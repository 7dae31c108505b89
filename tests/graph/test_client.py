import gc
from datetime import timedelta

import httpx
import pytest

from gateway.graph import (
    AccessDenied,
    EntraUnavailable,
    GraphClient,
    Throttled,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    build_http,
    build_login_http,
)

from .fakes import A_MONDAY, GRAPH, Setting, SkippingClock, Tokens, answer, failure, sample

USER = answer(200, sample("user-get.response"))


async def test_a_call_carries_what_microsoft_asks_for():
    scene = Setting(USER)
    await scene.client.get_user("ada@school.example")
    (request,) = scene.graph.requests
    assert request.headers["authorization"] == "Bearer t1"
    assert request.headers["prefer"] == 'IdType="ImmutableId"'
    assert request.headers["user-agent"] == "selma-gateway"
    assert len(request.headers["client-request-id"]) == 36
    assert request.extensions["timeout"] == {"connect": 10.0, "read": 30.0, "write": 30.0, "pool": 30.0}


async def test_each_try_has_its_own_client_request_id():
    scene = Setting(failure(503), USER)
    await scene.client.get_user("ada@school.example")
    assert len({request.headers["client-request-id"] for request in scene.graph.requests}) == 2


@pytest.mark.parametrize(
    "trouble",
    [
        failure(429),
        failure(500),
        failure(502),
        failure(503),
        failure(504),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
        httpx.RemoteProtocolError("closed without an answer"),
        httpx.DecodingError("not gzip after all"),
        ConnectionResetError("reset"),
    ],
)
async def test_a_harmless_call_outlives_short_trouble(trouble):
    scene = Setting(trouble, trouble, trouble, USER)
    assert (await scene.client.get_user("ada@school.example")).display_name == "Adele Vance"
    assert len(scene.graph.requests) == 4
    assert len(scene.clock.slept) == 3


async def test_it_gives_up_after_four_tries():
    scene = Setting(failure(503))
    with pytest.raises(Unavailable):
        await scene.client.get_user("ada@school.example")
    assert len(scene.graph.requests) == 4
    assert sum(scene.clock.slept, timedelta()) <= timedelta(seconds=7)


@pytest.mark.parametrize("value", ["20", "Mon, 02 Mar 2026 09:00:20 GMT"])
async def test_retry_after_is_waited_out(value):
    scene = Setting(failure(429, Retry_After=value), USER)
    await scene.client.get_user("ada@school.example")
    assert timedelta(seconds=20) <= scene.clock.slept[0] <= timedelta(seconds=21)


async def test_a_retry_after_too_long_to_wait_for_is_handed_to_the_caller_at_once():
    scene = Setting(failure(429, "ApplicationThrottled", Retry_After="31"))
    with pytest.raises(Throttled) as throttled:
        await scene.client.get_user("ada@school.example")
    assert throttled.value.retry_after == timedelta(seconds=31)
    assert scene.clock.slept == []


async def test_a_refusal_is_not_repeated():
    scene = Setting(failure(403, "ErrorAccessDenied"))
    with pytest.raises(AccessDenied):
        await scene.client.get_user("ada@school.example")
    assert len(scene.graph.requests) == 1


async def test_after_a_401_it_tries_once_more_with_another_token():
    scene = Setting(failure(401, "InvalidAuthenticationToken"), USER, tokens=Tokens("t1", "t2"))
    await scene.client.get_user("ada@school.example")
    assert [request.headers["authorization"] for request in scene.graph.requests] == ["Bearer t1", "Bearer t2"]
    assert scene.tokens.refused == ["t1"]


async def test_after_two_401s_it_reports():
    scene = Setting(failure(401, "InvalidAuthenticationToken"), tokens=Tokens("t1", "t2"))
    with pytest.raises(Unauthorized):
        await scene.client.get_user("ada@school.example")
    assert len(scene.graph.requests) == 2


async def test_the_same_refused_token_is_not_shown_twice():
    scene = Setting(failure(401), tokens=Tokens("t1"))
    with pytest.raises(Unauthorized):
        await scene.client.get_user("ada@school.example")
    assert len(scene.graph.requests) == 1


async def test_without_a_token_nothing_is_sent():
    class NoTokens:
        async def token(self, *, refused=None):
            raise EntraUnavailable("away")

    scene = Setting(USER)
    client = GraphClient(scene.http, NoTokens(), GRAPH, clock=SkippingClock())
    with pytest.raises(EntraUnavailable):
        await client.get_user("ada@school.example")
    assert scene.graph.requests == []


async def test_a_redirect_is_not_followed():
    scene = Setting(httpx.Response(302, headers={"Location": "https://elsewhere.example/"}))
    with pytest.raises(UnexpectedAnswer):
        await scene.client.get_user("ada@school.example")
    assert [request.url.host for request in scene.graph.requests] == ["graph.microsoft.com"]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"id": 7}', b"{}", b"\xff\xfe"])
async def test_a_success_that_says_something_else_is_unexpected(body):
    scene = Setting(httpx.Response(200, content=body))
    with pytest.raises(UnexpectedAnswer):
        await scene.client.get_user("ada@school.example")
    assert len(scene.graph.requests) == 1


async def test_an_error_knows_both_ids_and_the_time_of_the_answer():
    scene = Setting(failure(403, request_id="r-1", Date="Mon, 02 Mar 2026 09:00:00 GMT"))
    with pytest.raises(AccessDenied) as denied:
        await scene.client.get_user("ada@school.example")
    assert denied.value.request_id == "r-1"
    assert denied.value.client_request_id == scene.graph.requests[0].headers["client-request-id"]
    assert denied.value.date == A_MONDAY


async def test_every_request_is_counted_with_its_route_and_without_ids():
    scene = Setting(httpx.ReadTimeout("slow"), answer(200, sample("user-get.response"), request_id="r-2"))
    await scene.client.get_user("ada@school.example")
    assert [(call.method, call.route, call.status, call.request_id) for call in scene.calls] == [
        ("GET", "users/{id}", None, None),
        ("GET", "users/{id}", 200, "r-2"),
    ]
    assert all(call.duration_s >= 0 for call in scene.calls)


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        (httpx.ConnectError("refused"), False),
        (httpx.ConnectTimeout("no route"), False),
        (httpx.PoolTimeout("all busy"), False),
        (httpx.ProxyError("CONNECT refused"), False),
        (httpx.WriteError("broken pipe"), True),
        (httpx.WriteTimeout("slow"), True),
        (httpx.ReadError("reset"), True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.RemoteProtocolError("closed"), True),
        (TimeoutError(), True),
    ],
)
async def test_only_a_fault_before_the_first_byte_counts_as_not_sent(fault, sent):
    scene = Setting(fault)
    with pytest.raises(Unreachable) as unreachable:
        await scene.client.send_draft("ada@school.example", "m")
    assert unreachable.value.sent is sent


def test_a_graph_url_must_be_an_origin():
    with pytest.raises(ValueError, match="origin only"):
        GraphClient(httpx.AsyncClient(), Tokens(), "https://graph.microsoft.com/v1.0", clock=SkippingClock())


async def test_a_built_client_follows_nothing_and_reaches_this_machine_without_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    async with build_http() as http:
        assert http.follow_redirects is False
        assert http.timeout.connect == 10.0
    with build_login_http() as http:
        assert http.follow_redirects is False
        assert http.timeout.read == 15.0


def test_a_ca_file_that_is_none_is_refused(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        build_http(tmp_path / "absent.pem")


async def test_an_answer_that_was_read_is_not_kept_until_the_garbage_collector_comes():
    scene = Setting(USER)
    gc.collect()
    gc.disable()
    try:
        before = responses()
        await scene.client.get_user("ada@school.example")
        assert responses() == before
    finally:
        gc.enable()


def responses() -> int:
    """How many live."""
    return sum(isinstance(one, httpx.Response) for one in gc.get_objects())
