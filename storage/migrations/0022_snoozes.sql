-- A warning of the countdown that somebody has put off, until the next step at the latest.
CREATE TABLE snoozes (
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    credential_id TEXT    NOT NULL REFERENCES credentials (id),
    expires_at    INTEGER NOT NULL,
    until         INTEGER NOT NULL,
    reason        TEXT    NOT NULL CHECK (reason <> ''),
    snoozed_by    TEXT    NOT NULL CHECK (snoozed_by <> ''),
    created_at    INTEGER NOT NULL,
    PRIMARY KEY (account_id)
) STRICT;
