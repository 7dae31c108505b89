-- Sessions that were signed out of before their time. A session is a signed cookie: without this, a copy of it would
-- go on being good.
CREATE TABLE ended_sessions (
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    session_hash BLOB    NOT NULL CHECK (length(session_hash) = 32),
    ends_at      INTEGER NOT NULL,
    PRIMARY KEY (session_hash)
) STRICT, WITHOUT ROWID;
CREATE INDEX ended_sessions_by_end ON ended_sessions (account_id, ends_at);
