"""The credentials on the settings page: shown without the secret, replaced without a stop."""

import re

import pytest

from gateway.graph.token_errors import token_error_from
from storage import credentials
from storage.credentials import CredentialState
from tests.http.scene import CLIENT, TENANT, Scene
from tests.pages.desk import Desk

OLD, NEW = "Zk8Q~the.old.secret-0123456789", "Yp3R~the.new.secret-0123456789"
WRONG = token_error_from({"error": "invalid_client", "error_codes": [7000215]}, status=401)
PENDING_ID = re.compile(r'name="id" value="(cred_\w+)"><button class="small primary">')


@pytest.fixture
async def connected(desk: Desk) -> Desk:
    await desk.open("/settings")
    await desk.send(
        "/settings/account",
        tenant_id=TENANT,
        client_id=CLIENT,
        client_secret=OLD,
        time_zone="UTC",
        cloud="global",
        secret_expires_at="2026-12-31",
    )
    assert "Saved." in desk.text
    return desk


async def test_a_new_secret_takes_over_and_the_old_one_stands_by(connected: Desk) -> None:
    await connected.send("/settings/credentials", kind="client_secret", new_secret=NEW, new_expires_at="2027-02-01")
    assert "It serves from now on" in connected.text
    assert "In use" in connected.text
    assert "Stands by" in connected.text
    assert OLD not in connected.text
    assert NEW not in connected.text


@pytest.mark.parametrize("time_zone", ["UTC", "Pacific/Auckland", "America/New_York"])
async def test_when_it_ends_is_said_once_and_on_the_day_that_was_entered(
    connected: Desk, scene: Scene, time_zone: str
) -> None:
    fields = {"tenant_id": TENANT, "client_id": CLIENT, "cloud": "global", "secret_expires_at": "2026-12-30"}
    await connected.send("/settings/account", client_secret=NEW, time_zone=time_zone, **fields)
    [ours] = [one for one in await scene.store.read(credentials.slots, scene.account_id) if one.state == "active"]
    assert connected.text.count(f"<code>{ours.hint}…</code>") == 1
    assert "expires on 30 December 2026" in connected.text


async def test_a_refused_one_is_explained_on_the_page_and_changes_nothing(connected: Desk, scene: Scene) -> None:
    scene.setup.entra.refuses = WRONG
    answer = await connected.send("/settings/credentials", kind="client_secret", new_secret=NEW)
    assert answer.status_code == 422
    assert "Entra does not accept the client secret. (AADSTS7000215)" in connected.text
    assert "Stands by" not in connected.text
    assert NEW not in connected.text


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"new_secret": CLIENT}, "This is the Secret ID"),
        ({"new_secret": NEW, "new_expires_at": "soon"}, "This is not a date"),
        ({"new_secret": NEW, "new_expires_at": "2020-01-01"}, "has passed"),
        ({"kind": "federated", "assertion_file": "/nowhere/token"}, "There is no file /nowhere/token"),
    ],
)
async def test_what_cannot_be_right_stands_beside_its_field(
    connected: Desk, fields: dict[str, str], sentence: str
) -> None:
    answer = await connected.send("/settings/credentials", **({"kind": "client_secret"} | fields))
    assert answer.status_code == 422
    assert sentence in connected.text


async def test_a_certificate_is_made_downloaded_and_tried(connected: Desk, scene: Scene) -> None:
    await connected.send("/settings/credentials", kind="certificate")
    assert "Upload it to the app in Entra" in connected.text
    found = PENDING_ID.search(connected.text)
    assert found is not None
    file = await connected.browser.get(f"/settings/credentials/{found[1]}/certificate")
    assert file.text.startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in file.text
    await connected.send("/settings/credentials/try", id=found[1])
    active = await scene.store.read(credentials.active, scene.account_id)
    assert active is not None
    assert active.id == found[1]


async def test_one_is_forgotten_but_not_the_only_one(connected: Desk, scene: Scene) -> None:
    only = await scene.store.read(credentials.active, scene.account_id)
    assert only is not None
    assert (await connected.send("/settings/credentials/remove", id=only.id)).status_code == 422
    assert "This is the only credential that serves" in connected.text
    await connected.send("/settings/credentials", kind="client_secret", new_secret=NEW)
    await connected.send("/settings/credentials/remove", id=only.id)
    assert "The credential is forgotten." in connected.text
    assert await scene.store.read(credentials.in_slot, scene.account_id, CredentialState.STANDBY) is None


async def test_a_mailbox_that_must_be_refused_is_tried_and_the_alarm_stands_on_top(connected: Desk) -> None:
    assert "New-ManagementRoleAssignment" in connected.text
    await connected.send("/settings/least-privilege", kept_out="head@school.example")
    assert "The gateway can open head@school.example" in connected.text
    assert "Can be opened" in connected.text
    answer = await connected.send("/settings/least-privilege", kept_out="x")
    assert answer.status_code == 422
    assert "is not a mail address" in connected.text


async def test_a_school_without_secrets_begins_with_a_certificate(desk: Desk, scene: Scene) -> None:
    await desk.open("/settings")
    await desk.send("/settings/credentials", kind="certificate")
    await desk.send("/settings/account", tenant_id=TENANT, client_id=CLIENT, time_zone="UTC", cloud="global")
    assert "Saved." in desk.text
    found = PENDING_ID.search(desk.text)
    assert found is not None
    await desk.send("/settings/credentials/try", id=found[1])
    assert "It serves from now on" in desk.text
    assert "In use" in desk.text
