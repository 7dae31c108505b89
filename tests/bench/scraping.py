"""What `/metrics` costs, and what it costs the writer.

    .venv/bin/python -m tests.bench.corpus FILE [--messages 1000000]
    .venv/bin/python -m tests.bench.scraping FILE [--times 20]

FILE gets a hundred mailboxes with two watched folders each, letters that wait, webhooks that are behind, and hints
that are open: more than any school has at once. Then it is scraped, and beside that one write after the other is made,
for as long as the scrapes take; and then for the same time with no scrape: that is the yardstick. At last, what it
costs a group of writes that somebody observes it.
"""

import argparse
import asyncio
import itertools
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import httpx

from gateway.main import gateway
from gateway.meters import StoreMeter
from gateway.running import Gateway
from gateway.sending.steps import ENTERED, STEP, WHOLE
from gateway.settings import Settings
from storage import Transaction, accounts, api_keys, chores, deliveries, events, folders, hints, mailboxes
from storage.api_keys import Scope
from storage.folders import WellKnown
from storage.hints import NewHint
from storage.measures import Commit

MAILBOXES: Final = 100
WAITING: Final = 20_000  # letters
WEBHOOKS: Final = 20
EVENTS: Final = 2_000  # for each of them
HINTS: Final = 50  # of each folder
OBSERVED: Final = 100_000
# Made of letters that have long been sent: only the columns that a scrape asks for matter.
WAIT_AGAIN: Final = """
UPDATE outbox SET state = 'accepted', submits = 0, submitted_at = NULL, sent_at = NULL, next_attempt_at = :now,
       mailbox_id = :mailbox_id
 WHERE message_id IN (SELECT message_id FROM outbox WHERE state = 'sent' LIMIT :letters)
"""


async def furnished(built: Gateway) -> str:
    """A key that may scrape; and the rest as the module says, once."""
    account = (await built.store.read(accounts.all_of_them))[0]
    value, now = api_keys.new_value(), built.clock.now()
    scopes = frozenset({Scope.METRICS})
    await built.store.write(api_keys.create, account.id, name="scrape", scopes=scopes, value=value, now=now)
    if len(await built.store.read(mailboxes.list_mailboxes, account.id)) >= MAILBOXES:
        return value
    await built.store.write(furnish_mailboxes, account.id, now)
    made = [
        await built.webhooks.add(account.id, url=f"https://selma.example/{number}", description=None, types=())
        for number in range(WEBHOOKS)
    ]
    await built.store.write(furnish_webhooks, account.id, [one.webhook.id for one in made], now)
    return value


def furnish_mailboxes(tx: Transaction, account_id: str, now: datetime) -> None:
    """With letters and hints that wait."""
    for number in range(MAILBOXES - 1):
        box = mailboxes.add(tx, account_id, f"office{number:02}@school.example", now=now)
        mailboxes.mark_validated(tx, box.id, user_id=f"u{number}", display_name="Office", now=now)
        tx.execute(WAIT_AGAIN, {"mailbox_id": box.id, "now": now, "letters": WAITING // MAILBOXES})
        for well_known in WellKnown:
            folders.watch(tx, account_id, box.id, well_known, folder_id=f"f{number}", since=now, now=now)
        for folder in folders.of_mailbox(tx, box.id):
            told = [
                NewHint(account_id=account_id, folder_id=folder.id, change_type="created", message_id=f"m{one}")
                for one in range(HINTS)
            ]
            hints.insert(tx, told, now=now)


def furnish_webhooks(tx: Transaction, account_id: str, ids: Sequence[str], now: datetime) -> None:
    """Each with as much behind it."""
    after = events.last_seq(tx, account_id)
    for _ in range(EVENTS):
        events.record(tx, account_id, "message.sent", data={"status": "sent"}, now=now)
    told = events.after(tx, account_id, after, limit=EVENTS)
    for webhook_id in ids:
        deliveries.insert(tx, webhook_id, told, now=now)


async def scrape(built: Gateway, key: str, times: int) -> tuple[list[float], int, int]:
    """How long each took, and how many bytes and series the last had."""
    took, text = [], ""
    transport = httpx.ASGITransport(built.app)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway.test", headers={"authorization": f"Bearer {key}"}
    ) as client:
        for _ in range(times):
            began = time.perf_counter()
            answer = await client.get("/metrics")
            took.append(time.perf_counter() - began)
            text = answer.raise_for_status().text
    return took, len(text), sum(not line.startswith("#") for line in text.splitlines())


async def write_until(built: Gateway, done: asyncio.Event) -> list[float]:
    """One write after the other; how long each took."""
    took, account_id = [], (await built.store.read(accounts.all_of_them))[0].id
    while not done.is_set():
        began = time.perf_counter()
        await built.store.write(chores.done, account_id, "bench", next_at=built.clock.now())
        took.append(time.perf_counter() - began)
    return took


async def beside_a_writer(built: Gateway, key: str, times: int) -> tuple[list[float], list[float]]:
    """Scrapes, and the writes beside them."""
    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(write_until(built, done))
        took, _, _ = await scrape(built, key, times)
        done.set()
    return took, writing.result()


async def alone(built: Gateway, seconds: float) -> list[float]:
    """Writes with nothing beside them, for so long."""
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, done.set)
    return await write_until(built, done)


def observing_s() -> float:
    """Processor time that a group of writes costs more because it is observed: one with the last step of a letter."""
    meter = StoreMeter()
    measures = ((ENTERED + "sent", 1.0), (STEP + "arrive", 2.0), (WHOLE, 5.0))
    began = time.process_time()
    for _ in itertools.repeat(None, OBSERVED):
        meter.committed(Commit(writes=3, took_s=0.002, disk_s=0.001, measures=measures))
    return (time.process_time() - began) / OBSERVED


def said(name: str, took: Sequence[float]) -> str:
    """A line of milliseconds."""
    p99 = quantiles(took, n=100)[98] if len(took) > 1 else took[0]
    return (
        f"{name}: {len(took):,}; median {median(took) * 1e3:.2f} ms, p99 {p99 * 1e3:.2f}, worst {max(took) * 1e3:.2f}"
    )


async def main() -> None:
    """Measure and say so."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.scraping", description="What a scrape costs.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--times", type=int, default=20)
    given = parser.parse_args()
    async with gateway(Settings(database=given.file)) as built:
        key = await furnished(built)
        first, size, series = await scrape(built, key, 1)
        print(f"a scrape: {series:,} series, {size:,} bytes; the first took {first[0] * 1e3:.0f} ms")
        spent = time.process_time()
        quiet, _, _ = await scrape(built, key, given.times)
        spent = (time.process_time() - spent) / given.times
        print(f"processor time of a scrape: {spent * 1e3:.0f} ms")
        print(said("scrapes with nothing beside them", quiet))
        busy, beside = await beside_a_writer(built, key, given.times)
        print(said("scrapes beside a writer", busy))
        print(said("writes beside scrapes", beside))
        print(said("writes alone", await alone(built, sum(busy))))
    print(f"observing a group of writes: {observing_s() * 1e6:.1f} µs")


if __name__ == "__main__":
    asyncio.run(main())
