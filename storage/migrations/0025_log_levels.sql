-- Levels of the log that hold for a while, in place of the setting; '' is everything of ours.
CREATE TABLE log_levels (
    logger TEXT PRIMARY KEY CHECK (length(logger) <= 200),
    level TEXT NOT NULL CHECK (level IN ('debug', 'info', 'warning', 'error')),
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
