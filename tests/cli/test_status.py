"""`selma-gateway status`: beside a running gateway or without any, with the exit code that says whether to get up."""

import asyncio
import json
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

from typer.testing import CliRunner

import storage
from gateway.alive import give_sign
from gateway.cli.app import app
from gateway.cli.status import consoles
from gateway.console.stream import Verdict
from gateway.settings import Settings
from storage import accounts
from tests.fakes.clock import A_MONDAY, FakeClock


def run(path: Path, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["status", *arguments], env={"GATEWAY_DATABASE": str(path), "COLUMNS": "200"})
    return done.exit_code, done.output


async def prepare(path: Path) -> None:
    """A file as a gateway leaves it that was stopped long ago."""
    async with storage.open_store(path) as store:
        await store.write(accounts.add, "SELMA", now=A_MONDAY)
        await store.write(give_sign, now=A_MONDAY)


async def test_it_says_what_is_stuck_without_a_key_or_a_gateway(tmp_path: Path) -> None:
    path = tmp_path / "gateway.db"
    assert (await asyncio.to_thread(run, path))[0] == 3  # no gateway has worked with it yet
    await prepare(path)
    code, output = await asyncio.to_thread(run, path)
    assert code == 1
    assert "Stuck: Gateway." in output
    assert "The gateway has given no sign of life for" in output
    code, output = await asyncio.to_thread(run, path, "--json", "--account", "SELMA")
    assert code == 1
    assert {one["name"] for one in json.loads(output)["streams"] if one["verdict"] == "stuck"} == {"process"}
    assert (await asyncio.to_thread(run, path, "--account", "None"))[0] == 3


async def test_it_looks_again_until_it_is_told_to_stop(tmp_path: Path) -> None:
    path, clock = tmp_path / "gateway.db", FakeClock()
    await prepare(path)

    async def time_goes_on() -> None:
        await clock.somebody_sleeps()
        clock.advance(timedelta(minutes=1))

    async with aclosing(consoles(Settings(database=path), None, clock)) as looks:
        assert (await anext(looks)).verdict is Verdict.FLOWING  # the sign of life is of this very moment
        later, _ = await asyncio.gather(anext(looks), time_goes_on())
        assert later.verdict is Verdict.STUCK
