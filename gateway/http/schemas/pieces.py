"""What several rooms take: a record of SELMA's, who does it, which page of a list."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.reading import Taken
from storage.threads import ObjectType

MOST_OBJECTS: Final = 20


class ObjectRef(Taken):
    """A record of SELMA's that the letter concerns: the letter shows on its Events tab."""

    type: Annotated[ObjectType, Field(strict=False)]
    id: values.ObjectId


class ByPerson(Taken):
    """Something that a person decides."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"by": "Jane Doe"}]})

    by: values.Staff = Field(description="The staff member, as the Events tab is to show them.")


class StaffQuery(Taken):
    """By whom something is done."""

    by: values.Staff | None = Field(default=None, description="The staff member, for the audit log.")


class PageQuery(Taken):
    """Which page of a list."""

    limit: Annotated[int, Field(strict=False, ge=1, le=100)] = 50
    after: Annotated[str, Field(max_length=500)] | None = Field(
        default=None, description="The `next` of the page before."
    )
