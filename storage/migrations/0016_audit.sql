-- The audit log knows the command line too, and has one door through which old rows go: it says so in the log itself.

CREATE TABLE new_audit (
    seq        INTEGER PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    act        TEXT    NOT NULL CHECK (act <> ''),
    via        TEXT    NOT NULL CHECK (via IN ('api', 'page', 'command', 'system')),
    key_id     TEXT    REFERENCES api_keys (id),
    key_name   TEXT,
    staff      TEXT,
    address    TEXT,
    targets    TEXT    NOT NULL CHECK (json_valid(targets)),
    created_at INTEGER NOT NULL,
    CHECK ((key_id IS NULL) = (key_name IS NULL)),
    CHECK ((via IN ('command', 'system')) = (key_id IS NULL))
) STRICT;
INSERT INTO new_audit (seq, account_id, act, via, key_id, key_name, staff, address, targets, created_at)
SELECT seq, account_id, act, via, key_id, key_name, staff, address, targets, created_at FROM audit;
DROP TABLE audit;
ALTER TABLE new_audit RENAME TO audit;
CREATE INDEX audit_of_account ON audit (account_id, seq);
CREATE INDEX audit_by_age ON audit (account_id, created_at);

-- Open within one transaction only: what of an account is older than `before` may go. Opening it is itself recorded.
CREATE TABLE audit_door (
    account_id TEXT    PRIMARY KEY REFERENCES accounts (id),
    before     INTEGER NOT NULL,
    opened_at  INTEGER NOT NULL,
    CHECK (before < opened_at)
) STRICT;
CREATE TRIGGER audit_door_is_seen AFTER INSERT ON audit_door BEGIN
    INSERT INTO audit (account_id, act, via, targets, created_at)
    VALUES (NEW.account_id, 'audit.forget', 'system',
            json_object('before', strftime('%Y-%m-%dT%H:%M:%SZ', NEW.before / 1000000, 'unixepoch')), NEW.opened_at);
END;
CREATE TRIGGER audit_door_is_not_moved BEFORE UPDATE ON audit_door
BEGIN SELECT raise(ABORT, 'the door of the audit log is opened anew, never moved'); END;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER audit_is_not_deleted BEFORE DELETE ON audit
WHEN NOT EXISTS (SELECT 1 FROM audit_door WHERE account_id = OLD.account_id AND OLD.created_at < before)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE audit.seq = NEW.seq)
BEGIN SELECT raise(ABORT, 'the audit log is append-only'); END;
