"""What SELMA may send: one strict model per body and per query string. Unknown fields are refused, nothing is coerced.

The OpenAPI document is made from these same models. Each room of the API has its module here; what several
rooms take is in `pieces`.
"""

from gateway.http.reading import Nothing
from gateway.http.schemas.account import AccountSettings, NewKey, NewMailbox, NewSnooze, NewValidation, TestLetter
from gateway.http.schemas.events import DeliveriesQuery, EventsQuery, EventStreamQuery, NewWebhook
from gateway.http.schemas.letters import FileQuery, Letter, LettersQuery, NewBatch, NewMessage, NewReply, Person
from gateway.http.schemas.pieces import ByPerson, PageQuery, StaffQuery
from gateway.http.schemas.privacy import AuditQuery, NewErasure, RetentionRules
from gateway.http.schemas.reviews import Acceptance, Move, ReviewsQuery, Unlinking
from gateway.http.schemas.threads import (
    Linking,
    NewEmbedLink,
    NewThread,
    ObjectThreadsQuery,
    Reader,
    ReadUpTo,
    ThreadsQuery,
)

__all__ = [
    "Acceptance",
    "AccountSettings",
    "AuditQuery",
    "ByPerson",
    "DeliveriesQuery",
    "EventStreamQuery",
    "EventsQuery",
    "FileQuery",
    "Letter",
    "LettersQuery",
    "Linking",
    "Move",
    "NewBatch",
    "NewEmbedLink",
    "NewErasure",
    "NewKey",
    "NewMailbox",
    "NewMessage",
    "NewReply",
    "NewSnooze",
    "NewThread",
    "NewValidation",
    "NewWebhook",
    "Nothing",
    "ObjectThreadsQuery",
    "PageQuery",
    "Person",
    "ReadUpTo",
    "Reader",
    "RetentionRules",
    "ReviewsQuery",
    "StaffQuery",
    "TestLetter",
    "ThreadsQuery",
    "Unlinking",
]
