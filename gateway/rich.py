"""Rich notifications opened: tokens checked by Entra's keys, content decrypted, both off the event loop.

Joins `subscriptions`, which judges and decrypts, to `gateway.graph`, which has the keys.
"""

import asyncio
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, TypeVar

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from gateway.graph import Clock, Cloud, SigningKeys, SigningKeysUnavailable, endpoints_for
from gateway.graph.endpoints import CLOUDS
from subscriptions.rich import EncryptedContent, NotOpened, opened
from subscriptions.validation_tokens import App, Issuers, TokensRefused, proven, tokens_from_graph

T = TypeVar("T")

# https://learn.microsoft.com/answers/questions/1190472/what-are-the-token-issuers-for-the-sovereign-cloud
ISSUERS_V1: Final[Mapping[Cloud, str]] = MappingProxyType(
    {
        Cloud.GLOBAL: "https://sts.windows.net",
        Cloud.GCC_HIGH: "https://sts.windows.net",
        Cloud.DOD: "https://sts.windows.net",
        Cloud.CHINA: "https://sts.chinacloudapi.cn",
    }
)


def issuers_of(cloud: Cloud) -> Issuers:
    """Who signs the tokens of a cloud, also when another server stands in for its login."""
    return Issuers(v1=ISSUERS_V1[cloud], v2=CLOUDS[cloud].login_url)


class KeySource(Protocol):
    """Where the keys of Entra are had."""

    async def keys(self, key_ids: Collection[str]) -> Mapping[str, rsa.RSAPublicKey]:
        """Raises `SigningKeysUnavailable`."""
        ...


class Openers:
    """An opener for each cloud. `login_url` is of another server that stands in for all of Entra; `http` is the
    caller's to close.
    """

    def __init__(self, http: httpx.AsyncClient, *, login_url: str | None, clock: Clock) -> None:
        self._http = http
        self._login_url = login_url
        self._clock = clock
        self._made: dict[Cloud, Opener] = {}

    def of(self, cloud: Cloud) -> "Opener":
        """Made at first use, and with it the memory of its keys."""
        if cloud not in self._made:
            origin = endpoints_for(cloud, login_url=self._login_url).login_url
            keys = SigningKeys(self._http, origin, clock=self._clock)
            self._made[cloud] = Opener(keys, issuers_of(cloud), clock=self._clock)
        return self._made[cloud]


class Opener:
    """Opens what Graph encrypted, for those of our apps that Graph proves to speak for. It computes in `at_once`
    threads; by default as `threads` says.
    """

    def __init__(self, signing_keys: KeySource, issuers: Issuers, *, clock: Clock, at_once: int | None = None) -> None:
        self._signing_keys = signing_keys
        self._issuers = issuers
        self._clock = clock
        self._turns = asyncio.Semaphore(at_once or threads(processors()))

    async def proven(self, validation_tokens: object, apps: Collection[App]) -> frozenset[App]:
        """For which of `apps` a request speaks. Raises `TokensRefused`, also when the keys are not to be had."""
        tokens = tokens_from_graph(validation_tokens)
        try:
            keys = await self._signing_keys.keys({token.key_id for token in tokens})
        except SigningKeysUnavailable as error:
            raise TokensRefused(str(error)) from error
        now = self._clock.now()
        return await self._in_turn(lambda: proven(tokens, keys, apps=apps, issuers=self._issuers, now=now))

    async def opened(
        self, contents: Sequence[object], private_keys: Mapping[str, rsa.RSAPrivateKey]
    ) -> list[dict[str, object] | NotOpened]:
        """The properties of each `encryptedContent`, or why it was not opened: one bad one spoils no other."""
        return await self._in_turn(lambda: [_opened(content, private_keys) for content in contents])

    async def _in_turn(self, compute: Callable[[], T]) -> T:
        """In a thread, as soon as there is a processor for it."""
        async with self._turns:
            return await asyncio.to_thread(compute)


def processors() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads(processors: int) -> int:
    """How many compute at once. One processor is left to the event loop: where all of them are taken by threads that
    compute without a pause, it waits for its turn for many milliseconds, and with it whoever asks for anything.
    """
    return max(1, processors - 1)


def _opened(content: object, private_keys: Mapping[str, rsa.RSAPrivateKey]) -> dict[str, object] | NotOpened:
    try:
        return opened(EncryptedContent.from_graph(content), private_keys)
    except NotOpened as error:
        return error
