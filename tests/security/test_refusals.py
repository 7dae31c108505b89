"""Who was refused stands in the log, and nothing that they brought."""

import logging
from datetime import timedelta

import pytest

from gateway.http.refusals import MOST
from tests.http.scene import Scene
from tests.pages.desk import Desk


def lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [one for one in caplog.records if one.name == "gateway.http.refusals"]


async def test_a_refusal_is_logged_with_its_caller_and_without_what_was_tried(
    scene: Scene, stranger: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    metrics_only = await scene.new_key()
    await stranger.open("/sign-in")
    caplog.set_level(logging.INFO)
    await stranger.send("/sign-in", key="selma_not-a-key-of-anybody")
    async with scene.client("selma_another-wrong-key") as wrong, scene.client(metrics_only) as unfit:
        await wrong.get("/v1/messages")
        await unfit.get("/v1/messages")
    async with scene.client() as api:
        await api.get("/v1/messages")
    told = [(vars(one)["status"], vars(one)["caller"]) for one in lines(caplog)]
    assert told == [(401, "127.0.0.1"), (401, "127.0.0.1"), (403, "127.0.0.1")]
    everything = "".join(str(vars(one)) for one in caplog.records)
    assert "key-of-anybody" not in everything
    assert "another-wrong" not in everything


async def test_who_knocks_without_end_does_not_fill_the_disk(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    async with scene.client("selma_wrong") as wrong:
        for _ in range(MOST + 5):
            await wrong.get("/v1/messages")
        assert len(lines(caplog)) == MOST
        scene.clock.advance(timedelta(minutes=1))
        await wrong.get("/v1/messages")
    assert vars(lines(caplog)[-1])["untold"] == 5
