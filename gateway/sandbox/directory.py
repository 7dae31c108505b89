"""The directory of the tenant: users, app registrations, their secrets."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from gateway.sandbox.clock import Clock
from gateway.sandbox.identity import Identities
from gateway.sandbox.model import App, Secret, User


class Directory:
    """Users by id and user principal name, apps by client id."""

    def __init__(self, *, clock: Clock, identities: Identities) -> None:
        self._clock = clock
        self._identities = identities
        self.tenant_id = identities.guid()
        self.domains: set[str] = set()
        self.apps: dict[str, App] = {}
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

    def add_user(
        self,
        address: str,
        display_name: str,
        *,
        licensed: bool,
        shared: bool,
        user_principal_name: str | None,
        aliases: Sequence[str],
    ) -> User:
        """Add a user. Raises ValueError if the address is taken."""
        upn = user_principal_name or address
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
            is_licensed=licensed,
            aliases=tuple(aliases),
        )
        self._users[user.id] = user
        self._users[upn.lower()] = user
        self.domains.add(upn.rpartition("@")[2].lower())
        return user

    def find(self, reference: str) -> User | None:
        """By object id or user principal name, as in `/users/{id | userPrincipalName}`; an alias finds nobody."""
        return self._users.get(reference.lower())

    def users(self) -> Iterator[User]:
        return (user for key, user in self._users.items() if key == user.id)
