"""Why Entra gave no token, and what to do about it.

    TokenError
      CredentialRefused   what was configured is wrong: the same request will fail again
      EntraUnavailable    no answer, throttled, or transient: later

Source: https://learn.microsoft.com/entra/identity-platform/reference-error-codes
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final

from .parsing import Json


class TokenErrorKind(StrEnum):
    SECRET_EXPIRED = "secret_expired"  # noqa: S105
    SECRET_WRONG = "secret_wrong"  # noqa: S105
    ASSERTION_REFUSED = "assertion_refused"
    UNKNOWN_APP = "unknown_app"
    UNKNOWN_TENANT = "unknown_tenant"
    APP_DISABLED = "app_disabled"
    WRONG_CLOUD = "wrong_cloud"
    POLICY = "policy"
    OURS = "ours"
    TRANSIENT = "transient"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Advice:
    explanation: str
    cure: str


Kind = TokenErrorKind
ADVICE: Final[Mapping[TokenErrorKind, Advice]] = {
    Kind.SECRET_EXPIRED: Advice(
        "The client secret has expired.",
        "In the Entra admin center add a new client secret to the app and enter its value here.",
    ),
    Kind.SECRET_WRONG: Advice(
        "Entra does not accept the client secret.",
        "Enter the secret's Value, not its Secret ID. The value is shown only once: if it is lost, add a new secret.",
    ),
    Kind.ASSERTION_REFUSED: Advice(
        "Entra does not accept the certificate or the assertion made with it.",
        "Check that this certificate is uploaded to the app and still valid, or that the app has a federated "
        "credential for this issuer and subject and its file is there, and that this machine's clock is right.",
    ),
    Kind.UNKNOWN_APP: Advice(
        "There is no such app in this tenant.",
        "Compare the Application (client) ID and the Directory (tenant) ID with the app's Overview page in Entra.",
    ),
    Kind.UNKNOWN_TENANT: Advice(
        "There is no such tenant.",
        "Compare the Directory (tenant) ID with the app's Overview page in Entra, and check the chosen cloud.",
    ),
    Kind.APP_DISABLED: Advice(
        "The app is disabled.",
        "In Entra under Enterprise applications, Properties, set “Enabled for users to sign in” to Yes.",
    ),
    Kind.WRONG_CLOUD: Advice(
        "The tenant and the chosen cloud do not belong together.",
        "Choose the cloud that the school's Microsoft 365 lives in: global, US Government or China.",
    ),
    Kind.POLICY: Advice(
        "A policy of the tenant keeps the app from signing in.",
        "Ask the tenant's admin to allow this app in the Conditional Access policies for workload identities.",
    ),
    Kind.OURS: Advice(
        "Entra did not understand the gateway's request. This is a fault of the gateway.",
        "Please report it with the correlation id and the time.",
    ),
    Kind.TRANSIENT: Advice(
        "Entra could not be reached or is busy.",
        "Nothing to do: the gateway tries again. If it lasts, check the network and Microsoft's status page.",
    ),
    Kind.OTHER: Advice(
        "Entra refused the app for a reason that the gateway does not know.",
        "Look the number up at https://login.microsoftonline.com/error and check the app's registration.",
    ),
}

# https://learn.microsoft.com/entra/identity-platform/reference-error-codes; the kinds are ours
BY_NUMBER: Final[Mapping[int, TokenErrorKind]] = {
    number: kind
    for kind, numbers in {
        Kind.SECRET_EXPIRED: (7000222,),
        Kind.SECRET_WRONG: (7000215, 70002),
        Kind.ASSERTION_REFUSED: (
            *(50012, 700027, 500133, 700021, 700023, 700024, 700030),
            *(70021, 700211, 700212, 700213),  # no federated credential: by issuer, audience, subject
        ),
        Kind.UNKNOWN_APP: (700016, 700011),
        Kind.UNKNOWN_TENANT: (90002, 9001023),
        Kind.APP_DISABLED: (7000112, 70001),
        Kind.WRONG_CLOUD: (90038, 900382, 900432, 500011, 50001),
        Kind.POLICY: (53003, 530032),
        Kind.OURS: (7000218, 70011, 28002, 700022, 50196),
        Kind.TRANSIENT: (90055, 90024, 90033, 90006, 90090, 90012, 50033),
    }.items()
    for number in numbers
}

# RFC 6749 section 5.2 and the page above, "Handling error codes in your application"
BY_ERROR: Final[Mapping[str, TokenErrorKind]] = {
    "invalid_client": Kind.SECRET_WRONG,
    "unauthorized_client": Kind.UNKNOWN_APP,
    "invalid_grant": Kind.POLICY,
    "interaction_required": Kind.POLICY,
    "access_denied": Kind.POLICY,
    "invalid_resource": Kind.WRONG_CLOUD,
    "invalid_request": Kind.OURS,
    "invalid_scope": Kind.OURS,
    "unsupported_grant_type": Kind.OURS,
    "temporarily_unavailable": Kind.TRANSIENT,
    "server_error": Kind.TRANSIENT,
}


# What another credential of the same app may cure; anything else is wrong with the app, the tenant or a policy.
OF_THE_CREDENTIAL: Final = frozenset({Kind.SECRET_EXPIRED, Kind.SECRET_WRONG, Kind.ASSERTION_REFUSED, Kind.OTHER})


class TokenError(Exception):
    """No token. `description` is the first line of Entra's sentence, for people; `correlation_id` for support."""

    def __init__(
        self,
        description: str = "",
        *,
        kind: TokenErrorKind = TokenErrorKind.OTHER,
        error: str = "",
        aadsts: int | None = None,
        correlation_id: str | None = None,
        status: int | None = None,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.kind = kind
        self.error = error
        self.aadsts = aadsts
        self.correlation_id = correlation_id
        self.status = status
        self.retry_after = retry_after

    @property
    def explanation(self) -> str:
        """What is wrong, in plain words."""
        return ADVICE[self.kind].explanation

    @property
    def cure(self) -> str:
        """What to do about it."""
        return ADVICE[self.kind].cure

    def log_fields(self) -> dict[str, object]:
        fields: dict[str, object] = {
            "error": type(self).__name__,
            "kind": self.kind.value,
            "aadsts": self.aadsts,
            "oauth_error": self.error or None,
            "status": self.status,
            "correlation_id": self.correlation_id,
            "retry_after_s": self.retry_after.total_seconds() if self.retry_after is not None else None,
        }
        return {name: value for name, value in fields.items() if value is not None}

    def __str__(self) -> str:
        return f"{self.explanation} {self.description}".strip()

    def again(self) -> "TokenError":
        """The same error as a new exception, to be raised to another caller."""
        return type(self)(
            self.description,
            kind=self.kind,
            error=self.error,
            aadsts=self.aadsts,
            correlation_id=self.correlation_id,
            status=self.status,
            retry_after=self.retry_after,
        )


class CredentialRefused(TokenError):
    pass


class EntraUnavailable(TokenError):
    pass


def token_error_from(payload: Json, *, status: int | None = None, retry_after: timedelta | None = None) -> TokenError:
    """The error that a refusal of the token endpoint is, whatever its members hold.

    Microsoft documents `error` and asks not to rely on the numbers; but only the number tells an expired secret
    from a wrong one. So a known number decides, then the status, then `error`.
    """
    error, description = string(payload, "error"), string(payload, "error_description")
    numbers = error_numbers(payload, description)
    aadsts = next((number for number in numbers if number in BY_NUMBER), next(iter(numbers), None))
    kind = kind_of(aadsts, error, status)
    family = EntraUnavailable if kind is TokenErrorKind.TRANSIENT else CredentialRefused
    return family(
        first_line(description),
        kind=kind,
        error=error,
        aadsts=aadsts,
        correlation_id=string(payload, "correlation_id") or None,
        status=status,
        retry_after=retry_after,
    )


def kind_of(aadsts: int | None, error: str, status: int | None) -> TokenErrorKind:
    if aadsts is not None and aadsts in BY_NUMBER:
        return BY_NUMBER[aadsts]
    if status is not None and (status == 429 or status >= 500):
        return TokenErrorKind.TRANSIENT
    return BY_ERROR.get(error, TokenErrorKind.OTHER)


def error_numbers(payload: Json, description: str) -> list[int]:
    given = payload.get("error_codes")
    codes = given if isinstance(given, list) else []
    numbers = [code for code in codes if isinstance(code, int) and not isinstance(code, bool)]
    return numbers or [int(number) for number in re.findall(r"AADSTS([0-9]{1,9})\b", description, re.ASCII)]


def first_line(description: str) -> str:
    """Without the lines of trace id, correlation id and timestamp, which some answers put on the same line."""
    line = description.strip().splitlines()[0] if description.strip() else ""
    return re.split(r"\sTrace ID:", line)[0].strip()


def string(payload: Json, name: str) -> str:
    value = payload.get(name)
    return value if isinstance(value, str) else ""
