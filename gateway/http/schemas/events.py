"""The event log, and webhooks that it is pushed to."""

from typing import Annotated, Final

from pydantic import ConfigDict, Field

from gateway.http import values
from gateway.http.reading import Taken
from gateway.http.schemas.pieces import PageQuery
from storage.deliveries import DeliveryState

LONGEST_WAIT_S: Final = 30


class EventsQuery(Taken):
    """Which part of the event log."""

    after: Annotated[int, Field(strict=False, ge=0, le=values.LARGEST_SEQ)] = Field(
        default=0, description="The `id` of the last event that you have."
    )
    limit: Annotated[int, Field(strict=False, ge=1, le=1000)] = 100
    wait: Annotated[int, Field(strict=False, ge=0, le=LONGEST_WAIT_S)] = Field(
        default=0, description="Seconds to wait for an event when there is none yet."
    )


class EventStreamQuery(Taken):
    """Where the stream begins."""

    after: Annotated[int, Field(strict=False, ge=0, le=values.LARGEST_SEQ)] | None = Field(
        default=None, description="As `Last-Event-ID`, which counts more; without either, only what is new."
    )


class NewWebhook(Taken):
    """Where events are pushed to, signed as https://www.standardwebhooks.com/ says."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://selma.school.example/mail-events", "types": ["reply.received"]}]
        }
    )

    url: values.Url = Field(description="An https address on the public internet, or where the operator allows it.")
    types: list[values.EventType] = Field(default=[], max_length=100, description="By default all events.")
    description: values.Description | None = None


class DeliveriesQuery(PageQuery):
    """Which deliveries."""

    state: Annotated[DeliveryState, Field(strict=False)] | None = None
