-- Rich notifications: the certificates that Graph encrypts for, and the folders that do without for a while.

-- `private_key` is sealed. The newest is given to Graph; those before it open what is still under way.
CREATE TABLE encryption_certificates (
    id          TEXT    PRIMARY KEY,
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    certificate TEXT    NOT NULL,
    private_key BLOB    NOT NULL,
    not_after   INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX encryption_certificates_of_account ON encryption_certificates (account_id, created_at);

-- `unopened` counts the requests since `unopened_since` whose content was not opened, in a row. Until `plain_until`
-- the folder has plain notifications, because of `reason`.
CREATE TABLE rich_troubles (
    folder_id      TEXT    PRIMARY KEY REFERENCES folders (id),
    account_id     TEXT    NOT NULL REFERENCES accounts (id),
    unopened       INTEGER NOT NULL DEFAULT 0 CHECK (unopened >= 0),
    unopened_since INTEGER,
    plain_until    INTEGER,
    reason         TEXT    CHECK (reason <> ''),
    CHECK ((unopened = 0) = (unopened_since IS NULL)),
    CHECK ((plain_until IS NULL) = (reason IS NULL))
) STRICT;

-- For whom Graph encrypts; NULL for plain notifications.
ALTER TABLE subscriptions ADD COLUMN encryption_certificate_id TEXT;

-- Closed by what its own notification brought, without a look into the mailbox.
ALTER TABLE hints ADD COLUMN opened INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1));
CREATE INDEX hints_opened ON hints (folder_id, message_id) WHERE opened = 1;
