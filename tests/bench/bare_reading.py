"""The yardstick of reading mail: a bare loop over the same delta pages and the same batches, by httpx, keeping nothing.

It knows which conversations are ours, and reads what is in them whole, twenty at a time. Mail whose delta item says
nothing of its headers it asks for them, as the gateway must.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import httpx
import orjson
import uvloop

from gateway.graph.batch import BATCH_SIZE
from gateway.threads.graph import HEADERS, METADATA, WHOLE
from gateway.threads.kinds import MESSAGE_CLASS
from gateway.threads.pull import PAGE_SIZE
from tests.bench.machine import stay_on
from tests.bench.processes import orders, plan_from_stdin, say
from tests.bench.senders import headers, token_for

SELECTED: Final = (*METADATA, HEADERS)  # of each mail of a delta, as the gateway asks


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderPlan:
    """Whose mail is read, and which of it is ours."""

    url: str
    tenant_id: str
    client_id: str
    client_secret: str
    mailbox: str
    conversations: Sequence[str]
    processor: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderReport:
    """What was read, in how long, and how many of a processor's seconds that took."""

    seconds: float
    processor_s: float
    messages: int
    whole: int
    calls: int


class Reader:
    """Stands in the Inbox where its last round ended."""

    def __init__(self, http: httpx.AsyncClient, mailbox: str, conversations: Sequence[str]) -> None:
        self._http = http
        self._mailbox = mailbox
        self._ours = frozenset(conversations)
        self._link = f"/v1.0/users/{mailbox}/mailFolders/inbox/messages/delta?$select={','.join(SELECTED)}"

    async def read(self) -> ReaderReport:
        """One round."""
        began, worked, messages, whole, calls = time.perf_counter(), time.process_time(), 0, 0, 0
        while True:
            page = await self._page()
            items: list[dict[str, Any]] = page["value"]
            strange = [one["id"] for one in items if one["conversationId"] not in self._ours and HEADERS not in one]
            ours = [one["id"] for one in items if one["conversationId"] in self._ours]
            silent = [one["id"] for one in items if one["conversationId"] in self._ours and HEADERS not in one]
            told = [one for one in ours if one not in silent]
            for ids, select in ((strange, ("id", HEADERS)), (told, WHOLE), (silent, (*WHOLE, HEADERS))):
                for start in range(0, len(ids), BATCH_SIZE):
                    await self._batch(ids[start : start + BATCH_SIZE], select)
                    calls += 1
            messages, whole, calls = messages + len(items), whole + len(ours), calls + 1
            self._link = page.get("@odata.nextLink") or page["@odata.deltaLink"]
            if "@odata.deltaLink" in page:
                return ReaderReport(
                    seconds=time.perf_counter() - began,
                    processor_s=time.process_time() - worked,
                    messages=messages,
                    whole=whole,
                    calls=calls,
                )

    async def _page(self) -> dict[str, Any]:
        answer = await self._http.get(
            self._link, headers={"Prefer": f'IdType="ImmutableId", odata.maxpagesize={PAGE_SIZE}'}
        )
        return read_json(answer)

    async def _batch(self, ids: Sequence[str], select: Sequence[str]) -> None:
        expand = quote(f"singleValueExtendedProperties($filter=id eq '{MESSAGE_CLASS}')")
        options = f"$select={','.join(select)}&$expand={expand}"
        requests = [
            {
                "id": str(number),
                "method": "GET",
                "url": f"/users/{self._mailbox}/messages/{quote(one, safe='')}?{options}",
                "headers": {"Prefer": 'IdType="ImmutableId"'},
            }
            for number, one in enumerate(ids)
        ]
        answer = await self._http.post(
            "/v1.0/$batch",
            content=orjson.dumps({"requests": requests}),
            headers={"content-type": "application/json"},
        )
        found = read_json(answer)["responses"]
        if any(one["status"] != httpx.codes.OK for one in found):
            raise RuntimeError("a message could not be read")


def read_json(answer: httpx.Response) -> Any:
    if answer.status_code != httpx.codes.OK:
        raise RuntimeError(f"{answer.status_code}: {answer.content[:500]!r}")
    return orjson.loads(answer.content)


async def serve(plan: ReaderPlan) -> None:
    """Read what is there; then one round at each order."""
    async with httpx.AsyncClient(base_url=plan.url, timeout=60, trust_env=False) as http:
        http.headers = httpx.Headers(headers(await token_for(plan, http)))
        reader = Reader(http, plan.mailbox, plan.conversations)
        await reader.read()
        say({})
        async for _ in orders():
            say(await reader.read())


if __name__ == "__main__":
    the_plan = ReaderPlan(**plan_from_stdin())
    stay_on(the_plan.processor)
    uvloop.run(serve(the_plan))
