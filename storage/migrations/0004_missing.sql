-- Which mails the last check of a mailbox did not find here, and how far a check is that is under way.

CREATE TABLE missing_mail (
    mailbox_id    TEXT    NOT NULL REFERENCES mailboxes (id),
    graph_id      TEXT    NOT NULL CHECK (graph_id <> ''),
    account_id    TEXT    NOT NULL REFERENCES accounts (id),
    folder_id     TEXT    NOT NULL REFERENCES folders (id),
    came_at       INTEGER,
    missing_since INTEGER NOT NULL,
    PRIMARY KEY (mailbox_id, graph_id)
) STRICT, WITHOUT ROWID;

ALTER TABLE completeness ADD COLUMN conversations_done INTEGER CHECK (conversations_done >= 0);
ALTER TABLE completeness ADD COLUMN conversations INTEGER CHECK (conversations >= 0);
