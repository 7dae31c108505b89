"""Rotation: the new credential is tried first, the old one stands by, and what Entra refuses changes nothing."""

import traceback
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

import storage
from gateway.graph import CredentialRefused, EntraUnavailable
from gateway.sandbox.directory import EXCHANGE
from gateway.setup import certificates
from gateway.setup.account import AccountConfiguration, BadConfiguration, configure
from gateway.setup.expiry import ExpiryWatch
from gateway.setup.rotation import AssertionFile, CredentialNotTaken, OwnCertificate, Secret
from storage import accounts, credentials, events
from storage.accounts import TokenState
from storage.credentials import CredentialKind, CredentialState
from tests.setup.school import DAY, MINUTE, Scene, connected_school

ACTIVE, STANDBY, PENDING = CredentialState.ACTIVE, CredentialState.STANDBY, CredentialState.PENDING
ISSUER, SUBJECT = "https://issuer.example", "system:serviceaccount:selma:gateway"


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with connected_school(tmp_path) as scene:
        yield scene


async def test_a_good_secret_takes_over_and_the_old_one_stands_by(scene: Scene) -> None:
    before = (await scene.in_slots())[ACTIVE]
    value = scene.new_secret()
    added = await scene.rotation.add(
        scene.account_id, Secret(value=f" {value} ", expires_at=scene.clock.now() + 300 * DAY)
    )
    slots = await scene.in_slots()
    assert (slots[ACTIVE].id, slots[STANDBY].id) == (added.id, before.id)
    assert slots[ACTIVE].open(scene.key) == value
    assert await scene.told() == ["added", "used", "added", "used"]
    await scene.token()
    assert await scene.told() == ["added", "used", "added", "used"]


async def test_a_refused_secret_is_explained_and_nothing_is_stored(scene: Scene) -> None:
    before = await scene.in_slots()
    with pytest.raises(CredentialNotTaken) as refused:
        await scene.rotation.add(scene.account_id, Secret(value="wrong~value"))
    assert "Entra does not accept the client secret. (AADSTS7000215)" in str(refused.value)
    assert "Nothing was stored." in str(refused.value)
    assert "wrong~value" not in str(refused.value)
    assert await scene.in_slots() == before
    await scene.fresh_token()


async def test_no_traceback_of_a_refusal_shows_the_secret(scene: Scene) -> None:
    for offer in (Secret(value="wrong~value"), Secret(value=scene.school.client_id)):
        with pytest.raises((CredentialNotTaken, BadConfiguration)) as refused:
            await scene.rotation.add(scene.account_id, offer)
        told = "".join(traceback.format_exception(refused.value)) + repr(offer)
        assert offer.value not in told


async def test_a_refused_secret_is_kept_when_that_is_asked_for_and_can_be_tried_again(scene: Scene) -> None:
    value = scene.new_secret()
    secret = scene.app.secrets.pop()
    with pytest.raises(CredentialNotTaken, match="can be tried again"):
        await scene.rotation.add(scene.account_id, Secret(value=value), keep_if_refused=True)
    pending = (await scene.in_slots())[PENDING]
    assert pending.problem is not None
    await scene.fresh_token()
    scene.app.secrets.append(secret)
    await scene.rotation.try_pending(scene.account_id, pending.id)
    slots = await scene.in_slots()
    assert (slots[ACTIVE].id, slots[ACTIVE].problem, PENDING in slots) == (pending.id, None, False)


async def test_an_entra_that_is_away_judges_nothing(scene: Scene) -> None:
    before = await scene.in_slots()
    scene.way.is_down = True
    with pytest.raises(EntraUnavailable):
        await scene.rotation.add(scene.account_id, Secret(value=scene.new_secret()))
    assert await scene.in_slots() == before


async def test_the_secret_in_use_is_no_new_one_and_a_secret_id_is_none_at_all(scene: Scene) -> None:
    for value, sentence in (
        (scene.school.client_secret, "in use already"),
        (scene.school.client_id, "This is the Secret ID"),
    ):
        with pytest.raises(BadConfiguration, match=sentence):
            await scene.rotation.add(scene.account_id, Secret(value=value))


async def test_the_third_secret_retires_the_first_and_its_ciphertext_is_gone(scene: Scene) -> None:
    first = (await scene.in_slots())[ACTIVE]
    for _ in range(2):
        scene.clock.advance(DAY)
        await scene.rotation.add(scene.account_id, Secret(value=scene.new_secret()))
    gone = await scene.store.read(credentials.get, scene.account_id, first.id)
    assert (gone.state, gone.ciphertext) == (CredentialState.RETIRED, b"")
    assert len(await scene.in_slots()) == 2


class TestFallback:
    @pytest.fixture
    async def rotated(self, scene: Scene) -> Scene:
        await scene.rotation.add(scene.account_id, Secret(value=scene.new_secret()))
        scene.clock.advance(MINUTE)
        await scene.token()
        scene.clock.advance(MINUTE)
        return scene

    async def test_the_old_one_serves_as_soon_as_the_new_one_is_refused(self, rotated: Scene) -> None:
        new = (await rotated.in_slots())[ACTIVE]
        rotated.revoke(new.open(rotated.key))
        assert await rotated.fresh_token()
        slots = await rotated.in_slots()
        assert slots[ACTIVE].problem is not None
        assert slots[ACTIVE].problem["aadsts"] == 7000215
        assert slots[STANDBY].problem is None
        assert await rotated.state() is TokenState.OK
        assert (await rotated.told())[-2:] == ["refused", "used"]

    async def test_and_back_when_the_new_one_heals(self, rotated: Scene) -> None:
        new = (await rotated.in_slots())[ACTIVE]
        [secret] = [one for one in rotated.app.secrets if one.value == new.open(rotated.key)]
        rotated.app.secrets.remove(secret)
        await rotated.fresh_token()
        rotated.app.secrets.append(secret)
        rotated.clock.advance(2 * MINUTE)
        await rotated.token()
        assert (await rotated.in_slots())[ACTIVE].problem is None
        assert (await rotated.told())[-4:] == ["refused", "used", "recovered", "used"]

    async def test_a_refusal_is_told_once_however_many_letters_ask(self, rotated: Scene) -> None:
        rotated.revoke((await rotated.in_slots())[ACTIVE].open(rotated.key))
        await rotated.fresh_token()
        for _ in range(30):
            rotated.clock.advance(timedelta(seconds=30))
            await rotated.token()
        assert (await rotated.told()).count("refused") == 1

    async def test_when_both_are_refused_the_account_says_why_the_newest_is(self, rotated: Scene) -> None:
        rotated.app.secrets.clear()
        with pytest.raises(CredentialRefused):
            await rotated.fresh_token()
        assert await rotated.state() is TokenState.REFUSED
        assert (await rotated.told())[-2:] == ["refused", "refused"]

    async def test_what_is_wrong_with_the_app_is_blamed_on_no_other_credential(self, rotated: Scene) -> None:
        rotated.app.is_enabled = False
        with pytest.raises(CredentialRefused):
            await rotated.fresh_token()
        slots = await rotated.in_slots()
        assert slots[STANDBY].problem is None

    async def test_a_dead_one_does_not_drive_out_the_one_that_serves(self, rotated: Scene) -> None:
        dead, serves = (await rotated.in_slots())[ACTIVE], (await rotated.in_slots())[STANDBY]
        rotated.revoke(dead.open(rotated.key))
        await rotated.fresh_token()
        await rotated.rotation.add(rotated.account_id, Secret(value=rotated.new_secret()))
        assert (await rotated.in_slots())[STANDBY].id == serves.id

    async def test_an_outage_of_entra_asks_nobody_else(self, rotated: Scene) -> None:
        rotated.way.is_down = True
        with pytest.raises(EntraUnavailable):
            await rotated.fresh_token()
        assert await rotated.state() is TokenState.UNREACHABLE

    async def test_the_one_that_serves_goes_on_through_an_outage(self, rotated: Scene) -> None:
        rotated.revoke((await rotated.in_slots())[ACTIVE].open(rotated.key))
        token = await rotated.fresh_token()
        rotated.way.is_down = True
        rotated.clock.advance(2 * MINUTE)
        assert await rotated.token() == token

    async def test_the_old_one_is_retired_on_its_day_and_nobody_is_warned_of_it(self, rotated: Scene) -> None:
        rotated.clock.advance(rotated.school.secret_expires_at - rotated.clock.now() - MINUTE)
        watch = ExpiryWatch(rotated.store, rotated.clock)
        assert STANDBY in await rotated.in_slots()
        rotated.clock.advance(2 * MINUTE)
        await watch.run_due()
        assert STANDBY not in await rotated.in_slots()
        assert (await rotated.told())[-1] == "removed"

    async def test_while_the_new_one_is_refused_the_old_one_stays_and_its_end_is_told(self, rotated: Scene) -> None:
        await rotated.store.write(
            lambda tx: tx.execute("UPDATE credentials SET expires_at = NULL WHERE state = 'active'")
        )
        rotated.revoke((await rotated.in_slots())[ACTIVE].open(rotated.key))
        await rotated.fresh_token()
        rotated.clock.advance(rotated.school.secret_expires_at - rotated.clock.now() - DAY)
        await ExpiryWatch(rotated.store, rotated.clock).run_due()
        assert (await rotated.told())[-1] == "expiring"
        rotated.clock.advance(2 * DAY)
        await ExpiryWatch(rotated.store, rotated.clock).run_due()
        assert STANDBY in await rotated.in_slots()


class TestCertificates:
    async def test_one_made_here_serves_once_it_is_uploaded(self, scene: Scene) -> None:
        made = await scene.rotation.make_certificate(scene.account_id)
        assert (made.state, made.kind, made.hint) == (PENDING, CredentialKind.CERTIFICATE, made.hint[:3])
        assert made.public_part is not None
        assert "PRIVATE KEY" not in made.public_part
        assert made.expires_at == certificates.facts(made.public_part).ends_at
        with pytest.raises(CredentialNotTaken, match="uploaded"):
            await scene.rotation.try_pending(scene.account_id, made.id)
        scene.sandbox.world.directory.add_certificate(scene.app, made.public_part)
        await scene.rotation.try_pending(scene.account_id, made.id)
        assert (await scene.in_slots())[ACTIVE].id == made.id
        scene.app.secrets.clear()
        assert await scene.fresh_token()

    async def test_one_brought_along_must_belong_to_its_key(self, scene: Scene) -> None:
        pair, other = (certificates.make(name, scene.clock.now()) for name in ("one", "other"))
        scene.sandbox.world.directory.add_certificate(scene.app, pair.certificate_pem)
        for key, certificate in (
            (other.private_key_pem, pair.certificate_pem),
            ("junk", pair.certificate_pem),
            (pair.private_key_pem, "junk"),
        ):
            with pytest.raises(BadConfiguration):
                await scene.rotation.add(scene.account_id, OwnCertificate(private_key=key, certificate=certificate))
        offer = OwnCertificate(private_key=pair.private_key_pem, certificate=pair.certificate_pem)
        await scene.rotation.add(scene.account_id, offer)
        assert (await scene.in_slots())[ACTIVE].kind is CredentialKind.CERTIFICATE

    async def test_its_end_is_counted_down_as_a_certificates(self, scene: Scene) -> None:
        made = await scene.rotation.make_certificate(scene.account_id)
        assert made.public_part is not None
        scene.sandbox.world.directory.add_certificate(scene.app, made.public_part)
        await scene.rotation.try_pending(scene.account_id, made.id)
        scene.clock.advance(certificates.LIFE - 20 * DAY)
        await ExpiryWatch(scene.store, scene.clock).run_due()
        found = await scene.store.read(events.after, scene.account_id, 0, limit=100)
        [told] = [event.data for event in found if event.type == "credential.expiring"]
        assert (told["kind"], told["credential_id"]) == ("certificate", made.id)


async def test_an_account_is_connected_by_a_certificate_alone(scene: Scene) -> None:
    account = await scene.store.write(accounts.add, "Without secrets", now=scene.clock.now())
    made = await scene.rotation.make_certificate(account.id)
    configuration = AccountConfiguration(tenant_id=scene.school.tenant_id, client_id=scene.school.client_id)
    await scene.store.write(configure, account.id, configuration, key=scene.key, now=scene.clock.now())
    scene.sandbox.world.directory.add_certificate(scene.app, made.public_part or "")
    await scene.rotation.try_pending(account.id, made.id)
    assert await (await scene.connections.tokens(account.id)).token()


class TestFederation:
    async def test_the_file_is_read_anew_for_each_assertion(self, scene: Scene, tmp_path: Path) -> None:
        pair, path = certificates.make("issuer", scene.clock.now()), tmp_path / "assertion"
        private = serialization.load_pem_private_key(pair.private_key_pem.encode(), None)
        public = private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        scene.sandbox.world.directory.add_federated(
            scene.app, issuer=ISSUER, subject=SUBJECT, public_key_pem=public.decode()
        )

        def write() -> None:
            now = int(scene.clock.now().timestamp())
            claims = {"iss": ISSUER, "sub": SUBJECT, "aud": EXCHANGE, "nbf": now, "exp": now + 600}
            path.write_text(jwt.encode(claims, pair.private_key_pem, algorithm="RS256") + "\n")

        write()
        await scene.rotation.add(scene.account_id, AssertionFile(str(path)))
        scene.clock.advance(DAY)
        write()
        assert await scene.fresh_token()
        assert (await scene.in_slots())[ACTIVE].problem is None
        scene.clock.advance(DAY)
        assert await scene.fresh_token(), "the secret stands by"
        assert (await scene.in_slots())[ACTIVE].problem is not None

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [(None, "There is no file"), ("the master key", "no assertion"), ("x" * 70_000, "no assertion")],
    )
    async def test_what_is_no_assertion_is_never_sent(
        self, scene: Scene, tmp_path: Path, content: str | None, sentence: str
    ) -> None:
        path = tmp_path / "file"
        if content is not None:
            path.write_text(content)
        with pytest.raises(BadConfiguration, match=sentence):
            await scene.rotation.add(scene.account_id, AssertionFile(str(path)))

    async def test_a_path_is_a_whole_one(self, scene: Scene) -> None:
        with pytest.raises(BadConfiguration, match="from / on"):
            await scene.rotation.add(scene.account_id, AssertionFile("token"))


class TestRemoving:
    async def test_the_only_one_that_serves_stays(self, scene: Scene) -> None:
        with pytest.raises(storage.Conflict, match="Add another one first"):
            await scene.rotation.remove(scene.account_id, (await scene.in_slots())[ACTIVE].id)

    async def test_the_one_that_stands_by_takes_its_place(self, scene: Scene) -> None:
        await scene.rotation.add(scene.account_id, Secret(value=scene.new_secret()))
        before = await scene.in_slots()
        await scene.rotation.remove(scene.account_id, before[ACTIVE].id)
        after = await scene.in_slots()
        assert {state: one.id for state, one in after.items()} == {ACTIVE: before[STANDBY].id}
        with pytest.raises(storage.NotFound):
            await scene.rotation.remove(scene.account_id, before[ACTIVE].id)
        assert await scene.token()


async def test_another_app_takes_no_credential_of_this_one(scene: Scene) -> None:
    await scene.rotation.add(scene.account_id, Secret(value=scene.new_secret()))
    configuration = AccountConfiguration(
        tenant_id=scene.school.tenant_id,
        client_id="8c1b6e86-8a5e-4e5a-9d53-0d1f6c2a7b11",
        client_secret="another~value",
    )
    await scene.store.write(configure, scene.account_id, configuration, key=scene.key, now=scene.clock.now())
    slots = await scene.in_slots()
    assert list(slots) == [ACTIVE]
    assert slots[ACTIVE].open(scene.key) == "another~value"
