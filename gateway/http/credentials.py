"""`/v1/account/credentials`: rotation. A secret or private key goes in and never comes out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints
from starlette.responses import Response

from gateway.http import values
from gateway.http.auditing import does
from gateway.http.problem_types import CONFLICT, CREDENTIAL_REFUSED, MICROSOFT_365, NOT_CONNECTED, NOT_FOUND
from gateway.http.problems import BadValue, Problem
from gateway.http.reading import Nothing, Taken
from gateway.http.routing import Call, Operation, json_response, no_content
from gateway.setup import certificates
from gateway.setup.expiry import standing
from gateway.setup.rotation import AssertionFile, CredentialNotTaken, Offer, OwnCertificate, Secret
from gateway.setup.values import start_of_day
from storage import accounts
from storage.api_keys import Scope
from storage.credentials import Credential, CredentialKind, CredentialState

Pem = Annotated[str, StringConstraints(max_length=certificates.LONGEST_PEM)]
OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "client_secret": ("client_secret", "expires_at"),
    "certificate": ("private_key", "certificate"),
    "federated": ("assertion_file",),
}


class NewCredential(Taken):
    """A credential to take over. It is tried first: Entra must give a token by it.

    A `certificate` without a private key is made here: upload it to the app in Entra, then try it.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "client_secret", "client_secret": "the-value-not-the-id", "expires_at": "2028-01-31"},
                {"kind": "certificate"},
            ]
        }
    )

    kind: Annotated[CredentialKind, Field(strict=False)]
    client_secret: values.ClientSecret | None = Field(default=None, description="Stored sealed; never given back.")
    expires_at: values.MomentOrDate = Field(
        default=None, description="Of a client secret, as the portal shows it. A bare date begins in UTC."
    )
    private_key: Pem | None = Field(default=None, description="PEM, RSA, without a password; never given back.")
    certificate: Pem | None = Field(default=None, description="PEM. It tells itself when it ends.")
    assertion_file: Annotated[str, StringConstraints(max_length=1000)] | None = Field(
        default=None, description="The path, on the gateway's machine, of the file that holds an assertion (JWT)."
    )
    keep_if_refused: bool = Field(
        default=False, description="Keep what Entra does not take yet as pending, to be tried again."
    )

    @classmethod
    def across(cls, raw: Mapping[str, Any]) -> Iterator[BadValue]:
        """What belongs to the kind is there, and nothing of another kind."""
        kind = raw.get("kind")
        if not isinstance(kind, str) or kind not in OF_KIND:
            return
        for other, names in OF_KIND.items():
            for name in names:
                if other != kind and raw.get(name) is not None:
                    yield BadValue(pointer=f"/{name}", detail=f"This does not belong to the kind {kind}.")
        needed = OF_KIND[kind][:1] if kind != "certificate" else OF_KIND[kind]
        missing = [name for name in needed if raw.get(name) is None]
        if missing and not (kind == "certificate" and len(missing) == len(needed)):
            yield BadValue(pointer=f"/{missing[0]}", detail="This is required.")

    def offer(self) -> Offer | None:
        """What to try; None for a certificate that is to be made."""
        if self.kind is CredentialKind.FEDERATED:
            return AssertionFile(self.assertion_file or "")
        if self.kind is CredentialKind.CERTIFICATE:
            if self.private_key is None or self.certificate is None:
                return None
            return OwnCertificate(private_key=self.private_key, certificate=self.certificate)
        ends = self.expires_at
        if ends is not None and not isinstance(ends, datetime):
            ends = start_of_day(ends, "UTC")
        return Secret(value=self.client_secret or "", expires_at=ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialView:
    """A credential in its slot: `active` is tried first, `standby` when that is refused, `pending` waits to be tried.

    `problem` says why Entra refused it the last time. Of a certificate the public part is shown, to be uploaded.
    """

    id: str
    kind: CredentialKind
    state: CredentialState
    hint: str
    set_at: datetime
    expires_at: datetime | None
    days_left: int | None
    standing: str
    last_used_at: datetime | None
    refused_at: datetime | None
    problem: dict[str, Any] | None
    certificate: str | None
    thumbprint: str | None
    assertion_file: str | None

    @classmethod
    def of(cls, one: Credential, now: datetime, time_zone: str) -> "CredentialView":
        """As the API shows it."""
        stands = standing(one.expires_at, now, time_zone=time_zone, kind=one.kind)
        is_certificate = one.kind is CredentialKind.CERTIFICATE
        return cls(
            id=one.id,
            kind=one.kind,
            state=one.state,
            hint=one.hint,
            set_at=one.created_at,
            expires_at=one.expires_at,
            days_left=stands.days_left,
            standing=stands.sentence,
            last_used_at=one.last_used_at,
            refused_at=one.refused_at,
            problem=one.problem,
            certificate=one.public_part if is_certificate else None,
            thumbprint=certificates.facts(one.public_part).sha1 if is_certificate and one.public_part else None,
            assertion_file=one.public_part if one.kind is CredentialKind.FEDERATED else None,
        )


async def add(call: Call[NewCredential]) -> Response:
    """201 with what took over, or with the certificate that is to be uploaded."""
    rotation, offer = call.services.setup.rotation, call.given.offer()
    account = await call.services.store.read(accounts.get, call.account_id)
    try:
        if offer is None:
            added = await rotation.make_certificate(call.account_id)
        else:
            added = await rotation.add(call.account_id, offer, keep_if_refused=call.given.keep_if_refused)
    except CredentialNotTaken as error:
        raise Problem(CREDENTIAL_REFUSED, str(error)) from error
    return json_response(CredentialView.of(added, call.now, account.time_zone), HTTPStatus.CREATED)


async def try_pending(call: Call[Nothing]) -> Response:
    """The credential as it serves now."""
    account = await call.services.store.read(accounts.get, call.account_id)
    try:
        tried = await call.services.setup.rotation.try_pending(call.account_id, call.path("id"))
    except CredentialNotTaken as error:
        raise Problem(CREDENTIAL_REFUSED, str(error)) from error
    return json_response(CredentialView.of(tried, call.now, account.time_zone))


async def remove(call: Call[Nothing]) -> Response:
    """204."""
    await call.services.setup.rotation.remove(call.account_id, call.path("id"))
    return no_content()


OPERATIONS: Final = (
    Operation(
        method="POST",
        path="/v1/account/credentials",
        scope=Scope.SETTINGS,
        summary="Rotate: try a credential and let it take over",
        takes=NewCredential,
        does=add,
        audit=does("credential.add"),
        gives=CredentialView,
        status=HTTPStatus.CREATED,
        locates=False,
        problems=(CREDENTIAL_REFUSED, NOT_CONNECTED, CONFLICT, MICROSOFT_365),
    ),
    Operation(
        method="POST",
        path="/v1/account/credentials/{id}/try",
        scope=Scope.SETTINGS,
        summary="Try a pending credential and let it take over",
        takes=Nothing,
        does=try_pending,
        audit=does("credential.try", id="credential_id"),
        gives=CredentialView,
        problems=(CREDENTIAL_REFUSED, NOT_FOUND, NOT_CONNECTED, CONFLICT, MICROSOFT_365),
    ),
    Operation(
        method="DELETE",
        path="/v1/account/credentials/{id}",
        scope=Scope.SETTINGS,
        summary="Forget a credential",
        takes=Nothing,
        does=remove,
        audit=does("credential.remove", id="credential_id"),
        status=HTTPStatus.NO_CONTENT,
        problems=(NOT_FOUND, CONFLICT),
    ),
)
