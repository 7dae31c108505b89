"""A school of any size in a file of its own, made without the API: students, their threads, letters and replies.

    .venv/bin/python -m tests.bench.corpus FILE [--messages 1000000]

Five messages to a thread and four threads to a student, over five years; one thread in a hundred has thirty. Words are
as frequent as in English (Zipf's law), names and addresses are the students'. A letter says about 1,100 characters in
HTML; a reply says about 300, with the style sheet that Outlook puts before them, and quotes what it answers. Rows are
those that the gateway would have written, index included: the triggers that write it bit by bit are lifted while
everything is put in at once, and set again.
"""

import argparse
import contextlib
import itertools
import random
import sqlite3
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from storage import Transaction, accounts, api_keys, mailboxes
from storage.api_keys import Scope
from storage.migrate import bring_up_to_date
from storage.search_index import PER_SECOND
from storage.threads import ObjectType
from storage.transaction import microseconds
from tests.bench.load import message_id as graph_id

SEED: Final = 20_26
BEGAN: Final = datetime(2021, 3, 1, tzinfo=UTC)
YEARS: Final = timedelta(days=5 * 365)
SIZES: Final = (2, 3, 4, 5, 6, 8, 5, 5)
LONG: Final = 30
WORDS, SENTENCES = 60_000, 20_000
COMMON: Final = ("the", "to", "and", "of", "your", "for", "you", "course", "is", "we")
MAILBOX: Final = "office@school.example"
AT_ONCE: Final = 10_000
LIFTED_BY: Final = 7  # levels: pieces of four times as many commits each
SAID: Final = ("subject", "body", "from_name", "from_address", "recipients")
INSERTS: Final = {
    "threads": "id, account_id, mailbox_id, subject, message_count, last_message_at, last_direction, preview,"
    " created_at",
    "thread_objects": "account_id, type, object_id, thread_id, last_message_at",
    "participants": "thread_id, address, account_id, name",
    "conversations": "mailbox_id, conversation_id, account_id, thread_id, created_at",
    "messages": "id, account_id, mailbox_id, thread_id, direction, kind, placement, graph_id, conversation_id,"
    " internet_message_id, subject, from_name, from_address, recipients, body_type, body, new_text, preview,"
    " attachments, evidence, created_by, message_at, created_at, search_id",
    "searched": "id, account_id, message_id, text",
    "outbox": "message_id, account_id, mailbox_id, send_uid, importance, metadata, state, state_since, submits,"
    " submitted_at, sent_at, created_at",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """What was made, for whoever asks questions of it.

    `text_bytes`: subjects, bodies, names and addresses as they came; `least_bytes`: those, the search index, and the
    plain text that it needs of letters, without so much as a row around them. `long_threads` have thirty messages each.
    """

    path: str
    key: str
    messages: int
    threads: int
    students: Sequence[str]
    long_threads: Sequence[str]
    middling_words: Sequence[str]
    rare_words: Sequence[str]
    text_bytes: int
    least_bytes: int
    file_bytes: int
    seconds: float


# The bare bones of what Outlook for Windows sends.
OUTLOOK: Final = """<html><head><meta http-equiv="Content-Type" content="text/html; charset=utf-8">\
<meta name="Generator" content="Microsoft Word 15 (filtered medium)"><style><!--
@font-face {{font-family:"Cambria Math"; panose-1:2 4 5 3 5 4 6 3 2 4;}}
@font-face {{font-family:Calibri; panose-1:2 15 5 2 2 2 4 3 2 4;}}
@font-face {{font-family:Aptos;}}
p.MsoNormal, li.MsoNormal, div.MsoNormal {{margin:0cm; font-size:11.0pt; font-family:"Calibri",sans-serif;}}
a:link, span.MsoHyperlink {{mso-style-priority:99; color:blue; text-decoration:underline;}}
span.EmailStyle17 {{mso-style-type:personal-reply; font-family:"Calibri",sans-serif; color:windowtext;}}
.MsoChpDefault {{mso-style-type:export-only;}}
@page WordSection1 {{size:612.0pt 792.0pt; margin:72.0pt 72.0pt 72.0pt 72.0pt;}}
div.WordSection1 {{page:WordSection1;}}
--></style></head><body lang="EN-NZ" link="blue" vlink="purple"><div class="WordSection1">{new}\
<div style="border:none; border-top:solid #E1E1E1 1.0pt; padding:3.0pt 0cm 0cm 0cm"><p class="MsoNormal"><b>From:</b>\
 {sender}<br></p></div>{quoted}</div></body></html>"""


class Language:
    """Words with the frequencies of a language, and sentences of them."""

    def __init__(self, chance: random.Random) -> None:
        syllables = [a + b for a in "bdfghklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "er", "ol")]
        made = itertools.product(syllables, syllables, syllables)
        spread = list(itertools.islice(made, 0, WORDS * 20, 20))
        chance.shuffle(spread)
        self.words = [*COMMON, *("".join(one) for one in spread)]
        weights = [1 / (rank + 2.7) for rank in range(len(self.words))]
        drawn = chance.choices(self.words, weights, k=SENTENCES * 12)
        self.sentences = [" ".join(drawn[n : n + 12]).capitalize() + "." for n in range(0, len(drawn), 12)]
        self.names = ["".join(chance.choice(syllables) for _ in range(2)).capitalize() for _ in range(4000)]


def make(path: Path, *, messages: int) -> Corpus:
    """A new file with about that many messages. The same number gives the same school, but for the key."""
    began = time.perf_counter()
    chance = random.Random(SEED)
    language = Language(chance)
    with contextlib.closing(sqlite3.connect(path, factory=Transaction, isolation_level=None)) as tx:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "temp_store = MEMORY"):
            tx.execute(f"PRAGMA {pragma}")
        bring_up_to_date(tx)
        account = accounts.add(tx, "SELMA", now=BEGAN)
        mailbox = mailboxes.add(tx, account.id, MAILBOX, now=BEGAN)
        mailboxes.mark_validated(tx, mailbox.id, user_id="user-1", display_name="Office", now=BEGAN)
        key = api_keys.new_value()
        api_keys.create(tx, account.id, name="bench", scopes=frozenset(Scope), value=key, now=BEGAN)
        school = _School(account.id, mailbox.id, language, chance)
        with _without(tx, "trigger"), _without(tx, "index"):
            _fill(tx, school.threads(max(1, messages // 5)))
        # The index is made anew, with more memory than a gateway would take for it.
        tx.execute("INSERT INTO search (search, rank) VALUES ('hashsize', ?)", (256 * 1024 * 1024,))
        tx.execute("INSERT INTO search (search) VALUES ('rebuild')")
        tx.execute("INSERT INTO search (search, rank) VALUES ('hashsize', ?)", (1024 * 1024,))
        _lift(tx)
        tx.execute("ANALYZE")
        said = " + ".join(f"length(CAST({column} AS BLOB))" for column in SAID)
        [text_bytes] = tx.execute(f"SELECT sum({said}) FROM messages").fetchone()
        [index_bytes] = tx.execute("SELECT sum(length(block)) FROM search_data").fetchone()
        [plain_bytes] = tx.execute("SELECT sum(length(CAST(text AS BLOB))) FROM searched").fetchone()
        tx.execute("PRAGMA journal_mode = WAL")
    return Corpus(
        path=str(path),
        key=key,
        messages=school.messages,
        threads=school.made,
        students=school.students[:: max(1, len(school.students) // 500)],
        long_threads=school.long[:: max(1, len(school.long) // 200)],
        middling_words=language.words[200:700],
        rare_words=language.words[20_000:21_000],
        text_bytes=text_bytes,
        least_bytes=text_bytes + index_bytes + plain_bytes,
        file_bytes=path.stat().st_size,
        seconds=time.perf_counter() - began,
    )


class _School:
    """Makes the rows, a thread at a time; newer threads have newer messages."""

    def __init__(self, account_id: str, mailbox_id: str, language: Language, chance: random.Random) -> None:
        self._account_id = account_id
        self._mailbox_id = mailbox_id
        self._language = language
        self._chance = chance
        self._numbers: dict[int, int] = {}
        self.messages = 0
        self.made = 0
        self.students: list[str] = []
        self.long: list[str] = []

    def threads(self, count: int) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
        """All rows, by table."""
        students = max(1, count // 4)
        self.students = [f"S{1000 + number}" for number in range(students)]
        names = self._language.names
        for number in range(count):
            student = self._chance.randrange(students)
            first, last = names[student % len(names)], names[(student * 7 + student // len(names)) % len(names)]
            person = (f"{first} {last}", f"{first}.{last}{student}@student.example".lower(), self.students[student])
            size = LONG if number % 100 == 7 else self._chance.choice(SIZES)
            yield self._thread(number, BEGAN + YEARS * (number / count), size, person)

    def _thread(
        self, number: int, began: datetime, size: int, person: tuple[str, str, str]
    ) -> dict[str, list[tuple[Any, ...]]]:
        say, account_id, mailbox_id = self._chance.choices, self._account_id, self._mailbox_id
        thread_id = _id("thr", began, number)
        conversation_id = f"AAQkAGI1AAAoZCfHAABm{number:040x}AAAA="
        subject = " ".join(say(self._language.sentences)[0].split()[:5])
        rows: dict[str, list[tuple[Any, ...]]] = {table: [] for table in INSERTS}
        at, quoted = began, ""
        ours, theirs = ("Office", MAILBOX), (person[0], person[1])
        for position in range(size):
            outgoing = position % 2 == 0
            at += timedelta(seconds=self._chance.randrange(3600, 200_000)) if position else timedelta()
            said = say(self._language.sentences, k=13 if outgoing else 3)
            plain = "\n\n".join([f"Kia ora {person[0]},", *said, "Ngā mihi"])
            html = "".join(f"<p>{one}</p>\n" for one in plain.split("\n\n"))
            body = html if outgoing else OUTLOOK.format(new=html, sender=MAILBOX, quoted=quoted)
            stamp, message_id = microseconds(at), _id("msg", at, self.messages)
            search_id = self._free(int(at.timestamp()) * PER_SECOND)
            sender, to = (ours, theirs) if outgoing else (theirs, ours)
            people = {"to": [{"name": to[0], "address": to[1]}], "cc": [], "bcc": [], "reply_to": []}
            rows["messages"].append(
                (
                    *(message_id, account_id, mailbox_id, thread_id, "out" if outgoing else "in", "mail", "placed"),
                    graph_id(search_id).decode(),  # both grow with time
                    *(conversation_id, f"<{self._chance.getrandbits(128):032x}@school.example>"),
                    subject if outgoing else f"Re: {subject}",
                    *(*sender, orjson.dumps(people).decode(), "html", body, None if outgoing else plain, plain[:200]),
                    *("[]", None, "Jane Doe" if outgoing else None, stamp, stamp, search_id),
                )
            )
            rows["searched"].append((search_id, account_id, message_id, plain if outgoing else None))
            if outgoing:
                rows["outbox"].append(
                    (
                        *(message_id, account_id, mailbox_id, message_id, "normal", "{}"),
                        *("sent", stamp, 1, stamp, stamp, stamp),
                    )
                )
            quoted, self.messages = html, self.messages + 1
        direction = "out" if size % 2 else "in"
        rows["threads"].append(
            (thread_id, account_id, mailbox_id, subject, size, microseconds(at), direction, plain[:200], stamp)
        )
        rows["thread_objects"] += [
            (account_id, ObjectType.STUDENT, person[2], thread_id, microseconds(at)),
            (account_id, ObjectType.INTAKE, f"I{number % 200}", thread_id, microseconds(at)),
        ]
        rows["participants"].append((thread_id, person[1], account_id, person[0]))
        rows["conversations"].append((mailbox_id, conversation_id, account_id, thread_id, microseconds(began)))
        if size == LONG:
            self.long.append(thread_id)
        self.made += 1
        return rows

    def _free(self, number: int) -> int:
        taken = self._numbers.get(number, 0)
        self._numbers[number] = taken + 1
        return number + taken


def _id(kind: str, at: datetime, number: int) -> str:
    return f"{kind}_{int(at.timestamp() * 1000):012x}{number * 0x9E3779B97F4A7C15 % 2**64:016x}"


@contextlib.contextmanager
def _without(tx: Transaction, kind: str) -> Iterator[None]:
    """Take away what makes single rows slow, and make it anew for all of them."""
    found = tx.execute("SELECT name, sql FROM sqlite_master WHERE type = ? AND sql IS NOT NULL", (kind,)).fetchall()
    for row in found:
        tx.execute(f"DROP {kind} {row['name']}")
    yield
    for row in found:
        tx.execute(row["sql"])


def _fill(tx: Transaction, made: Iterator[dict[str, list[tuple[Any, ...]]]]) -> None:
    statements = {
        table: f"INSERT INTO {table} ({columns}) VALUES ({', '.join('?' for _ in columns.split(','))})"
        for table, columns in INSERTS.items()
    }
    tx.execute("BEGIN")
    while some := list(itertools.islice(made, AT_ONCE)):
        for table, statement in statements.items():
            tx.executemany(statement, itertools.chain.from_iterable(rows[table] for rows in some))
    tx.execute("COMMIT")


def _lift(tx: Transaction) -> None:
    """Put what 'rebuild' wrote on a high level of the index, where one that has grown by commits has its large pieces.

    On the lowest, where each commit adds a piece, all of it would be merged again with the next few. The record is
    described at the head of SQLite's ext/fts5/fts5_index.c: a cookie of four bytes, then varints: how many levels, how
    many pieces, a counter; and of each level how many pieces are being merged, how many there are, and which.
    """
    [block] = tx.execute("SELECT block FROM search_data WHERE id = 10").fetchone()
    levels, counter = block[4], 6
    while block[counter] & 0x80:
        counter += 1
    lifted = (
        block[:4] + bytes([levels + LIFTED_BY]) + block[5 : counter + 1] + bytes(2 * LIFTED_BY) + block[counter + 1 :]
    )
    tx.execute("UPDATE search_data SET block = ? WHERE id = 10", (lifted,))


def main() -> None:
    """Make one, and say what is in it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.corpus", description="A school of any size.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--messages", type=int, default=1_000_000)
    given = parser.parse_args()
    given.file.unlink(missing_ok=True)
    found = make(given.file, messages=given.messages)
    given.file.with_suffix(".json").write_bytes(orjson.dumps(found))
    print(
        f"{found.messages:,} messages in {found.threads:,} threads in {found.seconds:.0f} s; "
        f"{found.file_bytes / found.messages:,.0f} bytes each, {found.file_bytes / found.text_bytes:.2f} of the text"
    )


if __name__ == "__main__":
    main()
