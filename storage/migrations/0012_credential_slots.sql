-- An account proves itself by one credential and has a second beside it: the one before, or the one after.
-- A retired one keeps its dates and loses its ciphertext.
CREATE TABLE credentials_next (
    id           TEXT    PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    kind         TEXT    NOT NULL CHECK (kind IN ('client_secret', 'certificate', 'federated')),
    ciphertext   BLOB    NOT NULL,
    hint         TEXT    NOT NULL CHECK (length(hint) <= 3),
    public_part  TEXT,   -- the certificate, PEM; the path of the assertion
    expires_at   INTEGER,
    state        TEXT    NOT NULL CHECK (state IN ('pending', 'active', 'standby', 'retired')),
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    refused_at   INTEGER,
    problem      TEXT    CHECK (problem IS NULL OR json_valid(problem)),
    CHECK ((kind = 'client_secret') = (public_part IS NULL)),
    CHECK ((state = 'retired') = (length(ciphertext) = 0)),
    CHECK (problem IS NULL OR refused_at IS NOT NULL)
) STRICT;
INSERT INTO credentials_next (id, account_id, kind, ciphertext, hint, expires_at, state, created_at)
SELECT id, account_id, kind, iif(state = 'retired', x'', ciphertext), hint, expires_at, state, created_at
  FROM credentials;

CREATE TABLE credential_warnings_next (
    credential_id TEXT    NOT NULL REFERENCES credentials_next (id),
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    days_left     INTEGER NOT NULL CHECK (days_left >= 0),
    warned_at     INTEGER NOT NULL,
    PRIMARY KEY (credential_id, days_left)
) STRICT, WITHOUT ROWID;
INSERT INTO credential_warnings_next SELECT credential_id, account_id, days_left, warned_at FROM credential_warnings;

DROP TABLE credential_warnings;
DROP TABLE credentials;
ALTER TABLE credentials_next RENAME TO credentials;
ALTER TABLE credential_warnings_next RENAME TO credential_warnings;
CREATE UNIQUE INDEX credentials_one_per_slot ON credentials (account_id, state) WHERE state <> 'retired';
CREATE INDEX credentials_of_account ON credentials (account_id, created_at);
