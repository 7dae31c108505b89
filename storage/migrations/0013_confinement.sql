-- That the app is kept out of other mailboxes: one of them, which must be refused, and what trying it showed.
CREATE TABLE confinements (
    account_id TEXT    PRIMARY KEY REFERENCES accounts (id),
    address    TEXT    NOT NULL COLLATE NOCASE CHECK (address <> ''),
    state      TEXT    NOT NULL CHECK (state IN ('unknown', 'refused', 'readable')),
    state_since INTEGER NOT NULL,
    proved_at  INTEGER,
    checked_at INTEGER,
    detail     TEXT    NOT NULL,
    CHECK (state <> 'refused' OR proved_at IS NOT NULL)
) STRICT, WITHOUT ROWID;
