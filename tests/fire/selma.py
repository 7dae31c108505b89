"""SELMA as it should be: posts each letter under a key of its own until it is answered, and sometimes once more."""

import random
import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Final, Self

import httpx

from tests.end_to_end.processes import Microsoft, a_letter

POSTING_AT_ONCE: Final = 6
TRY_AGAIN_S: Final = 0.05
PATIENCE_S: Final = 30
DOUBTED: Final = 0.05  # the share of answered letters that are posted once more
NO_ANSWER: Final = "no answer"


class Selma:
    """A client with several connections. `promised` is the id that each key was answered with."""

    def __init__(self, url: str, key: str, microsoft: Microsoft, *, seed: int) -> None:
        headers = {"authorization": f"Bearer {key}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_S, trust_env=False)
        self._microsoft = microsoft
        self._seed = seed
        self._pool = ThreadPoolExecutor(POSTING_AT_ONCE, thread_name_prefix="selma")
        self._posts: list[Future[None]] = []
        self._giving_up = threading.Event()
        self.promised: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.complaints: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._giving_up.set()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def post(self, number: int) -> None:
        """Bring this letter to an answer, meanwhile."""
        self._posts.append(self._pool.submit(self._insist, number))

    def finish(self) -> None:
        """Wait until every letter has its answer, but not for ever. Raises what went wrong in posting."""
        for post in wait(self._posts, timeout=PATIENCE_S).done:
            post.result()

    def _insist(self, number: int) -> None:
        said = self._until_answered(number)
        if said is None:
            return
        self.promised[key_of(number)] = said["id"]
        if random.Random(f"{self._seed}/doubt/{number}").random() >= DOUBTED:
            return
        again = self._until_answered(number)
        if again is not None and again != said:
            self.complaints.append(f"letter {number} was answered with {said['id']}, then with {again['id']}")

    def _until_answered(self, number: int) -> dict[str, str] | None:
        while not self._giving_up.is_set():
            answer = self._once(number)
            self.answers[NO_ANSWER if answer is None else str(answer.status_code)] += 1
            if answer is not None and answer.status_code == httpx.codes.ACCEPTED:
                said: dict[str, str] = answer.json()
                return said
            if answer is not None and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                self.complaints.append(f"letter {number} was answered with {answer.status_code}: {answer.text}")
                return None
            self._giving_up.wait(TRY_AGAIN_S)
        return None

    def _once(self, number: int) -> httpx.Response | None:
        letter, headers = a_letter(number, self._microsoft), {"idempotency-key": key_of(number)}
        try:
            return self._client.post("/v1/messages", json=letter, headers=headers)
        except httpx.TransportError:
            return None


def key_of(number: int) -> str:
    """The Idempotency-Key of a letter."""
    return f"letter-{number}"
