-- Who answers letters by machine, and what went to whom within the last hour. An address is its SHA-256, in lower case.

CREATE TABLE answerers (
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    recipient   BLOB    NOT NULL CHECK (length(recipient) = 32),
    in_a_row    INTEGER NOT NULL CHECK (in_a_row > 0), -- automatic answers since the last that a person wrote
    answered_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, recipient)
) STRICT, WITHOUT ROWID;

CREATE TABLE departures (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    recipient  BLOB    NOT NULL CHECK (length(recipient) = 32),
    message_id TEXT    NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    left_at    INTEGER NOT NULL,
    PRIMARY KEY (account_id, recipient, message_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX departures_left ON departures (account_id, left_at);
CREATE INDEX departures_of_message ON departures (message_id);
