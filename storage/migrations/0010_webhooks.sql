-- Where events are pushed to, and how each push went.

CREATE TABLE webhooks (
    id               TEXT    PRIMARY KEY,
    account_id       TEXT    NOT NULL REFERENCES accounts (id),
    url              TEXT    NOT NULL CHECK (url <> ''),
    description      TEXT,
    types            TEXT    NOT NULL CHECK (json_valid(types)), -- empty: all
    secret           BLOB    NOT NULL,
    old_secret       BLOB,
    old_secret_until INTEGER,
    state            TEXT    NOT NULL CHECK (state IN ('live', 'down', 'disabled', 'removed')),
    problem          TEXT,
    taken_up         INTEGER NOT NULL, -- events up to this one have their delivery, or need none
    failures         INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0), -- in a row, whatever was delivered
    next_probe_at    INTEGER, -- while it is down: one delivery at a time, and not before
    last_success_at  INTEGER,
    created_at       INTEGER NOT NULL,
    CHECK ((old_secret IS NULL) = (old_secret_until IS NULL)),
    CHECK ((state = 'down') = (next_probe_at IS NOT NULL)),
    CHECK (state NOT IN ('down', 'disabled') OR problem IS NOT NULL)
) STRICT;
CREATE INDEX webhooks_of_account ON webhooks (account_id, id);

-- One event for one webhook. Of one thread, the next is not tried before this one has come to its end.
CREATE TABLE deliveries (
    webhook_id      TEXT    NOT NULL REFERENCES webhooks (id),
    seq             INTEGER NOT NULL REFERENCES events (seq),
    account_id      TEXT    NOT NULL REFERENCES accounts (id),
    in_order_of     TEXT    NOT NULL, -- a thread's id; empty: the account's other events
    state           TEXT    NOT NULL CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    first_failed_at INTEGER,
    next_attempt_at INTEGER,
    lease_ends_at   INTEGER,
    attempted_at    INTEGER,
    status          INTEGER, -- of the last answer, if there was one
    took_ms         INTEGER,
    problem         TEXT,
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (webhook_id, seq),
    CHECK ((state = 'waiting') = (next_attempt_at IS NOT NULL)),
    CHECK (state <> 'failed' OR problem IS NOT NULL),
    CHECK (state = 'waiting' OR lease_ends_at IS NULL)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_waiting ON deliveries (webhook_id, in_order_of, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_due ON deliveries (webhook_id, next_attempt_at, seq) WHERE state = 'waiting';
CREATE INDEX deliveries_over ON deliveries (account_id, attempted_at) WHERE state <> 'waiting';
