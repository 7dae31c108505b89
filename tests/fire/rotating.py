"""Letters and replies flow while the credential is replaced, expires and is revoked: none fails, none is lost.

In one process and on one clock that is moved by hand. Secrets, certificates and federated assertions take turns; tokens
live for minutes, so that each credential is really asked. Between two rotations the old one ends or is deleted, or the
new one is deleted and the old one has to serve again, or a wrong one is tried.

    python -m tests.fire.rotating --letters 2000 --rotations 60
"""

import argparse
import asyncio
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import jwt
from cryptography.hazmat.primitives import serialization

from gateway.sandbox.directory import EXCHANGE
from gateway.sandbox.model import App
from gateway.sending.accept import accept
from gateway.sending.posted import NewLetter
from gateway.setup import certificates
from gateway.setup.rotation import AssertionFile, CredentialNotTaken, Rotation, Secret
from storage import Transaction, events
from storage.credentials import Credential, CredentialKind, CredentialState
from storage.messages import BodyType
from storage.threads import Address
from tests.fire.mailbag import Mailbag, judge, stored
from tests.fire.one_clock import Site, listening_for_cries, site

TOKENS_LIVE: Final = timedelta(minutes=12)
STEP: Final = timedelta(minutes=2)
STEPS_BETWEEN: Final = 7  # so that every token of before has ended
CALM_STEPS: Final = 15
REPLIES_PER_LETTER: Final = 0.5
SECRET_LIVES: Final = timedelta(days=90)
ISSUER, SUBJECT = "https://issuer.example", "system:serviceaccount:selma:gateway"
ACTIVE, STANDBY = CredentialState.ACTIVE, CredentialState.STANDBY
STATES: Final = "SELECT state, count(*) AS letters FROM outbox GROUP BY state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is asked for."""

    letters: int
    rotations: int
    seed: int
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What came of it."""

    plan: Plan
    sent: int
    replies: int
    befell: dict[str, int]
    fallbacks: int
    violations: Sequence[str]


@dataclass(slots=True, kw_only=True)
class Hand:
    """The admin's: in Entra, which is the sandbox's, and at the gateway."""

    here: Site
    chance: random.Random
    pair: certificates.KeyPair
    folder: Path
    files: list[Path] = field(default_factory=list)
    keys: dict[str, str] = field(default_factory=dict)
    befell: Counter[str] = field(default_factory=Counter)

    @property
    def app(self) -> App:
        return self.here.sandbox.world.directory.apps[self.here.school.client_id]

    @property
    def rotation(self) -> Rotation:
        return self.here.gateway.setup.rotation

    async def slot(self, state: CredentialState) -> Credential | None:
        found = await self.rotation.slots(self.here.account_id)
        return next((one for one in found if one.state is state), None)

    def trust_the_issuer(self) -> str:
        key = serialization.load_pem_private_key(self.pair.private_key_pem.encode(), None)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        added = self.here.sandbox.world.directory.add_federated(
            self.app, issuer=ISSUER, subject=SUBJECT, public_key_pem=public.decode()
        )
        return added.key_id

    def write_assertion(self) -> None:
        """As whoever issues them does, again and again."""
        now = int(self.here.clock.now().timestamp())
        claims = {"iss": ISSUER, "sub": SUBJECT, "aud": EXCHANGE, "nbf": now, "exp": now + 600}
        for file in self.files:
            file.write_text(jwt.encode(claims, self.pair.private_key_pem, algorithm="RS256"))

    async def rotate(self, kind: CredentialKind) -> None:
        """To a new one of this kind."""
        account, directory = self.here.account_id, self.here.sandbox.world.directory
        match kind:
            case CredentialKind.CLIENT_SECRET:
                ends = self.here.clock.now() + SECRET_LIVES
                value = self.here.sandbox.world.add_secret(self.app, ends)
                key_id = self.app.secrets[-1].key_id
                serving = await self.rotation.add(account, Secret(value=value, expires_at=ends))
            case CredentialKind.CERTIFICATE:
                made = await self.rotation.make_certificate(account)
                key_id = directory.add_certificate(self.app, made.public_part or "").key_id
                serving = await self.rotation.try_pending(account, made.id)
            case CredentialKind.FEDERATED:
                key_id = self.trust_the_issuer()
                self.files.append(self.folder / f"assertion-{len(self.files)}")
                self.write_assertion()
                serving = await self.rotation.add(account, AssertionFile(str(self.files[-1])))
        self.keys[serving.id] = key_id
        self.befell[f"rotated to a {kind.replace('_', ' ')}"] += 1

    async def try_a_wrong_one(self) -> None:
        """It must be refused and change nothing."""
        try:
            await self.rotation.add(self.here.account_id, Secret(value="wrong~value-0123456789"))
        except CredentialNotTaken:
            self.befell["wrong secret refused"] += 1

    async def end(self, state: CredentialState) -> None:
        """Let the one in this slot end in Entra, or delete it there, by lot."""
        one, directory = await self.slot(state), self.here.sandbox.world.directory
        if one is None or one.id not in self.keys:
            return
        ends = one.kind is not CredentialKind.FEDERATED and self.chance.random() < 0.5
        (directory.expire if ends else directory.revoke)(self.app, self.keys.pop(one.id))
        self.befell[f"{'new' if state is ACTIVE else 'old'} one {'expired' if ends else 'deleted'}"] += 1


def rotate_under_load(plan: Plan) -> Rotated:
    """Run it all."""
    with listening_for_cries() as cries:
        rotated = asyncio.run(_run(plan))
    return replace(rotated, violations=[*rotated.violations, *cries])


async def _run(plan: Plan) -> Rotated:
    chance = random.Random(plan.seed)
    async with site(plan.folder, seed=plan.seed) as here:
        here.sandbox.world.behaviour = replace(here.sandbox.world.behaviour, token_lifetime=TOKENS_LIVE)
        bag = Mailbag(site=here, chance=chance)
        hand = Hand(
            here=here,
            chance=chance,
            pair=certificates.make("issuer", here.clock.now()),
            folder=plan.folder,
        )
        first = await hand.slot(ACTIVE)
        assert first is not None
        hand.keys[first.id] = hand.app.secrets[0].key_id
        await here.gateway.connections.forget(here.account_id)  # its token lives for 30 days
        await bag.send_letters(0)  # the students are silent
        posted = 0
        for number in range(plan.rotations):
            until = round(plan.letters * (number + 1) / plan.rotations)
            kinds = list(CredentialKind)
            await _flow(hand, bag, until - posted)
            posted = until
            await hand.rotate(kinds[number % len(kinds)])
            await _flow(hand, bag, 0)
            await _misfortune(hand)
        for _ in range(CALM_STEPS):
            await _step(hand)
        return await _judged(plan, hand, bag)


async def _flow(hand: Hand, bag: Mailbag, letters: int) -> None:
    """So many letters, a few in each step, and replies to those that have left."""
    left = letters
    for number in range(STEPS_BETWEEN):
        now = left // (STEPS_BETWEEN - number)
        await _post(hand.here, now, hand.chance)
        left -= now
        await _step(hand)
        await bag.collect()
        for _ in range(now if bag.letters else 0):
            if hand.chance.random() < REPLIES_PER_LETTER:
                bag.reply()


async def _post(here: Site, letters: int, chance: random.Random) -> None:
    for _ in range(letters):
        letter = NewLetter(
            sender=chance.choice(here.school.mailboxes),
            to=(Address(name=None, address=chance.choice(here.school.students).address),),
            subject="Your enrolment",
            body_type=BodyType.HTML,
            body="<p>Kia ora</p>",
        )
        await here.gateway.store.write(accept, here.account_id, letter, idempotency_key=None, now=here.clock.now())


async def _step(hand: Hand) -> None:
    hand.write_assertion()
    await hand.here.step(STEP)
    await hand.here.gateway.expiry.run_due()
    await hand.here.gateway.connections.probe_due()


async def _misfortune(hand: Hand) -> None:
    """By lot: what served before ends; or what serves now, and the old one has to serve; or a wrong one is tried."""
    lot = hand.chance.random()
    if lot < 0.4:
        await hand.end(STANDBY)
    elif lot < 0.8:
        await hand.end(ACTIVE)
    else:
        await hand.try_a_wrong_one()


async def _judged(plan: Plan, hand: Hand, bag: Mailbag) -> Rotated:
    here = hand.here
    await bag.collect()
    states = {
        row["state"]: row["letters"] for row in await here.gateway.store.read(lambda tx: list(tx.execute(STATES)))
    }
    told = [one for one in await here.gateway.store.read(_events, here.account_id) if one.type == "credential.refused"]
    ledger = len([one for one in here.sandbox.world.ledger if one.subject == "Your enrolment"])
    stored_replies = await here.gateway.store.read(stored)
    return Rotated(
        plan=plan,
        sent=ledger,
        replies=len(bag.expected),
        befell=dict(hand.befell),
        fallbacks=sum(one.data["served_by"] is not None for one in told),
        violations=[
            *([] if states == {"sent": plan.letters} else [f"not every letter is sent: {states}"]),
            *([] if ledger == plan.letters else [f"{plan.letters} letters were posted and {ledger} have left"]),
            *(f"no credential served at {one.created_at}" for one in told if one.data["served_by"] is None),
            *judge(bag.expected, stored_replies),
        ],
    )


def _events(tx: Transaction, account_id: str) -> list[events.Event]:
    return events.after(tx, account_id, 0, limit=1_000_000)


def main() -> int:
    """1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.fire.rotating", description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--letters", type=int, default=2000)
    parser.add_argument("--rotations", type=int, default=60)
    parser.add_argument("--seed", type=int, default=None)
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    with tempfile.TemporaryDirectory(prefix="selma-gateway-fire-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        rotated = rotate_under_load(Plan(letters=given.letters, rotations=given.rotations, seed=seed, folder=home))
    sys.stdout.write(
        f"seed {seed}: {rotated.sent} letters left, {rotated.replies} replies, {rotated.fallbacks} fallbacks, "
        f"{len(rotated.violations)} violations\n"
    )
    for what, times in sorted(rotated.befell.items()):
        sys.stdout.write(f"  {what}: {times}\n")
    for violation in rotated.violations[:20]:
        sys.stdout.write(f"  ✗ {violation}\n")
    return 1 if rotated.violations else 0


if __name__ == "__main__":
    sys.exit(main())
