"""A request to Graph and its answer, free of any transport; and the call: a request that passed the door."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote

import orjson

from gateway.sandbox.graph import errors
from gateway.sandbox.identity import looks_like_item_id
from gateway.sandbox.mailbox import Mailbox
from gateway.sandbox.model import App, Folder, Message, User
from gateway.sandbox.world import World

if TYPE_CHECKING:
    from gateway.sandbox.graph.uploads import Uploads
    from gateway.sandbox.notifier import Notifier

VERSION = "v1.0"
MAIL_ROLES = frozenset({"Mail.Read", "Mail.ReadWrite", "Mail.Send"})
"""Granted in Entra they open every mailbox; by RBAC for Applications those of a scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a client asks. `target` is raw: percent-encoded, with its query string, and below `/v1.0`."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    origin: str
    """Scheme and authority under which the client sees the sandbox: links in answers begin with it."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def preferences(self) -> dict[str, str]:
        """The `Prefer` header (RFC 7240): names in lower case, values without quotes."""
        pairs = (part.partition("=") for part in self.headers.get("prefer", "").split(","))
        return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs if name.strip()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What Graph answers: JSON, or bytes of some type, or nothing."""

    status: int
    json: Any = None
    content: bytes = b""
    media_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """An authorised request with its path parameters, and what handlers ask of it."""

    request: Request
    params: Mapping[str, str]
    app: App
    roles: frozenset[str]
    world: World
    notifier: "Notifier"
    uploads: "Uploads"
    is_scoped: bool = False
    """Whether what is asked for was granted by RBAC for Applications alone, so that its scope counts."""

    @property
    def immutable_ids(self) -> bool:
        """Whether the answer is to name items by ids that survive moves (concepts/outlook-immutable-id)."""
        return self.request.preferences.get("idtype", "").lower() == "immutableid"

    @property
    def base(self) -> str:
        return f"{self.request.origin}/{VERSION}"

    def user(self) -> User:
        """The user in the path. Raises GraphError in the words of mail routes."""
        reference = self.params["user"]
        user = self.world.directory.find(reference)
        if user is None and reference.lower() in self.world.directory.deleted:
            raise errors.mailbox_not_enabled()  # as its text says of soft-deleted ones; UNCONFIRMED by its id
        if user is None:
            raise errors.invalid_user(reference)
        return user

    def mailbox(self) -> Mailbox:
        """The mailbox in the path, if the app may enter it and it is served. Raises GraphError."""
        return self.enter(self.user())

    def enter(self, user: User) -> Mailbox:
        """The mailbox of a user, policy and licence allowing."""
        allowed, scoped = self.app.allowed_mailboxes, self.app.scoped_mailboxes
        if allowed is not None and user.mail.lower() not in allowed:
            raise errors.blocked_by_policy()
        if self.is_scoped and scoped is not None and user.mail.lower() not in scoped:
            raise errors.access_denied()
        if not user.is_licensed:
            raise errors.mailbox_not_enabled()
        return self.world.mailbox(user.id)

    def folder(self) -> Folder:
        """The folder in the path, by id or well-known name. Raises GraphError."""
        return self.find_folder(self.params["folder"])

    def find_folder(self, reference: str) -> Folder:
        folder = self.mailbox().folder(reference)
        if folder is None:
            raise errors.item_not_found() if looks_like_item_id(reference) else errors.malformed_id()
        return folder

    def message(self) -> Message:
        """The message in the path; both kinds of id are good. Raises GraphError."""
        reference = self.params["message"]
        message = self.mailbox().find(reference)
        if message is None or ("folder" in self.params and message.folder_id != self.folder().id):
            raise errors.item_not_found() if looks_like_item_id(reference) else errors.malformed_id()
        return message

    def json(self) -> dict[str, Any]:
        """The body as a JSON object. Raises GraphError."""
        if self.request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
            raise errors.unreadable_json()
        try:
            body = orjson.loads(self.request.body)
        except orjson.JSONDecodeError as error:
            raise errors.unreadable_json() from error
        if not isinstance(body, dict):
            raise errors.unreadable_json()
        return body

    def optional_json(self) -> dict[str, Any]:
        """The same, where no body at all is as good as an empty object."""
        return self.json() if self.request.body else {}

    def context(self, fragment: str) -> str:
        return f"{self.base}/$metadata#{fragment}"


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path below `/v1.0`, `{name}` standing for a parameter; any one of `roles` opens it."""

    method: str
    path: str
    handler: Handler
    roles: frozenset[str]
    is_directory: bool = False
    """A directory route says `Authorization_RequestDenied` where a mail route says `ErrorAccessDenied`."""

    @property
    def segments(self) -> list[str]:
        return self.path.strip("/").split("/")

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """The parameters if the path is this one; names of segments without case."""
        params = {}
        own = self.segments
        if len(own) != len(segments):
            return None
        for pattern, segment in zip(own, segments, strict=True):
            if pattern.startswith("{"):
                params[pattern[1:-1]] = segment
            elif pattern.lower() != segment.lower():
                return None
        return params


def split_path(path: str) -> list[str]:
    """Segments, decoded after splitting, so that an encoded slash stays part of an id. The key form counts as two
    (`mailFolders('inbox')`, `applications(appId='…')`), the brackets of a function as none (`delta()`), a namespace
    neither."""
    segments: list[str] = []
    for raw in path.strip("/").split("/"):
        segment = unquote(raw)
        head, bracket, key = segment.replace("(appId='", "('").partition("('")
        if bracket and key.endswith("')"):
            segments += [head, key[:-2].replace("''", "'")]
        else:
            segments.append(segment.removesuffix("()").removeprefix("microsoft.graph."))
    return segments


def as_key(value: str) -> str:
    """A key in the OData form for a URL: quotes doubled, everything else that is special encoded."""
    return quote(value.replace("'", "''"), safe="@'")
