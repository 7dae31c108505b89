"""Who the audit log says has done something: the API key, the staff member whom SELMA named, and from where."""

from dataclasses import replace
from typing import Any

from gateway.http.routing import Call
from storage.audit import Actor


def actor_of(call: Call[Any], staff: str | None = None) -> Actor:
    """Whoever uses an operation."""
    return replace(call.deed.actor, staff=staff or call.deed.actor.staff)
