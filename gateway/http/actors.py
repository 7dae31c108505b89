"""Who the audit log says has done something: the API key, the staff member whom SELMA named, and from where."""

from typing import Any

from starlette.requests import Request

from gateway.http.routing import Call
from storage.api_keys import ApiKey
from storage.audit import Actor, Via


def actor_of(call: Call[Any], staff: str | None = None) -> Actor:
    """Whoever uses an operation."""
    return actor(call.request, call.key, Via.API, staff)


def actor(request: Request, key: ApiKey, via: Via, staff: str | None) -> Actor:
    """The address is the one that the connection has: a proxy's, where one stands before the gateway."""
    address = None if request.client is None else request.client.host
    return Actor(via=via, key_id=key.id, key_name=key.name, staff=staff, address=address)
