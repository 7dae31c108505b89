"""Sessions, sign-in links, embed links and passes to one message: signed, never stored.

They carry the id of an API key, which is looked up at each use, so that revoking the key ends them at once.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeSerializer

from storage.threads import Object, ObjectType

SESSION_LIVES: Final = timedelta(hours=12)
TICKET_LIVES: Final = timedelta(minutes=15)
EMBED_LIVES: Final = timedelta(hours=12)
EMBED_PAGE_LIVES: Final = timedelta(minutes=30)  # a sleeping laptop's page is over after that
PASS_LIVES: Final = timedelta(hours=1)

# A path of this server: not `//elsewhere`, no backslash (browsers read it as a slash), no control character.
LOCAL_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`id` is random and binds the tokens of forms; `key_id` is None before somebody has signed in.

    `staff` is the name that its bearer has given.
    """

    id: str
    key_id: str | None
    expires_at: datetime
    staff: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """What a link into an iframe allows: one object's Events page, for one member of staff.

    `made_at` is when SELMA asked for it; however often the page renews it, it ends 12 hours after that.
    """

    key_id: str
    what: Object
    staff: str
    can_reply: bool
    made_at: datetime
    ends_at: datetime

    @property
    def last_end(self) -> datetime:
        """Nothing goes beyond this."""
        return self.made_at + EMBED_LIVES

    def renewed(self, now: datetime) -> "Embedded":
        """The same for a page that is open now."""
        ends_at = min(now + EMBED_PAGE_LIVES, self.last_end)
        return replace(self, ends_at=max(self.ends_at, ends_at))


class Sessions:
    """Opens, seals and reads sessions. `key` is the process's session key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._serializer = _serializer(key, "session")
        self.passes = Passes(key=key)

    def open(self, key_id: str | None, *, now: datetime) -> Session:
        """A new session, for the holder of this key or for somebody who is about to sign in."""
        return Session(id=secrets.token_urlsafe(16), key_id=key_id, expires_at=now + SESSION_LIVES)

    def seal(self, session: Session) -> str:
        """The cookie's value."""
        ends = int(session.expires_at.timestamp())
        content = {"id": session.id, "key": session.key_id, "ends": ends, "staff": session.staff}
        return str(self._serializer.dumps(content))

    def read(self, cookie: str, *, now: datetime) -> Session | None:
        """The session of a cookie; None when it is not ours or over."""
        content = _content(self._serializer, cookie, now)
        if content is None:
            return None
        ends = datetime.fromtimestamp(content["ends"], UTC)
        return Session(id=content["id"], key_id=content["key"], expires_at=ends, staff=content.get("staff"))

    def form_token(self, session: Session) -> str:
        """What every form of this session carries: no other site can know it."""
        return hmac.new(self._key, b"form/" + session.id.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: Session, token: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """Passes to the body and the attachments of one message, for its frame, which may be without cookies.

    In a page that SELMA shows in a frame of its own, and in Safari's and Firefox's stricter moods, cookies do not come
    along; and an address with a pass in it opens nothing but the one message, for an hour, while the key is good.
    """

    key: bytes = field(repr=False)

    def sign(self, key_id: str, message_id: str, *, now: datetime) -> str:
        """For what a holder of this key is shown now."""
        ends = int((now + PASS_LIVES).timestamp())
        return str(self._serializer.dumps({"key": key_id, "of": message_id, "ends": ends}))

    def read(self, text: str, message_id: str, *, now: datetime) -> str | None:
        """The id of the key for which it was signed; None when it is not ours, over, or to another message."""
        content = _content(self._serializer, text, now)
        return str(content["key"]) if content is not None and content["of"] == message_id else None

    @property
    def _serializer(self) -> URLSafeSerializer:
        return _serializer(self.key, "pass")


def sign_ticket(session_key: bytes, key_id: str, *, lives: timedelta = TICKET_LIVES, now: datetime) -> str:
    """What signs its bearer in as the holder of this key, for as long as it lives."""
    return str(_serializer(session_key, "ticket").dumps({"key": key_id, "ends": int((now + lives).timestamp())}))


def read_ticket(session_key: bytes, ticket: str, *, now: datetime) -> str | None:
    """The id of the ticket's key; None when it is not ours or over."""
    content = _content(_serializer(session_key, "ticket"), ticket, now)
    return None if content is None else str(content["key"])


def ticket_url(
    session_key: bytes, key_id: str, *, next: str = "/settings", lives: timedelta = TICKET_LIVES, now: datetime
) -> str:
    """The path of a link that signs in and goes to `next`, to be put behind the gateway's own address."""
    ticket = sign_ticket(session_key, key_id, lives=lives, now=now)
    return "/sign-in?" + urlencode({"ticket": ticket, "next": next})


def sign_embed(session_key: bytes, embedded: Embedded) -> str:
    """What stands in the address of an embedded page: whoever has it, has the page."""
    content = {
        "key": embedded.key_id,
        "type": embedded.what.type.value,
        "id": embedded.what.id,
        "staff": embedded.staff,
        "reply": embedded.can_reply,
        "made": int(embedded.made_at.timestamp()),
        "ends": int(embedded.ends_at.timestamp()),
    }
    return str(_serializer(session_key, "embed").dumps(content))


def read_embed(session_key: bytes, token: str, *, now: datetime) -> Embedded | None:
    """What the token allows; None when it is not ours or over."""
    content = _content(_serializer(session_key, "embed"), token, now)
    if content is None:
        return None
    return Embedded(
        key_id=content["key"],
        what=Object(type=ObjectType(content["type"]), id=content["id"]),
        staff=content["staff"],
        can_reply=content["reply"],
        made_at=datetime.fromtimestamp(content["made"], UTC),
        ends_at=datetime.fromtimestamp(content["ends"], UTC),
    )


def embed_path(session_key: bytes, embedded: Embedded) -> str:
    """Where the embedded page is, to be put behind the gateway's own address."""
    return f"/embed/{sign_embed(session_key, embedded)}/events"


def local_path(text: str) -> str:
    """`text` when it is a path of this server, else the front page."""
    return text if LOCAL_PATH.fullmatch(text) else "/"


def _serializer(key: bytes, salt: str) -> URLSafeSerializer:
    return URLSafeSerializer(key, salt=salt, signer_kwargs={"digest_method": hashlib.sha256})


def _content(serializer: URLSafeSerializer, text: str, now: datetime) -> Mapping[str, Any] | None:
    """What was signed, unless it is over. Whatever bears our signature has the shape that we gave it."""
    try:
        content: Mapping[str, Any] = serializer.loads(text)
    except BadData:
        return None
    return content if now.timestamp() < content["ends"] else None
