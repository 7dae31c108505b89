"""What a person decides about a message that is in the review tray, or stands in the wrong place."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.schemas.pieces import MOST_OBJECTS, ByPerson, ObjectRef, PageQuery
from storage.threads import ObjectType


class Acceptance(ByPerson):
    """Where a message is accepted: by default into the proposed thread, else into `thread_id`.

    With `objects` it begins a thread of its own, about these records.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe"}]})

    thread_id: values.RowId | None = None
    objects: list[ObjectRef] = Field(default=[], max_length=MOST_OBJECTS)

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """One place."""
        if raw.get("thread_id") is not None and raw.get("objects"):
            yield BadValue(pointer="/objects", detail="Give either thread_id or objects, not both.")


class Move(ByPerson):
    """Where a message is to stand."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"by": "Jane Doe", "thread_id": "thr_019cadc69a80b7c8e760bb7a3845"}]}
    )

    thread_id: values.RowId


class Unlinking(ByPerson):
    """Out of its thread: back into the review tray, or away."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe", "dismiss": False}]})

    dismiss: bool = Field(default=False, description="It belongs nowhere: nobody is to be asked about it again.")


class ReviewsQuery(PageQuery):
    """Which part of the review tray: all, or what may belong to the threads of one record."""

    type: Annotated[ObjectType, Field(strict=False)] | None = None
    id: values.ObjectId | None = None

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """Both or neither."""
        for given, missing in (("type", "id"), ("id", "type")):
            if raw.get(given) is not None and raw.get(missing) is None:
                yield BadValue(where="query", pointer=f"/{missing}", detail="Give type and id, or neither.")
