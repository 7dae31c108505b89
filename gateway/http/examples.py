"""An example of every answer, made from its schema: the same values as the examples of bodies, by the names of fields.

Whatever has the schema's shape will do for a test; these read like a letter to a student.
"""

from collections.abc import Mapping
from typing import Any, Final

TIME: Final = "2026-03-02T09:00:00Z"
KNOWN: Final[Mapping[str, Any]] = {
    "account_id": "acc_019cadc69a80d0f2e760bb7a3845",
    "act": "review.accept",
    "address": "aroha@student.example",
    "batch_id": "bat_019cadc69a80a1b2e760bb7a3845",
    "by": "Jane Doe",
    "client_id": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11",
    "content_type": "application/pdf",
    "conversation_id": "AAQkAGI2...",
    "created_by": "Jane Doe",
    "cursor": "1042",
    "data": {"status": "sent"},
    "detail": "Found.",
    "display_name": "Admissions",
    "explanation": "It names a letter of this thread.",
    "file": "fil_019cadc69a80c3d4e760bb7a3845",
    "graph_id": "AAMkAGI2...",
    "hint": "selma_Ab3d",
    "html": "<p>Kia ora</p>",
    "id": "msg_019cadc69a80d0f2e760bb7a3845",
    "internet_message_id": "<DM6PR0101MB1234@school.example>",
    "key": "selma_Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7jKl0nOp3",
    "key_id": "key_019cadc69a80e5f6e760bb7a3845",
    "last_direction": "in",
    "letters": 2,
    "mailbox": "admissions@school.example",
    "message_id": "msg_019cadc69a80d0f2e760bb7a3845",
    "name": "Aroha Ngata",
    "networks": ["198.51.100.0/24"],
    "new_text": "Thank you",
    "next": None,
    "preview": "Kia ora",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size": 48213,
    "subject": "Your enrolment",
    "tenant_id": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
    "text": "Kia ora",
    "thread_id": "thr_019cadc69a80b7c8e760bb7a3845",
    "time_zone": "Pacific/Auckland",
    "url": "https://mail.school.example/embed/eyJ.../events",
}
NOTHING_YET: Final = frozenset({"note", "problem", "revoked_at", "undone_at", "undone_by", "paused_until"})
DEEPEST: Final = 8


def example_of(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str = "", depth: int = 0) -> Any:
    """Something of this shape. `definitions` are what `$ref` leads to; `name` is what the field is called."""
    if "$ref" in schema:
        return example_of(definitions[schema["$ref"].rpartition("/")[2]], definitions, name, depth)
    if "anyOf" in schema:
        return _one_of(schema["anyOf"], definitions, name, depth)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, definitions, name, depth)
    if kind == "array":
        return _array(schema, definitions, name, depth)
    return _value(kind, schema.get("format"), name)


def _one_of(choices: list[Mapping[str, Any]], definitions: Mapping[str, Any], name: str, depth: int) -> Any:
    null = any(one.get("type") == "null" for one in choices)
    if null and (name in NOTHING_YET or (name in KNOWN and KNOWN[name] is None)):
        return None
    return example_of(next(one for one in choices if one.get("type") != "null"), definitions, name, depth)


def _object(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str, depth: int) -> Any:
    if set(schema.get("properties", {})) == {"type", "id"}:
        return {"type": "student", "id": "S1001"}
    if "properties" in schema:
        return {field: example_of(one, definitions, field, depth + 1) for field, one in schema["properties"].items()}
    return KNOWN[name] if isinstance(KNOWN.get(name), dict) else {}


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str, depth: int) -> Any:
    if isinstance(KNOWN.get(name), list):
        return KNOWN[name]
    if depth > DEEPEST or name in ("bcc", "matches", "gaps", "missing_mail"):
        return []
    return [example_of(schema.get("items", {}), definitions, name.removesuffix("s"), depth + 1)]


def _value(kind: object, precise: object, name: str) -> Any:
    if precise == "date-time":
        return TIME
    known = KNOWN.get(name)
    if kind == "string":
        return known if isinstance(known, str) else "…"
    if kind == "integer":
        return known if isinstance(known, int) else 1
    return {"boolean": True, "number": 1.5, "null": None}.get(str(kind))
