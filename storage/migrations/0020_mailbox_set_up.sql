-- Other addresses of mailboxes, found when they were entered: a letter posted from one is told which to use.
CREATE TABLE mailbox_aliases (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    address    TEXT    NOT NULL COLLATE NOCASE CHECK (address <> ''),
    mailbox_id TEXT    NOT NULL REFERENCES mailboxes (id),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, address)
) STRICT, WITHOUT ROWID;
CREATE INDEX mailbox_aliases_of_mailbox ON mailbox_aliases (mailbox_id, address);

-- Many mailboxes validated at once: what is left to do are the items without an outcome.
CREATE TABLE validations (
    id         TEXT    PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX validations_newest ON validations (account_id, created_at, id);

CREATE TABLE validation_items (
    validation_id TEXT    NOT NULL REFERENCES validations (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL CHECK (position >= 0),
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    address       TEXT    NOT NULL COLLATE NOCASE CHECK (address <> ''),
    mailbox_id    TEXT    REFERENCES mailboxes (id),
    outcome       TEXT    CHECK (outcome IN ('validated', 'refused', 'undecided', 'removed')),
    checks        TEXT    CHECK (checks IS NULL OR json_valid(checks)),
    done_at       INTEGER,
    PRIMARY KEY (validation_id, position),
    CHECK ((outcome IS NULL) = (done_at IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX validation_items_to_do ON validation_items (validation_id, position) WHERE outcome IS NULL;
