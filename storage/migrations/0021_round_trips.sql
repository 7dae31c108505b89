-- Letters that only try the way: no list, no search and no record of SELMA's shows their threads.
ALTER TABLE threads ADD COLUMN self_test INTEGER NOT NULL DEFAULT 0 CHECK (self_test IN (0, 1));

-- What an admin wants done by itself; without a row, what is usual.
CREATE TABLE preferences (
    account_id    TEXT    PRIMARY KEY REFERENCES accounts (id),
    self_test     INTEGER NOT NULL DEFAULT 1 CHECK (self_test IN (0, 1)),
    alert_address TEXT    CHECK (alert_address <> '')
) STRICT;

-- A letter followed from here to its mailbox and back. Nothing of it is kept but when it came by.
CREATE TABLE round_trips (
    id           TEXT    PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id   TEXT    NOT NULL REFERENCES mailboxes (id),
    message_id   TEXT    NOT NULL REFERENCES messages (id),
    thread_id    TEXT    NOT NULL REFERENCES threads (id),
    kind         TEXT    NOT NULL CHECK (kind IN ('asked', 'daily')),
    recipient    TEXT    CHECK (recipient <> ''),
    is_live      INTEGER NOT NULL CHECK (is_live IN (0, 1)),
    state        TEXT    NOT NULL CHECK (state IN ('under_way', 'passed', 'late', 'failed')),
    late_at      INTEGER NOT NULL,
    ends_at      INTEGER NOT NULL,
    accepted_at  INTEGER NOT NULL,
    drafted_at   INTEGER,
    submitted_at INTEGER,
    sent_at      INTEGER,
    notified_at  INTEGER,
    pulled_at    INTEGER,
    threaded_at  INTEGER,
    graph_id     TEXT,
    missed       TEXT    CHECK (missed IN ('drafted', 'submitted', 'sent', 'notified', 'pulled', 'threaded')),
    ended_at     INTEGER,
    clean_at     INTEGER,
    CHECK ((state = 'under_way') = (ended_at IS NULL)),
    CHECK ((pulled_at IS NULL) = (graph_id IS NULL))
) STRICT;
CREATE INDEX round_trips_of_mailbox ON round_trips (mailbox_id, accepted_at, id);
CREATE INDEX round_trips_under_way ON round_trips (id) WHERE state = 'under_way';
CREATE INDEX round_trips_expected ON round_trips (thread_id) WHERE pulled_at IS NULL;
CREATE INDEX round_trips_to_clean ON round_trips (clean_at) WHERE clean_at IS NOT NULL;
