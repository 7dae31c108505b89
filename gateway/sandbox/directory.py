"""The directory of the tenant: users, app registrations, their secrets."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.sandbox.clock import Clock
from gateway.sandbox.identity import Identities
from gateway.sandbox.model import App, AppCertificate, FederatedCredential, MailboxKind, Secret, User

EXCHANGE: Final = "api://AzureADTokenExchange"
"""The audience by default (https://learn.microsoft.com/entra/workload-id/workload-identity-federation)."""


class Directory:
    """Users by id and user principal name, apps by client id."""

    def __init__(self, *, clock: Clock, identities: Identities) -> None:
        self._clock = clock
        self._identities = identities
        self.tenant_id = identities.guid()
        self.domains: set[str] = set()
        self.apps: dict[str, App] = {}
        self.deleted: dict[str, User] = {}
        """By object id."""
        self._users: dict[str, User] = {}

    def is_tenant(self, reference: str) -> bool:
        """Whether this names the tenant: by its GUID or by a domain of it."""
        return reference.lower() == self.tenant_id or reference.lower() in self.domains

    def add_app(self, display_name: str, *, roles: Iterable[str]) -> App:
        """Register an app; admin consent for `roles` is given with it."""
        app = App(
            app_id=self._identities.guid(),
            object_id=self._identities.guid(),
            display_name=display_name,
            roles=frozenset(roles),
        )
        self.apps[app.app_id] = app
        return app

    def add_secret(self, app: App, expires_at: datetime) -> str:
        """The value of a new secret. Earlier ones stay valid."""
        secret = Secret(
            key_id=self._identities.guid(), value=f"s8Q~{self._identities.token(27)}", end_date_time=expires_at
        )
        app.secrets.append(secret)
        return secret.value

    def add_certificate(self, app: App, certificate_pem: str) -> AppCertificate:
        """Upload a certificate. Raises ValueError for what is none, or has no RSA key."""
        loaded = x509.load_pem_x509_certificate(certificate_pem.encode())
        added = AppCertificate(
            key_id=self._identities.guid(),
            thumbprint=loaded.fingerprint(hashes.SHA256()).hex(),
            public_key=_rsa(loaded.public_key()),
            end_date_time=loaded.not_valid_after_utc,
        )
        app.certificates.append(added)
        return added

    def add_federated(
        self, app: App, *, issuer: str, subject: str, public_key_pem: str, audience: str = EXCHANGE
    ) -> FederatedCredential:
        """Trust another identity provider's word for the app. Raises ValueError for what is no RSA key."""
        added = FederatedCredential(
            key_id=self._identities.guid(),
            issuer=issuer,
            subject=subject,
            audience=audience,
            public_key=_rsa(serialization.load_pem_public_key(public_key_pem.encode())),
        )
        app.federated.append(added)
        return added

    def expire(self, app: App, key_id: str) -> None:
        """Let a secret or a certificate end now. Raises KeyError."""
        ending: list[Secret | AppCertificate] = [*app.secrets, *app.certificates]
        for one in ending:
            if one.key_id == key_id:
                one.end_date_time = self._clock.now()
                return
        raise KeyError(key_id)

    def revoke(self, app: App, key_id: str) -> None:
        """Delete a credential of any kind. Raises KeyError."""
        kept = [one for one in app.secrets if one.key_id != key_id]
        certificates = [one for one in app.certificates if one.key_id != key_id]
        federated = [one for one in app.federated if one.key_id != key_id]
        gone = len(app.secrets) + len(app.certificates) + len(app.federated)
        if len(kept) + len(certificates) + len(federated) == gone:
            raise KeyError(key_id)
        app.secrets[:], app.certificates[:], app.federated[:] = kept, certificates, federated

    def add_user(
        self,
        address: str,
        display_name: str,
        *,
        kind: MailboxKind,
        user_principal_name: str | None,
        aliases: Sequence[str],
    ) -> User:
        """Add a user; a guest gets the name that Entra makes of its own address. Raises ValueError if it is taken."""
        upn = user_principal_name or (self._guest_name(address) if kind is MailboxKind.GUEST else address)
        shared = kind is MailboxKind.SHARED
        if self.find(upn) is not None:
            raise ValueError(f"{upn} exists already")
        given_name, _, surname = display_name.partition(" ")
        user = User(
            id=self._identities.guid(),
            display_name=display_name,
            given_name=None if shared else given_name,
            surname=None if shared else surname or None,
            mail=address,
            user_principal_name=upn,
            account_enabled=not shared,
            kind=kind,
            aliases=tuple(aliases),
        )
        self._users[user.id] = user
        self._users[upn.lower()] = user
        self.domains.add(upn.rpartition("@")[2].lower())
        return user

    def find(self, reference: str) -> User | None:
        """By object id or user principal name, as in `/users/{id | userPrincipalName}`; an alias finds nobody."""
        return self._users.get(reference.lower())

    def delete(self, user: User) -> None:
        """Among the deleted ones for 30 days, under a name that begins with its id; its mailbox is soft-deleted."""
        self._forget(user)
        user.deleted_date_time = self._clock.now()
        user.user_principal_name = f"{user.id.replace('-', '')}{user.user_principal_name}"
        self.deleted[user.id] = user

    def restore(self, user: User) -> None:
        """Back again, as it was. Raises KeyError for one that is not deleted."""
        del self.deleted[user.id]
        user.deleted_date_time = None
        user.user_principal_name = user.user_principal_name.removeprefix(user.id.replace("-", ""))
        self._users[user.id] = self._users[user.user_principal_name.lower()] = user

    def users(self) -> Iterator[User]:
        return (user for key, user in self._users.items() if key == user.id)

    def _forget(self, user: User) -> None:
        del self._users[user.id], self._users[user.user_principal_name.lower()]

    def _guest_name(self, address: str) -> str:
        """Source: https://learn.microsoft.com/entra/external-id/user-properties"""
        return f"{address.replace('@', '_')}#EXT#@{min(self.domains, default='school.example')}"


def _rsa(key: object) -> rsa.RSAPublicKey:
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("not an RSA key")
    return key
