"""A small client of the gateway: copy it into the host application and change it as you like. Needs httpx.

Every call raises `Problem` when the gateway refuses it, and comes again by itself after 429, 503 and lost answers:
that is safe, as a letter that is posted again carries the same Idempotency-Key.
"""

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import httpx

Status = Literal["queued", "sending", "submitted", "sent", "bounced", "failed", "needs_review", "cancelled"]
ON_ITS_WAY = ("queued", "sending", "submitted")
TRIES = 5
TOLERANCE_S = 5 * 60


class Problem(Exception):
    """What the gateway refused (RFC 9457). It explains `type` at that address; `errors` names the bad values."""

    def __init__(self, answer: httpx.Response) -> None:
        body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        self.status = answer.status_code
        self.type = str(body.get("type", "about:blank"))
        self.instance = str(body.get("instance", ""))
        self.errors: Sequence[Mapping[str, str]] = body.get("errors", [])
        super().__init__(f"{self.status} {self.type}: {body.get('detail', answer.reason_phrase)}")


class BadSignature(Exception):
    """A webhook that the gateway did not send, or not now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody who gets a letter."""

    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is posted. `objects` are the records it concerns, as (type, id)."""

    sender: str
    to: Sequence[Person]
    subject: str
    html: str
    objects: Sequence[tuple[str, str]]
    created_by: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As `POST /v1/messages` takes it."""
        return {
            "from": self.sender,
            "to": [{"name": one.name, "address": one.address} for one in self.to],
            "subject": self.subject,
            "html": self.html,
            "objects": [{"type": kind, "id": id} for kind, id in self.objects],
            "created_by": self.created_by,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A letter that the gateway has on its disk."""

    id: str
    thread_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. `id` is where to go on from."""

    id: str
    type: str
    thread_id: str | None
    message_id: str | None
    data: Mapping[str, Any]


class Gateway:
    """The gateway at `url`, asked with this API key."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"authorization": f"Bearer {key}"}, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def post(self, letter: Letter, *, idempotency_key: str) -> Accepted:
        """Hand over a letter. Keep the key with your record of the letter: one key is one letter, for ever."""
        body = self._ask("POST", "/v1/messages", json=letter.as_json(), headers={"idempotency-key": idempotency_key})
        return Accepted(id=body["id"], thread_id=body["thread_id"])

    def status(self, message_id: str) -> Status:
        """How a letter stands."""
        status: Status = self._ask("GET", f"/v1/messages/{message_id}")["status"]
        return status

    def threads(self, kind: str, id: str) -> Iterator[Mapping[str, Any]]:
        """The correspondence about one record, newest first, page after page."""
        after: dict[str, str] = {}
        while True:
            page = self._ask("GET", f"/v1/objects/{kind}/{id}/threads", params=after)
            yield from page["items"]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def events(self, cursor: str = "0") -> tuple[list[Event], str]:
        """What happened since, and the cursor to keep for the next time."""
        page = self._ask("GET", "/v1/events", params={"after": cursor})
        names = ("id", "type", "thread_id", "message_id", "data")
        return [Event(**{name: one[name] for name in names}) for one in page["items"]], page["cursor"]

    def _ask(self, method: str, path: str, **how: Any) -> Any:
        for tries_left in reversed(range(TRIES)):
            try:
                answer = self._http.request(method, path, **how)
            except httpx.TransportError:
                if not tries_left:
                    raise
                time.sleep(1)
                continue
            if answer.status_code not in (429, 503) or not tries_left:
                break
            time.sleep(float(answer.headers.get("retry-after", "1")))
        if answer.is_error:
            raise Problem(answer)
        return answer.json()


def new_idempotency_key() -> str:
    """For a letter that was never posted."""
    return str(uuid.uuid4())


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float | None = None) -> str:
    """The `webhook-id` of a genuine webhook: take each once. `secret` is the webhook's, `whsec_…`.

    https://www.standardwebhooks.com/ Raises `BadSignature`. The body is the bytes as they came, the names of `headers`
    are in small letters.
    """
    id, moment = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    try:
        age = abs((time.time() if now is None else now) - int(moment))  # noqa: TID251 - no clock is handed to a copy
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (ValueError, binascii.Error):
        raise BadSignature("The time or the secret cannot be read.") from None
    if age > TOLERANCE_S:
        raise BadSignature("It is too old, or from the future.")
    expected = base64.b64encode(hmac.new(key, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()).decode()
    given = [one.partition(",")[2] for one in headers.get("webhook-signature", "").split() if one.startswith("v1,")]
    # While a secret is replaced there are two signatures: one that fits is enough.
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in given):
        raise BadSignature("No signature fits.")
    return id
