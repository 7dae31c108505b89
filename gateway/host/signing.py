"""What a webhook is sent, and how it is signed: https://www.standardwebhooks.com/"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from standardwebhooks.webhooks import Webhook

from gateway.threads.views import json_of
from storage.events import Event

SECRET_BYTES: Final = 32  # the specification asks for 24 to 64


def new_secret() -> str:
    """A fresh one, in the form that the libraries of the specification take."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def body_of(event: Event) -> str:
    """The same for each attempt, so that a receiver may compare."""
    document = {
        "type": event.type,
        "timestamp": event.created_at,
        "data": {
            "id": str(event.seq),
            "thread_id": event.thread_id,
            "message_id": event.message_id,
            **event.data,
        },
    }
    return json_of(document).decode()


def headers_of(event: Event, body: str, signing_secrets: Sequence[str], now: datetime) -> dict[str, str]:
    """`webhook-id` is the event's, whenever it is sent: a receiver that has seen it may leave it. One signature for
    each secret."""
    message_id = f"evt_{event.seq}"
    return {
        "content-type": "application/json",
        "user-agent": "selma-gateway",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(one).sign(message_id, now, body) for one in signing_secrets),
    }
