-- What was erased, so that it does not come back; what each erasure removed; and how long what is kept.

-- `hash` is keyed (see storage/tombstones.py): of a conversation, a mail, or a Message-ID that is to stay away.
CREATE TABLE tombstones (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    hash       BLOB    NOT NULL CHECK (length(hash) = 32),
    erased_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, hash)
) STRICT, WITHOUT ROWID;
CREATE TABLE tombstone_keys (
    account_id TEXT PRIMARY KEY REFERENCES accounts (id) NOT NULL,
    key        BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

-- Receipts: ids, counts and times, nothing of the mail. `proof` is what the search of the file found.
CREATE TABLE erasures (
    id         TEXT    PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    what       TEXT    NOT NULL CHECK (what IN ('objects', 'address', 'retention')),
    objects    TEXT    NOT NULL CHECK (json_valid(objects)),
    reason     TEXT    NOT NULL CHECK (reason <> ''),
    done_by    TEXT,
    removed    TEXT    NOT NULL CHECK (json_valid(removed)),
    proof      TEXT    CHECK (proof IS NULL OR json_valid(proof)),
    created_at INTEGER NOT NULL,
    purged_at  INTEGER,
    CHECK (proof IS NULL OR purged_at IS NOT NULL)
) STRICT;
CREATE INDEX erasures_newest ON erasures (account_id, id);
CREATE INDEX erasures_not_purged ON erasures (id) WHERE purged_at IS NULL;

-- Days after the last message of a thread; `audit` is the log itself. Of a thread's records the longest rule counts.
CREATE TABLE retention_rules (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    what       TEXT    NOT NULL CHECK (what IN ('threads', 'audit', 'student', 'enrolment', 'intake', 'class',
                                                'contact', 'organisation', 'user')),
    days       INTEGER NOT NULL CHECK (days BETWEEN 1 AND 36500),
    PRIMARY KEY (account_id, what)
) STRICT, WITHOUT ROWID;
