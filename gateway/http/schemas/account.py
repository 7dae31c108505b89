"""The account: how it reaches Microsoft 365, its mailboxes, its keys, and warnings that are put off."""

from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, StringConstraints

from gateway.graph import Cloud
from gateway.http import values
from gateway.http.reading import Taken
from gateway.setup.account import AccountConfiguration
from gateway.setup.values import start_of_day
from storage.api_keys import Scope

MOST_MAILBOXES: Final = 100
MOST_NETWORKS: Final = 50


class AccountSettings(Taken):
    """How the account reaches Microsoft 365. Without `client_secret`, the stored one stays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "tenant_id": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
                    "client_id": "8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11",
                    "client_secret": "the-value-not-the-id",
                    "secret_expires_at": "2028-01-31",
                    "time_zone": "Pacific/Auckland",
                }
            ]
        }
    )

    tenant_id: values.Tenant
    client_id: values.Client
    client_secret: values.ClientSecret | None = Field(default=None, description="Stored sealed; never given back.")
    secret_expires_at: values.MomentOrDate = Field(
        default=None, description="As the portal shows it. A bare date begins in `time_zone`."
    )
    cloud: Annotated[Cloud, Field(strict=False)] = Cloud.GLOBAL
    time_zone: values.TimeZone = "UTC"
    alert_address: values.MailAddress | None = Field(
        default=None, description="Who gets letters of warning; null: nobody. Not given, it stays as it was."
    )
    self_test: bool | None = Field(
        default=None, description="Whether each validated mailbox writes to itself daily. Not given, it stays."
    )

    def wishes(self) -> dict[str, Any]:
        """What was given of what is to be done by itself, as `gateway.setup.wishes.wish` takes it."""
        given: dict[str, Any] = {"self_test": self.self_test}
        if "alert_address" in self.model_fields_set:
            given["alert_address"] = self.alert_address or ""
        return given

    def configuration(self) -> AccountConfiguration:
        """The same, with the expiry as a moment: a bare date counts from its first second, to warn rather early."""
        expires_at = self.secret_expires_at
        if expires_at is not None and not isinstance(expires_at, datetime):
            expires_at = start_of_day(expires_at, self.time_zone)
        return AccountConfiguration(
            tenant_id=self.tenant_id,
            client_id=self.client_id,
            client_secret=self.client_secret,
            secret_expires_at=expires_at,
            cloud=self.cloud.value,
            time_zone=self.time_zone,
        )


class NewSnooze(Taken):
    """Why a warning is put off, by whom, and until when: by default, and at most, until the next one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "The new one comes on Friday", "by": "Jane Doe"}]}
    )

    reason: Annotated[str, StringConstraints(max_length=300)]
    until: values.Moment | None = None
    by: values.Staff | None = None


class NewMailbox(Taken):
    """A mailbox that letters are to come from."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address": "registry@school.example"}]})

    address: values.MailAddress


class NewValidation(Taken):
    """Mailboxes to be added, where they are not there yet, and validated."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"addresses": ["registry@school.example", "bursar@school.example"]}]}
    )

    addresses: Annotated[list[values.MailAddress], Field(min_length=1, max_length=200)]


class TestLetter(Taken):
    """Where a test letter goes; by default to the mailbox itself."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"to": "office@school.example"}]})

    to: values.MailAddress | None = None


class NewKey(Taken):
    """An API key to be made. What is left out, the key is not held to."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Admissions app",
                    "scopes": ["send", "read"],
                    "mailboxes": ["admissions@school.example"],
                    "networks": ["198.51.100.0/24"],
                    "expires_at": "2027-12-31T00:00:00Z",
                }
            ]
        }
    )

    name: values.KeyName
    scopes: list[Annotated[Scope, Field(strict=False)]] = Field(min_length=1, max_length=len(Scope))
    mailboxes: list[values.MailAddress] | None = Field(
        default=None,
        min_length=1,
        max_length=MOST_MAILBOXES,
        description="To the key, the account has these mailboxes and no others. Only with `send` and `read`.",
    )
    networks: list[values.Network] | None = Field(
        default=None, min_length=1, max_length=MOST_NETWORKS, description="The key can be used from there alone."
    )
    expires_at: values.Moment = Field(default=None, description="From then on the key is refused.")
