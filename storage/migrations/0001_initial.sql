-- Times are INTEGER microseconds since 1970-01-01 UTC; JSON is TEXT; addresses compare without case.
-- Every row carries its account, so that no question can be asked across accounts by accident.

CREATE TABLE vault (
    id               INTEGER PRIMARY KEY CHECK (id = 1),
    key_id           TEXT    NOT NULL,
    check_ciphertext BLOB    NOT NULL,
    created_at       INTEGER NOT NULL
) STRICT;

CREATE TABLE accounts (
    id               TEXT    PRIMARY KEY,
    name             TEXT    NOT NULL UNIQUE CHECK (name <> ''),
    tenant_id        TEXT,
    client_id        TEXT,
    cloud            TEXT    NOT NULL CHECK (cloud IN ('global', 'gcc_high', 'dod', 'china')),
    time_zone        TEXT    NOT NULL,
    token_state      TEXT    NOT NULL CHECK (token_state IN ('unknown', 'ok', 'refused', 'unreachable')),
    token_problem    TEXT    CHECK (token_problem IS NULL OR json_valid(token_problem)),
    token_checked_at INTEGER,
    created_at       INTEGER NOT NULL,
    updated_at       INTEGER NOT NULL,
    CHECK ((tenant_id IS NULL) = (client_id IS NULL)),
    CHECK ((token_state = 'unknown') = (token_checked_at IS NULL)),
    CHECK ((token_state IN ('refused', 'unreachable')) = (token_problem IS NOT NULL))
) STRICT;

CREATE TABLE credentials (
    id         TEXT    PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    kind       TEXT    NOT NULL CHECK (kind IN ('client_secret', 'certificate', 'federated')),
    ciphertext BLOB    NOT NULL,
    hint       TEXT    NOT NULL CHECK (length(hint) <= 3),
    expires_at INTEGER,
    state      TEXT    NOT NULL CHECK (state IN ('active', 'retired')),
    created_at INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX credentials_one_active ON credentials (account_id) WHERE state = 'active';

CREATE TABLE credential_warnings (
    credential_id TEXT    NOT NULL REFERENCES credentials (id),
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    days_left     INTEGER NOT NULL CHECK (days_left >= 0),
    warned_at     INTEGER NOT NULL,
    PRIMARY KEY (credential_id, days_left)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_keys (
    id         TEXT    PRIMARY KEY,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    name       TEXT    NOT NULL,
    digest     BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    hint       TEXT    NOT NULL,
    scopes     TEXT    NOT NULL CHECK (json_valid(scopes)),
    created_at INTEGER NOT NULL,
    revoked_at INTEGER
) STRICT;

CREATE TABLE mailboxes (
    id           TEXT    PRIMARY KEY,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    address      TEXT    NOT NULL COLLATE NOCASE CHECK (address <> ''),
    user_id      TEXT,
    display_name TEXT,
    state        TEXT    NOT NULL CHECK (state IN ('added', 'validated', 'refused', 'removed')),
    problem      TEXT    CHECK (problem IS NULL OR json_valid(problem)),
    paused_until INTEGER,
    validated_at INTEGER,
    created_at   INTEGER NOT NULL,
    CHECK (state <> 'validated' OR (user_id IS NOT NULL AND validated_at IS NOT NULL)),
    CHECK ((state = 'refused') = (problem IS NOT NULL))
) STRICT;
CREATE UNIQUE INDEX mailboxes_one_per_address ON mailboxes (account_id, address) WHERE state <> 'removed';

-- A watched folder: where its delta stands, and when it is to be pulled next.
CREATE TABLE folders (
    id             TEXT    PRIMARY KEY,
    account_id     TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id     TEXT    NOT NULL REFERENCES mailboxes (id),
    well_known     TEXT    NOT NULL CHECK (well_known IN ('inbox', 'sentitems')),
    folder_id      TEXT    NOT NULL,
    delta_link     TEXT,
    watch_since    INTEGER NOT NULL,
    next_pull_at   INTEGER NOT NULL,
    lease_owner    TEXT,
    lease_ends_at  INTEGER,
    last_pulled_at INTEGER,
    failures       INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    problem        TEXT,
    unrelated      INTEGER NOT NULL DEFAULT 0,
    UNIQUE (mailbox_id, well_known),
    CHECK ((lease_owner IS NULL) = (lease_ends_at IS NULL)),
    CHECK ((failures = 0) = (problem IS NULL))
) STRICT;
CREATE INDEX folders_due ON folders (next_pull_at);

CREATE TABLE subscriptions (
    id                   TEXT    PRIMARY KEY,
    account_id           TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id           TEXT    NOT NULL REFERENCES mailboxes (id),
    folder_id            TEXT    NOT NULL REFERENCES folders (id),
    state                TEXT    NOT NULL CHECK (state IN ('creating', 'live', 'superseded', 'removing', 'gone')),
    subscription_id      TEXT,
    client_state_digest  BLOB    NOT NULL CHECK (length(client_state_digest) = 32),
    notification_url     TEXT    NOT NULL,
    expiration_date_time INTEGER,
    renewed_at           INTEGER,
    next_step_at         INTEGER,
    reauthorize          INTEGER NOT NULL DEFAULT 0 CHECK (reauthorize IN (0, 1)),
    failures             INTEGER NOT NULL DEFAULT 0 CHECK (failures >= 0),
    problem              TEXT,
    created_at           INTEGER NOT NULL,
    CHECK (state NOT IN ('live', 'superseded', 'removing')
           OR (subscription_id IS NOT NULL AND expiration_date_time IS NOT NULL)),
    CHECK ((state = 'gone') = (next_step_at IS NULL)),
    CHECK ((failures = 0) = (problem IS NULL))
) STRICT;
CREATE UNIQUE INDEX subscriptions_graph_id ON subscriptions (subscription_id) WHERE state <> 'gone';
CREATE UNIQUE INDEX subscriptions_one_per_folder ON subscriptions (folder_id) WHERE state IN ('creating', 'live');
CREATE INDEX subscriptions_due ON subscriptions (next_step_at) WHERE next_step_at IS NOT NULL;

-- What Graph told us and we have not yet looked into.
CREATE TABLE hints (
    id          INTEGER PRIMARY KEY,
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    folder_id   TEXT    NOT NULL REFERENCES folders (id),
    change_type TEXT    NOT NULL,
    message_id  TEXT    NOT NULL,
    received_at INTEGER NOT NULL,
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    retry_at    INTEGER NOT NULL,
    outcome     TEXT    CHECK (outcome IN ('stored', 'not_ours', 'gone')),
    closed_at   INTEGER,
    CHECK ((outcome IS NULL) = (closed_at IS NULL))
) STRICT;
CREATE INDEX hints_open ON hints (folder_id, message_id) WHERE closed_at IS NULL;

CREATE TABLE threads (
    id              TEXT    PRIMARY KEY,
    account_id      TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id      TEXT    NOT NULL REFERENCES mailboxes (id),
    subject         TEXT    NOT NULL,
    message_count   INTEGER NOT NULL DEFAULT 0 CHECK (message_count >= 0),
    last_message_at INTEGER NOT NULL,
    last_direction  TEXT    CHECK (last_direction IN ('in', 'out')),
    preview         TEXT    NOT NULL DEFAULT '',
    has_attachments INTEGER NOT NULL DEFAULT 0 CHECK (has_attachments IN (0, 1)),
    created_at      INTEGER NOT NULL
) STRICT;
CREATE INDEX threads_newest ON threads (account_id, last_message_at, id);

-- The Graph conversations that make up a thread: one at first, more when a reply changed its subject.
CREATE TABLE conversations (
    mailbox_id      TEXT NOT NULL REFERENCES mailboxes (id),
    conversation_id TEXT NOT NULL CHECK (conversation_id <> ''),
    account_id      TEXT NOT NULL REFERENCES accounts (id),
    thread_id       TEXT NOT NULL REFERENCES threads (id),
    created_at      INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, conversation_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX conversations_of_thread ON conversations (thread_id, created_at);

CREATE TABLE thread_objects (
    account_id TEXT NOT NULL REFERENCES accounts (id),
    type       TEXT NOT NULL
               CHECK (type IN ('student', 'enrolment', 'intake', 'class', 'contact', 'organisation', 'user')),
    object_id  TEXT NOT NULL CHECK (object_id <> ''),
    thread_id  TEXT NOT NULL REFERENCES threads (id),
    PRIMARY KEY (account_id, type, object_id, thread_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX thread_objects_of_thread ON thread_objects (thread_id);

CREATE TABLE participants (
    thread_id  TEXT NOT NULL REFERENCES threads (id),
    address    TEXT NOT NULL COLLATE NOCASE,
    account_id TEXT NOT NULL REFERENCES accounts (id),
    name       TEXT,
    PRIMARY KEY (thread_id, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    id                  TEXT    PRIMARY KEY,
    account_id          TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id          TEXT    NOT NULL REFERENCES mailboxes (id),
    thread_id           TEXT    NOT NULL REFERENCES threads (id),
    direction           TEXT    NOT NULL CHECK (direction IN ('in', 'out')),
    kind                TEXT    NOT NULL CHECK (kind IN ('mail', 'bounce', 'automatic', 'calendar', 'receipt')),
    placement           TEXT    NOT NULL CHECK (placement IN ('placed', 'held', 'dismissed')),
    graph_id            TEXT,
    conversation_id     TEXT,
    internet_message_id TEXT,
    subject             TEXT    NOT NULL,
    from_name           TEXT,
    from_address        TEXT,
    recipients          TEXT    NOT NULL CHECK (json_valid(recipients)),
    body_type           TEXT    NOT NULL CHECK (body_type IN ('html', 'text')),
    body                TEXT    NOT NULL,
    new_text            TEXT,
    preview             TEXT    NOT NULL,
    attachments         TEXT    NOT NULL CHECK (json_valid(attachments)),
    evidence            TEXT    CHECK (evidence IS NULL OR json_valid(evidence)),
    created_by          TEXT,
    message_at          INTEGER NOT NULL,
    created_at          INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX messages_graph_id ON messages (mailbox_id, graph_id) WHERE graph_id IS NOT NULL;
CREATE INDEX messages_internet_message_id ON messages (account_id, internet_message_id)
    WHERE internet_message_id IS NOT NULL;
CREATE INDEX messages_of_conversation ON messages (mailbox_id, conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX messages_of_thread ON messages (thread_id, message_at, id);

-- The sending of a message of ours: the state machine of gateway/sending/machine.py.
CREATE TABLE outbox (
    message_id      TEXT    PRIMARY KEY REFERENCES messages (id),
    account_id      TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id      TEXT    NOT NULL REFERENCES mailboxes (id),
    send_uid        TEXT    NOT NULL UNIQUE CHECK (send_uid = lower(send_uid)),
    importance      TEXT    NOT NULL CHECK (importance IN ('low', 'normal', 'high')),
    metadata        TEXT    NOT NULL CHECK (json_valid(metadata)),
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
    sent_at         INTEGER,
    problem         TEXT    CHECK (problem IS NULL OR json_valid(problem)),
    created_at      INTEGER NOT NULL,
    CHECK ((state IN ('sent', 'bounced', 'failed', 'needs_review', 'cancelled')) = (next_attempt_at IS NULL)),
    CHECK ((state IN ('sent', 'bounced')) = (sent_at IS NOT NULL)),
    CHECK (state NOT IN ('failed', 'needs_review') OR problem IS NOT NULL),
    CHECK (state NOT IN ('submitting', 'submitted', 'unknown') OR submits > 0),
    CHECK ((lease_owner IS NULL) = (lease_ends_at IS NULL))
) STRICT;
CREATE INDEX outbox_due ON outbox (mailbox_id, next_attempt_at) WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outbox_in_hand ON outbox (mailbox_id) WHERE lease_owner IS NOT NULL;
CREATE INDEX outbox_newest ON outbox (account_id, message_id);

CREATE TABLE outbox_attachments (
    message_id   TEXT    NOT NULL REFERENCES outbox (message_id),
    position     INTEGER NOT NULL,
    account_id   TEXT    NOT NULL REFERENCES accounts (id),
    name         TEXT    NOT NULL,
    content_type TEXT    NOT NULL,
    content_id   TEXT,
    size         INTEGER NOT NULL CHECK (size >= 0),
    content      BLOB    NOT NULL CHECK (length(content) = size),
    PRIMARY KEY (message_id, position)
) STRICT;

-- Kept as long as the letter: the same key and body get the same answer.
CREATE TABLE idempotency_keys (
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    key         TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    message_id  TEXT    NOT NULL REFERENCES messages (id),
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    type       TEXT    NOT NULL,
    thread_id  TEXT,
    message_id TEXT,
    data       TEXT    NOT NULL CHECK (json_valid(data)),
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX events_of_account ON events (account_id, seq);

-- Work that comes round: read when due, moved on when done.
CREATE TABLE chores (
    account_id TEXT    NOT NULL REFERENCES accounts (id),
    name       TEXT    NOT NULL,
    due_at     INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
