"""The canaries: a word of its own for each field that holds what people wrote, who they are, or a secret."""

import random
from dataclasses import dataclass, field
from typing import Any, Final

from tests.fire.leaks import SHORTEST

# What only letters of the ASCII alphabet may stand in; everything else gets a letter that has to be escaped.
ASCII: Final = frozenset(
    {
        "to address",
        "cc address",
        "bcc address",
        "stranger's address",
        "unknown mailbox",
        "added mailbox",
        "bad address",
        "header value",
        "idempotency key",
        "object id",
        "wrong API key",
        "wrong client secret",
        "webhook path",
        "client state",
        "request id",
        "path",
        "graph's sentence",
        "raw request",
        "traceparent",
        "resource",
    }
)
SECRET: Final = frozenset({"wrong API key", "wrong client secret", "client state"})


@dataclass(slots=True)
class Cage:
    """`words` by what they stand for. `secrets` are those that may not even come back to whoever sent them."""

    chance: random.Random
    words: dict[str, str] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    def word(self, name: str) -> str:
        """The canary of a field: always the same one."""
        if name not in self.words:
            tail = "" if name in ASCII else "ā" + self._letters(4)
            self.words[name] = f"kea{self._letters(16)}{tail}"
            if name in SECRET:
                self.secrets.add(name)
        return self.words[name]

    def secret(self, name: str, value: str) -> str:
        """A secret that was given to us is watched, too."""
        if len(value) < SHORTEST:
            raise ValueError(f"{name} is too short to be looked for")
        self.words[name] = value
        self.secrets.add(name)
        return value

    def needles(self) -> dict[str, str]:
        """What is looked for: each word, and of those with a letter that is escaped the part before it alone."""
        parts = {f"{name}, in part": word.partition("ā")[0] for name, word in self.words.items() if "ā" in word}
        return {**self.words, **parts}

    def _letters(self, count: int) -> str:
        return "".join(self.chance.choices("abcdefghjkmnpqrstuvwxyz23456789", k=count))


def a_letter(cage: Cage, sender: str, student: str, file_id: str | None = None) -> dict[str, Any]:
    """With a canary in each field."""
    word = cage.word
    people = {
        "to": [
            {"name": word("to name"), "address": student},
            {"name": word("to name"), "address": f"{word('to address')}@student.example"},
        ],
        "cc": [{"name": word("cc name"), "address": f"{word('cc address')}@student.example"}],
        "bcc": [{"name": word("bcc name"), "address": f"{word('bcc address')}@student.example"}],
        "reply_to": [{"name": word("reply_to name"), "address": sender}],
    }
    inside = {"name": f"{word('attachment name')}.txt", "content_type": "text/plain", "content": "S8SBcsSBcmVhCg=="}
    return people | {
        "from": sender,
        "subject": word("subject"),
        "html": f"<p>{word('body')}</p>",
        "attachments": [inside, *([] if file_id is None else [{"file": file_id}])],
        "headers": [{"name": "X-School", "value": word("header value")}],
        "objects": [{"type": "student", "id": word("object id")}],
        "created_by": word("staff"),
        "metadata": {word("metadata name"): word("metadata value")},
    }
