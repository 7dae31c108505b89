"""One Idempotency-Key is one letter, however many connections bring it at once, and whatever became of the process."""

import asyncio
from typing import Any

import httpx

from gateway.sending.draft import TAG
from tests.end_to_end.conftest import Site
from tests.end_to_end.processes import a_letter, started
from tests.fire.books import rows_of

AT_ONCE = 100
KEY = {"idempotency-key": "enrolment E77"}


async def post_at_once(site: Site, letter: dict[str, Any]) -> list[httpx.Response]:
    """The same letter under the same key, each by a connection of its own."""
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with httpx.AsyncClient(
        base_url=site.url, headers=site.headers | KEY, timeout=30, limits=limits, trust_env=False
    ) as client:
        return await asyncio.gather(*(client.post("/v1/messages", json=letter) for _ in range(AT_ONCE)))


def post(site: Site, letter: dict[str, Any]) -> httpx.Response:
    """Once more."""
    return httpx.post(f"{site.url}/v1/messages", json=letter, headers=site.headers | KEY, timeout=30, trust_env=False)


def wait_until_sent(site: Site, message_id: str) -> None:
    """Follow the events until this letter stands in Sent Items."""
    headers = site.headers | {"last-event-id": "0"}
    with httpx.stream("GET", f"{site.url}/v1/events/stream", headers=headers, timeout=60, trust_env=False) as events:
        for line in events.iter_lines():
            if '"message.sent"' in line and message_id in line:
                return
    raise AssertionError("the stream of events ended")


def tags_in_ledger(site: Site) -> list[str]:
    """The tag of each mail that really left."""
    found = httpx.get(f"{site.microsoft.url}/_sandbox/ledger", trust_env=False).json()["items"]
    return [mail["extended_properties"][TAG] for mail in found]


def test_100_posts_at_once_are_one_row_one_mail_and_100_equal_answers(site: Site) -> None:
    letter = a_letter(1, site.microsoft)
    with started(site.env):
        answers = asyncio.run(post_at_once(site, letter))
        assert {answer.status_code for answer in answers} == {202}
        [body] = {answer.content for answer in answers}
        [place] = {answer.headers["location"] for answer in answers}
        assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
        wait_until_sent(site, answers[0].json()["id"])
        another = post(site, letter | {"subject": "Another letter"})
    assert another.status_code == 422
    assert another.headers["content-type"] == "application/problem+json"
    with started(site.env):  # after a kill -9
        again = post(site, letter)
        assert (again.status_code, again.content, again.headers["location"]) == (202, body, place)
        assert post(site, letter | {"subject": "Another letter"}).status_code == 422
    [row] = rows_of(site.database)
    assert row.key == KEY["idempotency-key"]
    assert tags_in_ledger(site) == [row.send_uid]


def test_a_post_that_was_refused_is_not_remembered(site: Site) -> None:
    letter = a_letter(1, site.microsoft)
    nobody_to_write_to: dict[str, Any] = {"to": []}
    with started(site.env):
        for wrong in (nobody_to_write_to, {"from": "nobody@school.example"}):
            assert post(site, letter | wrong).status_code == 422
        assert post(site, letter).status_code == 202
    [row] = rows_of(site.database)
    assert row.key == KEY["idempotency-key"]
