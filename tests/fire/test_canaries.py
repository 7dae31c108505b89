"""No canary gets out: a small run of `python -m tests.fire canaries` in one process; and the search can fail."""

import io
import logging
import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from gateway.demo import make_key
from gateway.logs import OURS, JsonFormatter, PrettyFormatter, set_levels
from gateway.tracing import begun, span
from tests.fire.cage import Cage
from tests.fire.canaries import WORDS_OF_LOGS, Choir, blindness, leaks, sing
from tests.fire.leaks import forms, hits
from tests.fire.one_clock import PUBLIC_URL, site
from tests.tracing.collector import spans_kept

A_MOMENT = timedelta(seconds=20)
WORD = "Quite~secret.wāhine-7719"


@contextmanager
def logged() -> Iterator[dict[str, io.StringIO]]:
    """Whatever is logged meanwhile at debug, in both forms."""
    root, before = logging.getLogger(), {name: logging.getLogger(name).level for name in OURS}
    forms = {"JSON log": JsonFormatter(), "pretty log": PrettyFormatter(in_colour=True)}
    streams = {name: io.StringIO() for name in forms}
    handlers = [logging.StreamHandler(stream) for stream in streams.values()]
    for handler, formatter in zip(handlers, forms.values(), strict=True):
        handler.setFormatter(formatter)
        root.addHandler(handler)
    set_levels("debug", {})
    try:
        yield streams
    finally:
        for handler in handlers:
            root.removeHandler(handler)
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


async def test_no_canary_stands_where_operators_look_whatever_goes_wrong(tmp_path: Path) -> None:
    cage = Cage(random.Random(3))
    with logged() as logs, spans_kept() as spans:
        async with site(tmp_path, seed=3) as at:
            cage.secret("the client secret", at.school.client_secret)
            _, value = await make_key(at.gateway)
            headers = {"authorization": f"Bearer {cage.secret('the API key', value)}"}
            to_gateway, to_sandbox = httpx.ASGITransport(at.gateway.app), httpx.ASGITransport(at.sandbox.app)
            async with (
                httpx.AsyncClient(transport=to_gateway, base_url=PUBLIC_URL, headers=headers) as api,
                httpx.AsyncClient(transport=to_sandbox, base_url="https://sandbox.example") as sandbox,
            ):
                addresses = [one.address for one in at.school.students]
                choir = Choir(cage, api, sandbox, at.school.mailboxes, addresses, file_bytes=1000)

                async def settle() -> None:
                    for _ in range(3):
                        await at.step(A_MOMENT)

                places = await sing(choir, 3, settle)
            struck = len(at.sandbox.faults.struck)
    places |= {name: stream.getvalue().encode() for name, stream in logs.items()}
    places["traces"] = "".join(one.to_json() for one in spans.get_finished_spans()).encode()
    assert [*leaks(cage, places), *choir.leaks_in_problems()] == []
    assert blindness(cage, tmp_path) == []
    assert [name for name, content in places.items() if not content] == []
    assert [words for words in WORDS_OF_LOGS if words.encode() not in places["JSON log"]] == []
    assert {"the session cookie", "embed link", "clientState 0"} <= cage.secrets
    assert struck > 5
    assert len(choir.problems) > 10


@pytest.mark.parametrize(
    ("form", "needle"), list(forms(WORD)), ids=lambda value: value if isinstance(value, str) else ""
)
def test_a_word_is_found_in_each_form(form: str, needle: bytes) -> None:
    assert hits({"it": WORD}, {"there": b"x" + needle + b"y"}), form


async def test_planted_leaks_are_found_wherever_one_may_be(tmp_path: Path) -> None:
    cage, log = Cage(random.Random(1)), logging.getLogger("gateway.leaky")
    with logged() as logs, spans_kept() as spans, begun():
        log.debug("planted", extra={"subject": cage.word("subject")})
        log.debug("planted for %s", cage.word("to address"))
        with span("planted", name=cage.word("to name")):
            pass
    places = {name: stream.getvalue().encode() for name, stream in logs.items()}
    places["traces"] = spans.get_finished_spans()[0].to_json().encode()
    found = {leak.partition(" as ")[0] for leak in leaks(cage, places)}
    for name in ("subject", "to address"):
        assert {f"{name} in JSON log", f"{name} in pretty log"} <= found
    assert "to name, in part in traces" in found

    async def leaky(scope: object, receive: object, send: object) -> None:
        body = b'{"detail": "' + cage.word("reply").encode() + cage.word("wrong API key").encode() + b'"}'
        headers = [(b"content-type", b"application/problem+json")]
        await send({"type": "http.response.start", "status": 500, "headers": headers})  # type: ignore[operator]
        await send({"type": "http.response.body", "body": body})  # type: ignore[operator]

    async with httpx.AsyncClient(transport=httpx.ASGITransport(leaky), base_url=PUBLIC_URL) as api:  # type: ignore[arg-type]
        choir = Choir(cage, api, api, (), ())
        await choir.ask("POST", "/", json={"said by itself": cage.word("reply"), "and": cage.word("wrong API key")})
    assert {leak.partition(" in a")[0] for leak in choir.leaks_in_problems()} == {"wrong API key"}
    assert blindness(cage, tmp_path) != []
