"""People's data: what is erased, how long what is kept, and who has seen it."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.problems import BadValue
from gateway.http.reading import Taken
from gateway.http.schemas.pieces import MOST_OBJECTS, ObjectRef, PageQuery


class NewErasure(Taken):
    """What is to be erased: the threads of some records, or a person by their address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "objects": [{"type": "student", "id": "S1001"}, {"type": "enrolment", "id": "E77"}],
                    "reason": "Request 2026-14",
                    "by": "Jane Doe",
                    "dry_run": True,
                },
                {"address": "aroha@student.example", "reason": "Request 2026-15", "by": "Jane Doe"},
            ]
        }
    )

    objects: list[ObjectRef] = Field(
        default=[],
        max_length=MOST_OBJECTS,
        description="Their threads go; of threads that another student, contact, organisation or user has too, only "
        "the link. Where no such person is among them, any other record keeps a thread.",
    )
    address: values.MailAddress | None = Field(
        default=None, description="What this person wrote goes, and their address in the mail of others."
    )
    reason: values.Reason = Field(description="For the receipt, which is kept: without a name or an address.")
    by: values.Staff = Field(description="The staff member, for the receipt and the audit log.")
    dry_run: bool = Field(default=False, description="Say what would go, and change nothing.")

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        if bool(raw.get("objects")) == (raw.get("address") is not None):
            yield BadValue(pointer="/objects", detail="Name either `objects` or an `address`.")


Days = Annotated[int, Field(ge=1, le=36_500)]


class RetentionRules(Taken):
    """Days after the last message of a thread. Of a thread's records the longest rule counts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"threads": 2555, "audit": 1095}]})

    threads: Days | None = Field(default=None, description="For threads whose records have no rule of their own.")
    audit: Days | None = Field(default=None, description="For the audit log.")
    student: Days | None = None
    enrolment: Days | None = None
    intake: Days | None = None
    class_: Days | None = Field(default=None, alias="class")
    contact: Days | None = None
    organisation: Days | None = None
    user: Days | None = None

    def days(self) -> dict[str, int]:
        """The rules that are given."""
        return {name: days for name, days in self.model_dump(by_alias=True).items() if days is not None}


class AuditQuery(PageQuery):
    """Which part of the audit log: everything that is given must apply."""

    act: Annotated[str, Field(max_length=100)] | None = Field(default=None, description="Such as review.accept.")
    key: values.RowId | None = Field(default=None, description="The id of the API key.")
    by: values.Staff | None = Field(default=None, description="The staff member.")
    target: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="The id of a message, thread, act or record that it was done to."
    )

    @property
    def names_staff(self) -> str | None:
        """Nobody: `by` is whose records are looked for."""
        return None
