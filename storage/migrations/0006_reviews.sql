-- What people decided about where a mail belongs, so that it can be undone; and who did what, for good.

CREATE TABLE acts (
    seq            INTEGER PRIMARY KEY,
    id             TEXT    NOT NULL UNIQUE,
    account_id     TEXT    NOT NULL REFERENCES accounts (id),
    message_id     TEXT    NOT NULL REFERENCES messages (id),
    kind           TEXT    NOT NULL CHECK (kind IN ('accept', 'dismiss', 'move', 'unlink')),
    asked          TEXT    NOT NULL CHECK (json_valid(asked)), -- the request, to know it when it comes again
    from_thread_id TEXT    NOT NULL REFERENCES threads (id),
    from_placement TEXT    NOT NULL CHECK (from_placement IN ('placed', 'held', 'dismissed')),
    thread_id      TEXT    NOT NULL REFERENCES threads (id),
    placement      TEXT    NOT NULL CHECK (placement IN ('placed', 'held', 'dismissed')),
    done_by        TEXT    NOT NULL CHECK (done_by <> ''),
    done_at        INTEGER NOT NULL,
    undone_by      TEXT,
    undone_at      INTEGER,
    CHECK ((undone_by IS NULL) = (undone_at IS NULL)),
    CHECK ((from_thread_id, from_placement) <> (thread_id, placement))
) STRICT;
CREATE INDEX acts_of_message ON acts (message_id, seq);
CREATE INDEX acts_newest ON acts (account_id, seq);
CREATE INDEX acts_from_thread ON acts (from_thread_id);
CREATE INDEX acts_into_thread ON acts (thread_id);

CREATE INDEX messages_held ON messages (account_id, message_at, id) WHERE placement = 'held';
CREATE INDEX participants_by_address ON participants (account_id, address);

-- Ids and names of who acted, never mail. Rows are added and read: the triggers refuse the rest.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    act        TEXT    NOT NULL CHECK (act <> ''),
    via        TEXT    NOT NULL CHECK (via IN ('api', 'page', 'system')),
    key_id     TEXT    REFERENCES api_keys (id),
    key_name   TEXT,
    staff      TEXT,
    address    TEXT,
    targets    TEXT    NOT NULL CHECK (json_valid(targets)),
    created_at INTEGER NOT NULL,
    CHECK ((key_id IS NULL) = (key_name IS NULL)),
    CHECK ((via = 'system') = (key_id IS NULL))
) STRICT;
CREATE INDEX audit_of_account ON audit (account_id, seq);
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE audit.seq = NEW.seq)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
