-- When delivery to a folder was uncertain, and whether all that Microsoft 365 has of our conversations is here.

-- Ended when the trouble was over; closed when a delta round that began after that has gone through.
CREATE TABLE gaps (
    id          TEXT    PRIMARY KEY,
    account_id  TEXT    NOT NULL REFERENCES accounts (id),
    mailbox_id  TEXT    NOT NULL REFERENCES mailboxes (id),
    folder_id   TEXT    NOT NULL REFERENCES folders (id),
    reason      TEXT    NOT NULL CHECK (reason IN (
                    'no_subscription', 'notifications_missed', 'subscription_removed', 'delta_lost', 'pull_failing',
                    'gateway_down')),
    began_at    INTEGER NOT NULL,
    ended_at    INTEGER,
    closed_at   INTEGER,
    unannounced INTEGER NOT NULL DEFAULT 0 CHECK (unannounced >= 0),
    CHECK (ended_at IS NULL OR ended_at >= began_at),
    CHECK (closed_at IS NULL OR ended_at IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX gaps_not_closed ON gaps (folder_id, reason) WHERE closed_at IS NULL;
CREATE INDEX gaps_closed ON gaps (account_id, closed_at) WHERE closed_at IS NOT NULL;

CREATE TABLE completeness (
    mailbox_id     TEXT    PRIMARY KEY REFERENCES mailboxes (id),
    account_id     TEXT    NOT NULL REFERENCES accounts (id),
    complete_since INTEGER,
    checked_at     INTEGER,
    compared       INTEGER CHECK (compared >= 0),
    missing        INTEGER CHECK (missing >= 0),
    problem        TEXT    CHECK (problem <> ''),
    CHECK ((checked_at IS NULL) = (compared IS NULL) AND (checked_at IS NULL) = (missing IS NULL)),
    CHECK (complete_since IS NULL OR missing = 0)
) STRICT;

-- `round_began_at`: when the delta round under way was begun; NULL between two rounds.
ALTER TABLE folders ADD COLUMN round_began_at INTEGER;
ALTER TABLE folders ADD COLUMN unannounced INTEGER NOT NULL DEFAULT 0 CHECK (unannounced >= 0);
UPDATE folders SET round_began_at = watch_since WHERE delta_link IS NOT NULL; -- one may be under way, since when is not known
