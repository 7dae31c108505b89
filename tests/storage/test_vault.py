"""Secrets at rest."""

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import storage
from storage import Transaction, accounts, credentials, vault
from storage.vault import MasterKey
from tests.fakes.clock import A_MONDAY

KEY, OTHER_KEY = MasterKey.new(), MasterKey.new()
SECRET = "Zk8Q~aVerySecretValue.0123456789-abcdefg"
SEALED = KEY.seal(SECRET, "credentials/acc_1/cred_1")


@given(secret=st.text(), context=st.text())
def test_what_was_sealed_opens_in_its_place(secret: str, context: str) -> None:
    assert KEY.open(KEY.seal(secret, context), context) == secret


def test_another_key_opens_nothing() -> None:
    with pytest.raises(storage.WrongMasterKey, match="GATEWAY_MASTER_KEY"):
        OTHER_KEY.open(SEALED, "credentials/acc_1/cred_1")


@pytest.mark.parametrize("place", ["credentials/acc_1/cred_2", "credentials/acc_2/cred_1", "vault", ""])
def test_a_ciphertext_that_was_moved_to_another_row_does_not_open(place: str) -> None:
    with pytest.raises(storage.WrongMasterKey):
        KEY.open(SEALED, place)


@given(bit=st.integers(min_value=0, max_value=len(SEALED) * 8 - 1))
def test_a_single_changed_bit_is_noticed_wherever_it_is(bit: int) -> None:
    changed = bytearray(SEALED)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(storage.WrongMasterKey):
        KEY.open(bytes(changed), "credentials/acc_1/cred_1")


@given(st.binary(max_size=100))
def test_rubbish_is_refused_like_a_wrong_key(rubbish: bytes) -> None:
    with pytest.raises(storage.WrongMasterKey):
        KEY.open(rubbish, "credentials/acc_1/cred_1")


@given(length=st.integers(min_value=0, max_value=len(SEALED) - 1))
def test_a_cut_ciphertext_is_refused(length: int) -> None:
    with pytest.raises(storage.WrongMasterKey):
        KEY.open(SEALED[:length], "credentials/acc_1/cred_1")


def test_the_same_secret_never_looks_the_same() -> None:
    assert len({KEY.seal(SECRET, "here") for _ in range(50)}) == 50


class TestKey:
    def test_its_text_form_comes_back(self) -> None:
        assert MasterKey.from_text(f" {KEY.to_text()}\n") == KEY

    @pytest.mark.parametrize(
        "text", ["", "short", base64.b64encode(bytes(31)).decode(), base64.b64encode(bytes(33)).decode(), "é" * 44]
    )
    def test_what_is_no_key_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"."):
            MasterKey.from_text(text)

    def test_it_does_not_show_itself(self) -> None:
        shown = repr(KEY) + str(KEY)
        assert KEY.to_text() not in shown
        assert repr(KEY.value) not in shown

    def test_what_is_derived_for_one_purpose_is_of_no_use_for_another(self) -> None:
        derived = {KEY.derive("sessions"), KEY.derive("links"), OTHER_KEY.derive("sessions"), KEY.value}
        assert len(derived) == 4
        assert KEY.derive("sessions") == KEY.derive("sessions")


class TestFile:
    async def test_the_first_key_binds_the_file_and_only_that_one_opens_it_again(self, path: Path) -> None:
        async with storage.open_store(path) as store:
            assert not await store.read(vault.is_sealed)
            await store.write(vault.unlock, KEY, now=A_MONDAY)
            assert await store.read(vault.is_sealed)
        async with storage.open_store(path) as store:
            await store.write(vault.unlock, KEY, now=A_MONDAY)
            with pytest.raises(storage.WrongMasterKey):
                await store.write(vault.unlock, OTHER_KEY, now=A_MONDAY)
            await store.write(vault.unlock, KEY, now=A_MONDAY)

    async def test_a_stored_secret_opens_with_the_key_it_was_stored_with(self, store: storage.Store) -> None:
        account = await store.write(accounts.add, "SELMA", now=A_MONDAY)
        await store.write(keep, account.id)
        credential = await store.read(credentials.active, account.id)
        assert credential is not None
        assert credential.open(KEY) == SECRET
        assert (credential.hint, SECRET in repr(credential)) == ("Zk8", False)
        with pytest.raises(storage.WrongMasterKey):
            credential.open(OTHER_KEY)

    async def test_a_ciphertext_copied_into_another_accounts_row_does_not_open(self, store: storage.Store) -> None:
        ids = [(await store.write(accounts.add, name, now=A_MONDAY)).id for name in ("North", "South")]
        for one in ids:
            await store.write(keep, one)
        await store.write(
            lambda tx: tx.execute(
                "UPDATE credentials SET ciphertext = (SELECT ciphertext FROM credentials WHERE account_id = :theirs)"
                " WHERE account_id = :ours",
                {"theirs": ids[0], "ours": ids[1]},
            )
        )
        stolen = await store.read(credentials.active, ids[1])
        assert stolen is not None
        with pytest.raises(storage.WrongMasterKey):
            stolen.open(KEY)

    async def test_neither_secret_nor_key_is_in_any_file_in_any_disguise(self, path: Path) -> None:
        async with storage.open_store(path) as store:
            await store.write(vault.unlock, KEY, now=A_MONDAY)
            account = await store.write(accounts.add, "SELMA", now=A_MONDAY)
            await store.write(keep, account.id)
            while_open = everything_in(path.parent)
        on_disk = while_open + everything_in(path.parent)
        assert b"SELMA" in on_disk
        for hidden in (SECRET.encode(), KEY.value):
            assert [name for name, form in disguises(hidden).items() if form in on_disk] == []


def keep(tx: Transaction, account_id: str) -> None:
    credentials.replace_client_secret(tx, account_id, SECRET, expires_at=None, key=KEY, now=A_MONDAY)


def everything_in(folder: Path) -> bytes:
    return b"".join(one.read_bytes() for one in folder.iterdir() if one.is_file())


def disguises(secret: bytes) -> dict[str, bytes]:
    """The secret without its first three characters, which are stored as a hint, in the forms it may leak in."""
    hidden = secret[3:]
    utf_16 = hidden.decode("latin-1").encode("utf-16-le")
    aligned = {f"base64 at {n}": base64.b64encode(secret[n : n + 24])[:28] for n in (0, 1, 2)}
    return {
        "raw": hidden,
        "hex": hidden.hex().encode(),
        "HEX": hidden.hex().upper().encode(),
        "utf-16": utf_16,
    } | aligned
