"""`$batch`: up to twenty requests in one (concepts/json-batching). 200 says nothing about those inside."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import orjson

from gateway.sandbox.graph import errors
from gateway.sandbox.graph.exchange import Call, Request, Response

MOST_REQUESTS: Final = 20
AT_ONCE: Final = 4
"""Items of one batch that run together for Outlook, whatever their mailboxes (concepts/throttling-limits)."""
Answer = Callable[[Request], Awaitable[Response]]


async def batch(call: Call, answer: Answer) -> Response:
    """Carry the items out in an order that respects `dependsOn`, answer in another. Raises GraphError."""
    items = _items(call.json())
    is_serial = any(item.get("dependsOn") for item in items)
    done = await (_one_by_one if is_serial else _together)(call, items, answer)
    responses = [_written(item["id"], done[item["id"].lower()]) for item in items]
    return Response(status=200, json={"responses": call.world.identities.shuffled(responses)})


async def _one_by_one(call: Call, items: list[dict[str, Any]], answer: Answer) -> dict[str, Response]:
    done: dict[str, Response] = {}
    for item in items:
        needed = [str(each).lower() for each in item.get("dependsOn") or []]
        if any(done[each].status >= 400 for each in needed):
            done[item["id"].lower()] = _FAILED_DEPENDENCY
        else:
            done[item["id"].lower()] = await answer(_request(call.request, item))
    return done


async def _together(call: Call, items: list[dict[str, Any]], answer: Answer) -> dict[str, Response]:
    """Raises what broke the first of them off."""
    gate = asyncio.Semaphore(AT_ONCE)
    done: dict[str, Response] = {}

    async def carry_out(item: dict[str, Any]) -> None:
        async with gate:
            done[item["id"].lower()] = await answer(_request(call.request, item))

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(carry_out(item))
    except ExceptionGroup as broken:
        raise broken.exceptions[0] from broken
    return done


_FAILED_DEPENDENCY: Final = Response(
    status=424, json={"error": {"code": "FailedDependency", "message": "A request that this one depends on failed."}}
)


def _items(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The requests in an order of which each follows those it depends on. Raises GraphError."""
    items = body.get("requests")
    if not isinstance(items, list) or not items or len(items) > MOST_REQUESTS:
        raise errors.bad_request(f"Number of batch request steps must be between 1 and {MOST_REQUESTS}.")
    for item in items:
        _check(item)
    ids = [item["id"].lower() for item in items]
    if len(set(ids)) != len(ids):
        raise errors.bad_request("The request ids of a batch must be unique.")
    _check_shape(items, set(ids))
    ordered: list[dict[str, Any]] = []
    placed: set[str] = set()
    while len(ordered) < len(items):
        ready = [
            item
            for item in items
            if item["id"].lower() not in placed
            and all(str(each).lower() in placed for each in item.get("dependsOn") or [])
        ]
        if not ready:
            raise errors.bad_request("The dependencies of a batch must not go in a circle.")
        ordered += ready
        placed |= {item["id"].lower() for item in ready}
    return ordered


def _check(item: Any) -> None:
    if not isinstance(item, dict) or not all(isinstance(item.get(name), str) for name in ("id", "method", "url")):
        raise errors.bad_request("A request of a batch needs id, method and url.")
    headers = {name.lower() for name in item.get("headers") or {}}
    if item.get("body") is not None and "content-type" not in headers:
        raise errors.bad_request(f"Request {item['id']} has a body and no Content-Type header.")


def _check_shape(items: list[dict[str, Any]], ids: set[str]) -> None:
    """Wholly parallel, wholly serial, or all on one: other shapes are refused (known issues, json batching)."""
    needs = [tuple(str(each).lower() for each in item.get("dependsOn") or ()) for item in items]
    if any(each not in ids for need in needs for each in need):
        raise errors.bad_request("dependsOn names a request that is not in the batch.")
    depending = [need for need in needs if need]
    is_all_on_one = len(set(depending)) == 1 and len(depending[0]) == 1 and len(depending) == len(items) - 1
    is_serial = (
        len(depending) == len(items) - 1
        and len(set(depending)) == len(depending)
        and all(len(need) == 1 for need in depending)
    )
    if depending and not (is_all_on_one or is_serial):
        raise errors.bad_request("Requests of a batch must be wholly serial or wholly parallel.")


def _request(outer: Request, item: dict[str, Any]) -> Request:
    """An inner request. Of the outer headers only Authorization counts for it."""
    body = item.get("body")
    own = {name.lower(): str(value) for name, value in (item.get("headers") or {}).items()}
    inherited = {name: value for name, value in outer.headers.items() if name == "authorization"}
    is_json = own.get("content-type", "").startswith("application/json")
    return replace(
        outer,
        method=item["method"].upper(),
        target="/" + item["url"].lstrip("/"),
        headers={**inherited, **own},
        body=b"" if body is None else orjson.dumps(body) if is_json else base64.b64decode(str(body)),
    )


def _written(item_id: str, response: Response) -> dict[str, Any]:
    """An inner answer. A body that is not JSON is base64."""
    headers = {"Cache-Control": "no-cache", **response.headers}
    out: dict[str, Any] = {"id": item_id, "status": response.status, "headers": headers}
    if response.json is not None:
        headers["Content-Type"] = "application/json"
        out["body"] = response.json
    elif response.content:
        headers["Content-Type"] = response.media_type or "application/octet-stream"
        out["body"] = base64.b64encode(response.content).decode()
    return out
