"""The master key: made at first start, needed ever after."""

import importlib
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import storage
from gateway.master_key import RESEALERS, KeyInEnvironment, LiveKey, replace, unlock
from gateway.settings import Settings
from storage import (
    Transaction,
    WrongMasterKey,
    accounts,
    credentials,
    encryption_certificates,
    open_store,
    webhooks,
)
from storage.credentials import Credential
from storage.vault import Key, MasterKey
from tests.fakes.clock import FakeClock


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=tmp_path / "data" / "gateway.db")


async def start(settings: Settings) -> MasterKey:
    async with open_store(settings.database) as store:
        return await unlock(store, settings, FakeClock())


async def test_the_first_start_makes_a_key_file_that_only_the_gateway_can_read(settings: Settings) -> None:
    key = await start(settings)
    key_file = settings.database.parent / "master.key"
    assert MasterKey.from_text(key_file.read_text()) == key
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600


async def test_the_second_start_uses_the_same_key(settings: Settings) -> None:
    assert await start(settings) == await start(settings)


async def test_a_key_from_the_environment_makes_no_key_file(settings: Settings) -> None:
    key = MasterKey.new()
    assert await start(Settings(database=settings.database, master_key=key)) == key
    assert not (settings.database.parent / "master.key").exists()


def lose(key_file: Path) -> None:
    key_file.unlink()


def replace_with_another(key_file: Path) -> None:
    key_file.write_text(MasterKey.new().to_text())


def garble(key_file: Path) -> None:
    key_file.write_text("not a key")


def open_to_others(key_file: Path) -> None:
    key_file.chmod(0o644)


@pytest.mark.parametrize(
    ("spoil", "cure"),
    [
        (lose, "from its backup"),
        (replace_with_another, "the key it was set up with"),
        (garble, "from its backup"),
        (open_to_others, "chmod 600"),
    ],
)
async def test_a_start_with_a_spoilt_key_file_is_refused_with_the_cure(
    settings: Settings, spoil: Callable[[Path], None], cure: str
) -> None:
    await start(settings)
    spoil(settings.database.parent / "master.key")
    with pytest.raises(WrongMasterKey, match=cure):
        await start(settings)


SECRET = "Zk8Q~aVerySecretValue.0123456789-abcdefg"


def keep_secret(tx: Transaction, key: Key) -> None:
    known = accounts.all_of_them(tx)
    account = known[0] if known else accounts.add(tx, "SELMA", now=FakeClock().now())
    credentials.replace_client_secret(tx, account.id, SECRET, expires_at=None, key=key, now=FakeClock().now())


def stored(tx: Transaction) -> Credential:
    found = credentials.active(tx, accounts.all_of_them(tx)[0].id)
    assert found is not None
    return found


async def replace_beside(settings: Settings) -> Path:
    """As the command does, in another process."""
    async with open_store(settings.database, alone=False) as store:
        return (await replace(store, settings, FakeClock())).old_key


def keep_all_kinds(tx: Transaction, key: Key) -> None:
    now, account = FakeClock().now(), accounts.add(tx, "SELMA", now=FakeClock().now())
    webhook = webhooks.add(
        tx,
        account.id,
        url="https://selma.example/",
        description=None,
        types=(),
        secret="first",
        after=0,
        key=key,
        now=now,
    )
    webhooks.rotate(tx, webhook, secret="second", old_until=now + timedelta(days=1), key=key)
    encryption_certificates.add(
        tx, account.id, id="c", certificate="MII", private_key="pem", not_after=now, key=key, now=now
    )


def test_whatever_seals_with_the_master_key_can_be_sealed_anew() -> None:
    files = [path for path in Path(storage.__path__[0]).glob("*.py") if ".seal(" in path.read_text(encoding="utf-8")]
    sealing = {importlib.import_module(f"storage.{path.stem}") for path in files if path.stem != "vault"}
    assert {module.reseal for module in sealing} == set(RESEALERS)


class TestReplacing:
    async def test_secrets_of_webhooks_and_private_keys_of_certificates_are_sealed_anew_too(
        self, settings: Settings
    ) -> None:
        async with open_store(settings.database) as store:
            await store.write(keep_all_kinds, await unlock(store, settings, FakeClock()))
            await replace_beside(settings)
            key, now = await unlock(store, settings, FakeClock()), FakeClock().now()
            [webhook] = await store.read(webhooks.at_work)
            [certificate] = await store.read(encryption_certificates.of_account, webhook.account_id)
            assert webhook.secrets(key, now) == ["second", "first"]
            assert certificate.open(key) == "pem"

    async def test_everything_is_sealed_anew_and_the_old_key_opens_nothing(self, settings: Settings) -> None:
        async with open_store(settings.database) as store:
            old = await unlock(store, settings, FakeClock())
            await store.write(keep_secret, old)
            kept = await replace_beside(settings)
            assert (await store.read(stored)).open(await unlock(store, settings, FakeClock())) == SECRET
            with pytest.raises(WrongMasterKey):
                (await store.read(stored)).open(old)
        assert MasterKey.from_text(kept.read_text()) == old
        files = [file for file in settings.database.parent.iterdir() if file.name.startswith("master.key")]
        assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}

    async def test_a_gateway_that_serves_meanwhile_opens_and_seals_with_the_new_key(self, settings: Settings) -> None:
        async with open_store(settings.database) as store:
            live = LiveKey(await unlock(store, settings, FakeClock()), settings)
            await store.write(keep_secret, live)
            await replace_beside(settings)
            assert (await store.read(stored)).open(live) == SECRET
            await replace_beside(settings)
            await store.write(keep_secret, live)
        assert await self._opens(settings)

    async def test_nothing_is_sealed_with_a_key_that_is_no_longer_the_one(self, settings: Settings) -> None:
        async with open_store(settings.database) as store:
            old = await unlock(store, settings, FakeClock())
            await replace_beside(settings)
            with pytest.raises(WrongMasterKey, match="Start the gateway again"):
                await store.write(keep_secret, old)

    async def test_a_crash_before_the_transaction_leaves_the_old_key(self, settings: Settings) -> None:
        await self._sealed(settings)
        (settings.database.parent / "master.key.next").write_text(MasterKey.new().to_text())
        (settings.database.parent / "master.key.next").chmod(0o600)
        assert await self._opens(settings)
        await replace_beside(settings)
        assert await self._opens(settings)

    async def test_a_crash_after_the_transaction_leaves_a_key_that_opens(self, settings: Settings) -> None:
        await self._sealed(settings)
        key_file, next_file = (settings.database.parent / name for name in ("master.key", "master.key.next"))
        kept = await replace_beside(settings)
        key_file.rename(next_file)
        kept.rename(key_file)
        async with open_store(settings.database) as store:
            live = LiveKey(MasterKey.from_text(key_file.read_text()), settings)
            assert (await store.read(stored)).open(live) == SECRET
        assert await self._opens(settings)
        assert not next_file.exists()

    async def test_a_key_from_the_environment_is_not_ours_to_replace(self, settings: Settings) -> None:
        given = Settings(database=settings.database, master_key=MasterKey.new())
        async with open_store(settings.database) as store:
            await unlock(store, given, FakeClock())
            with pytest.raises(KeyInEnvironment, match="take the variable away"):
                await replace(store, given, FakeClock())

    async def _sealed(self, settings: Settings) -> None:
        async with open_store(settings.database) as store:
            await store.write(keep_secret, await unlock(store, settings, FakeClock()))

    async def _opens(self, settings: Settings) -> bool:
        async with open_store(settings.database) as store:
            return (await store.read(stored)).open(await unlock(store, settings, FakeClock())) == SECRET
