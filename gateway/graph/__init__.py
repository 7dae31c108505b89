"""The client of Entra and Microsoft Graph, app-only. Knows nothing else of ours.

`MsalTokens` gets tokens, `GraphClient` makes calls with them, both over httpx clients that `build_login_http` and
`build_http` make. What can go wrong is in `errors` and `token_errors`, what is sent and understood in `wire`.
"""

from .batch import MessageRequest
from .budget import Budgets, Left, Limits, MailboxBudget, Spending, SpendingKind
from .client import GraphClient, build_http, build_login_http
from .clock import Clock
from .credentials import Certificate, ClientSecret, Credential, FederatedAssertion
from .endpoints import Cloud, Endpoints, check_origin, consent_url, endpoints_for
from .errors import (
    AccessDenied,
    BadRequest,
    Conflict,
    ForeignUrl,
    Gone,
    GraphError,
    NotFound,
    OutOfSpace,
    OverBudget,
    Throttled,
    TooLarge,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
)
from .message import AttachmentInfo, AttachmentKind, Body, BodyType, Message, Recipient
from .signing_keys import SigningKeys, SigningKeysUnavailable
from .subscriptions import Encryption
from .token import MsalTokens, TokenSource, roles_of
from .token_errors import OF_THE_CREDENTIAL, CredentialRefused, EntraUnavailable, TokenError, TokenErrorKind
from .transport import Call, Observer, OnWait
from .types import DeltaPage, GraphSubscription, MailFolder, PasswordCredential, Profile, Removed, Unreadable, User
from .uploads import LARGEST_ATTACHMENT, SMALLEST_SESSION, UPLOAD_PIECE, UploadSession

__all__ = [
    "LARGEST_ATTACHMENT",
    "OF_THE_CREDENTIAL",
    "SMALLEST_SESSION",
    "UPLOAD_PIECE",
    "AccessDenied",
    "AttachmentInfo",
    "AttachmentKind",
    "BadRequest",
    "Body",
    "BodyType",
    "Budgets",
    "Call",
    "Certificate",
    "ClientSecret",
    "Clock",
    "Cloud",
    "Conflict",
    "Credential",
    "CredentialRefused",
    "DeltaPage",
    "Encryption",
    "Endpoints",
    "EntraUnavailable",
    "FederatedAssertion",
    "ForeignUrl",
    "Gone",
    "GraphClient",
    "GraphError",
    "GraphSubscription",
    "Left",
    "Limits",
    "MailFolder",
    "MailboxBudget",
    "Message",
    "MessageRequest",
    "MsalTokens",
    "NotFound",
    "Observer",
    "OnWait",
    "OutOfSpace",
    "OverBudget",
    "PasswordCredential",
    "Profile",
    "Recipient",
    "Removed",
    "SigningKeys",
    "SigningKeysUnavailable",
    "Spending",
    "SpendingKind",
    "Throttled",
    "TokenError",
    "TokenErrorKind",
    "TokenSource",
    "TooLarge",
    "Unauthorized",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "Unreadable",
    "UploadSession",
    "User",
    "build_http",
    "build_login_http",
    "check_origin",
    "consent_url",
    "endpoints_for",
    "roles_of",
]
