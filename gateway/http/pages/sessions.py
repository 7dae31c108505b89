"""Sessions and sign-in links: signed, never stored. They carry the id of an API key, which is looked up at each use,
so that revoking the key ends them at once.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from itsdangerous import BadData, URLSafeSerializer

SESSION_LIVES: Final = timedelta(hours=12)
TICKET_LIVES: Final = timedelta(minutes=15)

# A path of this server: not `//elsewhere`, no backslash (browsers read it as a slash), no control character.
LOCAL_PATH: Final = re.compile(r"/(?![/\\])[!-\[\]-~]*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`id` is random and binds the tokens of forms; `key_id` is None before somebody has signed in."""

    id: str
    key_id: str | None
    expires_at: datetime


class Sessions:
    """Opens, seals and reads sessions. `key` is the process's session key."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._serializer = _serializer(key, "session")

    def open(self, key_id: str | None, *, now: datetime) -> Session:
        """A new session, for the holder of this key or for somebody who is about to sign in."""
        return Session(id=secrets.token_urlsafe(16), key_id=key_id, expires_at=now + SESSION_LIVES)

    def seal(self, session: Session) -> str:
        """The cookie's value."""
        ends = int(session.expires_at.timestamp())
        return str(self._serializer.dumps({"id": session.id, "key": session.key_id, "ends": ends}))

    def read(self, cookie: str, *, now: datetime) -> Session | None:
        """The session of a cookie; None when it is not ours or over."""
        content = _content(self._serializer, cookie, now)
        if content is None:
            return None
        ends = datetime.fromtimestamp(content["ends"], UTC)
        return Session(id=content["id"], key_id=content["key"], expires_at=ends)

    def form_token(self, session: Session) -> str:
        """What every form of this session carries: no other site can know it."""
        return hmac.new(self._key, b"form/" + session.id.encode(), hashlib.sha256).hexdigest()

    def is_form_token(self, session: Session, token: str) -> bool:
        """Compared in constant time."""
        return hmac.compare_digest(self.form_token(session).encode(), token.encode())


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
