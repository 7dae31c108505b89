-- Letters of any size, in batches, as replies; what a mailbox has spent; what a restored backup leaves in doubt.

-- Content that is to be attached: received piece by piece, used by any number of letters, gone when none needs it.
CREATE TABLE files (
    id           TEXT    PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    name         TEXT    NOT NULL CHECK (name <> ''),
    content_type TEXT    NOT NULL,
    size         INTEGER CHECK (size >= 0),
    sha256       BLOB    CHECK (length(sha256) = 32),
    expires_at   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    CHECK ((size IS NULL) = (sha256 IS NULL)) -- both come with the last piece
) STRICT;
CREATE INDEX files_expiry ON files (account_id, expires_at);

CREATE TABLE file_pieces (
    file_id    TEXT    NOT NULL REFERENCES files (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL CHECK (position >= 0),
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    starts_at  INTEGER NOT NULL CHECK (starts_at >= 0),
    content    BLOB    NOT NULL CHECK (length(content) > 0),
    PRIMARY KEY (file_id, position)
) STRICT;

INSERT INTO files (id, account_id, name, content_type, size, sha256, expires_at, created_at)
SELECT 'fil_' || a.message_id || '_' || a.position, a.account_id, a.name, a.content_type, a.size, sha256(a.content),
       o.created_at, o.created_at
  FROM outbox_attachments AS a JOIN outbox AS o ON o.message_id = a.message_id;
INSERT INTO file_pieces (file_id, position, account_id, starts_at, content)
SELECT 'fil_' || message_id || '_' || position, 0, account_id, 0, content FROM outbox_attachments WHERE size > 0;
CREATE TEMP TABLE carried_over AS
SELECT message_id, position, account_id, name, content_type, content_id, size, sha256(content) AS sha256,
       'fil_' || message_id || '_' || position AS file_id
  FROM outbox_attachments;
DROP TABLE outbox_attachments;

CREATE TABLE batches (
    id            TEXT    PRIMARY KEY,
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    name          TEXT,
    created_by    TEXT,
    letters       INTEGER NOT NULL CHECK (letters > 0),
    done_by       INTEGER NOT NULL, -- as forecast when it was accepted
    told_percent  INTEGER NOT NULL DEFAULT 0 CHECK (told_percent BETWEEN 0 AND 100),
    created_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX batches_newest ON batches (account_id, id);

-- `lane` is in which order a mailbox works: looking for what left, single letters, bulk.
CREATE TABLE new_outbox (
    message_id      TEXT    PRIMARY KEY REFERENCES messages (id),
    account_id      TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id      TEXT    NOT NULL REFERENCES mailboxes (id),
    batch_id        TEXT    REFERENCES batches (id),
    batch_position  INTEGER,
    in_reply_to     TEXT    REFERENCES messages (id),
    send_uid        TEXT    NOT NULL UNIQUE CHECK (send_uid = lower(send_uid)),
    importance      TEXT    NOT NULL CHECK (importance IN ('low', 'normal', 'high')),
    headers         TEXT    NOT NULL DEFAULT '[]' CHECK (json_valid(headers)),
    metadata        TEXT    NOT NULL CHECK (json_valid(metadata)),
    recipients      INTEGER NOT NULL DEFAULT 1 CHECK (recipients > 0),
    send_at         INTEGER,
    state           TEXT    NOT NULL CHECK (state IN (
                        'accepted', 'drafting', 'drafted', 'submitting', 'submitted', 'unknown',
                        'sent', 'bounced', 'failed', 'needs_review', 'cancelled')),
    state_since     INTEGER NOT NULL,
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    submits         INTEGER NOT NULL DEFAULT 0 CHECK (submits >= 0),
    next_attempt_at INTEGER,
    lease_owner     TEXT,
    lease_ends_at   INTEGER,
    submitted_at    INTEGER,
    still_draft_at  INTEGER,
    restored_at     INTEGER,
    tidy_at         INTEGER, -- when to look for drafts that it may have left behind
    sent_at         INTEGER,
    problem         TEXT    CHECK (problem IS NULL OR json_valid(problem)),
    created_at      INTEGER NOT NULL,
    lane            INTEGER NOT NULL GENERATED ALWAYS AS (
                        CASE WHEN state IN ('submitting', 'submitted', 'unknown') THEN 0
                             WHEN batch_id IS NULL THEN 1 ELSE 2 END) VIRTUAL,
    CHECK ((batch_id IS NULL) = (batch_position IS NULL)),
    CHECK ((state IN ('sent', 'bounced', 'failed', 'needs_review', 'cancelled')) = (next_attempt_at IS NULL)),
    CHECK ((state IN ('sent', 'bounced')) = (sent_at IS NOT NULL)),
    CHECK (state NOT IN ('failed', 'needs_review') OR problem IS NOT NULL),
    CHECK (state NOT IN ('submitting', 'submitted') OR submits > 0),
    CHECK (state <> 'unknown' OR submits > 0 OR restored_at IS NOT NULL),
    CHECK ((lease_owner IS NULL) = (lease_ends_at IS NULL)),
    CHECK (tidy_at IS NULL OR state IN ('failed', 'cancelled'))
) STRICT;
INSERT INTO new_outbox (message_id, account_id, mailbox_id, send_uid, importance, metadata, recipients, state, state_since,
                        attempts, submits, next_attempt_at, lease_owner, lease_ends_at, submitted_at, still_draft_at,
                        sent_at, problem, created_at)
SELECT o.message_id, o.account_id, o.mailbox_id, o.send_uid, o.importance, o.metadata,
       max(1, json_array_length(m.recipients, '$.to') + json_array_length(m.recipients, '$.cc')
              + json_array_length(m.recipients, '$.bcc')),
       o.state, o.state_since, o.attempts, o.submits, o.next_attempt_at, o.lease_owner, o.lease_ends_at,
       o.submitted_at, o.still_draft_at, o.sent_at, o.problem, o.created_at
  FROM outbox AS o JOIN messages AS m ON m.id = o.message_id;
DROP TABLE outbox;
ALTER TABLE new_outbox RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (mailbox_id, lane, next_attempt_at, message_id) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outbox_untidy ON outbox (tidy_at) WHERE tidy_at IS NOT NULL;
CREATE INDEX outbox_in_hand ON outbox (mailbox_id) WHERE lease_owner IS NOT NULL;
CREATE INDEX outbox_newest ON outbox (account_id, message_id);
CREATE INDEX outbox_by_state ON outbox (account_id, state, message_id);
CREATE INDEX outbox_of_batch ON outbox (batch_id, batch_position) WHERE batch_id IS NOT NULL;
CREATE INDEX outbox_batch_open ON outbox (batch_id) WHERE batch_id IS NOT NULL AND next_attempt_at IS NOT NULL;

CREATE TABLE letter_attachments (
    message_id    TEXT    NOT NULL REFERENCES outbox (message_id),
    position      INTEGER NOT NULL,
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    name          TEXT    NOT NULL,
    content_type  TEXT    NOT NULL,
    content_id    TEXT,
    size          INTEGER NOT NULL CHECK (size >= 0),
    sha256        BLOB    NOT NULL CHECK (length(sha256) = 32),
    file_id       TEXT    REFERENCES files (id), -- NULL: the letter left long ago, its mailbox has the content
    upload_url    TEXT,
    upload_offset INTEGER NOT NULL DEFAULT 0 CHECK (upload_offset >= 0),
    PRIMARY KEY (message_id, position)
) STRICT;
CREATE INDEX letter_attachments_of_file ON letter_attachments (file_id) WHERE file_id IS NOT NULL;
INSERT INTO letter_attachments (message_id, position, account_id, name, content_type, content_id, size, sha256, file_id)
SELECT message_id, position, account_id, name, content_type, content_id, size, sha256, file_id FROM carried_over;
DROP TABLE carried_over;

-- Kept as long as what it brought: the same key and body get the same answer.
CREATE TABLE new_idempotency_keys (
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    message_id  TEXT    REFERENCES messages (id),
    batch_id    TEXT    REFERENCES batches (id),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, key),
    CHECK ((message_id IS NULL) <> (batch_id IS NULL))
) STRICT, WITHOUT ROWID;
INSERT INTO new_idempotency_keys (account_id, key, fingerprint, message_id, created_at)
SELECT account_id, key, fingerprint, message_id, created_at FROM idempotency_keys;
DROP TABLE idempotency_keys;
ALTER TABLE new_idempotency_keys RENAME TO idempotency_keys;

-- What a mailbox has used of what Microsoft 365 allows, in buckets of time: `bucket` is when one began.
CREATE TABLE spending (
    mailbox_id TEXT    NOT NULL REFERENCES mailboxes (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('letters', 'recipients', 'requests', 'upload_bytes')),
    bucket     INTEGER NOT NULL,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    amount     INTEGER NOT NULL CHECK (amount > 0),
    PRIMARY KEY (mailbox_id, kind, bucket)
) STRICT, WITHOUT ROWID;

-- Until when no letter may leave: a mailbox by its budget, an account because it gets no token.
ALTER TABLE mailboxes ADD COLUMN next_letter_at INTEGER;
ALTER TABLE accounts ADD COLUMN outbox_paused_until INTEGER;
